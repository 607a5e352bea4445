"""Train one model on several nodes: what torchrun or a TrainJob of Kubeflow Trainer starts on each of them.

    torchrun --nproc-per-node 2 -m training.fitting train_surrogate --prepared artifacts/prepared --output artifacts/surrogate

The pipeline's steps and ``python -m training`` train on one node, in one process or in those that they start themselves.
Here the processes exist already. All of them read the prepared data and share every batch; the first one writes the model
and records the run in MLflow. A training that was stopped goes on when it is started again with the same folder, which all
nodes must share.
"""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from genrf.errors import GenRFError, InvalidInputError
from training.config.loading import DEFAULT_PATH, DEFAULT_RECIPE, load_config, read_overrides
from training.config.schema import Config
from training.config.steps import STEPS
from training.running.tracking import step_run

Model = StrEnum("Model", {step.name: step.name for step in STEPS.values() if step.role == "training"})  # type: ignore[misc]
"""The steps that train."""


def train(
    model: Annotated[Model, typer.Argument(help="Step that trains the model.")],
    prepared: Annotated[Path, typer.Option(help="Folder that the step prepare_data made.")],
    output: Annotated[Path, typer.Option(help="Folder to write; shared by all nodes.")],
    recipe: Annotated[str, typer.Option(help="Recipe in params.yaml.")] = DEFAULT_RECIPE,
    overrides: Annotated[str, typer.Option(help="JSON of values laid over the recipe.")] = "{}",
) -> None:
    """Train one model in all the processes that torchrun started."""
    try:
        if not prepared.is_dir():
            raise InvalidInputError(f"--prepared: {prepared}: no such folder; give what the step prepare_data made")
        report = _train(model, prepared, output, load_config(DEFAULT_PATH, recipe, read_overrides(overrides)))
    except GenRFError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(error.exit_code) from error
    if report:
        print(json.dumps(report, sort_keys=True))


def _train(model: str, prepared: Path, output: Path, config: Config) -> dict[str, Any]:
    """Train in this process. The first one records the training in MLflow and returns its report, the others return nothing."""
    from training.fitting.fit import is_main_process

    function = STEPS[model].load()
    if not is_main_process():
        function(config, prepared, output)
        return {}
    with step_run(config, model) as run:
        report: dict[str, Any] = function(config, prepared, output)
        run.log_result(report)
    return report


if __name__ == "__main__":
    typer.run(train)
