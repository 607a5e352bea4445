"""What the steps of a night hand on to each other, as files in their output folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from genrf.errors import CheckpointError
from genrf.files import write_json
from genrf.spec import DesignSpec

NEED = "need.json"
COMPARISON = "comparison.json"
DECISION = "decision.json"
CHAMPION_FOLDER = "champion"
CHALLENGER_FOLDER = "challenger"
ROWS_FOLDER = "rows"

Action = Literal["nothing", "retrain", "judge"]
"""What a night does: nothing, train a challenger and judge it, or go on judging the one that is held."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """What was decided at the beginning of a night."""

    action: Action
    reason: str
    night: str
    """When it began, ISO 8601."""
    champion: Mapping[str, Any]
    """``version``, ``identity`` and ``data_version``."""
    challenger: Mapping[str, Any] | None
    """``version`` of the one that is held, and the ``judged`` specifications."""
    classes: tuple[Mapping[str, Any], ...]
    """What is known of each, as the report shows it."""
    targets: Mapping[str, list[DesignSpec]]
    """Missed requests by class, for which data are made."""
    judges: Mapping[str, list[DesignSpec]]
    """Requests by class that judge."""
    requests: tuple[str, ...]
    """Ids of the records that led to the decision."""
    poisoned: tuple[str, ...]
    """Lines of the log that are no records."""

    def write(self, folder: Path) -> None:
        """Write ``need.json``."""
        content = {
            **{name: getattr(self, name) for name in ("action", "reason", "night", "champion", "challenger")},
            "classes": list(self.classes),
            "targets": _plain(self.targets),
            "judges": _plain(self.judges),
            "requests": list(self.requests),
            "poisoned": list(self.poisoned),
        }
        write_json(folder / NEED, content)

    @classmethod
    def read(cls, folder: Path) -> Need:
        """Read ``need.json``.

        Raises:
            CheckpointError: if it is missing or malformed.
        """
        content = _read(folder / NEED)
        try:
            return cls(
                **{name: content[name] for name in ("action", "reason", "night", "champion", "challenger")},
                classes=tuple(content["classes"]),
                targets=_specs(content["targets"]),
                judges=_specs(content["judges"]),
                requests=tuple(content["requests"]),
                poisoned=tuple(content["poisoned"]),
            )
        except (KeyError, TypeError) as error:
            raise CheckpointError(
                f"{folder / NEED}: not what a night decided ({error!r}); begin the night again"
            ) from error


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A specification that champion and challenger both tried."""

    id: str
    circuit_class: str
    origin: Literal["held out", "requested"]
    champion: int | None
    """Calls until it was met; none if it was not."""
    challenger: int | None

    @property
    def outcome(self) -> tuple[bool, bool]:
        """Whether the champion met it, and whether the challenger did."""
        return self.champion is not None, self.challenger is not None


def write_comparison(folder: Path, compared: list[Compared], more: Mapping[str, Any]) -> None:
    """Write ``comparison.json``."""
    names = ("id", "circuit_class", "origin", "champion", "challenger")
    outcomes = [{name: getattr(item, name) for name in names} for item in compared]
    write_json(folder / COMPARISON, {**more, "outcomes": outcomes})


def read_comparison(folder: Path) -> tuple[list[Compared], dict[str, Any]]:
    """Read ``comparison.json``: the outcomes, and all else.

    Raises:
        CheckpointError: if it is missing or malformed.
    """
    content = _read(folder / COMPARISON)
    try:
        return [Compared(**item) for item in content.pop("outcomes")], content
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / COMPARISON}: not a comparison ({error!r}); judge again") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}); begin the night again") from error


def _plain(specs: Mapping[str, list[DesignSpec]]) -> dict[str, list[dict[str, Any]]]:
    return {name: [spec.to_dict() for spec in own] for name, own in specs.items()}


def _specs(content: Mapping[str, Any]) -> dict[str, list[DesignSpec]]:
    return {name: [DesignSpec.from_dict(item) for item in own] for name, own in content.items()}
