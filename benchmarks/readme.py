"""Write the tables of measured results from the committed results, or check that they are up to date.

    python benchmarks/readme.py            # rewrite docs/results.md and the README's table
    python benchmarks/readme.py --check    # exit 1 if either is out of date

Results are files in ``benchmarks/results/``: ``smoke.json`` is the ``runs/latest/summary.json`` of a run of ``make run``,
``simulation.json`` the last line of ``benchmarks/simulation.py``, ``generate.json`` that of ``benchmarks/generate.py``,
``topologies.json`` that of ``benchmarks/topologies.py``, ``classes.json`` that of ``benchmarks/classes.py``,
``inference.json`` that of ``benchmarks/inference.py``, ``distributed.json`` that of ``benchmarks/distributed.py``,
``design_quality.json`` what ``benchmarks/design_quality.py`` writes, with a picture of each class.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from training.comparison.quality.tasks import NEEDS_BUNDLE, PREDICTED
from training.evaluation.methods import GENERATOR

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
RUN_HOW = {"eager": " eager", "compiled": " compiled", "bound": "", "graphs": " with CUDA graphs"}
METHOD_NAMES = {"cma-es": "CMA-ES", "botorch": "BoTorch"}
GENERATOR_VARIANTS = tuple(method for method in NEEDS_BUNDLE if method not in (GENERATOR, PREDICTED))
LEAST_TRIED = 5
"""Specifications that a share is shown of."""
BEGIN, END = "<!-- results: made by benchmarks/readme.py -->", "<!-- end of results -->"
LEVELS = {
    "exact": "every bound as the held-out circuit has it",
    "tightened": "every bound a tenth harder",
    "frontier": "bounds that no training circuit met when they were chosen",
}
PAGE = """# Results

Made by `python benchmarks/readme.py` from the files in `benchmarks/results/`; change those, not this page.

*Retrieval* takes the nearest training circuits that can bear the supply and rescales their L and C to the specification's
frequency; *random* draws from the same grammar with first-order design equations. Specifications come from circuits whose
topology, and whose descendants, were kept out of training: with each bound a tenth easier (relaxed), as it is (exact), a
tenth harder (tightened), and from circuits that no training circuit matches at about their frequency (frontier). Those kept in
`benchmarks/held_out.json` were chosen against the training data of an earlier release: by now some can be looked up.

"""


def headline() -> str:
    """The README's table: what matters most."""
    generate, descent, speed = (_read(name) for name in ("generate", "descent", "batched"))
    rows = [_fresh(descent["entries"], level) for level in ("exact", "tightened", "frontier")]
    warm, cold = generate["warm_median_s"], generate["first_median_wall_s"]
    rows.append(
        (
            "from a specification to a simulated LNA that meets it",
            f"{warm:.2f} s warm, {cold:.1f} s from a cold start to written files",
            f"{generate['median_wall_s']:.1f} s with all 64 calls",
        )
    )
    rows += _small_signal(speed, _read("batched_cuda"), _read("agreement"))
    rows += [_served(_read("serving")), _nights(_read("nights"))]
    lines = ["| what | measured | beside it |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    lines += [
        "",
        f"Two cores of an AMD EPYC without a GPU; specifications at commit `{descent['commit'][:10]}` on "
        f"{'; '.join(descent['machines'])}.",
    ]
    return "\n".join(lines)


def _fresh(entries: list[dict[str, Any]], level: str) -> tuple[str, str, str]:
    """How many fresh specifications are met at a level, beside the search that predicts."""
    own, predicted = (
        [e for e in entries if (e["level"], e["method"]) == (level, method)] for method in (GENERATOR, "predicted")
    )
    count = sum(entry["specifications"] for entry in own)
    what = f"{count:,} fresh specifications of LNAs and filters, {LEVELS[level]}"
    measured = f"{_pooled(own, 1)} met by the first SPICE call, {_pooled(own, 64)} within 64"
    return what, measured, f"{_pooled(predicted, 1)} and {_pooled(predicted, 64)} by predictions instead of descents"


