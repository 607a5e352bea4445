"""A simulator for the tests of models: transistors and passives in test benches of their own."""

from __future__ import annotations

import pytest

from genrf.simulation.library import Library


@pytest.fixture(scope="session")
def library() -> Library:
    """libngspice in the test process."""
    return Library()
