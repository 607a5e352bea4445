"""The training pipeline: rows, models, judgement, bundle, registry. The same DAG runs on a laptop and on a cluster."""

from collections import namedtuple
from collections.abc import Callable
from typing import Any, NamedTuple

from kfp import dsl

from components.evaluate_generator import evaluate_generator
from components.export_onnx import export_onnx
from components.plan_data import plan_data
from components.prepare_data import prepare_data
from components.promote_model import promote_model
from components.quantize import quantize
from components.resolve_config import resolve_config
from components.simulate_shard import simulate_shard
from components.summarize import summarize
from components.train_sizing_diffusion import train_sizing_diffusion
from components.train_surrogate import train_surrogate
from components.train_topology_gan import train_topology_gan

NAME = "genrf-train"
Place = Callable[[dsl.PipelineTask, str], dsl.PipelineTask]
"""Puts a task on a node fit for its role, see `pipelines.placement`."""


def training_pipeline(place: Place) -> Any:
    """The pipeline, with its tasks placed by `place`."""

    @dsl.pipeline(name=NAME, description="From nothing to a registered bundle of models that design RF circuits.")
    def train(recipe: str = "smoke", overrides: str = "{}", data_hash: str = "") -> NamedTuple(  # type: ignore[valid-type]
        "Results",
        [
            ("evaluation", dsl.Metrics),
            ("bundle", dsl.Model),
            ("quantised", dsl.Model),
            ("promotion", dsl.Artifact),
            ("summary", dsl.Artifact),
        ],
    ):
        """Simulate, train, evaluate, export, register.

        Args:
            recipe: name of a recipe in ``params.yaml``.
            overrides: JSON of values to lay over the recipe.
            data_hash: DVC's hash of the dataset; where it can be reached it is pulled, else it is simulated.
        """
        resolved = place(resolve_config(recipe=recipe, overrides=overrides), "light")
        # The recipe is a file beside the code: reading it is cheap, and a cached reading would be an old one.
        resolved.set_caching_options(False)
        configs = resolved.outputs

        planned = place(plan_data(config=configs["simulate"], data_hash=data_hash), "light")
        # Each item brings the configuration along: KFP 2.17's local runner puts the item itself in the place of any
        # other task's output that a loop uses.
        with dsl.ParallelFor(planned.output) as item:
            shard = simulate_shard(config=item.config, source=item.source, data_hash=data_hash)
            simulated = place(shard, "simulation")
        rows = simulated.outputs["rows"]
        # A dsl.Collected is used up by its consumer: each one needs its own.
        collected = prepare_data(config=configs["prepare"], shards=dsl.Collected(rows))
        prepared = place(collected, "light").outputs["prepared"]

        topology_gan = place(train_topology_gan(config=configs["topology_gan"], prepared=prepared), "training").outputs[
            "topology_gan"
        ]
        sizing_diffusion = place(
            train_sizing_diffusion(config=configs["sizing_diffusion"], prepared=prepared), "training"
        ).outputs["sizing_diffusion"]
        surrogate = place(train_surrogate(config=configs["surrogate"], prepared=prepared), "training").outputs[
            "surrogate"
        ]
        models = {
            "prepared": prepared,
            "topology_gan": topology_gan,
            "sizing_diffusion": sizing_diffusion,
            "surrogate": surrogate,
        }

        evaluated = place(evaluate_generator(config=configs["evaluate"], **models), "simulation")
        evaluation = evaluated.outputs["evaluation"]
        bundle = place(export_onnx(config=configs["export"], **models), "light").outputs["bundle"]
        quantised = place(quantize(config=configs["quantise"], prepared=prepared, bundle=bundle), "simulation").outputs[
            "quantised"
        ]
        judged = {"bundle": bundle, "quantised": quantised, "evaluation": evaluation}
        # The released weights travel as a value, so that new ones repeat this step and no other.
        promoted = promote_model(config=configs["whole"], released=configs["released"], prepared=prepared, **judged)
        # A champion of other specifications is judged in this step, in SPICE.
        promotion = place(promoted, "simulation").outputs["promotion"]
        shards = dsl.Collected(rows)
        summed = summarize(config=configs["whole"], shards=shards, **models, **judged, promotion=promotion)
        summary = place(summed, "light").outputs["summary"]
        results = namedtuple("Results", ("evaluation", "bundle", "quantised", "promotion", "summary"))
        return results(evaluation, bundle, quantised, promotion, summary)

    return train
