"""The machine and the commit that something ran on, for the record of what was measured there."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections import Counter
from pathlib import Path

COMMIT = "GENRF_COMMIT"
"""Environment variable: commit of the code, for images that hold no repository."""


def describe() -> str:
    """Processor, cores that this process may use, and GPUs that PyTorch sees; PyTorch is not loaded for that alone."""
    parts = [f"{len(os.sched_getaffinity(0))} cores of {_processor()}"]
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        names = Counter(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
        parts += [f"{count} x {name}" for name, count in names.items()]
    return ", ".join(parts)


def commit() -> str:
    """The commit of the code, with ``-dirty`` where files differ from it; ``unknown`` where there is no repository."""
    if os.environ.get(COMMIT):
        return os.environ[COMMIT]
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--match="],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:  # no git
        return "unknown"
    return described.stdout.strip() or "unknown"


def _processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's model as Linux names it, else its architecture."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.machine()
