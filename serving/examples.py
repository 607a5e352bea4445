"""Specifications to start from: those of ``examples/``, which a built package carries with it."""

from __future__ import annotations

from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

from genrf.fields import read_yaml

PACKAGED = Path(__file__).parent / "examples"
"""Where ``setup.py`` copies them to."""
SOURCE = Path(__file__).parents[1] / "examples"


@cache
def examples() -> list[dict[str, Any]]:
    """Every example as it is written, quantities as text: what its first comment says, and the specification."""
    folder = PACKAGED if PACKAGED.is_dir() else SOURCE
    return [{"title": _comment(path), "specification": read_yaml(path)} for path in sorted(folder.glob("*.yaml"))]


def _comment(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return " ".join(line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), lines))
