"""The benchmark runs, compares like with like, and ends in one JSON line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "simulation.py"


@pytest.mark.slow
def test_benchmark_agrees_with_the_pdk_library() -> None:
    command = [sys.executable, str(BENCHMARK), "--circuits", "60", "--baseline-circuits", "6", "--workers", "1"]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    report = json.loads(finished.stdout.splitlines()[-1])
    assert report["circuits"] >= 6
    assert report["largest_s_parameter_difference"] < 1e-5
    assert report["largest_nf_difference_db"] < 1e-4
    assert report["ratio"] == pytest.approx(report["band_circuits_per_s"] / report["baseline_circuits_per_s"], rel=0.01)
