"""Split the simulated rows and choose the held-out specifications."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def prepare_data(config: str, shards: dsl.Input[list[dsl.Dataset]], prepared: dsl.Output[dsl.Dataset]):
    """Turn the rows of all shards into what the models train on and are judged by.

    Args:
        config: JSON of the configuration's sections ``preparation`` and ``tracking``.
        shards: folders of simulated rows.
        prepared: splits, normalisation and held-out specifications.
    """
    from pathlib import Path

    from training.data.prepare import prepare_data as prepare
    from training.running.step import step

    folders = sorted(Path(shard.path) for shard in shards)
    with step("prepare_data", config, prepared.path, *folders) as current:
        current.finish(prepare(current.config, folders, current.folder))
    prepared.metadata.update(current.numbers)
