"""A design as JSON: specification, circuit with values, metrics, verdict and provenance; `read_design` reads it back.

The file stands for itself: whoever has it can simulate the same circuit under the same conditions again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genrf import classes, technology
from genrf.circuit.canonical import fingerprint
from genrf.circuit.devices import KINDS
from genrf.circuit.topology import Circuit, Device, Topology
from genrf.errors import InvalidInputError
from genrf.files import write_json
from genrf.generation.design import Design
from genrf.metrics import Metrics, current_measured
from genrf.spec import DesignSpec

FORMAT = "genrf-design"
VERSION = 1


def design_content(design: Design, spec: DesignSpec) -> dict[str, Any]:
    """A design as plain data, with the specification that it is held against."""
    topology = design.circuit.topology
    return {
        "format": FORMAT,
        "version": VERSION,
        "specification": spec.to_dict(),
        "circuit": {
            "class": topology.circuit_class,
            "fingerprint": fingerprint(topology),
            "devices": [
                {
                    "designator": designator,
                    "kind": device.kind,
                    "nets": dict(zip(KINDS[device.kind].terminals, device.nets, strict=True)),
                    KINDS[device.kind].value: value,
                }
                for designator, device, value in zip(
                    topology.designators, topology.devices, design.circuit.values, strict=True
                )
            ],
        },
        "metrics": dict(design.metrics),
        "met": design.met,
        "margin": design.margin if spec.constraints else None,
        "pareto": design.pareto,
        "provenance": design.provenance,
    }


def write_design(path: Path, design: Design, spec: DesignSpec) -> None:
    """Write a design as a JSON file."""
    write_json(path, design_content(design, spec))


def read_design(path: Path) -> tuple[Design, DesignSpec]:
    """Read a design and its specification.

    Raises:
        InvalidInputError: naming the file and field, if it cannot be read or is not a design of this version.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InvalidInputError(f"{path}: not valid JSON") from error
    try:
        return design_from_content(content)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error


def design_from_content(content: Any) -> tuple[Design, DesignSpec]:
    """The inverse of `design_content`.

    The verdict is worked out again from metrics and specification, so that an edited file cannot contradict itself.

    Raises:
        InvalidInputError: naming the field.
    """
    circuit, spec, provenance = parts_from_content(content)
    with _naming("metrics"):
        metrics = Metrics(current_measured(content["metrics"]))
    vocabulary = classes.get(spec.circuit_class).metrics
    # What misses its estimate is not signed off, and what misses anything else is not measured in a second simulator.
    missing = {
        c.metric
        for c in spec.constraints
        if not {c.metric, vocabulary[c.metric].estimate} & metrics.keys() and not vocabulary[c.metric].second
    }
    if missing:
        raise InvalidInputError(f"metrics.{min(missing)}: missing, although the specification bounds it")
    return Design.judged(circuit, metrics, spec, provenance, pareto=bool(content.get("pareto", False))), spec


def parts_from_content(content: Any) -> tuple[Circuit, DesignSpec, dict[str, Any]]:
    """Circuit, specification and provenance of a design whatever was measured of it, to measure it anew.

    Raises:
        InvalidInputError: naming the field.
    """
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InvalidInputError(f"format: expected {FORMAT!r}; give a design.json written by genrf generate")
    if content.get("version") != VERSION:
        raise InvalidInputError(f"version: this program reads version {VERSION}, got {content.get('version')!r}")
    with _naming("specification"):
        spec = DesignSpec.from_dict(content["specification"])
    with _naming("circuit"):
        circuit = _circuit(content["circuit"])
    if circuit.topology.circuit_class != spec.circuit_class:
        raise InvalidInputError(
            f"circuit.class: {circuit.topology.circuit_class!r}, but the specification is of {spec.circuit_class!r}"
        )
    provenance = content.get("provenance", {})
    if not isinstance(provenance, dict):
        raise InvalidInputError(f"provenance: expected a mapping, got {provenance!r}")
    with _naming("provenance"):
        technology.get(str(provenance.get("technology", technology.DEFAULT)))
    return circuit, spec, dict(provenance)


def _circuit(content: Mapping[str, Any]) -> Circuit:
    devices: list[Device] = []
    values: list[float] = []
    for index, entry in enumerate(content["devices"]):
        with _naming(f"devices[{index}]"):
            kind = KINDS[entry["kind"]]
            devices.append(Device(kind.name, tuple(str(entry["nets"][terminal]) for terminal in kind.terminals)))
            values.append(float(entry[kind.value]))
    return Circuit(Topology(str(content["class"]), tuple(devices)), tuple(values))


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """Turn whatever is wrong with a part of the file into an error that names the part."""
    try:
        yield
    except InvalidInputError as error:
        raise InvalidInputError(f"{where}.{error}") from error
    except KeyError as error:
        raise InvalidInputError(f"{where}.{error.args[0]}: missing or unknown") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidInputError(f"{where}: malformed: {error}") from error
