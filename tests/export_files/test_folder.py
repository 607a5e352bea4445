"""The output folder appears whole or not at all, and never replaces something that is not a result."""

from __future__ import annotations

from pathlib import Path

import pytest

from genrf.errors import InvalidInputError
from genrf.export.folder import written_folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill(folder: Path, text: str) -> None:
    (folder / "result.json").write_text(text)


def write(folder: Path, text: str, then: Exception) -> None:
    with written_folder(folder, overwrite=True) as temporary:
        fill(temporary, text)
        raise then


def test_appears_only_once_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with written_folder(target) as temporary:
        fill(temporary, "first")
        assert not target.exists()
    assert (target / "result.json").read_text() == "first"
    assert names(target.parent) == ["out"]


def test_leaves_nothing_behind_when_writing_fails(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"No space left on device: '.*/out'"):
        write(tmp_path / "out", "half", OSError(28, "No space left on device"))
    assert names(tmp_path) == []


def test_keeps_the_old_result_when_the_new_one_fails(tmp_path: Path) -> None:
    with written_folder(tmp_path / "out") as temporary:
        fill(temporary, "old")
    with pytest.raises(RuntimeError):
        write(tmp_path / "out", "new", RuntimeError())
    assert (tmp_path / "out" / "result.json").read_text() == "old"
    assert names(tmp_path) == ["out"]


def test_replaces_a_result_only_when_told_to(tmp_path: Path) -> None:
    with written_folder(tmp_path / "out") as temporary:
        fill(temporary, "old")
        (temporary / "leftover").touch()
    with pytest.raises(InvalidInputError, match="exists already; choose another"), written_folder(tmp_path / "out"):
        pass
    with written_folder(tmp_path / "out", overwrite=True) as temporary:
        fill(temporary, "new")
    assert names(tmp_path / "out") == ["result.json"]
    assert (tmp_path / "out" / "result.json").read_text() == "new"


def test_never_replaces_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").touch()
    with (
        pytest.raises(InvalidInputError, match="was not written by genrf"),
        written_folder(tmp_path / "thesis", overwrite=True),
    ):
        pass
    assert names(tmp_path / "thesis") == ["chapter1.tex"]
