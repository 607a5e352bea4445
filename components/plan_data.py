"""Decide whether the dataset is pulled or simulated."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def plan_data(config: str, data_hash: str) -> list:  # type: ignore[type-arg]
    """List where the rows come from: a pull if that version can be reached, else the shards to simulate.

    Args:
        config: JSON of the configuration's sections ``data`` and ``tracking``.
        data_hash: DVC's hash of the dataset; empty to simulate it in any case.

    Returns:
        One mapping a task, of ``source``, ``config`` and ``data_hash``.
    """
    from training.config.schema import Config
    from training.data.versions import sources

    return [
        {"source": source, "config": config, "data_hash": data_hash}
        for source in sources(Config.from_json(config), data_hash)
    ]
