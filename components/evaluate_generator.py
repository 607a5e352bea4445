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
    report: dsl.Output[dsl.HTML],
):
    """Simulate what the generator and each baseline propose for every held-out specification.

    Args:
        config: JSON of the configuration's sections ``evaluation`` and ``tracking``.
        prepared: held-out specifications, and the rows that retrieval looks up.
        topology_gan: proposes topologies.
        sizing_diffusion: draws component values.
        surrogate: ranks candidates.
        evaluation: ``evaluation.json``, its table and its plot; the headline figures are its metadata.
        report: figures, success over calls, and the best circuits drawn.
    """
    from training.running.named import run_component

    run_component(
        "evaluate_generator", config, evaluation, prepared, topology_gan, sizing_diffusion, surrogate, report=report
    )
