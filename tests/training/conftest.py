"""A small dataset that is simulated for real, once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.config.loading import load_config
from training.config.schema import Config
from training.data.prepare import prepare_data
from training.data.simulate import simulate_shard

SHARDS = 2


@pytest.fixture(scope="session")
def config() -> Config:
    return load_config(
        overrides={
            "classes": ["lna"],
            "evaluation": {"calls": 64},
            "data": {"rounds": 3, "circuits_per_round": 160, "chunk": 80, "elite_per_band": 16, "frequency_bands": 3},
            "preparation": {"test_share": 0.3, "validation_share": 0.1, "specifications_per_level": 5},
        }
    )


@pytest.fixture(scope="session")
def shards(config: Config, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folders = [tmp_path_factory.mktemp(f"shard{number}") for number in range(SHARDS)]
    for number, folder in enumerate(folders):
        simulate_shard(config, number, folder)
    return folders


@pytest.fixture(scope="session")
def prepared(config: Config, shards: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    prepare_data(config, shards, folder)
    return folder
