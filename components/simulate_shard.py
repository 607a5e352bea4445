"""Simulate one shard of the dataset, or pull the whole of it."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def simulate_shard(config: str, source: str, data_hash: str, rows: dsl.Output[dsl.Dataset]):
    """Bring rows into ``rows``, one folder a circuit class.

    Args:
        config: JSON of the configuration's sections ``data`` and ``tracking``.
        source: number of the shard to simulate, or ``pull``.
        data_hash: version to pull.
        rows: Parquet files of simulated circuits, with counts of what failed and why.
    """
    from training.running.named import run_component

    run_component("simulate_shard", config, rows, label=source, source=source, data_hash=data_hash)
