"""Names of the pipelines: known before their components are imported, which carry the image that is named by then."""

TRAIN, NIGHTLY = "genrf-train", "genrf-nightly"
