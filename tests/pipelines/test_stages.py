"""``dvc.yaml`` and ``python -m training`` with their real functions, in a copy of the code and a recipe of seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from genrf.generation.bundle import Bundle
from pipelines.stages import FILE, write_stages
from tests.pipelines.conftest import RECIPE, Copy
from training.config.steps import stages
from training.running.step import read_report
from training.stages import SIMULATE_DATA, lasting

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.timeout(1800)]

STAGES = [SIMULATE_DATA, *(step.name for step in stages())]


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Whether weights are equal to the bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_the_file_in_the_repository_is_what_the_code_writes(tmp_path: Path) -> None:
    write_stages(tmp_path / FILE)
    assert (tmp_path / FILE).read_text() == (ROOT / FILE).read_text(), "run `make compile` and look at the difference"


@pytest.mark.slow
def test_every_stage_leaves_its_output_and_its_report(copy: Copy) -> None:
    for step in stages():
        report = read_report(copy.folder / "artifacts" / step.output)
        assert (report["step"], report["recipe"]) == (step.name, RECIPE)
        assert copy.metrics(step.name) == lasting(report["result"])
    assert read_report(copy.folder / "artifacts" / "surrogate")["result"]["steps"] == 20
    assert Bundle.load(copy.folder / "artifacts" / "bundle").precision == "fp32"


@pytest.mark.slow
def test_done_once_nothing_runs_again(copy: Copy) -> None:
    assert copy.changed() == set()
    assert "Running stage" not in copy.run("dvc", "repro")


@pytest.mark.slow
def test_a_stage_that_is_forced_is_made_anew_and_the_same(copy: Copy) -> None:
    """A training's folder is kept by DVC: what is found finished there must not count."""
    before, reported = copy.weights(), copy.metrics("train_surrogate")
    (copy.folder / "artifacts" / "surrogate" / "model.pt").write_bytes(b"stale")
    copy.run("dvc", "repro", "--force", "--single-item", "train_surrogate")
    assert same(copy.weights(), before)
    assert copy.metrics("train_surrogate") == reported, "dvc metrics diff would show what no change caused"


@pytest.mark.slow
def test_the_stage_simulates_the_same_rows_again(copy: Copy) -> None:
    rows, data = copy.folder / "artifacts" / "rows", copy.folder / "data"
    assert {path.relative_to(rows): path.read_bytes() for path in rows.rglob("*.parquet")} == {
        path.relative_to(data): path.read_bytes() for path in data.rglob("*.parquet")
    }


@pytest.mark.slow
def test_an_edit_of_the_code_runs_the_stages_that_depend_on_it_and_makes_them_anew(copy: Copy) -> None:
    path, before, outdated = "training/fitting/surrogate.py", copy.weights(), copy.changed()
    copy.edit(path, "seed = config.seed + 1\n", "seed = config.seed + 5\n")
    dependent = copy.stages_that_depend_on(path)
    assert {"train_topology_gan", "train_sizing_diffusion", "train_surrogate"} <= dependent < set(STAGES)
    assert copy.changed() - outdated == dependent
    assert "Running stage 'train_surrogate'" in copy.run("dvc", "repro", "--single-item", "train_surrogate")
    assert not same(copy.weights(), before)
    outdated = {step.name for step in stages() if "surrogate" in step.inputs}
    assert copy.changed() >= dependent - {"train_surrogate"} | outdated


@pytest.mark.slow
def test_the_data_simulated_again_are_those_recorded(copy: Copy) -> None:
    assert "data.dvc: the same as recorded" in copy.run("training", "data", "--recipe", RECIPE)
