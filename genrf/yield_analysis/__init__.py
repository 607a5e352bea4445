"""Which share of a design's manufactured copies meets its specification: Monte Carlo over process, mismatch, temperature
and supply, and the process corners."""
