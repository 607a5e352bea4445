"""Which topologies are held out: drawn from the seed and the topology alone, so the same in every dataset of that seed."""

from __future__ import annotations

import hashlib
from typing import Literal

from training.config.schema import Config

Topologies = Literal["all", "training", "held-out"]
"""Which topologies an island simulates."""


def place(fingerprint: str, seed: int) -> float:
    """A topology's place between 0 and 1: the first are held out for the test, the next for validation."""
    return int(hashlib.sha256(f"{seed}:{fingerprint}".encode()).hexdigest()[:8], 16) / 2**32


def split_of(fingerprint: str, config: Config) -> str:
    """``test``, ``validation`` or ``train``: the split that a topology belongs to."""
    share = place(fingerprint, config.seed)
    if share < config.preparation.test_share:
        return "test"
    if share < config.preparation.test_share + config.preparation.validation_share:
        return "validation"
    return "train"
