"""A design, its study, and one pool of simulation workers for the session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from genrf.simulation.judge import Judge
from genrf.simulation.library import Library
from genrf.simulation.library import library as library_of_this_process
from genrf.spec import DesignSpec
from genrf.yield_analysis.study import YieldStudy
from tests.amplifiers import MATCHED_28GHZ, SPECIFICATION_28GHZ


@pytest.fixture(scope="session")
def library() -> Library:
    """libngspice in the test process."""
    return library_of_this_process()


@pytest.fixture(scope="session")
def pool() -> Iterator[Judge]:
    with Judge(workers=1) as running:
        yield running


@pytest.fixture(scope="session")
def study() -> YieldStudy:
    """The two-stage amplifier against the specification that it meets when made as designed."""
    return YieldStudy(circuit=MATCHED_28GHZ, spec=DesignSpec.from_dict(SPECIFICATION_28GHZ), seed=3)
