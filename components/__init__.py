"""KFP components: a signature, a docstring and one call into `training` each."""
