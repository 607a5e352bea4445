"""A step of the table run by its name: what a component, a stage and the command line have in common."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from training.config.night_steps import NIGHT_STEPS
from training.config.steps import STEPS
from training.running.page import FILE
from training.running.step import Step, step


class Artifact(Protocol):
    """What a component is given for a folder."""

    path: str
    metadata: dict[str, Any]


Folders = Path | Sequence[Path]
"""One folder, or one a shard."""


def run_step(
    name: str,
    config: str,
    output: Path,
    inputs: Sequence[Folders],
    *,
    label: str = "",
    options: Mapping[str, Path | None] | None = None,
    **parameters: Any,
) -> Step:
    """Run a step.

    Args:
        name: of a step of the table.
        config: JSON of the configuration that it depends on, see `training.config.steps.step_configs`.
        output: folder that becomes the step's output once it is done.
        inputs: folders that it reads, in the order of its definition.
        label: tells runs of the step apart, such as the number of a shard.
        options: paths that only the command line offers; those without a value are left to the function.
        parameters: values besides folders.

    Returns:
        The step, with what it reported.
    """
    definition = {**STEPS, **NIGHT_STEPS}[name]
    given = {option: path for option, path in (options or {}).items() if path is not None}
    folders = [path for item in inputs for path in ([item] if isinstance(item, Path) else item)]
    with step(name, config, output, *folders, *given.values(), label=label) as current:
        current.finish(definition.load()(current.config, *inputs, current.folder, **parameters, **given))
        if definition.report:
            definition.write_report(current.result, current.folder)
            current.run.log_artifact(current.folder / FILE)
    return current


def run_component(
    name: str,
    config: str,
    output: Artifact,
    *inputs: Artifact | list[Artifact],
    label: str = "",
    report: Artifact | None = None,
    **parameters: Any,
) -> dict[str, Any]:
    """Run a step as a component: artifacts instead of folders, headline figures as the output's metadata.

    Args:
        report: a file that becomes the step's page.

    Returns:
        What the step reported.
    """
    folders: list[Folders] = [
        sorted(Path(artifact.path) for artifact in item) if isinstance(item, list) else Path(item.path)
        for item in inputs
    ]
    done = run_step(name, config, Path(output.path), folders, label=label, **parameters)
    output.metadata.update(done.headline)
    if report is not None:
        Path(report.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(output.path) / FILE, report.path)
    return done.result
