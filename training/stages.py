"""Steps run one by one below ``artifacts/``, as DVC's stages and the commands of ``python -m training`` are."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genrf.errors import InvalidInputError
from genrf.files import replace_folder, write_json
from training.config.loading import DEFAULT_PATH, load_config
from training.config.schema import Config
from training.config.steps import ROWS, StepDefinition, maker
from training.running.named import run_step
from training.running.pipeline_run import PIPELINE_RUN
from training.running.step import REPORT, read_report

DATA = Path("data")
"""The dataset, which ``data.dvc`` tracks."""
ARTIFACTS = Path("artifacts")
METRICS = ARTIFACTS / "metrics"
"""What steps reported, without what differs from run to run: git keeps these files, and ``dvc metrics diff`` compares them."""
SIMULATE_DATA = "simulate_data"
"""Stage that simulates the rows; in the pipeline there is a task for each shard."""
_TIMES = ("seconds", "_per_second", "_ms")
_MACHINE = "gpu_"


def simulate_data(config: Config) -> Path:
    """Simulate every shard into ``artifacts/rows``, which is there once all are: a kill leaves no mixture, and is continued."""
    from training.data.simulate import simulate_shard
    from training.data.versions import simulation_digest

    work, rows = ARTIFACTS / f"data-{simulation_digest(config)}", ARTIFACTS / ROWS
    # Shard after shard here, so that each has all cores; how many it has changes nothing in its rows.
    on_all_cores = dataclasses.replace(config, data=dataclasses.replace(config.data, workers=0))
    for shard in range(config.data.shards):
        simulate_shard(on_all_cores, shard, work)
    replace_folder(work, rows)
    return rows


def input_of(output: str) -> Path:
    """Where a stage reads what another step makes; the dataset is the recorded one, which may have grown or been pulled."""
    return DATA if output == ROWS else ARTIFACTS / output


def run_stage(step: StepDefinition, recipe: str, options: Mapping[str, Path | None]) -> None:
    """Run one step as the pipeline would, and leave what it reported as a metrics file.

    Whoever asks for a step that is done wants it done again: what it left is removed. A step that was stopped goes on.

    Raises:
        InvalidInputError: if something that it reads is not there.
    """
    folder = ARTIFACTS / step.output
    config = load_config(DEFAULT_PATH, recipe)
    for name in step.inputs:
        folder_read, made_by = input_of(name), "data" if name == ROWS else maker(name).name
        if not folder_read.is_dir():
            raise InvalidInputError(
                f"{folder_read}: not there, and {step.name} reads it; python -m training {made_by} makes it"
            )
    for option, path in options.items():
        if path is not None and not path.exists():
            raise InvalidInputError(f"--{option.replace('_', '-')}: {path}: no such file or folder")
    if (folder / REPORT).exists():
        shutil.rmtree(folder)
    # The stages of one configuration belong to one run.
    os.environ.setdefault(PIPELINE_RUN, f"stages-{config.digest()}")
    inputs = [[input_of(name)] if maker(name).many else input_of(name) for name in step.inputs]
    run_step(step.name, step.select(config), folder, inputs, options=dict(options))
    METRICS.mkdir(parents=True, exist_ok=True)
    write_json(METRICS / f"{step.name}.json", lasting(read_report(folder)["result"]))


def lasting(result: Mapping[str, Any]) -> dict[str, Any]:
    """What a step reported, however deep, without times and what depends on the machine: the same again from the same inputs."""
    return {
        name: lasting(value) if isinstance(value, Mapping) else value
        for name, value in result.items()
        if not name.endswith(_TIMES) and not name.startswith(_MACHINE)
    }
