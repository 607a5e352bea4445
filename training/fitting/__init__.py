"""Training of the three models: objectives, optimizer, callbacks, devices."""
