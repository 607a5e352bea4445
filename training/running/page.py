"""A step's report for people: one HTML file that needs nothing else.

Kubeflow's page shows it in a frame without access to anything (and of several such artifacts of one task only the first,
KFP 2.17's `HTMLViewer`), so pictures are inside and each step has one report.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from genrf.files import written_whole
from genrf.page_style import HEAD

FILE = "report.html"
"""Name of a step's report in its output folder."""
_TEMPLATE = (
    HEAD
    + """img { max-width: 100%; }
</style>
</head>
<body>
<h1>{{ title }}</h1>
{% for part in parts %}
{% if part.heading %}<h2>{{ part.heading }}</h2>{% endif %}
{% if part.text %}<p>{{ part.text }}</p>{% endif %}
{% if part.rows %}
<table>
<tr>{% for name in part.columns %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in part.rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</table>
{% endif %}
{% for name, source in part.pictures %}<p><img alt="{{ name }}" src="{{ source }}"></p>{% endfor %}
{% endfor %}
</body>
</html>
"""
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One section: a heading, then text, a table and pictures, each where there is one."""

    heading: str = ""
    text: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    pictures: Sequence[tuple[str, str]] = ()
    """What each shows, and its content as `picture` gives it."""


def picture(content: bytes, kind: Literal["png", "svg+xml"]) -> str:
    """The content of an image file as a URL that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def figures(values: Mapping[str, Any]) -> Part:
    """A table of names and values."""
    rows = [(name.replace("_", " "), number(value)) for name, value in values.items()]
    return Part(columns=("figure", "value"), rows=rows)


def number(value: Any) -> str:
    """A value with four digits if it is a fraction, in whole otherwise."""
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)


def write_page(folder: Path, title: str, parts: Sequence[Part]) -> None:
    """Write the report of a step into its output folder."""
    from jinja2 import Environment, StrictUndefined

    text = Environment(autoescape=True, undefined=StrictUndefined).from_string(_TEMPLATE)
    with written_whole(folder / FILE) as temporary:
        temporary.write_text(text.render(title=title, parts=parts), encoding="utf-8")
