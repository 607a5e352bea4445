"""The prepared dataset as tensors in memory, cut into batches without a loader.

A batch is indexed out of whole tensors on the training device, which is far faster than collating rows, and is trimmed
to its longest circuit. Rows of similar length are put together, so that little is computed on empty slots. A GPU is
waited for once an epoch, when the lengths of all its batches are read, and never between steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from genrf.errors import InvalidInputError
from genrf.tables import ArrayTable
from training.data.rows import Rows

LENGTH_GROUP = 8
"""Batches among which rows are sorted by length. More saves computation, fewer mixes lengths better."""


class Batch(NamedTuple):
    """Rows of the dataset; B rows, M slots of the batch's longest circuit."""

    kinds: Tensor
    """(B, M) int64."""
    nets: Tensor
    """(B, M, 3) int64."""
    values: Tensor
    """(B, M) normalised."""
    metrics: Tensor
    """(B, n_metrics) standardised; NaN where the row's class has no such metric, and throughout if the circuit failed."""
    conditions: Tensor
    """(B, C)."""


@dataclass(frozen=True)
class PreparedData(ArrayTable):
    """What the models see of one split of the prepared dataset, as tensors; N rows."""

    kinds: Tensor
    nets: Tensor
    values: Tensor
    metrics: Tensor
    conditions: Tensor
    weight: Tensor
    """(N,) how often a row is drawn, relative to the others."""
    balance: Tensor
    """(N,) factor that brings classes with few circuits nearer to those with many."""

    @classmethod
    def of(cls, rows: Rows) -> Self:
        """The same rows as tensors."""
        return cls(**{field.name: torch.from_numpy(getattr(rows, field.name)) for field in fields(cls)})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read ``train.npz``, ``validation.npz`` or ``test.npz``; nothing is unpickled.

        Raises:
            InvalidInputError: if the file is missing, damaged or empty.
        """
        data = cls(**_arrays(path, [field.name for field in fields(cls)]))
        if len(data) == 0:
            raise InvalidInputError(f"{path}: no rows; simulate more circuits")
        return data

    def with_failed(self, path: Path, weight: float) -> Self:
        """The same rows and those of ``<split>-failed.npz``, whose metrics are all NaN, drawn by a weight.

        Raises:
            InvalidInputError: if the file is missing or damaged.
        """
        failed = _arrays(path, ("kinds", "nets", "values", "conditions", "balance"))
        count = len(failed["kinds"])
        failed |= {
            "metrics": torch.full((count, self.metrics.shape[1]), torch.nan),
            "weight": torch.full((count,), weight),
        }
        return type(self)(**{name: torch.cat([tensor, failed[name]]) for name, tensor in self.arrays().items()})

    def to(self, device: torch.device) -> Self:
        """The same rows on a device."""
        return type(self)(**{name: tensor.to(device) for name, tensor in self.arrays().items()})

    def sample(self, count: int, seed: int, *, weighted: bool = False) -> Self:
        """About ``count`` rows: without weights each at most once, with weights as often as their weight says."""
        generator = torch.Generator().manual_seed(seed)
        if weighted:
            index = draw_by_weight(self.weight, min(count, len(self)), generator)
        else:
            index = torch.randperm(len(self), generator=generator)[:count].sort().values
        return self.take(index)

    def with_least_weight(self, weight: float) -> Self:
        """The same rows, none of them with less than a weight."""
        return replace(self, weight=self.weight.clamp(min=weight))

    def balanced(self, exponent: float = 0.5) -> Self:
        """The same rows, classes balanced, each row weighted down by a power of how many rows have its topology.

        Evolution leaves thousands of rows of some topologies and one of others.
        """
        tokens = torch.cat([self.kinds.flatten(1), self.nets.flatten(1)], dim=1).numpy()
        _, topology, counts = np.unique(_row_keys(tokens), return_inverse=True, return_counts=True)
        scale = counts[topology].astype(np.float32) ** -exponent
        return replace(self, weight=self.weight * self.balance * torch.from_numpy(scale))

    def batch(self, index: Tensor, slots: int) -> Batch:
        """The rows of an index, trimmed to so many slots."""
        return Batch(
            kinds=self.kinds[index, :slots].long(),
            nets=self.nets[index, :slots].long(),
            values=self.values[index, :slots],
            metrics=self.metrics[index],
            conditions=self.conditions[index],
        )


class TrainingBatches:
    """An endless supply of rows, cut into epochs of equally many batches; epoch e is the same whenever it is drawn.

    In distributed training every process draws the same rows and takes its share of each batch. Draws on a GPU are other
    ones than on a CPU.

    Args:
        data: the training split.
        batch_size: rows a batch, over all processes.
        batches: batches an epoch.
        seed: what the order depends on.
        weighted: whether rows are drawn by their weight, or all equally often.
    """

    def __init__(self, data: PreparedData, *, batch_size: int, batches: int, seed: int, weighted: bool) -> None:
        self._data, self._batch_size, self._batches, self._seed = data, batch_size, batches, seed
        self._cumulative = _cumulative(data.weight if weighted else torch.ones(len(data)))
        self._lengths = (data.kinds > 0).sum(dim=1)
        self._widths: tuple[int, ...] = ()
        self._epoch = 0

    @property
    def sampler(self) -> TrainingBatches:
        """Lightning calls ``set_epoch`` of a loader's sampler before each epoch."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch the next iteration is."""
        self._epoch = epoch

    def to(self, device: torch.device) -> None:
        """Keep the rows on a device from now on, and draw them there."""
        self._data = self._data.to(device)
        self._cumulative, self._lengths = self._cumulative.to(device), self._lengths.to(device)

    def fix_widths(self, widths: Sequence[int]) -> dict[int, Batch]:
        """Trim batches to one of a few numbers of slots from now on, and not each to its longest circuit, for what is
        made for one shape at a time.

        Returns:
            For each number of slots that is needed a batch of this process's size.
        """
        rank, world = _process()
        rows = len(range(rank, self._batch_size, world))
        examples, shorter = {}, 0
        for width in sorted(widths):
            if ((self._lengths > shorter) & (self._lengths <= width)).any():
                fitting = (self._lengths <= width).nonzero().flatten()
                index = fitting[torch.arange(rows, device=fitting.device) % len(fitting)]
                examples[width] = self._data.batch(index, width)
            shorter = width
        self._widths = tuple(examples)
        return examples

    def free_widths(self) -> None:
        """Trim each batch to its longest circuit again."""
        self._widths = ()

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[Batch]:
        rank, world = _process()
        generator = torch.Generator(device=self._lengths.device).manual_seed(step_seed(self._seed, self._epoch))
        index = self._epoch_index(generator)  # (batches, batch_size)
        for rows, longest in zip(index, self._lengths[index].amax(dim=1).tolist(), strict=True):
            slots = next((width for width in self._widths if width >= longest), longest)
            yield self._data.batch(rows[rank::world], slots)

    def _epoch_index(self, generator: torch.Generator) -> Tensor:
        """Rows of one epoch in order, (batches, batch_size)."""
        count, device = self._batches * self._batch_size, generator.device
        rows = _draw(self._cumulative, count, generator)
        rows = rows[torch.randperm(count, generator=generator, device=device)]
        group = LENGTH_GROUP * self._batch_size
        rows = torch.cat([part[self._lengths[part].argsort(stable=True)] for part in rows.split(group)])
        batches = torch.randperm(self._batches, generator=generator, device=device)
        return rows.view(self._batches, self._batch_size)[batches]


