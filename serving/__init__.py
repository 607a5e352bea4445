"""Serving designs over the Open Inference Protocol."""
