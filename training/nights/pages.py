"""Pages of a night's steps: what was asked and missed, what was simulated, how champion and challenger did, what was decided."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genrf.feedback.evidence import Tally
from training.nights.judge import tallies
from training.nights.records import DECISION, NEED, Compared, read_comparison
from training.running.page import Part, figures, number, picture, write_page

_COUNTS = ("tried", "met by both", "challenger alone", "champion alone", "neither")


def need(result: Mapping[str, Any], folder: Path, title: str) -> None:
    """Write the page of the decision whether there is anything to do."""
    content = json.loads((folder / NEED).read_text(encoding="utf-8"))
    write_page(folder, f"{title}: {result['action']}", need_parts(content, result))


def need_parts(content: Mapping[str, Any], result: Mapping[str, Any]) -> list[Part]:
    """Sections of that page, from ``need.json``."""
    rows = [
        (
            item["class"],
            f"{item['met']} of {item['requests']}" if item["requests"] else "none",
            f"{100 * item['interval'][0]:.0f} to {100 * item['interval'][1]:.0f} %" if item["requests"] else "",
            f"{100 * item['expected']:.0f} %",
            "yes" if item["work"] else "no",
            item["reason"],
        )
        for item in content["classes"]
    ]
    columns = ("class", "requests met", "95 % interval", "expected", "work", "why")
    parts = [
        Part(text=f"{content['reason']}."),
        Part(heading="What was asked for", columns=columns, rows=rows),
    ]
    for item in content["classes"]:
        parts += _class_parts(item)
    parts.append(figures({key: value for key, value in result.items() if isinstance(value, int)}))
    if content["poisoned"]:
        parts.append(
            Part(
                heading="Lines of the log that are no records",
                columns=("line",),
                rows=[(x,) for x in content["poisoned"]],
            )
        )
    return parts


def grown(result: Mapping[str, Any], folder: Path, title: str) -> None:
    """Write the page of the new data."""
    write_page(folder, title, [figures({key: value for key, value in result.items() if key != "pulled"})])


def comparison(result: Mapping[str, Any], folder: Path, title: str) -> None:
    """Write the page of champion beside challenger."""
    compared, _ = read_comparison(folder)
    write_page(folder, title, comparison_parts(compared))


def comparison_parts(compared: Sequence[Compared]) -> list[Part]:
    """Sections of that page."""
    rows = [
        _tally_row(f"{origin}, {name}", tally)
        for origin in dict.fromkeys(item.origin for item in compared)
        for name, tally in tallies(item for item in compared if item.origin == origin).items()
    ]
    parts = [Part(columns=("specifications", *_COUNTS), rows=rows)]
    if compared:
        parts.append(
            Part(heading="Met within so many SPICE calls", pictures=[("success over calls", _curves(compared))])
        )
    return parts


def decision(result: Mapping[str, Any], folder: Path, title: str) -> None:
    """Write the page of what was decided."""
    content = json.loads((folder / DECISION).read_text(encoding="utf-8"))
    parts = [
        Part(text=f"{result['action'].capitalize()}: {result['reason']}."),
        evidence_part(content),
        figures({key: result[key] for key in ("nights", "level", "challenger_share", "champion_share")}),
    ]
    write_page(folder, f"{title}: {result['action']}", parts)


def evidence_part(content: Mapping[str, Any]) -> Part:
    """The table of what all nights found of a challenger, from ``decision.json``."""
    rows = [_tally_row(name, Tally(**counts)) for name, counts in content["classes"].items()]
    heading = f"Version {content['version']} beside the champion, version {content['champion_version']}"
    return Part(heading=heading, columns=("class, all nights", *_COUNTS), rows=rows)


def _class_parts(item: Mapping[str, Any]) -> list[Part]:
    if not item["quantities"]:
        return []
    moved = [
        (
            name,
            " to ".join(number(value) for value in each["requested"]),
            " to ".join(number(value) for value in each["trained"]),
            f"{each['distance']:.2f}",
            f"{each['probability']:.2g}",
            "moved" if each["moved"] else "",
        )
        for name, each in item["quantities"].items()
    ]
    columns = ("quantity", "asked for, middle 80 %", "trained on, middle 80 %", "distance", "probability", "")
    parts = [Part(heading=f"{item['class']}: asked for beside trained on", columns=columns, rows=moved)]
    bands = [(name, f"{met} of {of}") for name, (met, of) in item["bands"].items()]
    parts.append(Part(columns=("band", "requests met"), rows=bands))
    if item["bounds"]:
        bounds = [(name, f"{count:,}") for name, count in item["bounds"].items()]
        parts.append(Part(columns=("bound", "missed by the best design"), rows=bounds))
    return parts


def _tally_row(name: str, tally: Tally) -> tuple[str, ...]:
    counts = (tally.specifications, tally.both, tally.wins, tally.losses, tally.neither)
    return (name, *(f"{count:,}" for count in counts))


def _curves(compared: Sequence[Compared]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 3.2), layout="constrained")
    axes = figure.subplots()
    for origin, style in (("requested", "-"), ("held out", "--")):
        own = [item for item in compared if item.origin == origin]
        if not own:
            continue
        for who, colour in (("challenger", "#c0392b"), ("champion", "#1f5fa8")):
            first = sorted(calls for item in own if (calls := getattr(item, who)) is not None)
            steps = [0, *first, max([*first, 2])]
            shares = [100.0 * min(index, len(first)) / len(own) for index in range(len(steps) - 1)]
            axes.step(
                steps, [*shares, shares[-1]], where="post", color=colour, linestyle=style, label=f"{who}, {origin}"
            )
    axes.set(xlabel="SPICE calls", ylabel="met (%)", xscale="symlog", ylim=(0, 102))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    content = io.BytesIO()
    figure.savefig(content, format="svg")
    return picture(content.getvalue(), "svg+xml")
