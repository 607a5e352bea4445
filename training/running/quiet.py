"""Libraries kept from advising about what nobody can act on."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def quiet(*loggers: str, ignored: Sequence[Mapping[str, Any]] = ({},)) -> Iterator[None]:
    """Silence loggers below errors, and warnings.

    Args:
        loggers: their names; the empty name is the root logger.
        ignored: arguments of ``warnings.filterwarnings`` for each kind of warning; by default all are ignored.
    """
    own = [logging.getLogger(name) for name in loggers]
    levels = [logger.level for logger in own]
    for logger in own:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for kind in ignored:
                warnings.filterwarnings("ignore", **kind)
            yield
    finally:
        for logger, level in zip(own, levels, strict=True):
            logger.setLevel(level)
