"""Train the diffusion model that draws component values."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def train_sizing_diffusion(
    config: str,
    prepared: dsl.Input[dsl.Dataset],
    sizing_diffusion: dsl.Output[dsl.Model],
    report: dsl.Output[dsl.HTML],
):
    """Train the diffusion model of a topology's component values.

    Args:
        config: JSON of the configuration's sections ``sizing_diffusion`` and ``tracking``.
        prepared: splits and normalisation.
        sizing_diffusion: weights, losses, and what is needed to go on after a kill while training is not done.
        report: loss curves.
    """
    from training.running.named import run_component

    run_component("train_sizing_diffusion", config, sizing_diffusion, prepared, report=report)
