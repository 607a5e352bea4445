"""Whether a night has work to do: what was asked for, held against what was trained on and what was promised.

Two questions are asked of every circuit class. Has what is asked for moved away from the training circuits: frequency, supply and
each bound, by the two-sample test of Kolmogorov and Smirnov, its probability times the number of quantities (Bonferroni)? And
are fewer requests met than the champion met of the specifications held out from it, by more than chance (Fisher's exact test, or
the binomial one against what is expected where no such figure is known)? Only the second makes work; requests that moved and are
met all the same need nothing. The first says where to look, besides the requests that were missed themselves.

Requests are split once and for all by their own hash: of those that were missed one half may become targets of new data, the
other half, with as many that were met, judges who was trained on them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, fisher_exact, ks_2samp

from genrf import classes
from genrf.conditioning import Conditioning
from genrf.feedback.record import SearchRecord
from genrf.feedback.summary import wilson
from genrf.fields import quantity_text
from genrf.generation.precedents import Precedents, PrecedentSource
from genrf.spec import DesignSpec
from training.config.schema import Config

FREQUENCY, SUPPLY = "frequency", "supply"
_MARGIN = 1.1
"""Ratio by which the band of new data is wider than the missed requests at each end."""


@dataclass(frozen=True)
class Share:
    """How many of how many, with its interval."""

    met: int
    of: int

    @property
    def share(self) -> float:
        """Not a number of none."""
        return self.met / self.of if self.of else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """See `genrf.feedback.summary.wilson`."""
        return wilson(self.met, self.of)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.met} of {self.of} ({100 * low:.0f} to {100 * high:.0f} %)"


@dataclass(frozen=True)
class Moved:
    """How requests lie beside training circuits in one quantity."""

    distance: float
    """Kolmogorov and Smirnov's, from 0 to 1."""
    probability: float
    """Of such a distance by chance, times the number of quantities, at most 1."""
    requested: tuple[float, float]
    """Tenth and ninetieth percentile of requests, in SI units or the metric's own."""
    trained: tuple[float, float]
    """The same of training circuits."""
    moved: bool


@dataclass(frozen=True)
class ClassNeed:
    """What is known of one class, and whether it is worked on."""

    circuit_class: str
    requests: Share
    promised: float
    """Share of specifications that the champion is expected to meet."""
    probability: float = 1.0
    """Of so few met by chance, if the champion met requests as it met what was held out from it."""
    quantities: Mapping[str, Moved] = field(default_factory=dict)
    bands: Mapping[str, Share] = field(default_factory=dict)
    """Requests met by frequency band."""
    bounds: Mapping[str, int] = field(default_factory=dict)
    """How often the best design of a missed request missed a bound."""
    work: bool = False
    reason: str = ""

    @property
    def moved(self) -> list[str]:
        """Names of the quantities that have moved."""
        return [name for name, quantity in self.quantities.items() if quantity.moved]


