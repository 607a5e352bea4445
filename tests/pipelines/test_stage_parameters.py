"""What a stage depends on, by what DVC would run again; and what git keeps of the stages."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.pipelines.conftest import RECIPE, Copy
from training.config.steps import stages
from training.stages import SIMULATE_DATA, lasting

ROOT = Path(__file__).parents[2]
STAGES = [SIMULATE_DATA, *(step.name for step in stages())]


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """Stages whose outputs, whatever they are, DVC takes for those of the code and the configuration of now."""
    copy = Copy(tmp_path_factory.mktemp("locked") / "copy")
    (copy.folder / "data").mkdir()
    (copy.folder / "data" / "rows").write_text("some")
    copy.run("dvc", "add", "data")
    for stage in yaml.safe_load((copy.folder / "dvc.yaml").read_text())["stages"].values():
        for output in stage["outs"]:
            folder = copy.folder / (output if isinstance(output, str) else next(iter(output)))
            folder.mkdir(parents=True)
            (folder / "output").write_text(folder.name)
        for metrics in stage.get("metrics", []):
            path = copy.folder / next(iter(metrics))
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps({"steps": 1}))
    copy.run("dvc", "commit", "--force")
    assert copy.changed() == set()
    return copy


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "stages_that_run"),
    [
        ({f"recipes.{RECIPE}.surrogate.max_steps": 21}, {"train_surrogate"}),
        ({f"recipes.{RECIPE}.data.chunk": 99}, {"simulate_data"}),
        ({"quantization.max_success_drop": 0.5}, {"quantize"}),
        ({"seed": 1}, set(STAGES)),
        # How fast a step is, where it is recorded, and what other recipes are do not change what it makes.
        ({"data.workers": 7, "tracking.experiment": "other", "recipes.nightly.surrogate.width": 8}, set()),
    ],
)
def test_a_stage_depends_on_its_own_sections_only(
    locked: Copy, change: dict[str, object], stages_that_run: set[str]
) -> None:
    with locked.parameters(change):
        assert locked.changed() == stages_that_run
    assert locked.changed() == set()


@pytest.mark.slow
def test_what_the_stages_made_is_locked(locked: Copy) -> None:
    content = yaml.safe_load((locked.folder / "dvc.lock").read_text())["stages"]
    assert list(content) == STAGES
    assert set(content["train_surrogate"]["params"]["params.yaml"]) == {
        "seed", "technology", "classes", "surrogate", f"recipes.{RECIPE}.classes", f"recipes.{RECIPE}.surrogate",
    }  # fmt: skip


def test_git_keeps_the_metrics_and_not_the_outputs() -> None:
    paths = [
        "artifacts/metrics/train_surrogate.json",
        "dvc.lock",
        "artifacts/rows/lna/a.parquet",
        "artifacts/bundle/a.onnx",
    ]
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", *paths], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == paths[2:]


def test_metrics_leave_out_times_and_what_the_machine_is() -> None:
    report = {
        "steps": 20,
        "train_seconds": 3.1,
        "rows_per_second": 4.0,
        "gpu_peak_gigabytes": 1.0,
        "lna": {"ms": 1, "fp32_ms": 2, "rows": 3},
    }
    assert lasting(report) == {"steps": 20, "lna": {"ms": 1, "rows": 3}}
