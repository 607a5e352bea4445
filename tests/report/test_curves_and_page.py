"""Plots show the bounds, tables the verdict, and the report needs no other file."""

from __future__ import annotations

import io
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console

from genrf import classes
from genrf.generation.design import Design, DesignResult, ranked
from genrf.metrics import Metrics
from genrf.report.curves import plot_performance
from genrf.report.page import Pictures, write_page
from genrf.report.table import design_table, metric_columns, missed_text
from genrf.report.values import metric_text, value_text
from genrf.simulation.testbench import Curve, Trace
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


INPUT_DBM = np.linspace(-30.0, 0.0, 11)
TRACES = {
    "output_power_dbm": Trace(INPUT_DBM, INPUT_DBM + 10.0, "input power (dBm)", "output power (dBm)"),
    "tuning": Trace(np.linspace(0.0, 1.8, 5), np.linspace(27e9, 29e9, 5), "tuning voltage (V)", "frequency (Hz)"),
    "phase_noise": Trace(
        np.geomspace(1e4, 1e8, 9), np.linspace(-60.0, -140.0, 9), "offset frequency (Hz)", "noise (dBc/Hz)", log_x=True
    ),
}


def texts(path: Path) -> set[str]:
    return {element.text for element in ElementTree.parse(path).iter() if element.text and element.text.strip()}


def test_traces_have_panels_beside_the_curves_over_frequency(tmp_path: Path) -> None:
    frequency = np.linspace(14e9, 42e9, 21)
    curves = {name: Curve(frequency, np.full(21, 0.1 + 0.1j)) for name in ("s11", "s12", "s21", "s22")}
    plot_performance(curves, SPEC, GOOD, [tmp_path / "narrow.svg"], "curves only")
    plot_performance(curves | TRACES, SPEC, GOOD, [tmp_path / "wide.svg"], "with traces")
    assert {"Frequency (GHz)", "Input power (dBm)", "Output power (dBm)", "Tuning voltage (V)"} <= texts(
        tmp_path / "wide.svg"
    )
    assert "Input power (dBm)" not in texts(tmp_path / "narrow.svg")
    width = [float(ElementTree.parse(tmp_path / name).getroot().get("width", "0").removesuffix("pt"))
             for name in ("narrow.svg", "wide.svg")]  # fmt: skip
    assert width[1] > 1.4 * width[0]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_traces_are_drawn_without_any_curve_over_frequency(tmp_path: Path, count: int) -> None:
    traces = dict(list(TRACES.items())[:count])
    path = tmp_path / "traces.svg"
    plot_performance(traces, SPEC, GOOD, [path], "no S-parameters")
    shown = texts(path)
    for trace in traces.values():
        assert trace.x_label.capitalize()[:8] in {text[:8] for text in shown}
    assert "S-parameters (dB)" not in shown
    assert "gain 17.00 dB" in " ".join(shown)


def test_radio_frequencies_of_a_trace_are_in_gigahertz(tmp_path: Path) -> None:
    path = tmp_path / "tuning.svg"
    plot_performance({"tuning": TRACES["tuning"]}, SPEC, GOOD, [path])
    assert {"Frequency (GHz)", "28.0"} <= texts(path)


def test_metrics_that_were_not_measured_are_left_out_of_a_plot(tmp_path: Path) -> None:
    path = tmp_path / "some.svg"
    plot_performance(TRACES, SPEC, Metrics({"gain_db": 17.0}), [path])
    assert "gain 17.00 dB" in texts(path)


FILTER = DesignSpec.from_dict(
    {"class": "filter", "frequency": "10 GHz", "supply": "1.8 V", "constraints": {"insertion_loss_db": {"max": 3}}}
)


@pytest.mark.parametrize(("loss_db", "colour"), [(2.0, "#27864a"), (4.0, "#c0392b")])
def test_a_bound_on_a_loss_is_drawn_on_the_transmission(tmp_path: Path, loss_db: float, colour: str) -> None:
    curve = Curve(np.linspace(5e9, 15e9, 11), np.full(11, 10 ** (-loss_db / 20) + 0j))
    plot_performance({"s21": curve}, FILTER, Metrics({"insertion_loss_db": loss_db}), [tmp_path / "bound.svg"])
    assert colour in (tmp_path / "bound.svg").read_text()


def signed_off() -> tuple[DesignSpec, str]:
    """A specification of a class that has sign-off metrics, and one of them."""
    definition = classes.get("vco")
    name = next(name for name, metric in definition.metrics.items() if metric.signoff)
    return DesignSpec.from_dict({"class": "vco", "frequency": "28 GHz", "supply": "1.8 V"}), name


def test_sign_off_metrics_have_a_column_only_if_measured_or_bounded() -> None:
    spec, name = signed_off()
    labels = dict.fromkeys(classes.get("vco").label_metrics, 1.0)
    assert name not in metric_columns(spec, [labels])
    assert name in metric_columns(spec, [labels, labels | {name: -90.0}])
    bounded = DesignSpec.from_dict(spec.to_dict() | {"constraints": {name: {"max": -80.0}}})
    assert name in metric_columns(bounded, [labels])


def test_a_table_shows_a_dash_for_what_was_not_measured() -> None:
    spec, name = signed_off()
    labels = dict.fromkeys(classes.get("vco").label_metrics, 1.0)
    designs = [
        Design(circuit=CASCODE, metrics=Metrics(metrics), met=True, margin=0.0)
        for metrics in (labels, labels | {name: -90.0})
    ]
    stream = io.StringIO()
    Console(file=stream, width=300).print(design_table(designs, spec))
    first, second = (line for line in stream.getvalue().splitlines() if re.match(r"\s*[12] ", line))
    assert "–" in first
    assert "–" not in second


def test_an_unmeasured_bound_is_named_as_such() -> None:
    known = {name: value for name, value in GOOD.items() if name != "nf_db"}
    assert missed_text(SPEC, known) == "nf_db has not been measured"
