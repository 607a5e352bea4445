"""The training pipeline: rows, models, judgement, bundle, registry. The same DAG runs on a laptop and on a cluster."""

from collections import namedtuple
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from kfp import dsl

from components.plan_data import plan_data
from components.resolve_config import resolve_config
from pipelines.names import TRAIN
from training.config.steps import STEPS, StepDefinition, maker

NAME = TRAIN
RESULTS = ("evaluation", "bundle", "quantized", "promotion", "summary")
"""Outputs of steps that are the pipeline's own."""
Place = Callable[[dsl.PipelineTask, str], dsl.PipelineTask]
"""Puts a task on a node fit for its role, see `pipelines.placement`."""


def component(step: StepDefinition) -> Any:
    """The component of a step."""
    return getattr(import_module(f"components.{step.name}"), step.name)


def training_pipeline(place: Place) -> Any:
    """The pipeline, with its tasks placed by `place`."""

    @dsl.pipeline(
        name=NAME,
        display_name="GenRF training",
        description="From nothing to a registered bundle of models that design RF circuits.",
    )
    def train(recipe: str = "smoke", overrides: str = "{}", data_hash: str = "recorded") -> NamedTuple(  # type: ignore[valid-type]
        "Results",
        [
            ("evaluation", dsl.Metrics),
            ("bundle", dsl.Model),
            ("quantized", dsl.Model),
            ("promotion", dsl.Artifact),
            ("summary", dsl.Artifact),
        ],
    ):
        """Simulate, train, evaluate, export, register.

        Args:
            recipe: name of a recipe in ``params.yaml``: ``smoke`` (two cores, minutes), ``nightly`` (a GPU, an hour), ``full``.
            overrides: JSON of values to lay over the recipe, such as ``{"data.rounds": 3}``.
            data_hash: DVC's hash of the dataset, which is pulled where it can be reached, else simulated. ``recorded`` is that of
                ``data.dvc`` in the image, if it is of this recipe; empty simulates in any case.
        """
        resolved = place(resolve_config(recipe=recipe, overrides=overrides, data_hash=data_hash), "light")
        resolved.set_display_name("Read recipe")
        # The recipe is a file beside the code: reading it is cheap, and a cached reading would be an old one.
        resolved.set_caching_options(False)
        configs = resolved.outputs
        made: dict[str, Any] = {}
        for step in STEPS.values():
            if step.many:
                planned = place(plan_data(config=configs[step.name], data_hash=configs["data_hash"]), "light")
                planned.set_display_name("Plan data")
                # Each item brings along what it needs: KFP 2.17's local runner puts the item itself in the place of any
                # other task's output that a loop uses.
                with dsl.ParallelFor(planned.output) as item:
                    task = place(
                        component(step)(config=item.config, source=item.source, data_hash=item.data_hash), step.role
                    )
            else:
                # A dsl.Collected is used up by its consumer: each one needs its own.
                read = {name: dsl.Collected(made[name]) if maker(name).many else made[name] for name in step.inputs}
                task = place(component(step)(config=configs[step.name], **read), step.role)
                if step.acts_outside:
                    # A cache knows what came out, not whether it is still where it was put.
                    task.set_caching_options(False)
            task.set_display_name(step.title)
            made[step.output] = task.outputs[step.output]
        return namedtuple("Results", RESULTS)(*(made[name] for name in RESULTS))

    return train
