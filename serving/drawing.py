"""What can be had of a design besides its values: netlist, Touchstone, pictures, report; made when somebody asks."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from genrf.errors import InvalidInputError
from genrf.export.design_file import write_design
from genrf.export.folder import provenance_lines, write_netlist
from genrf.export.touchstone import scattering_of, write_touchstone
from genrf.generation.design import Design, DesignResult
from genrf.simulation.testbench import Curve, Trace
from genrf.spec import DesignSpec

Curves = Mapping[str, Curve | Trace]


def _design(design: Design, spec: DesignSpec, curves: Curves, folder: Path) -> Path:
    write_design(folder / "design.json", design, spec)
    return folder / "design.json"


def _netlist(design: Design, spec: DesignSpec, curves: Curves, folder: Path) -> Path:
    write_netlist(folder / "netlist.spice", design, spec)
    return folder / "netlist.spice"


def _touchstone(design: Design, spec: DesignSpec, curves: Curves, folder: Path) -> Path:
    scattering = scattering_of(curves)
    if not scattering:
        raise InvalidInputError(f"touchstone: designs of class {spec.circuit_class} have no S-parameters")
    path = folder / f"s_parameters.s{math.isqrt(len(scattering))}p"
    write_touchstone(path, scattering, spec.conditions, "\n".join(provenance_lines(design, spec)))
    return path


def _performance(design: Design, spec: DesignSpec, curves: Curves, folder: Path) -> Path:
    from genrf.report.curves import plot_performance

    plot_performance(curves, spec, design.metrics, [folder / "performance.svg"], spec.name)
    return folder / "performance.svg"


def _schematic(design: Design, spec: DesignSpec, curves: Curves, folder: Path) -> Path:
    from genrf.report.schematic import write_schematic

    path = folder / "schematic.svg"
    write_schematic(design.circuit, path, supply_v=spec.conditions.supply_v, title=spec.name)
    return path


def _report(design: Design, spec: DesignSpec, curves: Curves, folder: Path) -> Path:
    from genrf.report.page import Pictures, write_page

    pictures = Pictures(_schematic(design, spec, curves, folder), _performance(design, spec, curves, folder))
    write_page(folder / "report.html", DesignResult.of_one(spec, design), [pictures])
    return folder / "report.html"


DRAWINGS: Mapping[str, tuple[str, Callable[[Design, DesignSpec, Curves, Path], Path]]] = {
    "design.json": ("application/json", _design),
    "netlist.spice": ("text/plain", _netlist),
    "touchstone": ("text/plain", _touchstone),
    "performance.svg": ("image/svg+xml", _performance),
    "schematic.svg": ("image/svg+xml", _schematic),
    "report.html": ("text/html", _report),
}
"""Name -> media type, and what writes it into a folder."""
UNMEASURED = ("schematic.svg",)
"""Those that say nothing of what was measured."""


def drawn(what: str, design: Design, spec: DesignSpec, curves: Curves) -> dict[str, str]:
    """One of `DRAWINGS` of a design that was simulated, unless it is `UNMEASURED`: file name, media type, and content in base64.

    Raises:
        InvalidInputError: if the design has none such.
    """
    media, write = DRAWINGS[what]
    with TemporaryDirectory(prefix="genrf-") as folder:
        path = write(design, spec, curves, Path(folder))
        return {"name": path.name, "media": media, "content": base64.b64encode(path.read_bytes()).decode()}


def plain_curves(curves: Curves) -> dict[str, Any]:
    """Measured curves as plain data: ``x`` with its label, and ``values``, or ``re`` and ``im`` of complex ones; what is
    not finite becomes null."""
    plain: dict[str, Any] = {}
    for name, curve in curves.items():
        if isinstance(curve, Curve):
            axes = {"x": _finite(curve.frequency_hz), "x_label": "frequency (Hz)", "y_label": name, "log_x": False}
        else:
            axes = {"x": _finite(curve.x), "x_label": curve.x_label, "y_label": curve.y_label, "log_x": curve.log_x}
        if np.iscomplexobj(curve.values):
            plain[name] = {**axes, "re": _finite(curve.values.real), "im": _finite(curve.values.imag)}
        else:
            plain[name] = {**axes, "values": _finite(curve.values)}
    return plain


def _finite(values: np.ndarray) -> list[float | None]:
    return [float(value) if math.isfinite(value) else None for value in np.asarray(values, dtype=float)]
