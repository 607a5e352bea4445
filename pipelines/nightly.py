"""A night: what was asked for decides whether a challenger is trained, and evidence whether it becomes the champion."""

from importlib import import_module
from typing import Any

from kfp import dsl

from components.report_night import report_night
from components.resolve_night import resolve_night
from pipelines.names import NIGHTLY
from pipelines.train import Place
from training.config.night_steps import ASSESS, JUDGE, REPORT, RETRAIN
from training.config.steps import StepDefinition

NAME = NIGHTLY


def nightly_pipeline(place: Place) -> Any:
    """The pipeline, with its tasks placed by `place`."""

    @dsl.pipeline(  # type: ignore[untyped-decorator]
        name=NAME,
        display_name="GenRF night",
        description="Look at what was asked for; train a challenger where that is needed; promote it where that is shown.",
    )
    def night(recipe: str = "nightly", overrides: str = "{}") -> None:
        """Assess, grow, retrain, judge, decide, report.

        Args:
            recipe: name of a recipe in ``params.yaml``: ``nightly`` (a GPU, an hour), ``smoke`` (two cores, minutes).
            overrides: JSON of values to lay over the recipe, such as ``{"nights.targets": 48}``.
        """
        report = _fresh(place(report_night(recipe=recipe, overrides=overrides), REPORT.role), REPORT.title)
        with dsl.ExitHandler(report, name="night"):
            resolved = _fresh(place(resolve_night(recipe=recipe, overrides=overrides), "light"), "Read recipe")
            configs = resolved.outputs
            assessed = _task(ASSESS, configs, {}, place)
            need = {ASSESS.output: assessed.outputs[ASSESS.output]}
            with dsl.If(assessed.outputs["Output"] == "retrain", name="retrain"):
                _branch(RETRAIN, configs, dict(need), place)
            with dsl.Elif(assessed.outputs["Output"] == "judge", name="judge"):
                _branch(JUDGE, configs, dict(need), place)

    return night


def _branch(steps: tuple[StepDefinition, ...], configs: Any, made: dict[str, Any], place: Place) -> None:
    for step in steps:
        made[step.output] = _task(step, configs, made, place).outputs[step.output]


def _task(step: StepDefinition, configs: Any, made: dict[str, Any], place: Place) -> dsl.PipelineTask:
    component = getattr(import_module(f"components.{step.name}"), step.name)
    task = place(component(config=configs[step.name], **{name: made[name] for name in step.inputs}), step.role)
    task.set_display_name(step.title)
    if step.acts_outside:
        # A cache knows what came out, not whether it is still where it was put.
        task.set_caching_options(False)
    return task


def _fresh(task: dsl.PipelineTask, title: str) -> dsl.PipelineTask:
    """A task that reads what is in none of its inputs, which a cached reading could not know of."""
    task.set_display_name(title)
    task.set_caching_options(False)
    return task
