"""Split the simulated rows and choose the held-out specifications."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def prepare_data(config: str, rows: dsl.Input[list[dsl.Dataset]], prepared: dsl.Output[dsl.Dataset]):
    """Turn the rows of all shards into what the models train on and are judged by.

    Args:
        config: JSON of the configuration's sections ``preparation`` and ``tracking``.
        rows: folders of simulated rows.
        prepared: splits, normalisation and held-out specifications.
    """
    from training.running.named import run_component

    run_component("prepare_data", config, prepared, rows)
