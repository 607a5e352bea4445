"""Which models the server starts with."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from genrf.generation import released

pytest.importorskip("kserve")


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders that are served; nothing is served. The package's folder for weights is empty."""
    import serving.__main__ as program

    folders: list[Path] = []

    def server_of(arguments: Any, folder: Path, *others: Any) -> Any:
        folders.append(folder)
        return SimpleNamespace(service=None, start=lambda models: None)

    monkeypatch.setattr(program, "server_of", server_of)
    monkeypatch.setattr(program, "Bundle", SimpleNamespace(load=lambda folder: None))
    monkeypatch.setattr(released, "released_folder", lambda: tmp_path / "pretrained")
    monkeypatch.delenv("GENRF_BUNDLE", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pretrained").mkdir()
    (tmp_path / "other").mkdir()
    return folders


def start(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    from serving.__main__ import main

    monkeypatch.setattr(sys, "argv", ["serving", *arguments])
    return main()


def test_the_released_weights_are_served_unless_a_bundle_is_named(
    opened: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pretrained" / "manifest.json").write_text("{}")
    assert start(monkeypatch) == 0
    assert "serving: models: released with genrf" in capsys.readouterr().err
    assert start(monkeypatch, "--bundle", "other") == 0
    assert capsys.readouterr().err.endswith("serving: models: other\n")
    monkeypatch.setenv("GENRF_BUNDLE", str(tmp_path / "other"))
    assert start(monkeypatch) == 0
    assert opened == [tmp_path / "pretrained", Path("other"), tmp_path / "other"]


def test_without_any_models_it_says_what_to_do(
    opened: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(monkeypatch) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("serving: ")
    assert "manifest.json: missing" in error
    assert not opened
