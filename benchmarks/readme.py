"""Write the README's table of measured results from the committed results, or check that it is up to date.

    python benchmarks/readme.py            # rewrite the table
    python benchmarks/readme.py --check    # exit 1 if it is out of date

Results are files in ``benchmarks/results/``: ``smoke.json`` is the ``runs/latest/summary.json`` of a run of ``make run``,
``simulation.json`` the last line of ``benchmarks/simulation.py``, ``generate.json`` that of ``benchmarks/generate.py``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- results: made by benchmarks/readme.py -->", "<!-- end of results -->"
LEVELS = ("relaxed", "exact", "tightened", "frontier")


def table() -> str:
    """The measured results as Markdown."""
    smoke, simulation, generate = (_read(name) for name in ("smoke", "simulation", "generate"))
    lines = [
        f"Two cores of an AMD EPYC, no GPU, recipe `smoke`. `make run` at commit `{smoke['commit'][:10]}`"
        + (f", `make bench` at commit `{simulation['commit']}`." if simulation else "."),
        "",
        "| what | measured | how |",
        "|---|---|---|",
    ]
    circuits, quality = smoke["circuits"], smoke["topologies"]["lna"]
    failed = sum(circuits["failed"].values())
    rows = [
        ("circuits simulated", f"{circuits['simulated']:,}, of which {failed:,} failed", "`make run`"),
        ("useful in the last round", _percent(circuits["useful_share_last_round"]), "`make run`"),
        (
            "GAN topologies, of 1,000",
            f"{_percent(quality['valid'])} valid, {_percent(quality['simulates'])} simulate, "
            f"{_percent(quality['unique'])} unique, {_percent(quality['novel'])} of those novel",
            "`make run`",
        ),
    ]
    if "wall_s" in smoke:
        rows.append(("whole pipeline, wall time", f"{smoke['wall_s']:.0f} s", "`make run`"))
        rows.append(("the same again, from the cache", f"{smoke['cached_wall_s']:.0f} s", "`make run`"))
    if generate:
        wall = f"{generate['median_wall_s']:.1f} s"
        rows.append(("one specification, cold start to files", wall, "`python benchmarks/generate.py`"))
    if simulation:
        rate, ratio = f"{simulation['band_circuits_per_s']:,.0f}", f"{simulation['ratio']:.0f}"
        band = f"{rate}, {ratio} times one `ngspice -b` a circuit"
        rows.append(("circuits a second, S at 11 frequencies and NF", band, "`make bench`"))
        rows.append(("circuits a second, all metrics", f"{simulation['full_labels_per_s']:,.0f}", "`make bench`"))
    lines += [f"| {' | '.join(row)} |" for row in rows]
    count = smoke["success"][0]["specifications"]
    lines += [
        "",
        f"Share of {count} held-out specifications a level that were met in simulation within 1, 8 and 64 SPICE calls "
        "(95 % interval of the last):",
        "",
        "| level | generator | retrieval, rescaled | random |",
        "|---|---|---|---|",
    ]
    for level in LEVELS:
        cells = [_success(smoke, level, method) for method in ("generator", "retrieval", "random")]
        lines.append(f"| {level} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _success(smoke: dict[str, Any], level: str, method: str) -> str:
    entry = next(e for e in smoke["success"] if (e["class"], e["level"], e["method"]) == ("lna", level, method))
    low, high = entry["success_at_64_interval"]
    shares = " / ".join(f"{100 * entry[f'success_at_{calls}']:.0f}" for calls in (1, 8, 64))
    return f"{shares} % ({100 * low:.0f} to {100 * high:.0f})"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _read(name: str) -> dict[str, Any]:
    """A committed result; empty if that benchmark was not run yet, so that its rows are left out."""
    path = RESULTS / f"{name}.json"
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return content


def main(arguments: list[str]) -> int:
    """Rewrite or check the README; returns the exit code."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    new = f"{before}{BEGIN}\n{table()}\n{END}{after}"
    if "--check" in arguments:
        if new != text:
            print("README.md: the table of results is out of date; run python benchmarks/readme.py", file=sys.stderr)
            return 1
        return 0
    readme.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
