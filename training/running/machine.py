"""The machine and the commit that something ran on, for the record of what was measured there."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from collections import Counter
from pathlib import Path

from genrf.cores import cores

COMMIT = "GENRF_COMMIT"
"""Environment variable: commit of the code, for images that hold no repository."""


CODE = "GENRF_CODE"
"""Environment variable: keeps finished steps while code is edited that cannot change them; the default is a hash."""
SOURCES = ("genrf", "training", "components", "pipelines")


def describe() -> str:
    """Processor, cores that this process may use, and GPUs that PyTorch sees; PyTorch is not loaded for that alone."""
    parts = [f"{cores()} cores of {_processor()}"]
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


def code_identity() -> str:
    """Identity of the code for what is kept of earlier runs: the environment's, else that of the files."""
    return os.environ.get(CODE) or code_hash()


def code_hash(root: Path | None = None) -> str:
    """Hash of the code that steps run, and of the versions in the locks."""
    root = root or Path(__file__).parents[2]
    digest = hashlib.sha256()
    files = [path for name in SOURCES for path in (root / name).rglob("*.py")]
    for path in sorted([*files, *(root / "locks").glob("*.lock")]):
        digest.update(str(path.relative_to(root)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's model as Linux names it, else its architecture."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.machine()
