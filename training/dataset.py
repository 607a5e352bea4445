"""The prepared dataset as tensors in memory, cut into batches without a loader.

A batch is indexed out of whole tensors on the training device, which is far faster than collating rows, and is trimmed
to its longest circuit. Rows of similar length are put together, so that little is computed on empty slots.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from genrf.errors import InvalidInputError

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
    """(B, n_metrics) standardised; NaN where the row's class has no such metric."""
    conditions: Tensor
    """(B, C)."""


@dataclass(frozen=True)
class PreparedData:
    """One split of the prepared dataset; N rows."""

    kinds: Tensor
    nets: Tensor
    values: Tensor
    metrics: Tensor
    conditions: Tensor
    weight: Tensor
    """(N,) how often a row is drawn, relative to the others."""
    balance: Tensor
    """(N,) factor that brings classes with few circuits nearer to those with many."""

    def __len__(self) -> int:
        return len(self.kinds)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read ``train.npz``, ``validation.npz`` or ``test.npz``; nothing is unpickled.

        Raises:
            InvalidInputError: if the file is missing, damaged or empty.
        """
        names = ("kinds", "nets", "values", "metrics", "conditions", "weight", "balance")
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                data = cls(*(torch.from_numpy(archive[name]) for name in names))
        except OSError as error:
            raise InvalidInputError(
                f"{path}: cannot be read ({error.strerror or error}); run prepare_data first"
            ) from error
        except Exception as error:  # zipfile and numpy raise several types for a damaged archive
            raise InvalidInputError(f"{path}: not a prepared split ({error}); run prepare_data again") from error
        if len(data) == 0:
            raise InvalidInputError(f"{path}: no rows; simulate more circuits")
        return data

    def to(self, device: torch.device) -> Self:
        """The same rows on a device."""
        return type(self)(**{name: tensor.to(device) for name, tensor in vars(self).items()})

    def sample(self, count: int, seed: int, *, weighted: bool = False) -> Self:
        """About ``count`` rows: without weights each at most once, with weights as often as their weight says."""
        generator = torch.Generator().manual_seed(seed)
        if weighted:
            index = draw_by_weight(self.weight, min(count, len(self)), generator)
        else:
            index = torch.randperm(len(self), generator=generator)[:count].sort().values
        return type(self)(**{name: tensor[index] for name, tensor in vars(self).items()})

    def with_least_weight(self, weight: float) -> Self:
        """The same rows, none of them with less than a weight."""
        return replace(self, weight=self.weight.clamp(min=weight))

    def balanced(self, exponent: float = 0.5) -> Self:
        """The same rows, classes balanced, each row weighted down by a power of how many rows have its topology.

        Evolution leaves thousands of rows of some topologies and one of others.
        """
        tokens = torch.cat([self.kinds.flatten(1), self.nets.flatten(1)], dim=1).numpy()
        _, topology, counts = np.unique(tokens, axis=0, return_inverse=True, return_counts=True)
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

    In distributed training every process draws the same rows and takes its share of each batch.

    Args:
        data: the training split.
        batch_size: rows a batch, over all processes.
        batches: batches an epoch.
        seed: what the order depends on.
        weighted: whether rows are drawn by their weight, or all equally often.
    """

    def __init__(self, data: PreparedData, *, batch_size: int, batches: int, seed: int, weighted: bool) -> None:
        self._data, self._batch_size, self._batches, self._seed = data, batch_size, batches, seed
        self._weight = data.weight if weighted else torch.ones(len(data))
        self._lengths = (data.kinds > 0).sum(dim=1).cpu()
        self._epoch = 0

    @property
    def sampler(self) -> TrainingBatches:
        """Lightning calls ``set_epoch`` of a loader's sampler before each epoch."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch the next iteration is."""
        self._epoch = epoch

    def to(self, device: torch.device) -> None:
        """Keep the rows on a device from now on."""
        self._data = self._data.to(device)

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[Batch]:
        rank, world = _process()
        generator = torch.Generator().manual_seed(step_seed(self._seed, self._epoch))
        for index in self._epoch_index(generator).split(self._batch_size):
            slots = int(self._lengths[index].max())
            yield self._data.batch(index[rank::world].to(self._data.kinds.device), slots)

    def _epoch_index(self, generator: torch.Generator) -> Tensor:
        """Rows of one epoch in order, (batches * batch_size,)."""
        count = self._batches * self._batch_size
        rows = draw_by_weight(self._weight, count, generator)[torch.randperm(count, generator=generator)]
        group = LENGTH_GROUP * self._batch_size
        parts = [part[self._lengths[part].argsort(stable=True)] for part in rows.split(group)]
        batches = [batch for part in parts for batch in part.split(self._batch_size)]
        order = torch.randperm(len(batches), generator=generator)
        return torch.cat([batches[i] for i in order.tolist()])


class ValidationBatches:
    """All rows of a split once, in order of length; in distributed training each process takes its share of each
    batch."""

    def __init__(self, data: PreparedData, *, batch_size: int) -> None:
        lengths = (data.kinds > 0).sum(dim=1)
        order = lengths.argsort(stable=True)
        self._data = replace(data, **{name: tensor[order] for name, tensor in vars(data).items()})
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


def draw_by_weight(weight: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Indices (count,) in order: each comes up as often as its weight (N,) says, within one."""
    cumulative = weight.double().cumsum(0)
    # Evenly spaced quantiles with one random shift.
    shift = torch.rand(1, generator=generator, dtype=torch.float64)
    quantile = (torch.arange(count, dtype=torch.float64) + shift) / count
    return torch.searchsorted(cumulative / cumulative[-1], quantile).clamp(max=len(weight) - 1)


def step_seed(*parts: int) -> int:
    """One seed from several integers, such as a run's seed, a step and a process."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)


def _process() -> tuple[int, int]:
    """This process's rank and how many there are."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
