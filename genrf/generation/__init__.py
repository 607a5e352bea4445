"""From a specification to circuits that were simulated: models, search, refinement, and the bundle that they are read from."""
