"""Measured S-parameters as a Touchstone file, through scikit-rf."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genrf.files import written_whole
from genrf.simulation.testbench import Curve, Trace

if TYPE_CHECKING:
    from genrf.conditions import Conditions

_SCATTERING = re.compile(r"s(\d)(\d)")


def scattering_of(curves: Mapping[str, Curve | Trace]) -> dict[str, Curve]:
    """The S-parameters among curves; none if they are not those of all port pairs."""
    found = {n: c for n, c in curves.items() if _SCATTERING.fullmatch(n) and not isinstance(c, Trace)}
    ports = sum(name[1] == name[2] for name in found)
    return found if len(found) == ports**2 else {}


def write_touchstone(path: Path, curves: Mapping[str, Curve], conditions: Conditions, comments: str = "") -> None:
    """Write S-parameters, referred to the impedances that they were measured with.

    Equal port impedances give a file of version 1.0, which every tool reads; unequal ones need version 2.0.

    Args:
        path: named ``.sNp`` for N ports.
        curves: ``s11`` ... ``sNN``, complex, all at the same frequencies; other curves are left out.
        conditions: source impedance at port 1, load impedance at the others, in Ohm.
        comments: lines that open the file.

    Raises:
        ValueError: if a parameter is missing or the suffix does not fit the number of ports.
    """
    import skrf

    ports = max((int(match[1]) for name in curves if (match := _SCATTERING.fullmatch(name))), default=0)
    if ports == 0 or path.suffix != f".s{ports}p":
        raise ValueError(f"{path.name}: S-parameters of {ports} ports belong in a file called .s{ports}p")
    s = np.array(
        [[curves[f"s{i}{j}"].values for j in range(1, ports + 1)] for i in range(1, ports + 1)]
    )  # (N, N, points)
    z0 = np.array([conditions.source_ohm] + [conditions.load_ohm] * (ports - 1))
    network = skrf.Network(
        frequency=skrf.Frequency.from_f(curves["s11"].frequency_hz, unit="hz"),
        s=s.transpose(2, 0, 1),  # (points, N, N)
        z0=np.tile(z0, (s.shape[2], 1)),
        comments=comments,
    )
    text = network.write_touchstone(
        path.stem,
        return_string=True,
        skrf_comment=False,
        form="ri",
        version="1.0" if np.all(z0 == z0[0]) else "2.0",
        format_spec_A="{:.9g}",
        format_spec_B="{:.9g}",
        format_spec_freq="{:.12g}",
    )
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
