"""The one configuration: what each field means, how it is read, and which steps use which of it."""
