"""Whether a challenger is better than the champion, as a sequential test on specifications that both tried.

symbol   variable     meaning                                                                        unit
w, l     wins, losses specifications that the challenger alone met, that the champion alone met        1
theta    -            probability that a specification that just one of them meets is the challenger's  1
E        -            wealth of who bets against theta <= 1/2 with all theta in (1/2, 1) alike          1
alpha    level        probability with which a challenger that is no better may ever be promoted        1

What both meet or both miss says nothing of which is better (McNemar, 1947, Psychometrika 12). Of the others, if the challenger is
no better, (2 theta)^w (2 - 2 theta)^l is a supermartingale for every theta above one half, and so is their mixture

    E = 2^(w+l+1) B(w+1, l+1) (1 - I_(1/2)(w+1, l+1)),

with the beta function B and its regularised incomplete integral I. By Ville's inequality E ever reaches 1/alpha with a
probability of alpha at most, so that one may look after every specification and stop when one likes (Ramdas et al., 2023,
Statistical Science 38, section 4). The same bet on the champion says when there is nothing left to wait for.

A month has many challengers. The j-th of those that began within a month has alpha 6/(pi j)^2, which over all j sums to alpha:
the first of a quiet month is judged mildly, the tenth of a busy one hard, and the month's promotions of what is no better keep
to alpha whatever it was that made challengers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from scipy.special import betaincc, betaln


def log_wealth(wins: int, losses: int) -> float:
    """Natural logarithm of E."""
    tail = float(betaincc(wins + 1, losses + 1, 0.5))
    if tail == 0.0:
        return -math.inf
    return float((wins + losses + 1) * math.log(2.0) + betaln(wins + 1, losses + 1)) + math.log(tail)


def level_of(false_promotions: float, number: int) -> float:
    """The probability that the ``number``-th challenger of a month, from 1, has of that of the whole month."""
    return false_promotions * 6.0 / (math.pi * number) ** 2


@dataclass(frozen=True)
class Tally:
    """How two bundles did on specifications of one class."""

    both: int = 0
    wins: int = 0
    """Met by the challenger alone."""
    losses: int = 0
    """Met by the champion alone."""
    neither: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.both + other.both, self.wins + other.wins, self.losses + other.losses, self.neither + other.neither
        )

    @classmethod
    def of(cls, outcomes: Iterable[tuple[bool, bool]]) -> Tally:
        """Count outcomes: whether the champion met a specification, and whether the challenger did."""
        found = list(outcomes)
        return cls(*(found.count(outcome) for outcome in ((True, True), (False, True), (True, False), (False, False))))

    @property
    def specifications(self) -> int:
        """Specifications that both tried."""
        return self.both + self.wins + self.losses + self.neither

    @property
    def champion(self) -> float:
        """Share that the champion met; not a number of none."""
        return (self.both + self.losses) / self.specifications if self.specifications else math.nan

    @property
    def challenger(self) -> float:
        """Share that the challenger met; not a number of none."""
        return (self.both + self.wins) / self.specifications if self.specifications else math.nan

    def content(self) -> dict[str, int]:
        """Plain data."""
        return {"both": self.both, "wins": self.wins, "losses": self.losses, "neither": self.neither}


def tallied(outcomes: Iterable[tuple[str, tuple[bool, bool]]]) -> dict[str, Tally]:
    """Classes with outcomes as `Tally.of` counts them, counted by class."""
    by_class: dict[str, list[tuple[bool, bool]]] = {}
    for name, outcome in outcomes:
        by_class.setdefault(name, []).append(outcome)
    return {name: Tally.of(own) for name, own in by_class.items()}


@dataclass(frozen=True)
class Verdict:
    """What the evidence allows, and why."""

    action: str
    """``promote``, ``hold`` or ``reject``."""
    reason: str


@dataclass(frozen=True)
class Evidence:
    """All that is known of a challenger against a champion."""

    tallies: Mapping[str, Tally] = field(default_factory=dict)
    """By circuit class."""
    nights: int = 0
    """Nights on which it was judged."""

    def verdict(self, level: float, class_fall: float, patience: int) -> Verdict:
        """Decide.

        Args:
            level: probability with which one that is no better may be promoted.
            class_fall: most by which the share met of any class may fall.
            patience: nights after which one that is not shown to be better is rejected.
        """
        total = sum(self.tallies.values(), Tally())
        counts = f"of {total.specifications} specifications {total.wins} met by it alone and {total.losses} by the champion alone"
        ahead, behind = log_wealth(total.wins, total.losses), log_wealth(total.losses, total.wins)
        fallen = {
            name: fall
            for name, tally in self.tallies.items()
            if (fall := tally.champion - tally.challenger) > class_fall
        }
        needed = -math.log(level)
        odds = f"evidence e^{ahead:.1f} of e^{needed:.1f} wanted"
        if ahead >= needed:
            if fallen:
                worst = max(fallen, key=lambda name: fallen[name])
                share = f"class {worst} falls by {100 * fallen[worst]:.0f} points, more than {100 * class_fall:.0f}"
                return Verdict(
                    "reject" if self.nights >= patience else "hold", f"better as a whole ({counts}), but {share}"
                )
            return Verdict("promote", f"better: {counts}, {odds}")
        if behind >= needed:
            return Verdict("reject", f"worse: {counts}")
        if self.nights >= patience:
            return Verdict("reject", f"not shown to be better in {self.nights} nights: {counts}, {odds}")
        return Verdict("hold", f"not decided: {counts}, {odds}")
