"""The feedback log: what was asked for, and what came of it. Nothing personal, each search once, in a folder or in S3."""
