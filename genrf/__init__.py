"""GenRF Circuit Diffuser: from a radio-frequency specification to circuits that SPICE has shown to meet it."""

__version__ = "0.1.0"
