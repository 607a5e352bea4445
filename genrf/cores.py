"""How many cores there are for this process: a container is given fewer than its node has, and cannot see that by counting."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

from genrf.errors import InvalidInputError

LIMIT = "GENRF_CORES"
"""Environment variable: cores to use at most, such as those that a pod asked its node for."""
CGROUP = Path("/sys/fs/cgroup")


def cores(cgroup: Path = CGROUP) -> int:
    """Cores that this process may use: by its affinity, its container's quota and the environment, whichever says fewest.

    Args:
        cgroup: where the control groups of this process are mounted.

    Raises:
        InvalidInputError: if the environment's number is not a whole one above 0.
    """
    return min(len(os.sched_getaffinity(0)), *_quota(cgroup), granted() or sys.maxsize)


def granted() -> int | None:
    """Cores that the environment grants this process; none where it says nothing.

    Raises:
        InvalidInputError: if that is not a whole number above 0.
    """
    limit = os.environ.get(LIMIT)
    if not limit:
        return None
    if not limit.isdecimal() or int(limit) < 1:
        raise InvalidInputError(f"{LIMIT}: expected a number of cores, 1 or more, got {limit!r}")
    return int(limit)


def _quota(cgroup: Path) -> list[int]:
    """Cores worth of time that the control group grants, of version 2 or 1; nothing where it grants all."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota, period = ((cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        except OSError:
            return []
    try:
        share = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max"
        return []
    return [math.ceil(share)] if share > 0 else []
