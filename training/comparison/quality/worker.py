"""In a process of its own: tries one method after another on one specification after another."""

from __future__ import annotations

import contextlib
import importlib
import pickle
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from genrf import technology
from genrf.circuit.topology import Topology
from genrf.conditioning import Conditioning
from genrf.files import written_whole
from genrf.generation.bundle import Bundle
from genrf.generation.designer import Designer
from genrf.generation.settings import SearchSettings
from genrf.simulation.judge import Judge
from genrf.spec import DesignSpec
from training.comparison.botorch_search import METHOD as BOTORCH
from training.comparison.botorch_search import BotorchSearch
from training.comparison.cma_search import METHOD as CMA_ES
from training.comparison.cma_search import CmaSearch
from training.comparison.quality.journal import Entry, entry_of
from training.comparison.quality.rows import mapped_rows
from training.comparison.quality.tasks import (
    FROM_TRAINING,
    NEEDS_BUNDLE,
    PRECEDENTS_ALONE,
    PREDICTED,
    SEARCHES,
    TRAINING_TOPOLOGIES,
    Task,
)
from training.comparison.searches import FromScratch
from training.config.schema import Config
from training.data.rows import Rows
from training.evaluation.baselines import (
    Listed,
    drawn_topologies,
    random_circuits,
    retrieved_circuits,
)
from training.evaluation.methods import GENERATOR, RANDOM, RETRIEVAL
from training.evaluation.trials import CircuitSource, SourceTrial, bundle_designer, generator_trial

SAVED_EVERY_S = 60.0
"""A search that takes long is written down this often, so that a kill costs little."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What every process needs; plain data."""

    config: Config
    bundle: Path | None
    """Folder of the generator's bundle, if a method needs it."""
    prepared: Path | None
    """Folder of the prepared data, if a method needs it."""
    rows: Path | None
    """Folder that `training.comparison.quality.rows.split_rows` wrote, if a method needs it."""
    unfinished: Path
    """Folder of searches that were interrupted."""
    deadline: float
    """When to stop, on the monotonic clock."""
    machine: str


@contextlib.contextmanager
def open_worker(setup: Setup) -> Iterator[Callable[[Task], Entry | None]]:
    """A function that makes a trial and gives its entry, or none if time ran out first."""
    with contextlib.ExitStack() as stack:
        yield _Worker(setup, stack).attempt


def unfinished_path(folder: Path, task: Task) -> Path:
    """Where the state of an interrupted search is kept."""
    return folder / f"{task.key}.pickle"


class _Worker:
    """Opens what methods need when the first of them is tried."""

    def __init__(self, setup: Setup, stack: contextlib.ExitStack) -> None:
        self._setup = setup
        self._stack = stack
        self._technology = technology.get(setup.config.technology)
        self._rows: dict[str, Rows] = {}
        self._designers: dict[str, Designer] = {}

    def attempt(self, task: Task) -> Entry | None:
        """Make a trial."""
        if task.method in NEEDS_BUNDLE:
            trial = generator_trial(self._designer(task.method), task.item, task.calls, task.method)
            return entry_of(task, trial, self._setup.machine)
        path = unfinished_path(self._setup.unfinished, task)
        running = _read(path) or SourceTrial.of(task.method, task.item, self._source(task), task.calls)
        saved = time.monotonic()
        while not running.over:
            running.step(self._pool.run)
            if task.method in SEARCHES and not running.over:
                now = time.monotonic()
                if now > self._setup.deadline or now > saved + SAVED_EVERY_S:
                    _write(running, path)
                    saved = now
                if now > self._setup.deadline:
                    return None
        path.unlink(missing_ok=True)
        return entry_of(task, running.trial, self._setup.machine)

    def _source(self, task: Task) -> CircuitSource:
        spec = task.item.spec
        rng = np.random.default_rng((self._setup.config.seed, 23, zlib.crc32(f"{task.method} {spec.name}".encode())))
        if task.method == RETRIEVAL:
            train = self._rows_of(spec.circuit_class)
            return Listed(retrieved_circuits(spec, train, self._conditioning, self._technology))
        if task.method == RANDOM:
            return Listed(random_circuits(spec, self._technology, rng))
        if task.method == BOTORCH:
            # Which takes seconds, and is no part of the trial.
            importlib.import_module("botorch.fit")
        optimizer = CmaSearch if task.method == CMA_ES else BotorchSearch
        return FromScratch(spec, self._technology, rng, task.calls, optimizer)

    def _rows_of(self, circuit_class: str) -> Rows:
        assert self._setup.rows is not None
        if circuit_class not in self._rows:
            self._rows[circuit_class] = mapped_rows(self._setup.rows, circuit_class)
        return self._rows[circuit_class]

    def _topologies(self, spec: DesignSpec, count: int, rng: np.random.Generator) -> list[Topology]:
        return drawn_topologies(self._rows_of(spec.circuit_class), spec.circuit_class, count, rng)

    @cached_property
    def _conditioning(self) -> Conditioning:
        assert self._setup.prepared is not None
        return Conditioning.load(self._setup.prepared)

    @cached_property
    def _bundle(self) -> Bundle:
        assert self._setup.bundle is not None
        return Bundle.load(self._setup.bundle)

    @cached_property
    def _pool(self) -> Judge:
        return self._stack.enter_context(Judge(workers=1, technology=self._setup.config.technology))

    def _designer(self, method: str) -> Designer:
        if method not in self._designers:
            sources = {PRECEDENTS_ALONE: _no_topologies, **dict.fromkeys(FROM_TRAINING, self._topologies)}
            precedents = method in (GENERATOR, PREDICTED, PRECEDENTS_ALONE, TRAINING_TOPOLOGIES)
            opened = bundle_designer(
                self._setup.config,
                self._bundle,
                sources.get(method),
                precedents=precedents,
                settings=SearchSettings(descend=method != PREDICTED),
            )
            self._designers[method] = self._stack.enter_context(opened)
        return self._designers[method]


def _no_topologies(spec: DesignSpec, count: int, rng: np.random.Generator) -> list[Topology]:
    return []


def _read(path: Path) -> SourceTrial | None:
    """An interrupted search, if there is one; these files are this program's own."""
    try:
        running = pickle.loads(path.read_bytes())
    except Exception:  # missing, cut off, or of other versions of the code: the search starts over
        return None
    return running if isinstance(running, SourceTrial) else None


def _write(running: SourceTrial, path: Path) -> None:
    with written_whole(path) as temporary:
        temporary.write_bytes(pickle.dumps(running))
