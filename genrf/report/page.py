"""The HTML report of one run: a single file that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genrf import classes
from genrf.circuit.devices import KINDS
from genrf.fields import quantity_text
from genrf.files import written_whole
from genrf.page_style import HEAD
from genrf.report.refinement import front_text, refinement_text
from genrf.report.second import HEADINGS, comparison_cells, comparison_notes
from genrf.report.table import NOT_MEASURED, bound_text, constraints_on, metric_columns, missed_text
from genrf.report.values import metric_text, value_text
from genrf.signoff import compared

if TYPE_CHECKING:
    from genrf.generation.design import Design, DesignResult

_TEMPLATE = (
    HEAD
    + """tr.specification td { color: #1f5fa8; border-bottom: 2px solid #999; }
.met { color: #1d7a3e; }
.missed { color: #b3261e; }
.quiet { color: #777; }
figure { margin: 1em 0; }
img { max-width: 100%; }
.values { columns: 3; max-width: 50em; padding: 0; list-style: none; }
</style>
</head>
<body>
<h1>{{ title }}</h1>
<p>{{ conditions }}</p>
<p class="{{ 'met' if met else 'missed' }}">{{ verdict }}</p>
<p>{{ effort }}</p>
<table>
<tr>
  <th>design</th>
  {% for name in columns %}<th>{{ name }}</th>{% endfor %}
  <th>met</th><th>Pareto</th><th>SPICE call</th>
</tr>
<tr class="specification">
  <td>specification</td>
  {% for bound in bounds %}<td>{{ bound }}</td>{% endfor %}
  <td></td><td></td><td></td>
</tr>
{% for row in rows %}
<tr>
  <td>{% if row.anchor %}<a href="#{{ row.anchor }}">{{ row.number }}</a>{% else %}{{ row.number }}{% endif %}</td>
  {% for cell in row.cells %}<td class="{{ cell.mark }}">{{ cell.text }}</td>{% endfor %}
  <td class="{{ 'met' if row.met else 'missed' }}">{{ 'yes' if row.met else 'no' }}</td>
  <td>{{ '●' if row.pareto else '' }}</td>
  <td class="quiet">{{ row.order }}</td>
</tr>
{% endfor %}
</table>
<p class="quiet">{{ marked }}</p>
{% if front %}
<h2>Refinement</h2>
<p>{{ refinement }}</p>
<figure><img alt="Pareto front before and after refinement" src="{{ front }}"></figure>
{% endif %}
{% for drawn in drawings %}
<h2 id="{{ drawn.anchor }}">Design {{ drawn.number }}</h2>
<figure><img alt="Schematic of design {{ drawn.number }}" src="{{ drawn.schematic }}"></figure>
<figure><img alt="Measured curves of design {{ drawn.number }}" src="{{ drawn.performance }}"></figure>
<ul class="values">
{% for name, value in drawn.values_of_devices %}<li><b>{{ name }}</b> {{ value }}</li>{% endfor %}
</ul>
{% if drawn.signed %}
<h3>Sign-off in two simulators</h3>
<table>
<tr>{% for heading in headings %}<th>{{ heading }}</th>{% endfor %}</tr>
{% for row in drawn.signed.rows %}
<tr class="{{ 'missed' if row.differs else '' }}">{% for cell in row.cells %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</table>
{% for note in drawn.signed.notes %}<p class="quiet">{{ note }}</p>{% endfor %}
{% endif %}
<p class="quiet">{{ drawn.provenance }}</p>
{% endfor %}
</body>
</html>
"""
)


@dataclass(frozen=True)
class Pictures:
    """Files of one design that the report shows."""

    schematic: Path
    performance: Path


def write_page(
    path: Path, result: DesignResult, pictures: Sequence[Pictures], front: Path | None = None, shown: int = 20
) -> None:
    """Write the report.

    Args:
        pictures: SVG files of the first designs, in the result's order.
        front: SVG file of the Pareto front, of a refined result.
        shown: most rows of the table.
    """
    from jinja2 import Environment, StrictUndefined

    spec = result.spec
    definition = classes.get(spec.circuit_class)
    columns = metric_columns(spec, [design.metrics for design in result.designs])
    met = sum(design.met for design in result.designs)
    if met:
        verdict = f"{met} of {len(result.designs)} simulated designs meet the specification."
    elif result.designs:
        verdict = f"No design meets the specification. The closest: {missed_text(spec, result.designs[0].metrics)}."
    else:
        verdict = "No design could be simulated."
    failed = sum(result.failed.values())
    causes = ", ".join(f"{count} {cause.replace('_', ' ')}" for cause, count in sorted(result.failed.items()))
    conditions = spec.conditions
    text = Environment(autoescape=True, undefined=StrictUndefined).from_string(_TEMPLATE).render(
        title=f"{spec.name}: {definition.title}",
        conditions=(
            f"{quantity_text(conditions.frequency_hz, 'Hz')}, supply {conditions.supply_v:g} V, "
            f"source {conditions.source_ohm:g} Ω, load {conditions.load_ohm:g} Ω, "
            f"{conditions.temperature_c:g} °C, corner {conditions.corner}"
        ),
        met=bool(met),
        verdict=verdict,
        effort=(
            f"{result.simulated} circuits simulated, {failed} of them failed{f' ({causes})' if causes else ''}; "
            f"{sum(result.seconds.values()):.2f} s."
        ),
        marked=f"● marks {front_text(result)}.",
        front="" if front is None else _data(front),
        refinement="" if front is None else f"{refinement_text(result)}.",
        headings=HEADINGS,
        columns=columns,
        bounds=[bound_text(spec, name) for name in columns],
        rows=[
            _row(number, design, result, columns, len(pictures))
            for number, design in enumerate(result.designs[:shown], start=1)
        ],
        drawings=[
            {
                "number": number,
                "anchor": f"design-{number}",
                "schematic": _data(files.schematic),
                "performance": _data(files.performance),
                "values_of_devices": _values(design),
                "signed": _signed(result, number),
                "provenance": ", ".join(f"{key} {value}" for key, value in design.provenance.items()),
            }
            for number, (design, files) in enumerate(zip(result.designs, pictures, strict=False), start=1)
        ],
    )  # fmt: skip
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _row(number: int, design: Design, result: DesignResult, columns: Sequence[str], drawn: int) -> dict[str, object]:
    vocabulary = classes.get(result.spec.circuit_class).metrics
    cells = []
    for name in columns:
        bounds = constraints_on(result.spec, name)
        if name not in design.metrics:
            cells.append({"text": NOT_MEASURED, "mark": "quiet"})
            continue
        value = design.metrics[name]
        mark = "" if not bounds else "met" if all(c.slack(value) >= 0.0 for c in bounds) else "missed"
        cells.append({"text": metric_text(vocabulary[name], value), "mark": mark})
    return {
        "number": number,
        "anchor": f"design-{number}" if number <= drawn else "",
        "cells": cells,
        "met": design.met,
        "pareto": design.pareto,
        "order": design.provenance.get("order", ""),
    }


def _signed(result: DesignResult, number: int) -> dict[str, object]:
    """Both simulators on a design, counted from 1; nothing unless both have been asked."""
    signed = result.signed_off[number - 1] if number <= len(result.signed_off) else None
    if signed is None or signed.second is None:
        return {}
    rows = compared(result.spec.circuit_class, signed.first, signed.second)
    return {
        "rows": [{"cells": comparison_cells(row), "differs": row.differs} for row in rows],
        "notes": comparison_notes(signed.first, signed.second),
    }


def _values(design: Design) -> list[tuple[str, str]]:
    topology = design.circuit.topology
    triples = zip(topology.designators, topology.devices, design.circuit.values, strict=True)
    order = list(KINDS)
    named = sorted(triples, key=lambda triple: order.index(triple[1].kind))
    return [(designator, value_text(device.kind, value)) for designator, device, value in named]


def _data(path: Path) -> str:
    """An SVG file as a data URI, so that identifiers of several pictures cannot clash."""
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
