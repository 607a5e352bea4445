"""What is remembered of one search: the specification without its name, who designed, how it went."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from genrf import classes
from genrf.circuit.canonical import fingerprint
from genrf.errors import InvalidInputError
from genrf.feedback import checks
from genrf.metrics import current_name
from genrf.objects.batch import time_of
from genrf.spec import DesignSpec

if TYPE_CHECKING:
    from genrf.generation.design import Design, DesignResult

BEST = 3
"""Designs of a search that are remembered."""
Source = Literal["command line", "server"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelVersion:
    """The models that designed."""

    bundle: str
    """SHA-256 of the bundle's manifest, as in a design's provenance."""
    name: str | None = None
    """Of the registered model, if they came from a registry."""
    version: str | None = None
    """Of the registered model."""

    @classmethod
    def parse(cls, content: Any) -> Self:
        """Read what `SearchRecord.content` has of it.

        Raises:
            InvalidInputError: naming the field.
        """
        given = checks.mapping("model", content)
        found = cls(
            bundle=checks.text("model.bundle", given.get("bundle"), _SHA256, "the SHA-256 of a bundle's manifest"),
            name=checks.optional_text("model.name", given.get("name")),
            version=checks.optional_text("model.version", given.get("version")),
        )
        if (found.name is None) != (found.version is None):
            raise InvalidInputError(f"model: expected name and version or neither, got {checks.shown(content)}")
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class RememberedDesign:
    """One of a search's best designs."""

    metrics: dict[str, float]
    """As simulated."""
    met: bool
    margin: float | None
    """Worst relative slack; None if the specification bounds nothing."""
    fingerprint: str
    """Of the topology, see `genrf.circuit.canonical.fingerprint`."""
    source: str
    """Where the circuit came from: "generator", "precedent, descended", "refinement" and the like."""

    @classmethod
    def of_design(cls, design: Design) -> Self:
        """What is remembered of a design."""
        return cls(
            metrics=dict(design.metrics),
            met=design.met,
            margin=design.margin if math.isfinite(design.margin) else None,
            fingerprint=fingerprint(design.circuit.topology),
            source=str(design.provenance["source"]),
        )

    @classmethod
    def parse(cls, where: str, content: Any, circuit_class: str) -> Self:
        """Read what `SearchRecord.content` has of it.

        Raises:
            InvalidInputError: naming the field.
        """
        given = checks.mapping(where, content)
        vocabulary = classes.get(circuit_class).metrics
        metrics = {
            current_name(name): value
            for name, value in checks.mapping(f"{where}.metrics", given.get("metrics")).items()
        }
        for name in metrics:
            if name not in vocabulary:
                raise InvalidInputError(f"{where}.metrics.{name[:80]}: not a metric of class {circuit_class}")
        margin = given.get("margin")
        return cls(
            metrics={name: checks.number(f"{where}.metrics.{name}", value) for name, value in metrics.items()},
            met=checks.flag(f"{where}.met", given.get("met")),
            margin=None if margin is None else checks.number(f"{where}.margin", margin),
            fingerprint=checks.text(
                f"{where}.fingerprint", given.get("fingerprint"), _FINGERPRINT, "16 hexadecimal digits"
            ),
            source=checks.text(f"{where}.source", given.get("source"), checks.WORDS, "words of small letters"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchRecord:
    """One search: what was asked, of which models, and what came of it."""

    id: str
    """Made once a search, so that a record that is written twice counts once."""
    time: datetime
    """When the search ended, in UTC."""
    source: Source
    """Who asked."""
    specification: dict[str, Any]
    """As `DesignSpec.to_dict` gives it, without its name, which its author chose: all else is numbers and words of ours."""
    circuit_class: str
    model: ModelVersion
    variant: str
    """Precision of the models: fp32, fp16, int8 or mixed."""
    calls: int
    """SPICE calls allowed."""
    simulated: int
    """SPICE calls spent."""
    first_met: int | None
    """How many calls it took to meet the specification; None if it was not met."""
    met: bool
    designs: tuple[RememberedDesign, ...]
    """The best, in order."""
    failed: dict[str, int]
    """Calls that gave no metrics, by cause."""
    seconds: float
    """Wall time of the search."""

    @classmethod
    def of_result(
        cls,
        result: DesignResult,
        *,
        source: Source,
        model: ModelVersion,
        variant: str,
        calls: int,
        seconds: float | None = None,
    ) -> Self:
        """The record of a search that has just ended.

        Args:
            calls: SPICE calls that were allowed, those of refinement included.
            seconds: wall time; by default the sum of the search's stages.
        """
        return cls(
            id=uuid.uuid4().hex,
            time=datetime.now(UTC),
            source=source,
            specification=without_name(result.spec),
            circuit_class=result.spec.circuit_class,
            model=model,
            variant=variant,
            calls=calls,
            simulated=result.simulated,
            first_met=result.first_met,
            met=result.first_met is not None,
            designs=tuple(RememberedDesign.of_design(design) for design in result.designs[:BEST]),
            failed=dict(result.failed),
            seconds=sum(result.seconds.values()) if seconds is None else seconds,
        )

    def content(self) -> dict[str, Any]:
        """Plain data that `parse` reads back to an equal record."""
        plain = asdict(self)
        return {**plain, "time": self.time.isoformat(), "designs": list(plain["designs"])}

    @classmethod
    def parse(cls, content: Mapping[str, Any]) -> Self:
        """Read a record, every field of which is checked; fields that a later version may add are left out.

        Raises:
            InvalidInputError: naming the field that is missing or not as it must be.
        """
        for field in fields(cls):
            if field.name not in content:
                raise InvalidInputError(f"{field.name}: missing")
        specification, circuit_class = _specification(content["specification"]), content["circuit_class"]
        if specification["class"] != circuit_class:
            raise InvalidInputError(
                f"circuit_class: expected {specification['class']} as in the specification, got {checks.shown(circuit_class)}"
            )
        simulated, first = checks.count("simulated", content["simulated"]), content["first_met"]
        if first is not None and not 1 <= checks.count("first_met", first, 1) <= simulated:
            raise InvalidInputError(f"first_met: expected none, or from 1 to the {simulated} simulated, got {first}")
        if checks.flag("met", content["met"]) != (first is not None):
            raise InvalidInputError(f"met: {content['met']}, but first_met is {first}")
        failed = {
            checks.text("failed", cause, checks.WORD, "causes of one word"): checks.count(f"failed.{cause}", count)
            for cause, count in checks.mapping("failed", content["failed"]).items()
        }
        if sum(failed.values()) > simulated:
            raise InvalidInputError(f"failed: {sum(failed.values())} calls of {simulated} simulated")
        designs = content["designs"]
        if not isinstance(designs, list):
            raise InvalidInputError(f"designs: expected a list, got {checks.shown(designs)}")
        return cls(
            id=checks.text("id", content["id"], _ID, "32 hexadecimal digits"),
            time=time_of(content),
            source=checks.one_of("source", content["source"], get_args(Source)),
            specification=specification,
            circuit_class=circuit_class,
            model=ModelVersion.parse(content["model"]),
            variant=checks.text("variant", content["variant"], checks.WORD, "one word"),
            calls=checks.count("calls", content["calls"], 1),
            simulated=simulated,
            first_met=first,
            met=first is not None,
            designs=tuple(
                RememberedDesign.parse(f"designs.{number}", design, circuit_class)
                for number, design in enumerate(designs, start=1)
            ),
            failed=failed,
            seconds=checks.number("seconds", content["seconds"], least=0.0),
        )


def without_name(spec: DesignSpec) -> dict[str, Any]:
    """A specification as plain data without the one text that its author chose."""
    return {key: value for key, value in spec.to_dict().items() if key != "name"}


_ID = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")


def _specification(content: Any) -> dict[str, Any]:
    given = checks.mapping("specification", content)
    if "name" in given:
        raise InvalidInputError("specification.name: is kept by no record, as a name may be personal; take it out")
    try:
        return without_name(DesignSpec.from_dict(given))
    except (InvalidInputError, ArithmeticError) as error:
        raise InvalidInputError(f"specification: {error}") from error
