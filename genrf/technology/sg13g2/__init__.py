"""IHP SG13G2: its devices, model cards and statistics."""
