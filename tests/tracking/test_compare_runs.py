"""Which of two runs was better, and what was different about it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from mlflow import MlflowClient
from rich.console import Console

from genrf.errors import InvalidInputError
from training.config.loading import load_config
from training.config.schema import Config
from training.release.compare_runs import compare_runs, tables, verdict
from training.running.pipeline_run import COMMIT_TAG, PARENT_TAG, RUN_TAG, log_parameters
from training.running.store import open_store

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    return load_config(ROOT / "params.yaml", "smoke")


@pytest.fixture
def runs(config: Config) -> tuple[str, str]:
    """Ids of two runs: of two and of three rounds."""
    client, experiment = open_store(config)
    return _run(client, experiment, "a", "2", 0.5, 0.3), _run(client, experiment, "b", "3", 0.75, 0.2)


def _run(client: MlflowClient, experiment: str, name: str, rounds: str, success: float, loss: float) -> str:
    run_id = client.create_run(experiment, run_name=f"smoke {name}", tags={RUN_TAG: f"kfp-{name}", COMMIT_TAG: "c"})
    identity: str = run_id.info.run_id
    log_parameters(client, identity, {"data.rounds": rounds, "seed": "1"})
    client.log_metric(identity, "success_at_64", success)
    client.log_metric(identity, "validation_loss", loss)
    client.create_run(experiment, run_name=f"child of {name}", tags={PARENT_TAG: identity})
    return identity


def test_only_what_differs_is_told_of_the_parameters_and_every_figure(config: Config, runs: tuple[str, str]) -> None:
    found = compare_runs(config, *runs)
    assert found.runs == ("smoke a", "smoke b")
    assert found.differences == {"data.rounds": ("2", "3")}
    assert found.figures == {"success_at_64": (0.5, 0.75), "validation_loss": (0.3, 0.2)}


def test_a_run_is_found_by_id_by_kubeflows_id_and_by_name(config: Config, runs: tuple[str, str]) -> None:
    assert compare_runs(config, runs[0], "kfp-b") == compare_runs(config, "smoke a", "smoke b")


def test_it_is_said_which_is_better_and_by_what(config: Config, runs: tuple[str, str]) -> None:
    assert verdict(compare_runs(config, *runs)) == "B is better than A: success_at_64, 0.75 against 0.5"
    assert verdict(compare_runs(config, *runs[::-1])) == "A is better than B: success_at_64, 0.75 against 0.5"
    assert verdict(compare_runs(config, runs[0], runs[0])) == "Neither is better: the same success"


def test_runs_that_were_judged_differently_are_not_ranked(config: Config, runs: tuple[str, str]) -> None:
    client, _ = open_store(config)
    log_parameters(client, runs[0], {"evaluation.calls": "16"})
    log_parameters(client, runs[1], {"evaluation.calls": "8"})
    assert verdict(compare_runs(config, *runs)) == "Not comparable: judged differently, evaluation.calls"


def test_a_terminal_shows_names_differences_figures_and_verdict(config: Config, runs: tuple[str, str]) -> None:
    shown = io.StringIO()
    for table in tables(compare_runs(config, *runs)):
        Console(width=100, file=shown).print(table)
    for text in ("A: smoke a", "B: smoke b", "data.rounds", "+0.25", "B is better"):
        assert text in shown.getvalue()


def test_nothing_is_made_where_there_is_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InvalidInputError, match=r"mlflow.db: no MLflow runs are here; name another store with MLFLOW_TRA"
    ):
        compare_runs(load_config(ROOT / "params.yaml", "smoke"), "a", "b")
    assert not list(tmp_path.iterdir())


def test_an_unknown_run_is_told_with_those_that_are_there(config: Config, runs: tuple[str, str]) -> None:
    with pytest.raises(
        InvalidInputError, match=f"nobody: no such pipeline run in MLflow at sqlite.*; the latest are {runs[1]}"
    ):
        compare_runs(config, "nobody", runs[0])


def test_a_name_that_two_runs_have_is_told_with_their_ids(config: Config, runs: tuple[str, str]) -> None:
    client, experiment = open_store(config)
    third = _run(client, experiment, "b", "4", 0.1, 0.1)
    with pytest.raises(InvalidInputError, match=f"2 runs have this name; name one by its id: .*{third}"):
        compare_runs(config, "smoke a", "smoke b")
