"""Trained models as a bundle for serving, and its smaller variants."""
