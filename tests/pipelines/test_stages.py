"""``dvc.yaml`` and ``python -m training`` with their real functions, in a copy of the code and a recipe of seconds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from genrf.generation.bundle import Bundle
from pipelines.stages import FILE, write_stages
from training.config.steps import stages
from training.models.surrogate import Surrogate
from training.running.step import read_report
from training.running.tracking import NOWHERE

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(1800)

STAGES = [step.name for step in stages()]
TRAINING = {"batch_size": 16, "max_steps": 4, "validate_every": 2, "width": 16}
NANO = {
    "classes": ["filter"],
    "data": {
        "shards": 1,
        "rounds": 2,
        "circuits_per_round": 160,
        "chunk": 80,
        "elite_per_band": 10,
        "frequency_bands": 2,
    },
    "preparation": {"specifications_per_level": 1, "test_share": 0.3, "validation_share": 0.2},
    "topology_gan": TRAINING,
    "sizing_diffusion": {**TRAINING, "layers": 1, "heads": 2},
    "surrogate": {**TRAINING, "layers": 1, "heads": 2},
    "evaluation": {"calls": 8, "topologies": 4, "bootstrap_samples": 10},
    "quantization": {"specifications": 1, "max_success_drop": 1.0},
}


class Copy:
    """A folder with the code of the stages, their recipe and their data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("genrf", "training"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        params = yaml.safe_load((ROOT / "params.yaml").read_text())
        params["recipes"]["nano"] = NANO
        (folder / "params.yaml").write_text(yaml.safe_dump(params))
        write_stages(folder / FILE, "nano")
        (folder / ".dvc").mkdir()
        (folder / ".dvc" / "config").write_text("[core]\n    analytics = false\n    no_scm = true\n")
        shutil.copy(ROOT / ".dvcignore", folder)

    def run(self, *arguments: str) -> str:
        """Run a module of this environment on the copy's code; its standard output."""
        environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(self.folder),
            "HOME": str(self.folder.parent / "home"),
            "DVC_SITE_CACHE_DIR": str(self.folder.parent / "cache"),
            "MLFLOW_TRACKING_URI": NOWHERE,
            # For networks of this size threads only wait for each other.
            "OMP_NUM_THREADS": "1",
        }
        for name in ("GENRF_CODE", "GENRF_WORK", "GENRF_LAUNCHER", "GENRF_PIPELINE_RUN"):
            environment.pop(name, None)
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=1700,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def changed(self) -> set[str]:
        """Stages that would run, for what they depend on."""
        return set(json.loads(self.run("dvc", "status", "--json")))

    def weights(self) -> dict[str, torch.Tensor]:
        """Those of the surrogate."""
        return Surrogate.load_checkpoint(self.folder / "artifacts" / "surrogate" / "model.pt").state_dict()

    def edit(self, path: str, old: str, new: str) -> None:
        """Change the copy's code in one place."""
        text = (self.folder / path).read_text()
        assert text.count(old) == 1
        (self.folder / path).write_text(text.replace(old, new))

    def stages_that_depend_on(self, path: str) -> set[str]:
        """By what ``dvc.yaml`` says."""
        declared: dict[str, Any] = yaml.safe_load((self.folder / FILE).read_text())["stages"]
        return {
            name for name, stage in declared.items() if any(Path(path).is_relative_to(dep) for dep in stage["deps"])
        }


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Whether weights are equal to the bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """With all stages run once."""
    copy = Copy(tmp_path_factory.mktemp("stages") / "copy")
    assert "data.dvc: recorded" in copy.run("training", "data", "--recipe", "nano")
    copy.run("dvc", "repro", "--quiet")
    return copy


def test_the_file_in_the_repository_is_what_the_code_writes(tmp_path: Path) -> None:
    write_stages(tmp_path / FILE)
    assert (tmp_path / FILE).read_text() == (ROOT / FILE).read_text(), "run `make compile` and look at the difference"


@pytest.mark.slow
def test_every_stage_leaves_its_output_and_its_report(copy: Copy) -> None:
    for step in stages():
        report = read_report(copy.folder / "artifacts" / step.output)
        assert (report["step"], report["recipe"]) == (step.name, "nano")
        assert json.loads((copy.folder / "artifacts" / "metrics" / f"{step.name}.json").read_text()) == report
    assert read_report(copy.folder / "artifacts" / "surrogate")["result"]["steps"] == 4
    assert Bundle.load(copy.folder / "artifacts" / "bundle").precision == "fp32"


@pytest.mark.slow
def test_done_once_nothing_runs_again(copy: Copy) -> None:
    assert copy.changed() == set()
    assert "Running stage" not in copy.run("dvc", "repro")


@pytest.mark.slow
def test_a_stage_that_is_forced_is_made_anew_and_the_same(copy: Copy) -> None:
    """A training's folder is kept by DVC: what is found finished there must not count."""
    before = copy.weights()
    (copy.folder / "artifacts" / "surrogate" / "model.pt").write_bytes(b"stale")
    copy.run("dvc", "repro", "--force", "--single-item", "train_surrogate")
    assert same(copy.weights(), before)


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
    assert "data.dvc: the same as recorded" in copy.run("training", "data", "--recipe", "nano")
