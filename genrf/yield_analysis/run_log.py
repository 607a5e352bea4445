"""The file that runs are kept in as they end, so that a study that was killed goes on where it stopped.

JSON lines: the first says what the runs depend on, each other one is a run, in order. Lines are appended in whole
blocks; what a kill has left of a block is cut off when the file is opened again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from genrf.errors import InvalidInputError
from genrf.files import written_whole
from genrf.metrics import Metrics
from genrf.simulation.outcome import Failure, Outcome

FORMAT = "genrf-yield-runs"
VERSION = 1


class RunLog:
    """The runs of one study.

    Args:
        path: the file; made if it does not exist.
        identity: what the runs depend on, see `YieldStudy.identity`.
        overwrite: forget the runs of a file that exists.

    Raises:
        InvalidInputError: if the file holds runs of something else, or is none of ours.
    """

    def __init__(self, path: Path, identity: dict[str, Any], *, overwrite: bool = False) -> None:
        self._path = path
        self.outcomes: list[Outcome] = []
        """Those of the runs so far, by number."""
        header = {"format": FORMAT, "version": VERSION, **json.loads(json.dumps(identity))}
        if overwrite or not path.exists():
            with written_whole(path) as temporary:
                temporary.write_text(json.dumps(header) + "\n", encoding="utf-8")
            return
        content = path.read_bytes()
        lines = content.splitlines(keepends=True)
        self._check(lines[0] if lines else b"", header)
        kept = len(lines[0])
        for line in lines[1:]:
            outcome = _outcome(line, len(self.outcomes))
            if outcome is None:
                break
            self.outcomes.append(outcome)
            kept += len(line)
        if kept < len(content):
            os.truncate(path, kept)

    def append(self, outcomes: Iterable[Outcome]) -> None:
        """Add the runs that follow the last one; they are on the disk when this returns."""
        added = list(outcomes)
        lines = [_line(number, outcome) for number, outcome in enumerate(added, start=len(self.outcomes))]
        with self._path.open("ab") as file:
            file.write("".join(lines).encode())
            file.flush()
            os.fsync(file.fileno())
        self.outcomes += added

    def _check(self, first: bytes, header: dict[str, Any]) -> None:
        remedy = "choose another folder with --output or start again with --force"
        try:
            found = json.loads(first)
        except ValueError:
            found = None
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise InvalidInputError(f"{self._path}: holds no yield runs; {remedy}")
        for key in [*header, *found]:
            if header.get(key) != found.get(key):
                was, now = found.get(key), header.get(key)
                values = "" if key == "design" else f" ({was} there, {now} now)"
                raise InvalidInputError(f"{self._path}: holds runs with another {key}{values}; {remedy}")


def _line(number: int, outcome: Outcome) -> str:
    content: dict[str, Any] = {"run": number}
    if outcome.metrics is not None:
        content["metrics"] = dict(outcome.metrics)
    elif outcome.failure is not None:
        content["failure"] = {"cause": outcome.failure.cause, "detail": outcome.failure.detail}
    return json.dumps(content, allow_nan=False) + "\n"


def _outcome(line: bytes, number: int) -> Outcome | None:
    """The run of that number; none if the line is not all there."""
    try:
        content = json.loads(line) if line.endswith(b"\n") else None
        if content is None or content["run"] != number:
            return None
        if "metrics" in content:
            return Outcome(Metrics(content["metrics"]))
        return Outcome(None, Failure(content["failure"]["cause"], content["failure"]["detail"]))
    except (ValueError, KeyError, TypeError):
        return None
