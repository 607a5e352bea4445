"""A dataset's hash belongs to a kind of processor: last digits of exp, log and power differ between kinds."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import training.__main__ as commands
from training.config.loading import load_config
from training.data import versions
from training.data.versions import RecordedData, processor_kind, simulation_digest

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture
def simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`make data` in a folder whose record has another hash, simulated by a processor of a given kind."""

    def run(recorded_on: str):
        config = load_config(PARAMS)
        (tmp_path / "artifacts" / "rows").mkdir(parents=True)
        monkeypatch.chdir(tmp_path)
        (tmp_path / "params.yaml").write_text(PARAMS.read_text())
        monkeypatch.setattr(commands.stages_here, "simulate_data", lambda _: Path("artifacts/rows"))
        monkeypatch.setattr(versions, "require_recorded", lambda *_: None)
        before = RecordedData("a.dir", simulation_digest(config), recorded_on)
        monkeypatch.setattr(versions, "recorded", lambda *_: before)
        after = RecordedData("b.dir", simulation_digest(config), processor_kind())
        monkeypatch.setattr(versions, "add", lambda *_: after)
        return CliRunner().invoke(commands.app, ["data"])

    return run


def test_another_hash_on_the_same_kind_of_processor_is_an_error(simulated) -> None:
    done = simulated(processor_kind())
    assert done.exit_code == 1
    assert "data.dvc: was a.dir, is b.dir, though the configuration is the same" in done.output


@pytest.mark.parametrize("kind", ["x86_64 OTHER", ""])
def test_another_hash_on_another_kind_is_said_and_kept(simulated, kind: str) -> None:
    done = simulated(kind)
    assert done.exit_code == 0
    assert f"as the processor is another kind ({processor_kind()}, was {kind or 'not recorded'})" in done.output


def test_the_kind_names_machine_and_instructions() -> None:
    machine, _, instructions = processor_kind().partition(" ")
    assert machine
    assert instructions
