"""Data generation, models, training, evaluation and export: everything that needs PyTorch."""
