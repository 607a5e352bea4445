"""Finished trials, one a line of a file that only grows, so that an interrupted run loses nothing and goes on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from genrf import pareto
from genrf.errors import InvalidInputError
from training.comparison.quality.tasks import Group, Task
from training.evaluation.hypervolume import useful_gains
from training.evaluation.trials import Trial

DIGITS = 6
"""Significant digits of the trade-offs that are kept."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A trial that is over."""

    key: str
    circuit_class: str
    level: str
    name: str
    method: str
    calls: int
    """SPICE calls that it might have spent."""
    identity: str
    first_met: int | None
    """SPICE calls until the specification was met; none if it was not."""
    simulated: int
    failed: dict[str, int]
    seconds: float
    gains: list[list[float]]
    """Specification metrics of the useful circuits on the trial's front, signed so that larger is better."""
    machine: str
    error: str | None = None
    """Why the method gave up, if it did; it then counts as one that did not meet the specification."""

    @property
    def group(self) -> Group:
        """What it is compared within."""
        return self.circuit_class, self.level, self.method, self.calls

    def trial(self) -> Trial:
        """What is counted."""
        return Trial(
            method=self.method,
            circuit_class=self.circuit_class,
            level=self.level,
            name=self.name,
            first_met=self.first_met,
            simulated=self.simulated,
            failed=self.failed,
            seconds=self.seconds,
        )


def entry_of(task: Task, trial: Trial, machine: str, error: str | None = None) -> Entry:
    """The line of a trial that is over."""
    gains = useful_gains(trial.circuit_class, trial.metrics)
    # Those that another dominates add nothing to a hypervolume.
    front = gains[pareto.front(gains)]
    return Entry(
        key=task.key,
        circuit_class=trial.circuit_class,
        level=trial.level,
        name=trial.name,
        method=task.method,
        calls=task.calls,
        identity=task.identity,
        first_met=trial.first_met,
        simulated=trial.simulated,
        failed=trial.failed,
        seconds=round(trial.seconds, 3),
        gains=[[float(f"{value:.{DIGITS}g}") for value in row] for row in front],
        machine=machine,
        error=error,
    )


class Journal:
    """The file of finished trials.

    Args:
        path: of the file; made with the first trial.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.entries: dict[str, Entry] = {}
        """Finished trials by their tasks' keys."""
        for number, line in enumerate(self._lines(), start=1):
            content = self._parse(line, number)
            if content is not None:
                self.entries[content["key"]] = Entry(**content)

    def add(self, entry: Entry) -> None:
        """Append a trial."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+b") as file:
            # What a kill cut off stays a line of its own.
            if file.tell() > 0:
                file.seek(-1, 2)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(json.dumps(asdict(entry), separators=(",", ":")).encode() + b"\n")
        self.entries[entry.key] = entry

    def _lines(self) -> list[str]:
        try:
            return self._path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []

    def _parse(self, line: str, number: int) -> dict[str, Any] | None:
        """A line's content; none if it was cut off."""
        try:
            content = json.loads(line)
        except ValueError:
            return None
        expected = {field.name for field in fields(Entry)}
        if not isinstance(content, dict) or content.keys() != expected:
            raise InvalidInputError(
                f"{self._path}, line {number}: not a trial of this version; give another folder with --work"
            )
        return content
