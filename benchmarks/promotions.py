"""How often nights promote what is no better, and how long a better challenger waits.

    python benchmarks/promotions.py                      # params.yaml's settings
    python benchmarks/promotions.py --gain 0.1 --discordant 0.2

Months are simulated by coin: every night a challenger and the champion try the night's requests, and the first time the held-out
specifications too; each is met by one of them alone with the given probability. A challenger that is rejected is followed by
another the next night, equally good. The decision is the nights' own, `genrf.feedback.evidence`; beside it stands the rule that
the larger average wins, on the same outcomes. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from genrf.feedback.evidence import Evidence, Tally, level_of
from training.config.loading import load_config
from training.config.schema import NightsConfig
from training.nights.need import Share
from training.running.machine import commit


@dataclass
class Month:
    """What happened in a month."""

    promoted: list[int]
    """Nights, from 1, on which the test promoted."""
    averages: int
    """Times that the larger average would have promoted."""


def month(settings: NightsConfig, rng: np.random.Generator, gain: float, options: argparse.Namespace) -> Month:
    """Play one month."""
    wins, losses = (options.discordant + gain) / 2.0, (options.discordant - gain) / 2.0
    chances = (options.met - wins, wins, losses, 1.0 - options.met - losses)
    found = Month([], 0)
    evidence: Evidence | None = None
    began: list[int] = []
    for night in range(1, settings.month_nights + 1):
        count = options.requests
        if evidence is None:
            evidence, count = Evidence(), options.requests + options.held_out
            began.append(night)
        both, alone, champion_alone, neither = rng.multinomial(count, chances).tolist()
        tonight = Tally(both, alone, champion_alone, neither)
        found.averages += tonight.challenger > tonight.champion
        tally = evidence.tallies.get("lna", Tally()) + tonight
        evidence = Evidence({"lna": tally}, evidence.nights + 1)
        verdict = evidence.verdict(
            level_of(settings.false_promotions, len(began)), settings.class_fall, settings.patience_nights
        )
        if verdict.action == "promote":
            found.promoted.append(night)
            if gain:
                break
        if verdict.action != "hold":
            evidence = None
    return found


def main() -> None:
    """Simulate, print a table, and the JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--months", type=int, default=200, help="months to simulate (default 200)")
    parser.add_argument("--requests", type=int, default=100, help="requests that judge, a night (default 100)")
    parser.add_argument("--held-out", type=int, default=75, help="held-out specifications (default 75, those of smoke)")
    parser.add_argument("--discordant", type=float, default=0.1, help="share met by one of the two alone (default 0.1)")
    parser.add_argument(
        "--met",
        type=float,
        default=0.85,
        help="share that the champion is beside the gain expected to meet (default 0.85)",
    )
    parser.add_argument("--gain", type=float, default=0.05, help="true gain of the better challenger (default 0.05)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    settings = load_config().nights
    rng = np.random.default_rng(options.seed)
    equal = [month(settings, rng, 0.0, options) for _ in range(options.months)]
    better = [month(settings, rng, options.gain, options) for _ in range(options.months)]
    false = Share(sum(bool(each.promoted) for each in equal), options.months)
    waited = [each.promoted[0] for each in better if each.promoted]
    report: dict[str, Any] = {
        "benchmark": "promotions",
        "months": options.months,
        "false_promotions": false.share,
        "false_promotions_interval": list(false.interval),
        "stated": settings.false_promotions,
        "false_promotions_by_average": Share(sum(bool(each.averages) for each in equal), options.months).share,
        "average_promotes_a_month": float(np.mean([each.averages for each in equal])),
        "gain": options.gain,
        "promoted_within_a_month": len(waited) / options.months,
        "nights_until_promotion": {
            name: float(np.percentile(waited, percentile)) if waited else None
            for name, percentile in (("median", 50), ("p90", 90))
        },
        "requests": options.requests,
        "held_out": options.held_out,
        "discordant": options.discordant,
        "commit": commit(),
    }
    print(
        f"champion against an equal: promoted in {false} months; the larger average in "
        f"{100 * report['false_promotions_by_average']:.0f} % of them, {report['average_promotes_a_month']:.1f} times a month"
    )
    print(
        f"a gain of {100 * options.gain:.0f} points: promoted within a month in {100 * report['promoted_within_a_month']:.0f} %, "
        f"after {report['nights_until_promotion']['median']} nights in the median"
    )
    print(json.dumps(report))


if __name__ == "__main__":
    main()
