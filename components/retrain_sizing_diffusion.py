"""Train the sizing diffusion on from the champion's weights."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def retrain_sizing_diffusion(
    config: str,
    need: dsl.Input[dsl.Artifact],
    prepared: dsl.Input[dsl.Dataset],
    sizing_diffusion: dsl.Output[dsl.Model],
    report: dsl.Output[dsl.HTML],
):
    """Train the sizing diffusion on from the champion's weights.

    Args:
        config: JSON of the configuration's sections that the step uses.
        need: what the night decided to do, with the champion's bundle.
        prepared: what `prepare_grown` made.
        sizing_diffusion: the checkpoint.
        report: the same on one page.
    """
    from training.running.named import run_component

    run_component("retrain_sizing_diffusion", config, sizing_diffusion, need, prepared, report=report)
