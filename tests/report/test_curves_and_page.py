"""Plots show the bounds, tables the verdict, and the report needs no other file."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from genrf.generation.design import Design, DesignResult, ranked
from genrf.metrics import Metrics
from genrf.report.curves import plot_performance
from genrf.report.page import Pictures, write_page
from genrf.report.table import design_table, missed_text
from genrf.report.values import metric_text, value_text
from genrf.simulation.testbench import Curve
from genrf.spec import DesignSpec
from tests.amplifiers import CASCODE, MATCHED_28GHZ, SPECIFICATION_28GHZ

SPEC = DesignSpec.from_dict(SPECIFICATION_28GHZ)
GOOD = Metrics({"gain_db": 17.0, "nf_db": 2.5, "s11_db": -12, "s22_db": -11, "power_w": 0.0109, "mu_min": 1.03})
BAD = Metrics({"gain_db": 21.0, "nf_db": 4.25, "s11_db": -12, "s22_db": -4, "power_w": 0.0209, "mu_min": 1.0})
MISSED = (
    "nf_db <= 3.00 dB is missed by 1.25 dB (reached 4.25 dB); s22_db <= -10.00 dB is missed by 6.00 dB "
    "(reached -4.00 dB); power_w <= 15 mW is missed by 5.9 mW (reached 20.9 mW)"
)


def result(*metrics: Metrics) -> DesignResult:
    designs = [
        Design(
            circuit=circuit,
            metrics=its,
            met=SPEC.meets(its),
            margin=SPEC.worst_margin(its),
            provenance={"order": order, "source": "<script>"},
        )
        for order, (circuit, its) in enumerate(zip((CASCODE, MATCHED_28GHZ), metrics, strict=False), start=1)
    ]
    met = [design.provenance["order"] for design in designs if design.met]
    return DesignResult(
        spec=SPEC,
        designs=ranked(designs, SPEC),
        simulated=8,
        failed={"no_convergence": 6},
        first_met=met[0] if met else None,
        seconds={"spice": 0.5},
    )


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("inductor", 1.234e-10, "123 pH"),
        ("capacitor", 4e-14, "40 fF"),
        ("resistor", 22000.0, "22 kΩ"),
        ("hbt", 8.0, "×8"),
        ("bias_voltage", 0.8768, "0.877 V"),
    ],
)
def test_values_are_written_as_engineers_write_them(kind: str, value: float, text: str) -> None:
    assert value_text(kind, value) == text


def test_metrics_are_written_with_their_unit() -> None:
    from genrf import classes

    vocabulary = classes.get("lna").metrics
    assert metric_text(vocabulary["gain_db"], 17.126) == "17.13 dB"
    assert metric_text(vocabulary["power_w"], 0.01234) == "12.3 mW"
    assert metric_text(vocabulary["bandwidth_hz"], 3.17e9) == "3.17 GHz"
    assert metric_text(vocabulary["mu_min"], 1.0334) == "1.033"


def test_says_which_constraint_is_missed_and_by_how_much() -> None:
    assert missed_text(SPEC, BAD) == MISSED
    assert missed_text(SPEC, GOOD) == ""


def test_table_colours_each_metric_by_its_own_bound() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, color_system="standard", width=200)
    console.print(design_table(result(BAD, GOOD).designs, SPEC))
    green, red = "\x1b[32m", "\x1b[31m"
    first, second = (line for line in stream.getvalue().splitlines() if re.match(r"\s*[12] ", line))
    assert f"{green}17.00" in first
    assert red not in first
    assert f"{green}21.00" in second
    assert f"{red}4.25" in second
    assert f"{red}20.9 mW" in second


def test_table_fits_a_terminal_of_80_columns() -> None:
    stream = io.StringIO()
    Console(file=stream, width=80).print(design_table(result(BAD, GOOD).designs, SPEC))
    text = stream.getvalue()
    assert "…" not in text
    assert len([line for line in text.splitlines() if re.match(r"\s*(bound|1|2) ", line)]) == 3, "nothing is wrapped"


def plotted(path: Path, metrics: Metrics) -> str:
    frequency = np.linspace(14e9, 42e9, 21)
    curves = {name: Curve(frequency, np.full(21, 0.1 + 0.1j)) for name in ("s11", "s12", "s21", "s22")}
    plot_performance(curves | {"nf_db": Curve(frequency, np.linspace(2, 4, 21))}, SPEC, metrics, [path], "an amplifier")
    return path.read_text(encoding="utf-8")


def test_plot_names_axes_and_marks_bounds_as_met_or_missed(tmp_path: Path) -> None:
    good = plotted(tmp_path / "good.svg", GOOD)
    for text in ("Frequency (GHz)", "S-parameters (dB)", "NF (dB)", "S21", "an amplifier"):
        assert text in good
    bad = plotted(tmp_path / "bad.svg", BAD)
    red = "#c0392b"
    assert bad.count(red) > good.count(red), "missed bounds are red"


def test_plot_of_the_same_numbers_is_the_same_file(tmp_path: Path) -> None:
    assert plotted(tmp_path / "a.svg", GOOD) == plotted(tmp_path / "b.svg", GOOD)


def page(tmp_path: Path, shown: DesignResult) -> str:
    picture = tmp_path / "picture.svg"
    picture.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    write_page(tmp_path / "report.html", shown, [Pictures(picture, picture)])
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_report_is_one_file_with_table_pictures_and_verdict(tmp_path: Path) -> None:
    text = page(tmp_path, result(BAD, GOOD))
    assert "1 of 2 simulated designs meet the specification." in text
    assert "8 circuits simulated, 6 of them failed (6 no convergence)" in text
    assert text.count("data:image/svg+xml;base64,") == 2
    assert not re.search(r'(src|href)="(?!data:|#)', text), "nothing is fetched from elsewhere"
    assert '<td class="missed">4.25 dB</td>' in text
    assert '<td class="met">2.50 dB</td>' in text
    assert text.count("●") == 3, "one mark a Pareto design and one in the legend"
    assert "<script>" not in text, "texts are escaped"


def test_report_says_what_an_unmet_specification_lacks(tmp_path: Path) -> None:
    text = page(tmp_path, result(BAD))
    assert "No design meets the specification." in text
    assert "nf_db &lt;= 3.00 dB is missed by 1.25 dB" in text


def test_report_of_a_run_in_which_nothing_worked(tmp_path: Path) -> None:
    assert "No design could be simulated." in page(tmp_path, result())
