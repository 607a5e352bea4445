"""Batches are reproducible, weighted, trimmed, and shared out between processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from genrf.errors import InvalidInputError
from tests.models.circuits import prepared_folder, random_rows
from training.data import tensors as dataset
from training.data.tensors import PreparedData, TrainingBatches, ValidationBatches


@pytest.fixture(scope="module")
def data() -> PreparedData:
    rows = random_rows(300)
    return PreparedData(*(torch.from_numpy(rows[name]) for name in PreparedData.__dataclass_fields__))


def epoch(batches: TrainingBatches, number: int) -> list[torch.Tensor]:
    batches.set_epoch(number)
    return [batch.values for batch in batches]


def test_an_epoch_is_the_same_whenever_it_is_drawn(data: PreparedData) -> None:
    first = TrainingBatches(data, batch_size=32, batches=5, seed=1, weighted=True)
    second = TrainingBatches(data, batch_size=32, batches=5, seed=1, weighted=True)
    epoch(first, 0)
    for ours, theirs in zip(epoch(first, 3), epoch(second, 3), strict=True):
        assert torch.equal(ours, theirs)


def test_epochs_and_seeds_differ(data: PreparedData) -> None:
    batches = TrainingBatches(data, batch_size=32, batches=5, seed=1, weighted=True)
    other = TrainingBatches(data, batch_size=32, batches=5, seed=2, weighted=True)
    first = torch.cat([values.sum(dim=1) for values in epoch(batches, 0)])
    assert not torch.equal(first, torch.cat([values.sum(dim=1) for values in epoch(batches, 1)]))
    assert not torch.equal(first, torch.cat([values.sum(dim=1) for values in epoch(other, 0)]))


def test_a_batch_is_trimmed_to_its_longest_circuit(data: PreparedData) -> None:
    for batch in TrainingBatches(data, batch_size=32, batches=5, seed=0, weighted=False):
        assert len(batch.kinds) == 32
        assert batch.kinds.shape[1] == int((batch.kinds > 0).sum(dim=1).max())
        assert batch.kinds.dtype == torch.int64
        assert batch.nets.dtype == torch.int64


def test_widths_are_few_where_they_are_fixed(data: PreparedData) -> None:
    """The same rows in the same order, padded."""
    free = TrainingBatches(data, batch_size=32, batches=5, seed=0, weighted=True)
    fixed = TrainingBatches(data, batch_size=32, batches=5, seed=0, weighted=True)
    examples = fixed.fix_widths((2, 8, 11, 28))
    # The circuits have five to fourteen devices.
    assert list(examples) == [8, 11, 28]
    for width, example in examples.items():
        assert example.kinds.shape == (32, width)
    for ours, theirs in zip(epoch(fixed, 1), epoch(free, 1), strict=True):
        assert ours.shape[1] in examples
        assert torch.equal(ours[:, : theirs.shape[1]], theirs)
    fixed.free_widths()
    for ours, theirs in zip(epoch(fixed, 1), epoch(free, 1), strict=True):
        assert torch.equal(ours, theirs)


def test_topologies_are_weighted_down_by_how_many_rows_have_them(data: PreparedData) -> None:
    doubled = PreparedData(**{name: torch.cat([tensor, tensor[:50]]) for name, tensor in vars(data).items()})
    ratio = doubled.balanced().weight / doubled.weight
    assert torch.allclose(ratio[:50], torch.tensor(2.0**-0.5))
    assert torch.allclose(ratio[300:], torch.tensor(2.0**-0.5))
    assert torch.allclose(ratio[50:300], torch.tensor(1.0))


def test_rows_come_up_as_often_as_their_weight_says(data: PreparedData) -> None:
    batches = TrainingBatches(data, batch_size=100, batches=60, seed=0, weighted=True)
    drawn = torch.cat([batch.conditions[:, 1] for batch in batches])
    counts = (drawn[:, None] == data.conditions[:, 1]).sum(dim=0)
    expected = data.weight / data.weight.sum() * len(drawn)
    assert (counts - expected).abs().max() <= 1.0


def test_every_validation_row_comes_once(data: PreparedData) -> None:
    seen = torch.cat([batch.conditions[:, 1] for batch in ValidationBatches(data, batch_size=64)])
    assert torch.equal(seen.sort().values, data.conditions[:, 1].sort().values)


def test_processes_share_a_batch_without_overlap(data: PreparedData, monkeypatch: pytest.MonkeyPatch) -> None:
    def rows(rank: int, world: int) -> list[set[float]]:
        monkeypatch.setattr(dataset, "_process", lambda: (rank, world))
        batches = TrainingBatches(data, batch_size=32, batches=4, seed=0, weighted=False)
        return [set(batch.conditions[:, 1].tolist()) for batch in batches]

    for whole, first, second in zip(rows(0, 1), rows(0, 2), rows(1, 2), strict=True):
        assert first | second == whole
        assert not first & second


def test_what_cannot_be_read_is_said_in_one_line(tmp_path: Path) -> None:
    folder = prepared_folder(tmp_path)
    (folder / "damaged.npz").write_bytes((folder / "train.npz").read_bytes()[:500])
    np.savez(folder / "partial.npz", kinds=np.zeros((1, 28), np.int8))
    objects = {**random_rows(3), "kinds": np.array([{"a": 1}], dtype=object)}
    np.savez(folder / "pickled.npz", **objects)  # type: ignore[arg-type]
    np.savez(folder / "empty.npz", **random_rows(0))  # type: ignore[arg-type]
    for name in ("missing", "damaged", "partial", "pickled", "empty"):
        with pytest.raises(InvalidInputError, match=f"{name}.npz: ") as caught:
            PreparedData.load(folder / f"{name}.npz")
        assert "\n" not in str(caught.value)
