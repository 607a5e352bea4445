"""Nights: what was asked for is compared with what was trained on, and the generator is trained on where that is not enough."""
