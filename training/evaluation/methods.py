"""Names of what is tried on held-out specifications; light, for those who read results only."""

GENERATOR = "generator"
RETRIEVAL = "retrieval"
RANDOM = "random"