def _small_signal(speed: dict[str, Any], gpu: dict[str, Any], agreement: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What the batched simulator does."""
    rates = {name: f"{1e6 / us:,.0f}" for name, us in speed["us"].items()}
    others = f"{rates['pool']} by ngspice in worker processes, {rates['process']} by one `ngspice -b` a circuit"
    there_and_back = f"{gpu['circuits_per_s']:,} with their way there and back, {gpu['gpu']}"
    tables = [cells for places in agreement["tables"].values() for cells in places.values()]
    count = sum(cells["compared"] for cells in tables)
    gain, noise = (max(cells[figure][1] for cells in tables) for figure in ("gain_db", "nf_db"))
    return [
        ("LNAs simulated a second and core, all small-signal metrics", rates["batched"], others),
        (
            "LNAs solved a second on a GPU, 11 frequencies and noise",
            f"{gpu['kernel_circuits_per_s']:,}",
            there_and_back,
        ),
        (
            f"worst difference from VACASK, {count:,} circuits, -40 to 125 °C, three corners",
            f"gain {gain:.2g} dB, noise figure {noise:.2g} dB",
            "ngspice as it is: 1.7 and 0.21 dB",
        ),
    ]


def _served(result: dict[str, Any]) -> tuple[str, str, str]:
    """What the server answers to eight callers at once."""
    ours, theirs = (
        next(row for row in result[name]["callers"] if row["callers"] == 8) for name in ("today", "earlier")
    )
    return (
        "LNA designs a second from the server, eight callers",
        f"{ours['designs_per_s']:.1f}, 95 % within {ours['p95_s']:.2g} s",
        f"{theirs['designs_per_s']:.2g}, 95 % within {theirs['p95_s']:.2g} s at commit `{result['earlier_commit']}`, which "
        f"spends every call; {result['all_calls']['callers'][0]['designs_per_s']:.1f} if today's does",
    )


def _nights(result: dict[str, Any]) -> tuple[str, str, str]:
    """What a few nights gain where requests move to a band that was never trained on."""

    def shares(policy: str) -> str:
        first, last = result[policy][0]["share"], result[policy][-1]["share"]
        return f"{_percent(first)} to {_percent(last)}"

    return (
        f"requests for LNAs in a new band that are met, over {result['nights']} nights",
        f"{shares('retrained')} by nights that promote on evidence",
        f"{shares('always')} promoting whatever was trained, {shares('fixed')} never retraining",
    )


def _pooled(entries: list[dict[str, Any]], calls: int) -> str:
    count = sum(entry["specifications"] for entry in entries)
    return _percent(sum(entry["specifications"] * entry[f"success_at_{calls}"] for entry in entries) / count)


def page() -> str:
    """The page of all measured results as Markdown."""
    smoke, simulation, generate, speed = (_read(name) for name in ("smoke", "simulation", "generate", "classes"))
    topologies = _read("topologies")
    commits = [f"`make run` at commit `{smoke['commit'][:10]}`"]
    commits += [f"`make bench` at commit `{simulation['commit'][:10]}`"] if simulation else []
    commits += [f"`benchmarks/topologies.py` at commit `{topologies['commit'][:10]}`"] if topologies else []
    commits += [f"`benchmarks/classes.py` at commit `{speed['commit'][:10]}`"] if speed else []
    said = "Two cores of an AMD EPYC, no GPU, recipe `smoke`, where nothing else is said."
    lines = ["## Pipeline, topologies, speed", "", f"{said} {', '.join(commits)}.", ""]
    lines += ["| what | measured | how |", "|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in _facts(smoke, topologies, simulation, generate, _read("inference"))]
    if speed:
        lines += ["", "## Simulation of each class", "", *_speed(speed)]
    lines += [
        "",
        "## A run of the recipe `smoke`",
        "",
        "Share of held-out specifications that were met in simulation within 1, 8, 16 and 64 SPICE calls; classes that take "
        "long to simulate were given 16 (in brackets the 95 % interval of the last figure):",
        "",
        "| class | specifications | level | generator | retrieval, rescaled | random |",
        "|---|---|---|---|---|---|",
    ]
    for name, level in dict.fromkeys((entry["class"], entry["level"]) for entry in smoke["success"]):
        entries = [e for e in smoke["success"] if (e["class"], e["level"]) == (name, level)]
        by_method = {entry["method"]: entry for entry in entries}
        cells = [_success(by_method[method]) for method in ("generator", "retrieval", "random")]
        lines.append(f"| {name} | {entries[0]['specifications']} | {level} | {' | '.join(cells)} |")
    quality = _read("design_quality")
    if quality:
        lines += ["", "## The released weights", "", *design_quality(quality)]
    return PAGE + "\n".join(lines) + "\n"


def design_quality(result: dict[str, Any]) -> list[str]:
    """The generator beside retrieval, and beside searches that get ten times the calls."""
    lines = [
        f"Held-out specifications met (`python benchmarks/design_quality.py` at commit `{result['commit'][:10]}`, on "
        f"{'; '.join(result['machines'])}): GenRF within 1, 8, 16 and 64 SPICE calls, retrieval within as many, CMA-ES and "
        "BoTorch from scratch within ten times as many, CMA-ES also within a hundred times, with 95 % intervals. The last "
        "column says which methods reach GenRF's last figure at all, and after how many calls.",
        "",
        "| class | level | specifications | GenRF | retrieval | CMA-ES, 10 times | BoTorch, 10 times | CMA-ES, 100 times "
        "| matched by |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, level in dict.fromkeys((entry["class"], entry["level"]) for entry in result["entries"]):
        own = {
            (entry["method"], entry["calls"]): entry
            for entry in result["entries"]
            if (entry["class"], entry["level"]) == (name, level)
        }
        calls = next((calls for method, calls in own if method == "generator"), None)
        if calls is None:
            continue
        ours = own["generator", calls]
        others = [("retrieval", calls), ("cma-es", 10 * calls), ("botorch", 10 * calls), ("cma-es", 100 * calls)]
        cells = [_success(ours), *(_share(own.get(key), ours["specifications"]) for key in others)]
        matched = _matched(result["comparisons"], name, level, str(calls))
        lines.append(f"| {name} | {level} | {ours['specifications']} | {' | '.join(cells)} | {matched} |")
    lines += _gan(result)
    for name in dict.fromkeys(entry["class"] for entry in result["entries"]):
        path = f"images/design_quality_{name}.png"
        lines += ["", f"![Specifications of class {name} met against SPICE calls]({path})"]
    return lines


def _gan(result: dict[str, Any]) -> list[str]:
    """What the GAN's topologies are worth, where the generator was also tried without them."""
    entries, rows = result["entries"], []
    for name, level in dict.fromkeys((entry["class"], entry["level"]) for entry in entries):
        own = {e["method"]: e for e in entries if (e["class"], e["level"]) == (name, level)}
        if GENERATOR in own and own.keys() & set(GENERATOR_VARIANTS):
            most = own[GENERATOR]["specifications"]
            cells = [_share(own.get(method), most) for method in (GENERATOR, *GENERATOR_VARIANTS)]
            rows.append(f"| {name} | {level} | {' | '.join(cells)} |")
    if not rows:
        return []
    return [
        "",
        "What the GAN is worth: met by GenRF, by the same search with precedents alone (no fresh topologies), and with "
        "topologies drawn from the training data in the GAN's place; then without precedents, with either's topologies:",
        "",
        "| class | level | GenRF | precedents alone | training topologies | without precedents | without, training topologies |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        "All classes and levels that were tried together:",
        "",
        *(_overall(line) for line in result["overall"] if line["method"] in GENERATOR_VARIANTS),
    ]


def _overall(line: dict[str, Any]) -> str:
    """One variant beside GenRF on all that both tried."""
    ours, its = line["generator_success"], line["success"]
    low, high = line["difference_interval"]
    return (
        f"- {line['method']}: {100 * its:.1f} % of {line['specifications']:,} specifications, of which GenRF meets "
        f"{100 * ours:.1f} % ({100 * (ours - its):+.1f} points, {100 * low:+.1f} to {100 * high:+.1f})"
    )


def _share(entry: dict[str, Any] | None, specifications: int) -> str:
    """Success at the end of a budget; how many specifications it was tried on, where that is few or not as many as ours."""
    if entry is None or entry["specifications"] < LEAST_TRIED:
        return "not tried" if entry is None else f"too few tried ({entry['specifications']})"
    key = f"success_at_{entry['calls']}"
    low, high = entry[f"{key}_interval"]
    of = "" if entry["specifications"] == specifications else f", of {entry['specifications']}"
    return f"{100 * entry[key]:.0f} % ({100 * low:.0f} to {100 * high:.0f}{of})"


def _matched(comparisons: list[dict[str, Any]], name: str, level: str, calls: str) -> str:
    """Methods that reach the generator's success, with the fewest calls that any of their budgets took."""
    fewest: dict[str, float] = {}
    for entry in comparisons:
        enough = entry["specifications"] >= LEAST_TRIED
        if enough and (entry["class"], entry["level"]) == (name, level) and calls in entry["calls_to_match"]:
            reached = entry["calls_to_match"][calls][0]
            if reached is not None and entry["method"] not in NEEDS_BUNDLE:
                fewest[entry["method"]] = min(reached, fewest.get(entry["method"], reached))
    return ", ".join(f"{METHOD_NAMES.get(m, m)} after {k:,.0f}" for m, k in fewest.items()) or "none"


def _gpu(inference: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The fastest way of each runtime to run a model, whatever the arithmetic."""
    rows = []
    for name, batch in dict.fromkeys((row["model"], row["batch"]) for row in inference["rows"]):
        own = [row for row in inference["rows"] if (row["model"], row["batch"]) == (name, batch)]
        fastest: dict[str, dict[str, Any]] = {}
        for row in own:
            key = row["runtime"] + RUN_HOW[row["how"]]
            if key not in fastest or row["milliseconds"] < fastest[key]["milliseconds"]:
                fastest[key] = row
        text = ", ".join(f"{key} {row['milliseconds']:.2f} ms ({row['arithmetic']})" for key, row in fastest.items())
        what = f"{name.replace('_', ' ')}, {batch} circuits, {inference['machine']}"
        rows.append((what, text, "`python benchmarks/inference.py --recipe full`"))
    return rows


def _facts(
    smoke: dict[str, Any],
    topologies: dict[str, Any],
    simulation: dict[str, Any],
    generate: dict[str, Any],
    inference: dict[str, Any],
) -> list[tuple[str, str, str]]:
    circuits = smoke["circuits"]
    failed = sum(circuits["failed"].values())
    rows = [
        ("circuits simulated", f"{circuits['simulated']:,}, of which {failed:,} failed", "`make run`"),
        ("useful in the last round", _percent(circuits["useful_share_last_round"]), "`make run`"),
    ]
    rows += _topologies("GAN topologies", smoke["topologies"], "`make run`")
    if topologies:
        how = "`benchmarks/topologies.py` over `benchmarks/held_out.json`"
        rows += _topologies("released GAN's topologies", topologies["classes"], how)
        rows += _topologies("the grammar's topologies", topologies["grammar"], how)
    if "wall_s" in smoke:
        rows.append(("whole pipeline, wall time", f"{smoke['wall_s']:.0f} s", "`make run PLATFORM=1`"))
        rows.append(("the same again, from the cache", f"{smoke['cached_wall_s']:.0f} s", "`make run PLATFORM=1`"))
    if generate:
        wall = f"{generate['first_median_wall_s']:.1f} s, with all 64 calls {generate['median_wall_s']:.1f} s"
        rows.append(("one amplifier, cold start to files", wall, "`python benchmarks/generate.py`"))
        if "warm_median_s" in generate:
            warm = f"{generate['warm_median_s']:.2f} s, {generate['peak_memory_mb']:.0f} MB at most"
            rows.append(
                (
                    "one amplifier, warm to the first that meets the specification",
                    warm,
                    "`python benchmarks/generate.py`",
                )
            )
    if simulation:
        rate, ratio = f"{simulation['band_circuits_per_s']:,.0f}", f"{simulation['ratio']:.0f}"
        band = f"{rate}, {ratio} times one `ngspice -b` a circuit"
        rows.append(("amplifiers a second, S at 11 frequencies and NF", band, "`make bench`"))
    if inference:
        rows += _gpu(inference)
    return [*rows, *_distributed(_read("distributed"))]


def _distributed(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What a second GPU gives, in speed and in quality."""
    if not result:
        return []
    runs = [
        f"{name} {run['rows_per_second'] / 1e3:.1f}k rows/s, loss {run['best_validation_loss']:.3f} after {run['steps']} steps"
        for name, run in result["runs"].items()
    ]
    what = f"training of the {result['model'].replace('_', ' ')} on one GPU and on two, {result['machine']}"
    options = f"--recipe {result['recipe']} --steps {result['steps']} --overrides '{json.dumps(result['overrides'])}'"
    how = f"`python benchmarks/distributed.py {options}` at commit `{result['commit'][:10]}`"
    return [(what, ", ".join(runs), how)]


def _topologies(what: str, quality: dict[str, Any], how: str) -> list[tuple[str, str, str]]:
    """Of each class, how good topologies are as they are written."""
    shares = ("valid", "simulates", "unique", "novel")
    return [
        (f"{what}, {name}, of {own['drawn']:,}", ", ".join(f"{_percent(own[key])} {key}" for key in shares), how)
        for name, own in quality.items()
    ]


def _speed(speed: dict[str, Any]) -> list[str]:
    """How fast each class is simulated."""
    lines = [
        "Label metrics of random circuits of each class (`python benchmarks/classes.py`), failed ones included in the "
        "first figure; the baseline is one `ngspice -b` process a circuit, two at once:",
        "",
        "| class | circuits a second | that simulate | `ngspice -b` a second | ratio | where the time goes, ms a circuit |",
        "|---|---|---|---|---|---|",
    ]
    for name, entry in speed["classes"].items():
        parts = ", ".join(f"{part} {value:g}" for part, value in entry["milliseconds_by_analysis"].items())
        figures = f"{entry['circuits_per_s']:g} | {entry['working_per_s']:g} | {entry['baseline_per_s']:g}"
        lines.append(f"| {name} | {figures} | {entry['ratio']:g} | {parts} |")
    return lines


def _success(entry: dict[str, Any]) -> str:
    reached = [calls for calls in (1, 8, 16, 64) if f"success_at_{calls}" in entry]
    low, high = entry[f"success_at_{reached[-1]}_interval"]
    shares = " / ".join(f"{100 * entry[f'success_at_{calls}']:.0f}" for calls in reached)
    return f"{shares} % ({100 * low:.0f} to {100 * high:.0f})"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _read(name: str) -> dict[str, Any]:
    """A committed result; empty if that benchmark was not run yet, so that its rows are left out."""
    path = RESULTS / f"{name}.json"
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return content


def main(arguments: list[str]) -> int:
    """Rewrite or check the README's table and the page of results; returns the exit code."""
    readme = ROOT / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    wanted = {readme: f"{before}{BEGIN}\n{headline()}\n{END}{after}", ROOT / "docs" / "results.md": page()}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in arguments:
        for path in stale:
            name = path.relative_to(ROOT)
            print(f"{name}: results are out of date; run python benchmarks/readme.py", file=sys.stderr)
        return int(bool(stale))
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
