"""Train the model that ranks candidates before they are simulated."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def train_surrogate(
    config: str,
    prepared: dsl.Input[dsl.Dataset],
    surrogate: dsl.Output[dsl.Model],
    report: dsl.Output[dsl.HTML],
):
    """Train the model that predicts a sized circuit's metrics.

    Args:
        config: JSON of the configuration's sections ``surrogate`` and ``tracking``.
        prepared: splits and normalisation.
        surrogate: weights, losses, and what is needed to go on after a kill while training is not done.
        report: loss curves.
    """
    from training.running.named import run_component

    run_component("train_surrogate", config, surrogate, prepared, report=report)
