"""A design's folder holds what its measurement gave: Touchstone only with S-parameters, pictures always."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genrf.export.folder import PlotWorker, write_result
from genrf.generation.design import Design, DesignResult
from genrf.metrics import Metrics
from genrf.simulation.testbench import Curve, Trace
from genrf.spec import DesignSpec
from tests.amplifiers import COMMON_EMITTER, SPECIFICATION_28GHZ

SPEC = DesignSpec.from_dict(SPECIFICATION_28GHZ)
METRICS = Metrics({"gain_db": 17.0, "nf_db": 2.5, "s11_db": -12, "s22_db": -11, "power_w": 0.0109, "mu_min": 1.03})
TRACE = Trace(np.linspace(0.0, 70.0, 9), np.linspace(-0.3, 0.3, 9), "time (ps)", "output voltage (V)")
PARAMETERS = {name: Curve(np.linspace(14e9, 42e9, 5), np.full(5, 0.1 + 0.1j)) for name in ("s11", "s12", "s21", "s22")}
FILES = {"design.json", "netlist.spice", "performance.svg", "performance.png", "schematic.svg"}


@pytest.mark.parametrize(
    ("curves", "more"),
    [
        ({"waveform": TRACE}, set()),
        (PARAMETERS, {"s_parameters.s2p"}),
        ({**PARAMETERS, "waveform": TRACE}, {"s_parameters.s2p"}),
    ],
)
def test_touchstone_is_written_where_there_are_s_parameters(
    tmp_path: Path, curves: dict[str, Curve | Trace], more: set[str]
) -> None:
    design = Design(circuit=COMMON_EMITTER, metrics=METRICS, met=True, margin=0.1)
    result = DesignResult(spec=SPEC, designs=(design,), simulated=1, failed={}, first_met=1, seconds={"spice": 0.1})
    with PlotWorker() as plots:
        write_result(tmp_path / "out", result, [curves], plots)
    assert {path.name for path in (tmp_path / "out" / "design_1").iterdir()} == FILES | more
    assert (tmp_path / "out" / "report.html").is_file()
