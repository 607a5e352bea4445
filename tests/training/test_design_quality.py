"""The benchmark of design quality, run for real on a few specifications: killed, limited and continued it ends the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from genrf import classes
from training.comparison.quality.journal import Journal
from training.data.specifications import read_specifications

ROOT = Path(__file__).parents[2]
HELD_OUT = ROOT / "benchmarks" / "held_out.json"


def command(prepared: Path, folder: Path, *more: str) -> list[str]:
    return [
        sys.executable,
        str(ROOT / "benchmarks" / "design_quality.py"),
        *("--prepared", str(prepared), "--work", str(folder / "work"), "--output", str(folder / "result.json")),
        *("--classes", "lna", "--levels", "exact", "--specifications", "3", "--calls", "40", "--factors", "1", "3"),
        *("--methods", "retrieval", "random", "cma-es", "--processes", "2"),
        *more,
    ]


def trials(folder: Path) -> dict[str, object]:
    entries = Journal(folder / "work" / "trials.jsonl").entries
    return {key: (e.method, e.name, e.first_met, e.simulated, e.failed, e.gains) for key, e in entries.items()}


@pytest.mark.slow
def test_killed_and_continued_it_makes_the_same_trials(prepared: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    finished = subprocess.run(command(prepared, whole), capture_output=True, text=True, timeout=200, check=True)
    line = json.loads(finished.stdout.splitlines()[-1])
    assert line["trials"] == line["planned"] == 3 * 4
    result = json.loads((whole / "result.json").read_text())
    assert {(e["method"], e["calls"]) for e in result["entries"]} == {
        ("retrieval", 40),
        ("random", 40),
        ("cma-es", 40),
        ("cma-es", 120),
    }
    for entry in result["entries"]:
        assert entry["specifications"] == 3
        assert entry["simulated"] <= 3 * entry["calls"]
    assert (whole / "result_lna.png").exists()

    journal = parts / "work" / "trials.jsonl"
    started = subprocess.Popen(command(prepared, parts), start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 100
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= 2) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    journal.write_bytes(journal.read_bytes()[:-5])
    limited = subprocess.run(
        command(prepared, parts, "--minutes", "0.05"), capture_output=True, text=True, timeout=200, check=True
    )
    assert json.loads(limited.stdout.splitlines()[-1])["trials"] <= 12
    subprocess.run(command(prepared, parts), capture_output=True, timeout=200, check=True)
    assert trials(parts) == trials(whole)
    assert not list((parts / "work" / "unfinished").glob("*"))


def test_the_repository_keeps_specifications_that_need_no_dataset(tmp_path: Path) -> None:
    kept = Counter((item.spec.circuit_class, item.level) for item in read_specifications(HELD_OUT))
    assert {kept[name, level] for name in classes.names() for level in ("exact", "tightened")} == {200}
    assert all(kept[name, "frontier"] >= 50 for name in classes.names())
    alone = [
        *(sys.executable, str(ROOT / "benchmarks" / "design_quality.py"), "--work", str(tmp_path / "work")),
        *("--output", str(tmp_path / "result.json"), "--classes", "filter", "--levels", "exact"),
        *("--specifications", "2", "--calls", "8", "--factors", "1", "--methods", "retrieval", "random"),
    ]
    subprocess.run(alone, capture_output=True, timeout=100, check=True)
    result = json.loads((tmp_path / "result.json").read_text())
    assert [(entry["method"], entry["specifications"]) for entry in result["entries"]] == [("random", 2)]
    assert "hypervolume" not in result


def test_a_wrong_number_of_calls_is_refused(prepared: Path, tmp_path: Path) -> None:
    wrong = command(prepared, tmp_path, "--calls", "lna=few")
    finished = subprocess.run(wrong, capture_output=True, text=True, timeout=100)
    assert finished.returncode != 0
    assert "--calls: expected a number above 0 or class=number, got 'lna=few'" in finished.stderr
    assert "Traceback" not in finished.stderr
