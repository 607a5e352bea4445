"""Which bundle is used where none is named, and what belongs to released weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from genrf.cli import app
from genrf.errors import CheckpointError, InvalidInputError
from genrf.files import sha256
from genrf.generation import released


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package's folder for weights, empty, seen from an empty working folder."""
    folder = tmp_path / "package" / "pretrained"
    folder.mkdir(parents=True)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(released, "released_folder", lambda: folder)
    monkeypatch.delenv("GENRF_BUNDLE", raising=False)
    return folder


def put_weights(folder: Path) -> str:
    """A manifest is what makes a folder a bundle; returns its identity."""
    (folder / "manifest.json").write_text('{"format": 1}')
    return sha256(folder / "manifest.json")


def test_the_released_weights_are_used_unless_another_bundle_is_named(package: Path, tmp_path: Path) -> None:
    identity = put_weights(package)
    released.TRAINED_HERE.mkdir(parents=True)
    folder, which = released.choose_bundle(None)
    assert folder == package
    assert "released" in which
    assert identity[:10] in which
    assert released.choose_bundle(tmp_path) == (tmp_path, f"models: {tmp_path}")


def test_without_released_weights_those_trained_last_are_used_and_named(package: Path) -> None:
    released.TRAINED_HERE.mkdir(parents=True)
    folder, which = released.choose_bundle(None)
    assert folder == released.TRAINED_HERE
    assert "without released weights" in which
    assert released.released_bundle() is None
    assert released.released_identity() == ""


@pytest.mark.parametrize("command", ["generate", "chain"])
def test_without_any_models_the_command_says_what_to_do(package: Path, command: str) -> None:
    example = {"generate": "lna_5ghz.yaml", "chain": "chains/receiver_5ghz.yaml"}[command]
    done = CliRunner().invoke(app, [command, str(Path(__file__).parents[2] / "examples" / example)])
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert f"{package}/manifest.json: missing" in done.stderr
    for remedy in ("make run", "--bundle", "GENRF_BUNDLE"):
        assert remedy in done.stderr


def test_a_named_folder_that_does_not_exist_is_refused(package: Path, tmp_path: Path) -> None:
    put_weights(package)
    with pytest.raises(InvalidInputError, match="no model bundle here"):
        released.choose_bundle(tmp_path / "nowhere")


def test_the_environment_names_a_bundle_too(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_weights(package)
    monkeypatch.setenv("GENRF_BUNDLE", str(tmp_path / "nowhere"))
    done = CliRunner().invoke(app, ["generate", str(Path(__file__).parents[2] / "examples" / "lna_5ghz.yaml")])
    assert done.exit_code == 2
    assert "nowhere: no model bundle here" in done.stderr


def test_a_card_belongs_to_the_weights_beside_it(package: Path) -> None:
    identity = put_weights(package)
    with pytest.raises(CheckpointError, match=r"card\.json: cannot be read"):
        released.read_card(package)
    (package / released.CARD).write_text(json.dumps({"identity": identity, "recipe": "full"}))
    assert released.read_card(package)["recipe"] == "full"
    (package / "manifest.json").write_text('{"format": 1, "changed": true}')
    with pytest.raises(CheckpointError, match="describes other weights"):
        released.read_card(package)
    (package / released.CARD).write_text("[]")
    with pytest.raises(CheckpointError, match="not the card of released weights"):
        released.read_card(package)
