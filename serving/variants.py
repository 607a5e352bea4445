"""Champion and challenger side by side: who gets which, and which is better.

A caller always gets the same variant as long as the challenger's share does not change, and a larger share takes only callers
away from the champion. Every answer is checked by simulation, so its outcome is known; as far as there is time, the other variant
searches for the same request beside, unseen, and the pair counts in the sequential test that the nights decide by
(`genrf.feedback.evidence`). Which requests are paired does not depend on how they went.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from genrf.errors import InvalidInputError
from genrf.feedback.evidence import Evidence, Tally, Verdict, log_wealth
from serving import telemetry
from serving.workers import Workers

CHAMPION, CHALLENGER = "champion", "challenger"
FALSE_PROMOTIONS = 0.05
"""Probability with which a challenger that is no better may ever be said to be."""
CLASS_FALL = 0.1
"""Most by which the share met of any class may fall."""


@dataclass
class Comparison:
    """What is known of a challenger against a champion, from requests that both searched for."""

    champion: str
    """Identity of its bundle."""
    challenger: str
    tallies: dict[str, Tally] = field(default_factory=dict)
    """By circuit class."""
    seen: set[str] = field(default_factory=set)
    """Requests that were counted: the same again says nothing new."""

    def add(self, request: str, circuit_class: str, champion_met: bool, challenger_met: bool) -> None:
        """Count a pair, once."""
        if request in self.seen:
            return
        self.seen.add(request)
        self.tallies[circuit_class] = self.tallies.get(circuit_class, Tally()) + Tally.of(
            [(champion_met, challenger_met)]
        )
        total = self.total
        telemetry.EVIDENCE.labels(CHALLENGER).set(log_wealth(total.wins, total.losses))
        telemetry.EVIDENCE.labels(CHAMPION).set(log_wealth(total.losses, total.wins))

    @property
    def total(self) -> Tally:
        """Over all classes."""
        return sum(self.tallies.values(), Tally())

    def verdict(self) -> Verdict:
        """Promote, hold or reject, by the nights' test; holding has no end here."""
        return Evidence(self.tallies, nights=0).verdict(FALSE_PROMOTIONS, CLASS_FALL, patience=1)

    def content(self) -> dict[str, Any]:
        """Plain data."""
        verdict = self.verdict()
        return {
            "pairs": self.total.content(),
            "classes": {name: tally.content() for name, tally in self.tallies.items()},
            "decision": verdict.action,
            "reason": verdict.reason,
            "false_promotions": FALSE_PROMOTIONS,
        }


class Variants:
    """The models that serve: a champion, and perhaps a challenger with a share of the callers."""

    def __init__(self) -> None:
        self._workers: dict[str, Workers] = {}
        self._share = 0.0
        self.comparison: Comparison | None = None

    def __getitem__(self, name: str) -> Workers:
        return self._workers[name]

    def __contains__(self, name: str) -> bool:
        return name in self._workers

    def items(self) -> Mapping[str, Workers]:
        """The workers of each variant."""
        return dict(self._workers)

    def put(self, name: str, workers: Workers | None) -> Workers | None:
        """Change a variant's models, and give those that it had; what was compared before counts no more."""
        before = self._workers.pop(name, None)
        if workers is not None:
            self._workers[name] = workers
        telemetry.MODELS.clear()
        for label, own in self._workers.items():
            telemetry.MODELS.labels(label, own.identity["bundle"], own.identity.get("version") or "").set(1)
        self.comparison = None
        if CHAMPION in self._workers and CHALLENGER in self._workers:
            ours, theirs = (str(self._workers[label].identity["bundle"]) for label in (CHAMPION, CHALLENGER))
            self.comparison = Comparison(ours, theirs)
        else:
            self._share = 0.0
        self._tell()
        return before

    @property
    def share(self) -> float:
        """Share of the callers that the challenger serves."""
        return self._share

    def set_share(self, share: Any) -> None:
        """Change the challenger's share, from the next request on.

        Raises:
            InvalidInputError: if it is not from 0 to 1, or there is no challenger.
        """
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0.0 <= share <= 1.0:
            raise InvalidInputError(f"share: expected a number from 0 to 1, got {str(share)[:80]!r}")
        if share and CHALLENGER not in self._workers:
            raise InvalidInputError("share: there is no challenger; give its models with --challenger or its alias")
        self._share = float(share)
        self._tell()

    def of(self, caller: str) -> str:
        """The variant that serves a caller."""
        return CHALLENGER if place_of(caller) < self._share else CHAMPION

    def content(self) -> dict[str, Any]:
        """Plain data, for whoever runs the server."""
        return {
            "share": self._share,
            "variants": {
                name: {
                    **{
                        key: workers.identity.get(key) for key in ("bundle", "precision", "name", "version", "provider")
                    },
                    "processes": workers.alive,
                    "waiting": workers.waiting(),
                }
                for name, workers in self._workers.items()
            },
            "comparison": None if self.comparison is None else self.comparison.content(),
        }

    def _tell(self) -> None:
        telemetry.SHARE.labels(CHALLENGER).set(self._share)
        telemetry.SHARE.labels(CHAMPION).set(1.0 - self._share)


def place_of(caller: str) -> float:
    """A place in [0, 1) that a caller always has, evenly spread over callers."""
    return int.from_bytes(hashlib.sha256(caller.encode()).digest()[:7], "big") / 2**56