class ValidationBatches:
    """All rows of a split once, in order of length; in distributed training each process takes its share of each
    batch."""

    def __init__(self, data: PreparedData, *, batch_size: int) -> None:
        lengths = (data.kinds > 0).sum(dim=1)
        order = lengths.argsort(stable=True)
        self._data = data.take(order)
        self._lengths = lengths[order]
        self._batch_size = batch_size

    def to(self, device: torch.device) -> None:
        """Keep the rows on a device from now on."""
        self._data = self._data.to(device)

    def __len__(self) -> int:
        return math.ceil(len(self._data) / self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        rank, world = _process()
        for index in torch.arange(len(self._data)).split(self._batch_size):
            # Too small a batch goes to every process whole: its share could be empty.
            share = index[rank::world] if len(index) >= world else index
            yield self._data.batch(share.to(self._data.kinds.device), int(self._lengths[index].max()))


def _arrays(path: Path, names: Sequence[str]) -> dict[str, Tensor]:
    """Arrays of an ``.npz`` file as tensors; nothing is unpickled."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: torch.from_numpy(archive[name]) for name in names}
    except OSError as error:
        raise InvalidInputError(
            f"{path}: cannot be read ({error.strerror or error}); run prepare_data first"
        ) from error
    except Exception as error:  # zipfile and numpy raise several types for a damaged archive
        raise InvalidInputError(f"{path}: not a prepared split ({error}); run prepare_data again") from error


def draw_by_weight(weight: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Indices (count,) in order: each comes up as often as its weight (N,) says, within one."""
    return _draw(_cumulative(weight), count, generator)


def _cumulative(weight: Tensor) -> Tensor:
    """Share of the total weight (N,) up to each row, (N,) in double precision."""
    cumulative = weight.double().cumsum(0)
    return cumulative / cumulative[-1]


def _draw(cumulative: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Evenly spaced quantiles (count,) with one random shift, as indices of the rows that they fall into."""
    device = cumulative.device
    shift = torch.rand(1, generator=generator, dtype=torch.float64, device=device)
    quantile = (torch.arange(count, dtype=torch.float64, device=device) + shift) / count
    return torch.searchsorted(cumulative, quantile).clamp(max=len(cumulative) - 1)


def _row_keys(tokens: np.ndarray) -> np.ndarray:
    """Numbers (N,) that are equal where rows of small integers (N, T) are: sums modulo 2^64 with fixed random factors.

    Sorting them is some fifty times as fast as sorting the rows.
    """
    keys = np.zeros(len(tokens), dtype=np.uint64)
    factors = np.random.default_rng(0).integers(2**64, size=tokens.shape[1], dtype=np.uint64)
    for column, factor in zip(tokens.T, np.atleast_1d(factors), strict=True):
        keys += column.astype(np.uint64) * factor
    return keys


def step_seed(*parts: int) -> int:
    """One seed from several integers, such as a run's seed, a step and a process."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)


def _process() -> tuple[int, int]:
    """This process's rank and how many there are."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
