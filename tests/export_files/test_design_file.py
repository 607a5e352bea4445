"""A design written as JSON is the same design when it is read, and a damaged file says where it is damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from genrf.circuit.topology import Circuit, Device, Topology
from genrf.errors import InvalidInputError
from genrf.export.design_file import design_content, read_design, write_design
from genrf.generation.design import Design
from genrf.metrics import Metrics
from genrf.spec import DesignSpec
from tests.amplifiers import ALL, MATCHED_28GHZ, SPECIFICATION_28GHZ

SPEC = DesignSpec.from_dict(SPECIFICATION_28GHZ)
METRICS = Metrics(
    {"gain_db": 16.25, "nf_db": 1 / 3, "s11_db": -11.0, "s22_db": -10.5, "power_w": 0.0123456789012345, "mu_min": 1.01}
)


def design_of(circuit: Circuit, metrics: Metrics = METRICS) -> Design:
    return Design(
        circuit=circuit,
        metrics=metrics,
        met=SPEC.meets(metrics),
        margin=SPEC.worst_margin(metrics),
        pareto=True,
        provenance={"seed": 7, "order": 3, "source": "generator"},
    )


@pytest.mark.parametrize("name", ALL)
def test_reads_back_to_an_equal_design_and_specification(name: str, tmp_path: Path) -> None:
    design = design_of(ALL[name])
    write_design(tmp_path / "design.json", design, SPEC)
    again, spec = read_design(tmp_path / "design.json")
    assert again.circuit == design.circuit
    assert dict(again.metrics) == dict(design.metrics)
    assert (again.met, again.margin, again.pareto) == (design.met, design.margin, True)
    assert again.provenance == design.provenance
    assert spec == SPEC


def test_says_which_unit_every_value_has() -> None:
    devices = design_content(design_of(MATCHED_28GHZ), SPEC)["circuit"]["devices"]
    names = {device["kind"]: set(device) - {"designator", "kind", "nets"} for device in devices}
    assert names == {
        "inductor": {"inductance_h"},
        "capacitor": {"capacitance_f"},
        "resistor": {"resistance_ohm"},
        "hbt": {"emitters"},
        "bias_voltage": {"voltage_v"},
    }


def test_works_the_verdict_out_again(tmp_path: Path) -> None:
    content = design_content(design_of(MATCHED_28GHZ), SPEC)
    content["metrics"]["gain_db"] = 1.0
    (tmp_path / "edited.json").write_text(json.dumps(content))
    design, _ = read_design(tmp_path / "edited.json")
    assert not design.met
    assert design.margin < 0.0


def _without(*path: Any) -> Any:
    def change(content: dict[str, Any]) -> None:
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return change


def _with(value: Any, *path: Any) -> Any:
    def change(content: dict[str, Any]) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_with(2, "version"), "version: this program reads version 1, got 2"),
        (_with("netlist", "format"), "format: expected 'genrf-design'"),
        (_without("circuit"), "circuit.circuit: missing"),
        (_without("circuit", "devices", 2, "inductance_h"), "circuit.devices[2].inductance_h: missing"),
        (_with("valve", "circuit", "devices", 0, "kind"), "circuit.devices[0].valve: missing or unknown"),
        (_with("low", "circuit", "devices", 0, "inductance_h"), "circuit.devices[0]: malformed"),
        (_with("4 GHz/s", "specification", "frequency"), "specification.frequency"),
        (_without("metrics", "nf_db"), "metrics.nf_db: missing"),
        (_with(None, "provenance"), "provenance: expected a mapping, got None"),
        (_with({"technology": "cmos1"}, "provenance"), "provenance.technology: unknown process 'cmos1'; known: sg13g2"),
    ],
)
def test_names_file_and_field_of_what_is_wrong(change: Any, named: str, tmp_path: Path) -> None:
    content = design_content(design_of(MATCHED_28GHZ), SPEC)
    change(content)
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InvalidInputError) as caught:
        read_design(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert named in message
    assert "\n" not in message


def test_says_that_a_file_is_no_json_or_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "half.json").write_text('{"format": "genrf-des')
    with pytest.raises(InvalidInputError, match="not valid JSON"):
        read_design(tmp_path / "half.json")
    with pytest.raises(InvalidInputError, match="cannot be read: No such file"):
        read_design(tmp_path / "none.json")


def test_an_oscillator_that_was_not_signed_off_reads_back_as_one_that_misses(tmp_path: Path) -> None:
    """Only those that meet the estimate are signed off; the others are written all the same."""
    bounds = {"phase_noise_dbc_hz": {"max": -100}, "frequency_error_percent": {"max": 1}}
    content = {"class": "vco", "frequency": "10 GHz", "supply": 2.5, "constraints": bounds}
    spec = DesignSpec.from_dict(content)
    metrics = Metrics({"phase_noise_estimate_dbc_hz": -97.0, "frequency_error_percent": 0.5})
    circuit = Circuit(Topology("vco", (Device("resistor", ("out", "tune")),)), (50.0,))
    design = Design(circuit=circuit, metrics=metrics, met=False, margin=spec.worst_margin(metrics))
    write_design(tmp_path / "design.json", design, spec)
    again, _ = read_design(tmp_path / "design.json")
    assert (again.met, again.margin) == (False, design.margin)
    with pytest.raises(InvalidInputError, match=r"metrics\.phase_noise_dbc_hz: missing"):
        (tmp_path / "design.json").write_text((tmp_path / "design.json").read_text().replace("_estimate_", "_guess_"))
        read_design(tmp_path / "design.json")
