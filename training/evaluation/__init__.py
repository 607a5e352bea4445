"""The generator and its baselines judged on held-out specifications, in simulation."""
