"""The steps of the pipeline, each declared once.

What else speaks of a step follows from this table or is checked against it: its KFP component and place in the DAG
(`components`, `pipelines.train`), its DVC stage (`pipelines.stages` writes ``dvc.yaml``), its command
(``python -m training NAME``), its part of the configuration, its run in MLflow, its time in the summary.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from training.config.loading import DEFAULT_PATH, load_config, read_overrides
from training.config.schema import Config

Role = Literal["light", "shard", "simulation", "training"]
"""What a step asks of the node that it runs on, see `pipelines.placement`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepDefinition:
    """One step: what it is called, what it needs, what it makes."""

    name: str
    """The name everywhere: component, stage, command, run, report."""
    title: str
    """Its name for people, on Kubeflow's page."""
    does: str
    """One line for people."""
    function: str
    """``module:function`` that does it; called with the configuration, the folders of `inputs` in order and the folder to
    write, and with `parameters` and `options` by name. Returns what it reports, as plain data."""
    sections: tuple[str, ...] | None
    """Sections of the configuration that it depends on, besides ``tracking``; none for the whole of it."""
    inputs: tuple[str, ...] = ()
    """Outputs of earlier steps that it reads."""
    output: str
    """The folder that it makes."""
    role: Role
    many: bool = False
    """Whether it runs once a shard; who reads its output is given a list of folders."""
    parameters: tuple[str, ...] = ()
    """Values that the pipeline passes besides folders."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Paths that only the command line offers, with their help."""
    report: str = ""
    """``module:function`` that writes its page for people, `training.running.page.FILE`; called with what the step reported, the
    folder that it wrote and the title. Kubeflow is given the page as an artifact of its own."""
    acts_outside: bool = False
    """Whether it changes something besides its output, such as the model registry. It is never taken from a cache, and does
    nothing twice."""

    def load(self) -> Any:
        """The function."""
        return _load(self.function)

    def write_report(self, result: Mapping[str, Any], folder: Path) -> None:
        """Write its page into the folder that it wrote."""
        _load(self.report)(result, folder, self.title)

    def select(self, config: Config) -> str:
        """JSON of what it depends on of the configuration."""
        if self.sections is None:
            return json.dumps(config.to_dict(), sort_keys=True)
        return config.select(*self.sections, "tracking")


def _load(reference: str) -> Any:
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


ROWS = "rows"
"""The output that is the dataset."""
_MODELS = ("prepared", "topology_gan", "sizing_diffusion", "surrogate")
_INITIALIZE = {
    "initialize_from": "Checkpoint, or the folder of one or of a bundle, whose weights training starts from."
}

