"""Simulated circuits: made, kept as a version, split, and turned into what the models train on and are judged by."""
