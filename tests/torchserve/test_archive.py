"""Archives are made of traced models that are whole, or not at all; what they are served with stays closed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from genrf.errors import CheckpointError, MissingToolError
from genrf.files import sha256
from serving.torchserve import __main__ as command
from serving.torchserve import archive as archiving
from training.export import export_torchscript

ROOT = Path(__file__).parents[2]


@pytest.fixture
def traced(tmp_path: Path) -> Path:
    """A folder as the export leaves it, of one model."""
    folder = tmp_path / "torchscript"
    folder.mkdir()
    (folder / "surrogate.pt").write_text("a traced model")
    model = {"file": "surrogate.pt", "sha256": sha256(folder / "surrogate.pt"), "inputs": {}, "outputs": ["mean"]}
    content = {"format": 1, "bundle": "0123456789abcdef", "models": {"surrogate": model}}
    (folder / "torchscript.json").write_text(json.dumps(content))
    return folder


def change(folder: Path, **values: Any) -> None:
    path = folder / "torchscript.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_reads_what_the_export_writes(traced: Path) -> None:
    assert (archiving.TRACED, archiving.FORMAT) == (export_torchscript.FILE, export_torchscript.FORMAT)
    assert list(archiving.read_traced(traced)["models"]) == ["surrogate"]


def test_files_that_are_missing_or_changed_are_refused(traced: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere/torchscript\.json: cannot be read .* export-torchscript"):
        archiving.read_traced(tmp_path / "nowhere")
    (traced / "surrogate.pt").write_text("another")
    with pytest.raises(CheckpointError, match=r"surrogate\.pt: changed since it was written; write it with"):
        archiving.read_traced(traced)
    (traced / "surrogate.pt").unlink()
    with pytest.raises(CheckpointError, match=r"surrogate\.pt: cannot be read"):
        archiving.read_traced(traced)


@pytest.mark.parametrize(
    ("values", "message"),
    [({"format": 2}, "format 2, this program reads format 1"), ({"models": [1]}, "not a description of traced models")],
)
def test_another_format_is_refused(traced: Path, values: dict[str, Any], message: str) -> None:
    change(traced, **values)
    with pytest.raises(CheckpointError, match=message):
        archiving.read_traced(traced)


def test_without_the_archiver_says_where_it_comes_from(
    traced: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(archiving, "find_spec", lambda _: None)
    store = tmp_path / "store"
    monkeypatch.setattr(sys, "argv", ["torchserve", "archive", "--torchscript", str(traced), "--store", str(store)])
    assert command.main() == MissingToolError.exit_code
    shown = capsys.readouterr().err
    assert shown.startswith("serving.torchserve: torch-model-archiver: not installed;")
    (page,) = [word for word in shown.split() if word.startswith("docs/")]
    assert "locks/torchserve.lock" in (ROOT / page).read_text()
    assert not store.exists()


def test_an_archiver_that_fails_leaves_the_store_as_it_was(
    traced: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "earlier.mar").touch()
    monkeypatch.setattr(archiving, "find_spec", lambda _: True)
    monkeypatch.setattr(archiving, "ARCHIVER", "no_such_package")
    with pytest.raises(MissingToolError, match=r"cannot archive .*surrogate\.pt \(.*no_such_package"):
        archiving.archive(traced, store)
    assert [path.name for path in store.iterdir()] == ["earlier.mar"]
    assert not list(tmp_path.glob(".*"))


def test_the_server_asks_for_tokens_and_listens_here_only() -> None:
    lines = (ROOT / "serving" / "torchserve" / "config.properties").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert settings["disable_token_authorization"] == "false"
    assert settings["install_py_dep_per_model"] == "false"
    assert settings["model_api_enabled"] == "false"
    addresses = [value for name, value in settings.items() if name.endswith("_address")]
    assert len(addresses) == 5
    assert all(value.removeprefix("http://").startswith("127.0.0.1") for value in addresses)
