"""Judge the generator and its baselines on held-out specifications, in SPICE."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def evaluate_generator(
    config: str,
    prepared: dsl.Input[dsl.Dataset],
    topology_gan: dsl.Input[dsl.Model],
    sizing_diffusion: dsl.Input[dsl.Model],
    surrogate: dsl.Input[dsl.Model],
    evaluation: dsl.Output[dsl.Metrics],
):
    """Simulate what the generator and each baseline propose for every held-out specification.

    Args:
        config: JSON of the configuration's sections ``evaluation`` and ``tracking``.
        evaluation: ``evaluation.json``, its table and its plot; the headline figures are its metadata.
    """
    from pathlib import Path

    from training.evaluation.evaluate import evaluate
    from training.running.step import step

    folders = [Path(artifact.path) for artifact in (prepared, topology_gan, sizing_diffusion, surrogate)]
    with step("evaluate_generator", config, evaluation.path, *folders) as current:
        current.finish(evaluate(current.config, *folders, current.folder))
        current.run.log_artifact(current.folder, "evaluation")
    evaluation.metadata.update(current.numbers)
