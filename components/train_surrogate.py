"""Train the model that ranks candidates before they are simulated."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def train_surrogate(config: str, prepared: dsl.Input[dsl.Dataset], surrogate: dsl.Output[dsl.Model]):
    """Train the model that predicts a sized circuit's metrics.

    Args:
        config: JSON of the configuration's sections ``surrogate`` and ``tracking``.
        prepared: splits and normalisation.
        surrogate: weights, losses, and what is needed to go on after a kill while training is not done.
    """
    from pathlib import Path

    from training.fitting.surrogate import train_surrogate as train
    from training.running.step import step

    with step("train_surrogate", config, surrogate.path, prepared.path) as current:
        current.finish(train(current.config, Path(prepared.path), current.folder))
    surrogate.metadata.update(current.numbers)
