"""A simulator for the tests of models: transistors and passives in test benches of their own."""

from __future__ import annotations

import pytest

from genrf.simulation.library import Library
from genrf.simulation.library import library as library_of_this_process


@pytest.fixture(scope="session")
def library() -> Library:
    """libngspice in the test process."""
    return library_of_this_process()
