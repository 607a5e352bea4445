"""Split the grown dataset as the training pipeline does, with the champion's normalisation."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def prepare_grown(
    config: str,
    need: dsl.Input[dsl.Artifact],
    grown: dsl.Input[dsl.Dataset],
    prepared: dsl.Output[dsl.Dataset],
):
    """Split the grown dataset as the training pipeline does, with the champion's normalisation.

    Args:
        config: JSON of the configuration's sections that the step uses.
        need: what the night decided to do, with the champion's bundle.
        grown: the dataset.
        prepared: arrays, normalisation and held-out specifications.
    """
    from training.running.named import run_component

    run_component("prepare_grown", config, prepared, need, grown)
