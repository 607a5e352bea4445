"""The models: topology generator, sizing diffusion and surrogate, all of them a `BaseCircuitModel`."""
