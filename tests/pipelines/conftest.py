"""One small recipe, run for real once by the pipeline and once by DVC, for all tests that look at what comes out."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from pipelines.stages import FILE, write_stages
from training.config.steps import stages
from training.models.surrogate import Surrogate
from training.running.step import read_report
from training.running.store import NOWHERE

ROOT = Path(__file__).parents[2]
RECIPE = "micro"
TRAINING = {"batch_size": 32, "max_steps": 20, "validate_every": 10, "width": 16}
MICRO = {
    "classes": ["lna", "filter"],
    "data": {"rounds": 2, "circuits_per_round": 200, "chunk": 100, "elite_per_band": 20, "frequency_bands": 4},
    "preparation": {"specifications_per_level": 2, "test_share": 0.2, "validation_share": 0.15},
    "topology_gan": TRAINING,
    "sizing_diffusion": {**TRAINING, "layers": 1, "heads": 2},
    "surrogate": {**TRAINING, "layers": 1, "heads": 2},
    "evaluation": {"calls": 16, "topologies": 20, "bootstrap_samples": 50},
    "quantization": {"specifications": 1, "max_success_drop": 1.0},
}
"""Too small for its figures to mean anything."""
AT_ONCE = (
    ("simulate_shard",),
    ("prepare_data",),
    ("train_topology_gan", "train_sizing_diffusion", "train_surrogate"),
    ("evaluate_generator", "export_onnx"),
    ("quantize",),
    ("promote_model",),
    ("summarize",),
)
"""The steps in order; those that do not wait for each other are killed by one blow."""
_COMMAND = [sys.executable, "-m", "pipelines", "run", "--recipe", RECIPE]


def write_params(folder: Path) -> None:
    """The repository's configuration with one recipe more."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["recipes"][RECIPE] = MICRO
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def bundle_files(folder: Path) -> dict[str, str]:
    """Hash of each file of a bundle."""
    content: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return dict(content["files"])


@dataclass(frozen=True)
class PipelineRun:
    """A folder in which the pipeline has run."""

    folder: Path
    survived: frozenset[str]
    """Steps that were done before their blow."""

    @property
    def latest(self) -> Path:
        """Its results."""
        return self.folder / "runs" / "latest"

    @property
    def summary(self) -> dict[str, Any]:
        """What it says of itself."""
        content: dict[str, Any] = json.loads((self.latest / "summary.json").read_text())
        return content

    def again(self) -> str:
        """Run the pipeline once more; its standard output."""
        return _run(self.folder)


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "GENRF_CODE": "as-tested", "HOME": str(folder / "home")}


def _run(folder: Path) -> str:
    done = subprocess.run(
        _COMMAND,
        cwd=folder,
        env=_environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=850,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _killed_within(folder: Path, names: tuple[str, ...]) -> set[str]:
    """Run the pipeline and kill it in the middle of steps; returns those that were done already."""
    struck = {name.replace("_", "-") for name in names}
    awaited, survived = set(struck), set()
    with subprocess.Popen(
        _COMMAND, cwd=folder, env=_environment(folder), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            task, _, event = line.strip().partition(": ")
            if task in struck and event.startswith("done"):
                survived.add(task)
            awaited -= {task} if event == "started" else set()
            if not awaited:
                time.sleep(1.5)
                os.killpg(process.pid, signal.SIGKILL)
                break
        process.stdout.read()
    assert not awaited, f"{awaited} did not start"
    return survived


@pytest.fixture(scope="session")
def pipeline_run(tmp_path_factory: pytest.TempPathFactory) -> PipelineRun:
    """The pipeline, killed within each of its steps and started again until it was done."""
    folder = tmp_path_factory.mktemp("real")
    write_params(folder)
    survived = {step for names in AT_ONCE for step in _killed_within(folder, names)}
    _run(folder)
    return PipelineRun(folder, frozenset(survived))


class Copy:
    """A folder with the code of the stages, their recipe and their data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("genrf", "training"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        write_params(folder)
        write_stages(folder / FILE, RECIPE, folder / "params.yaml")
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

    def keep(self) -> None:
        """Remember what the stages made, before a test changes the code and runs them again."""
        self.results = {step.name: read_report(self.folder / "artifacts" / step.output)["result"] for step in stages()}
        self.files = bundle_files(self.folder / "artifacts" / "bundle")

    def changed(self) -> set[str]:
        """Stages that would run, for what they depend on."""
        return set(json.loads(self.run("dvc", "status", "--json")))

    def weights(self) -> dict[str, torch.Tensor]:
        """Those of the surrogate."""
        return Surrogate.load_checkpoint(self.folder / "artifacts" / "surrogate" / "model.pt").state_dict()

    def metrics(self, step: str) -> dict[str, Any]:
        """What git keeps of a step's report."""
        content: dict[str, Any] = json.loads((self.folder / "artifacts" / "metrics" / f"{step}.json").read_text())
        return content

    @contextlib.contextmanager
    def parameters(self, change: Mapping[str, Any]) -> Iterator[None]:
        """The copy's configuration with values laid over it, for a while."""
        path = self.folder / "params.yaml"
        before = path.read_text()
        content = yaml.safe_load(before)
        for key, value in change.items():
            *sections, name = key.split(".")
            place = content
            for section in sections:
                place = place[section]
            place[name] = value
        path.write_text(yaml.safe_dump(content))
        try:
            yield
        finally:
            path.write_text(before)

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


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """With all stages run once."""
    copy = Copy(tmp_path_factory.mktemp("stages") / "copy")
    assert "data.dvc: recorded" in copy.run("training", "data", "--recipe", RECIPE)
    copy.run("dvc", "repro", "--quiet")
    copy.keep()
    return copy
