"""What becomes of a bundle: the registry's champion, the package's released weights, the run's summary."""
