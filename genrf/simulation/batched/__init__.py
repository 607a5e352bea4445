"""Small-signal simulation of many circuits at once, compiled for processors and GPUs."""
