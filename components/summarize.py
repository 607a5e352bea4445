"""Sum the run up in one file and one table."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def summarize(
    config: str,
    shards: dsl.Input[list[dsl.Dataset]],
    prepared: dsl.Input[dsl.Dataset],
    topology_gan: dsl.Input[dsl.Model],
    sizing_diffusion: dsl.Input[dsl.Model],
    surrogate: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Metrics],
    bundle: dsl.Input[dsl.Model],
    quantised: dsl.Input[dsl.Model],
    promotion: dsl.Input[dsl.Artifact],
    summary: dsl.Output[dsl.Artifact],
):
    """Collect what every step reported.

    Args:
        config: JSON of the whole configuration.
        summary: ``summary.json`` and ``summary.md``.
    """
    from pathlib import Path

    from training.release.summary import summarise
    from training.running.step import step

    steps = {
        "prepared": Path(prepared.path),
        "topology_gan": Path(topology_gan.path),
        "sizing_diffusion": Path(sizing_diffusion.path),
        "surrogate": Path(surrogate.path),
        "evaluation": Path(evaluation.path),
        "bundle": Path(bundle.path),
        "quantised": Path(quantised.path),
        "promotion": Path(promotion.path),
    }
    folders = sorted(Path(shard.path) for shard in shards)
    with step("summarize", config, summary.path, *folders, *steps.values()) as current:
        current.finish(summarise(current.config, folders, steps, current.folder))
