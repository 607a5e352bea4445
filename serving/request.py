"""What a caller may ask for: a specification, and how much to search for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from genrf.errors import InvalidInputError
from genrf.fields import mapping, refuse_unknown
from genrf.generation.objectives import choose_objectives
from genrf.spec import DesignSpec

LARGEST_SPECIFICATION = 65536
"""Bytes of JSON that are read."""
LONGEST_NAME = 200
LIMITS: Mapping[str, tuple[int, int, int]] = {
    "calls": (64, 1, 1024),
    "refine": (0, 0, 1024),
    "seed": (0, 0, 2**32 - 1),
    "designs": (1, 1, 64),
}
"""Default, smallest and largest value of each number: a request cannot keep the server busy for long."""
OPTIONS = (*LIMITS, "all_calls", "objectives")


@dataclass(frozen=True, kw_only=True)
class DesignRequest:
    """A request that has been understood."""

    spec: DesignSpec
    calls: int = LIMITS["calls"][0]
    """SPICE calls allowed."""
    refine: int = 0
    """Further calls for a better trade-off."""
    objectives: tuple[str, ...] = ()
    """Metrics that refinement trades; empty for those of the class."""
    seed: int = 0
    designs: int = LIMITS["designs"][0]
    """Designs that are answered."""
    all_calls: bool = False
    """Whether every call is spent to find more margin; otherwise the search ends once the specification is met."""

    @classmethod
    def of(cls, spec: DesignSpec, options: Mapping[str, Any], where: str = "") -> Self:
        """Understand the options beside a specification.

        Args:
            where: what stands before an option's name in an error.

        Raises:
            InvalidInputError: naming the option, its value and the known ones.
        """
        refuse_unknown(options, set(OPTIONS), where)
        all_calls = options.get("all_calls", False)
        if not isinstance(all_calls, bool):
            raise InvalidInputError(f"{where}all_calls: expected true or false, got {str(all_calls)[:80]!r}")
        numbers = {name: _number(f"{where}{name}", name, options.get(name, own[0])) for name, own in LIMITS.items()}
        objectives = options.get("objectives", ())
        if not isinstance(objectives, (list, tuple)) or not all(isinstance(name, str) for name in objectives):
            raise InvalidInputError(f"{where}objectives: expected a list of metrics, got {objectives!r}")
        if objectives and not numbers["refine"]:
            raise InvalidInputError(
                f"{where}objectives: only refinement trades metrics; set refine to a number of calls"
            )
        if numbers["refine"]:
            choose_objectives(spec, objectives)
        return cls(spec=spec, objectives=tuple(objectives), all_calls=all_calls, **numbers)

    @classmethod
    def parse(cls, content: Any) -> Self:
        """Understand a request in plain JSON: ``{"specification": {...}, "calls": 64, ...}``.

        Raises:
            InvalidInputError: naming the field.
        """
        given = mapping("the request", content)
        if "specification" not in given:
            raise InvalidInputError("specification: missing")
        spec = read_specification("specification", given["specification"])
        return cls.of(spec, {name: value for name, value in given.items() if name != "specification"})

    def content(self) -> dict[str, Any]:
        """Plain data that `parse` reads back to an equal request."""
        return {
            "specification": self.spec.to_dict(),
            **{name: getattr(self, name) for name in (*LIMITS, "all_calls")},
            "objectives": list(self.objectives),
        }

    @property
    def allowed(self) -> int:
        """SPICE calls allowed in all."""
        return self.calls + self.refine

    def key(self, models: Mapping[str, Any]) -> str:
        """Name of the answer, from all that decides it: equal requests of the same models have equal answers.

        Args:
            models: what a designing process says of itself: bundle, versions of program and process, provider.
        """
        decisive = json.dumps([dict(models), self.content()], sort_keys=True)
        return hashlib.sha256(decisive.encode()).hexdigest()[:32]


def read_specification(where: str, content: Any) -> DesignSpec:
    """A specification of a request; its name stands in files and pictures, so it is a short line of text.

    Raises:
        InvalidInputError: naming the field, behind ``where``.
    """
    try:
        spec = DesignSpec.from_dict(content)
    except InvalidInputError as error:
        raise InvalidInputError(f"{where}: {error}") from error
    if len(spec.name) > LONGEST_NAME or not spec.name.isprintable():
        raise InvalidInputError(f"{where}: name: expected at most {LONGEST_NAME} printable characters")
    return spec


def _number(where: str, name: str, value: Any) -> int:
    _, low, high = LIMITS[name]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInputError(f"{where}: expected a whole number from {low} to {high}, got {str(value)[:80]!r}")
    return value
