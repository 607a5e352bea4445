"""A checkpoint holds tensors and plain data, and says in one line what is wrong with it."""

from __future__ import annotations

import dataclasses
import os
import pickle
from pathlib import Path

import pytest
import torch

from genrf.errors import CheckpointError
from tests.models.circuits import TINY, random_batch
from training.models.sizing_diffusion import SizingDiffusion, SizingDiffusionConfig
from training.models.surrogate import Surrogate, SurrogateConfig

CONFIG = SurrogateConfig(conditions_size=5, metrics=("gain_db", "nf_db"), backbone=TINY)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "model.pt"
    Surrogate(CONFIG).save_checkpoint(path)
    return path


def refusal(path: Path, config: SurrogateConfig | None = None) -> str:
    with pytest.raises(CheckpointError) as caught:
        Surrogate.load_checkpoint(path, config)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_a_model_comes_back_the_same(path: Path) -> None:
    torch.manual_seed(0)
    batch, model = random_batch(4), Surrogate(CONFIG).eval()
    loaded = Surrogate.load_checkpoint(path, CONFIG)
    assert loaded.config == CONFIG
    inputs = (batch.values, batch.kinds, batch.nets, batch.conditions)
    for ours, theirs in zip(model(*inputs), loaded(*inputs), strict=True):
        assert torch.equal(ours, theirs)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "nothing.pt")


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_damaged_file_is_refused(path: Path, damage: bytes | None) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if damage is None else damage)
    assert "damaged" in refusal(path)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'exploded'}",)

    path = tmp_path / "bomb.pt"
    path.write_bytes(pickle.dumps(Bomb()))
    refusal(path)
    torch.save({"model": Bomb()}, path)
    refusal(path)
    assert not (tmp_path / "exploded").exists()


def test_another_class_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    SizingDiffusion(SizingDiffusionConfig(specification_size=37, backbone=TINY)).save_checkpoint(path)
    assert "holds a SizingDiffusion, expected a Surrogate" in refusal(path)


def test_another_version_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Surrogate, "version", 99)
    assert "version 2, this program reads version 99" in refusal(path)


def test_another_configuration_is_refused_naming_the_field(path: Path) -> None:
    other = dataclasses.replace(CONFIG, metrics=("gain_db",))
    assert "metrics is ('gain_db', 'nf_db'), expected ('gain_db',)" in refusal(path, other)


def test_weights_of_another_shape_are_refused(path: Path) -> None:
    content = torch.load(path, weights_only=True)
    content["weights"]["backbone.norm.weight"] = torch.zeros(3)
    torch.save(content, path)
    assert "weights do not fit" in refusal(path)


def test_an_interrupted_write_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def fill_disk(content: object, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fill_disk)
    with pytest.raises(OSError, match="No space left"):
        Surrogate(CONFIG).save_checkpoint(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
