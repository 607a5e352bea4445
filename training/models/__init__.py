"""The models (each a `BaseCircuitModel`), their sampler, and their way to ONNX and back."""
