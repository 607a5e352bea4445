"""Searches and trial runners that the benchmarks compare the generator with."""