_TABLE = (
    StepDefinition(
        name="simulate_shard",
        title="Simulate circuits",
        does="Simulate one shard of the dataset, or pull the whole of it",
        function="training.data.versions:obtain",
        sections=("data",),
        output=ROWS,
        role="shard",
        many=True,
        parameters=("source", "data_hash"),
    ),
    StepDefinition(
        name="prepare_data",
        title="Prepare data",
        does="Split the simulated rows and choose the held-out specifications",
        function="training.data.prepare:prepare_data",
        sections=("preparation",),
        inputs=(ROWS,),
        output="prepared",
        role="light",
        options={"normalisation": "Bundle whose normalisation to keep, for training that goes on from its weights."},
    ),
    StepDefinition(
        name="train_topology_gan",
        title="Train topology GAN",
        does="Train the Cycle-GAN that proposes topologies",
        function="training.fitting.topology_gan:train_topology_gan",
        sections=("topology_gan",),
        inputs=("prepared",),
        output="topology_gan",
        report="training.fitting.loss_report:report",
        role="training",
        options=_INITIALIZE,
    ),
    StepDefinition(
        name="train_sizing_diffusion",
        title="Train sizing diffusion",
        does="Train the diffusion model that draws component values",
        function="training.fitting.sizing_diffusion:train_sizing_diffusion",
        sections=("sizing_diffusion",),
        inputs=("prepared",),
        output="sizing_diffusion",
        report="training.fitting.loss_report:report",
        role="training",
        options=_INITIALIZE,
    ),
    StepDefinition(
        name="train_surrogate",
        title="Train surrogate",
        does="Train the model that ranks candidates before they are simulated",
        function="training.fitting.surrogate:train_surrogate",
        sections=("surrogate",),
        inputs=("prepared",),
        output="surrogate",
        report="training.fitting.loss_report:report",
        role="training",
        options=_INITIALIZE,
    ),
    StepDefinition(
        name="evaluate_generator",
        title="Evaluate generator",
        does="Judge the generator and its baselines on held-out specifications, in SPICE",
        function="training.evaluation.evaluate:evaluate_generator",
        sections=("evaluation",),
        inputs=_MODELS,
        output="evaluation",
        report="training.evaluation.report:report",
        role="simulation",
    ),
    StepDefinition(
        name="export_onnx",
        title="Export to ONNX",
        does="Export the models to ONNX, as the bundle that is served",
        function="training.export.export_onnx:export_onnx",
        sections=("export",),
        inputs=_MODELS,
        output="bundle",
        role="light",
    ),
    StepDefinition(
        name="quantize",
        title="Quantize",
        does="Make smaller variants of the bundle and keep those that still design circuits",
        function="training.export.quantize:quantize",
        sections=("quantization", "evaluation"),
        inputs=("prepared", "bundle"),
        output="quantized",
        role="simulation",
    ),
    StepDefinition(
        name="promote_model",
        title="Register and promote",
        does="Register the bundle as challenger, and as champion if it designs better than the one that is",
        function="training.release.registry:promote_model",
        sections=None,
        inputs=("prepared", "bundle", "quantized", "evaluation"),
        output="promotion",
        report="training.release.pages:promotion",
        # A champion of other specifications is judged in this step, in SPICE.
        role="simulation",
        acts_outside=True,
    ),
    StepDefinition(
        name="summarize",
        title="Summary",
        does="Sum the run up in one file and one table",
        function="training.release.summary:summarize",
        sections=None,
        inputs=(ROWS, *_MODELS, "evaluation", "bundle", "quantized", "promotion"),
        output="summary",
        report="training.release.pages:summary",
        role="light",
        acts_outside=True,
    ),
)
STEPS: Mapping[str, StepDefinition] = {step.name: step for step in _TABLE}
"""The steps of the training pipeline by name, each after those whose outputs it reads."""


def maker(output: str) -> StepDefinition:
    """The step of the training pipeline that makes an output."""
    return next(step for step in _TABLE if step.output == output)


def stages() -> tuple[StepDefinition, ...]:
    """The steps that are stages of DVC and commands: those from the dataset on that change nothing but their output."""
    return tuple(step for step in _TABLE if step.output != ROWS and not step.acts_outside)


def missing_parts(steps: Iterable[StepDefinition]) -> list[str]:
    """What a table of steps gets wrong: outputs that nothing makes before they are read, names given twice."""
    made: set[str] = set()
    names: set[str] = set()
    wrong = []
    for step in steps:
        wrong += [f"{step.name}: {name} is made by no step before it" for name in step.inputs if name not in made]
        if step.name in names or step.output in made:
            wrong.append(f"{step.name}: its name or its output {step.output} is another step's")
        made.add(step.output)
        names.add(step.name)
    return wrong


def step_configs(recipe: str, overrides: str = "{}", path: Path = DEFAULT_PATH) -> dict[str, str]:
    """Read the configuration and select what each step depends on.

    Args:
        recipe: name of the recipe.
        overrides: JSON of values that are laid over the recipe's, keys such as ``"data.rounds"``.
        path: the configuration file.

    Returns:
        JSON of the configuration for every step, by its name.

    Raises:
        InvalidInputError: for anything wrong in the file or the overrides.
    """
    config = load_config(path, recipe, read_overrides(overrides))
    return {step.name: step.select(config) for step in _TABLE}
