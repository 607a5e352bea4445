"""The pipelines: wiring, placement on nodes, compiling and running. No logic lives here."""