def specification_id(specification: Mapping[str, Any]) -> str:
    """Identity of what is asked for, whoever asks and however often."""
    content = {key: value for key, value in specification.items() if key != "name"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def is_target(specification: Mapping[str, Any]) -> bool:
    """Whether new data may be made for a specification; others judge. What differs by its third digit is on one side."""
    return int(specification_id(_rounded(specification)), 16) % 2 == 0


def asked_once(records: Iterable[SearchRecord]) -> list[SearchRecord]:
    """The newest record of each specification: who asks the same again says nothing new."""
    in_order = sorted(records, key=lambda record: (record.time, record.id))
    return list({specification_id(record.specification): record for record in in_order}.values())


def comparable(records: Iterable[SearchRecord], calls: int) -> list[SearchRecord]:
    """Records as they would be of searches with so many calls; those that missed with fewer are left out."""
    return [
        replace(record, met=record.first_met is not None and record.first_met <= calls)
        for record in records
        if record.calls >= calls or record.met
    ]


def assess_class(
    config: Config,
    circuit_class: str,
    records: Sequence[SearchRecord],
    promised: Share,
    conditioning: Conditioning,
    precedents: PrecedentSource,
) -> ClassNeed:
    """Decide about one class.

    Args:
        records: of its requests, served by the champion.
        promised: what the champion met of specifications held out from it; of none, the configuration says what is expected.
        conditioning: of the champion.
        precedents: the champion's, which stand for what it was trained on.
    """
    settings = config.nights
    expected = promised.share if promised.of else settings.expected_success
    met = Share(sum(record.met for record in records), len(records))
    known = precedents(circuit_class) if circuit_class in conditioning.classes else None
    if known is None or not len(known):
        if not records:
            return ClassNeed(circuit_class, met, expected, reason="not asked for")
        return ClassNeed(
            circuit_class, met, expected, reason="the champion was not trained on it; train on all classes once"
        )
    specs = [DesignSpec.from_dict(record.specification) for record in records]
    need = ClassNeed(
        circuit_class,
        met,
        expected,
        _fewer(met, promised, settings.expected_success),
        _quantities(config, circuit_class, specs, conditioning, known),
        _bands(config, specs, records),
        _bounds(specs, records),
    )
    if met.of < settings.least_requests:
        return replace(need, reason=f"{met.of} requests, {settings.least_requests} are wanted for a conclusion")
    if need.probability < settings.need_level:
        where = f"; moved: {', '.join(need.moved)}" if need.moved else ""
        return replace(need, work=True, reason=f"met {met}, expected {100 * expected:.0f} %{where}")
    if need.moved:
        return replace(need, reason=f"moved ({', '.join(need.moved)}), but met {met}, as expected")
    return replace(need, reason=f"met {met}, as expected, and nothing moved")


def targets(records: Sequence[SearchRecord], most: int) -> list[DesignSpec]:
    """Missed requests to make new data for, newest first, each once."""
    return _newest([r for r in records if not r.met and is_target(r.specification)], most)


def judges(records: Sequence[SearchRecord], most: int) -> list[DesignSpec]:
    """Requests that champion and challenger are compared on, newest first, each once; none that is a target."""
    return _newest([r for r in records if not is_target(r.specification)], most)


def _newest(records: Sequence[SearchRecord], most: int) -> list[DesignSpec]:
    """Specifications under the names of their identities."""
    newest = sorted(asked_once(records), key=lambda record: (record.time, record.id), reverse=True)
    return [DesignSpec.from_dict(r.specification, name=specification_id(r.specification)) for r in newest[:most]]


def growth(config: Config, circuit_class: str, missed: Sequence[DesignSpec]) -> dict[str, Any]:
    """What the configuration's section ``data`` becomes for islands around missed requests."""
    frequencies = [spec.conditions.frequency_hz for spec in missed]
    supplies = sorted({spec.conditions.supply_v for spec in missed})
    low, high = min(frequencies) / _MARGIN, max(frequencies) * _MARGIN
    octaves = math.log2(config.data.frequency_max_hz / config.data.frequency_min_hz)
    return {
        "shards": config.nights.islands,
        "rounds": config.nights.rounds,
        "circuits_per_round": config.nights.circuits_per_round,
        "frequency_min_hz": low,
        "frequency_max_hz": high,
        # Bands as wide as they are elsewhere.
        "frequency_bands": max(1, math.ceil(config.data.frequency_bands * math.log2(high / low) / octaves)),
        "supplies_v": tuple(supplies),
    }


def _rounded(content: Any) -> Any:
    """Plain data with numbers of two digits."""
    if isinstance(content, Mapping):
        return {key: _rounded(value) for key, value in content.items()}
    is_number = isinstance(content, int | float) and not isinstance(content, bool)
    return float(f"{content:.2g}") if is_number else content


def _fewer(met: Share, promised: Share, expected: float) -> float:
    """Probability that so few requests are met by chance."""
    if not met.of:
        return 1.0
    if not promised.of:
        return float(binomtest(met.met, met.of, expected, alternative="less").pvalue)
    table = [[met.met, met.of - met.met], [promised.met, promised.of - promised.met]]
    return float(fisher_exact(table, alternative="less").pvalue)


def _quantities(
    config: Config, circuit_class: str, specs: Sequence[DesignSpec], conditioning: Conditioning, known: Precedents
) -> dict[str, Moved]:
    """Each quantity that is asked for often enough, beside the training circuits."""
    frequency, supply, _, _ = conditioning.decode_condition_rows(known.conditions)
    trained: dict[str, NDArray[np.float64]] = {FREQUENCY: frequency, SUPPLY: supply}
    asked: dict[str, list[float]] = {
        FREQUENCY: [spec.conditions.frequency_hz for spec in specs],
        SUPPLY: [spec.conditions.supply_v for spec in specs],
    }
    definition = classes.get(circuit_class)
    for name in definition.specification_metrics:
        if name in conditioning.metrics:
            column = known.metrics[:, conditioning.metrics.index(name)].astype(np.float64)
            trained[name] = conditioning.in_own_units(circuit_class, name, column)
            asked[name] = [c.bound for spec in specs for c in spec.constraints if c.metric == name]
    tried = [name for name, values in asked.items() if len(values) >= config.nights.least_requests]
    return {name: _moved(config, np.array(asked[name]), trained[name], len(tried)) for name in tried}


def _moved(config: Config, asked: NDArray[np.float64], trained: NDArray[np.float64], tests: int) -> Moved:
    found = ks_2samp(asked, trained)
    probability = min(1.0, float(found.pvalue) * tests)
    distance = float(found.statistic)
    return Moved(
        distance,
        probability,
        _spread(asked),
        _spread(trained),
        distance >= config.nights.drift_distance and probability < config.nights.drift_level,
    )


def _spread(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(values, (10.0, 90.0))
    return float(low), float(high)


def _bands(config: Config, specs: Sequence[DesignSpec], records: Sequence[SearchRecord]) -> dict[str, Share]:
    """Requests met in each band of the configuration that any lies in."""
    low, high, bands = config.data.frequency_min_hz, config.data.frequency_max_hz, config.data.frequency_bands
    edges = np.geomspace(low, high, bands + 1)
    found: dict[int, list[bool]] = {}
    for spec, record in zip(specs, records, strict=True):
        band = int(np.clip(np.searchsorted(edges, spec.conditions.frequency_hz) - 1, 0, bands - 1))
        found.setdefault(band, []).append(record.met)
    return {
        f"{quantity_text(edges[band], 'Hz')} to {quantity_text(edges[band + 1], 'Hz')}": Share(sum(met), len(met))
        for band, met in sorted(found.items())
    }


def _bounds(specs: Sequence[DesignSpec], records: Sequence[SearchRecord]) -> dict[str, int]:
    """How often each bound was missed by the best design of a missed request."""
    missed: Counter[str] = Counter()
    for spec, record in zip(specs, records, strict=True):
        if record.met or not record.designs:
            continue
        metrics = record.designs[0].metrics
        missed.update(
            f"{c.metric} {c.sense}"
            for c in spec.constraints
            if c.metric in metrics and c.slack(metrics[c.metric]) < 0.0
        )
    return dict(missed.most_common())
