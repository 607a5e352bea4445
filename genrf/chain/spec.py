"""What a receiver must do: `ChainSpec`, from YAML.

The same style as a circuit's specification (`genrf.spec`): figures of the whole, then the blocks in signal order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genrf import classes
from genrf.chain.budget import FILTER_LOSS_DB, MIXER_GAIN_DB, Demand, Figures, allocate
from genrf.conditions import Conditions, Constraint
from genrf.errors import InvalidInputError
from genrf.fields import mapping, quantity, read_yaml, refuse_unknown
from genrf.spec import DesignSpec

CLASSES = ("filter", "lna", "mixer")
"""Classes that a chain can be made of; a mixer comes last."""
GAIN_WINDOW_DB = 3.0
"""How far above its share an active block's gain may be: what comes after it has to stand the larger signal."""
LEAST_MATCH_DB = 10.0
"""Return loss asked of a block's ports unless the specification says otherwise: a budget assumes matched blocks."""

_CONDITIONS = ("frequency", "supply", "source_impedance", "load_impedance", "temperature", "corner")
_TOTALS = {"gain_db": "dB", "nf_db": "dB", "iip3_dbm": "dBm", "power_w": "W"}
_OPTIONAL = ("power_w",)


@dataclass(frozen=True, kw_only=True)
class BlockSpec:
    """One block of a chain."""

    circuit_class: str
    demand: Demand
    constraints: tuple[Constraint, ...] = ()
    """Bounds of the user's own, in the place of the budget's on the same metric."""


@dataclass(frozen=True, kw_only=True)
class ChainSpec:
    """A receiver: conditions, figures of the whole, and blocks in signal order."""

    name: str
    conditions: Conditions
    total: Figures
    blocks: tuple[BlockSpec, ...]

    def __post_init__(self) -> None:
        if len(self.blocks) < 2:
            raise InvalidInputError("blocks: a chain has at least two blocks")
        kinds = [block.circuit_class for block in self.blocks]
        if "mixer" in kinds[:-1]:
            raise InvalidInputError("blocks: a mixer must be the last block: the others work at the chain's frequency")
        if "lna" not in kinds:
            raise InvalidInputError("blocks: a chain needs an lna")

    def budget(self, designed: Sequence[Figures] = ()) -> list[Figures]:
        """What each block may do.

        Args:
            designed: what the first blocks turned out to do; the others share what these leave.

        Raises:
            InvalidInputError: naming the field, if the totals cannot be shared out.
        """
        demands = [block.demand for block in self.blocks]
        return allocate(self.total, demands, self.conditions.temperature_c + 273.15, designed)

    def block_specs(self, budget: Sequence[Figures]) -> list[DesignSpec]:
        """One specification a block: its budget where its class measures that, matched ports, the class's requirements,
        and the user's own bounds."""
        return [
            DesignSpec(
                circuit_class=block.circuit_class,
                conditions=self.conditions,
                constraints=_constraints(block, share),
                name=f"{self.name}_{number}_{block.circuit_class}",
            )
            for number, (block, share) in enumerate(zip(self.blocks, budget, strict=True), start=1)
        ]

    @classmethod
    def from_yaml(cls, path: Path) -> ChainSpec:
        """Read a chain's file.

        Raises:
            InvalidInputError: naming file and field.
        """
        content = read_yaml(path)
        try:
            return cls.from_dict(content, path.stem)
        except InvalidInputError as error:
            raise InvalidInputError(f"{path}: {error}") from error

    @classmethod
    def from_dict(cls, content: Any, name: str = "chain") -> ChainSpec:
        """Build a chain from plain data.

        Raises:
            InvalidInputError: naming the field, for a missing, unknown or malformed one.
        """
        content = mapping("the chain", content)
        refuse_unknown(content, {"name", "blocks", *_CONDITIONS, *_TOTALS}, "")
        for required in ("frequency", "supply", *_TOTALS, "blocks"):
            if required not in content and required not in _OPTIONAL:
                raise InvalidInputError(f"{required}: missing")
        totals = {key: quantity(key, content[key], unit) for key, unit in _TOTALS.items() if key in content}
        for key in ("nf_db", "power_w"):
            if key in totals and totals[key] <= 0.0:
                raise InvalidInputError(f"{key}: expected a number above 0, got {totals[key]:g}")
        if not isinstance(content["blocks"], list):
            raise InvalidInputError(f"blocks: expected a list, got {content['blocks']!r}")
        conditions = {key: content[key] for key in _CONDITIONS if key in content}
        blocks = tuple(_block(f"blocks[{index}]", block, conditions) for index, block in enumerate(content["blocks"]))
        chain = cls(
            name=str(content.get("name", name)),
            conditions=DesignSpec.from_dict({"class": "lna", **conditions}).conditions,
            total=Figures(**totals),
            blocks=blocks,
        )
        # What cannot be shared out is a mistake in the file, and said before anything is generated.
        chain.budget()
        return chain


def _block(where: str, content: Any, conditions: dict[str, Any]) -> BlockSpec:
    content = mapping(where, content)
    refuse_unknown(content, {"class", "gain_db", "share", "constraints"}, f"{where}.")
    circuit_class = content.get("class")
    if circuit_class not in CLASSES:
        raise InvalidInputError(f"{where}.class: expected one of {', '.join(CLASSES)}, got {circuit_class!r}")
    gain = quantity(f"{where}.gain_db", content["gain_db"], "dB") if "gain_db" in content else None
    if gain is None:
        gain = {"filter": -FILTER_LOSS_DB, "mixer": MIXER_GAIN_DB}.get(circuit_class)
    passive = circuit_class == "filter"
    if passive and gain is not None and gain > 0.0:
        raise InvalidInputError(f"{where}.gain_db: a filter has no gain, got {gain:g}")
    if passive and "share" in content:
        raise InvalidInputError(f"{where}.share: a filter's noise is its loss, so it takes no share")
    share = quantity(f"{where}.share", content.get("share", 1.0), "")
    if not share > 0.0:
        raise InvalidInputError(f"{where}.share: expected a number above 0, got {share:g}")
    given = {"class": circuit_class, **conditions, "constraints": content.get("constraints")}
    try:
        constraints = DesignSpec.from_dict(given).constraints
    except InvalidInputError as error:
        raise InvalidInputError(f"{where}.{error}" if str(error).startswith("constraints") else str(error)) from error
    return BlockSpec(
        circuit_class=circuit_class,
        demand=Demand(passive=passive, gain_db=gain, share=share),
        constraints=constraints,
    )


def _constraints(block: BlockSpec, share: Figures) -> tuple[Constraint, ...]:
    definition = classes.get(block.circuit_class)
    wanted = [
        Constraint("gain_db", ">=", share.gain_db),
        Constraint("gain_db", "<=", share.gain_db + GAIN_WINDOW_DB),
        Constraint("conversion_gain_db", ">=", share.gain_db),
        Constraint("conversion_gain_db", "<=", share.gain_db + GAIN_WINDOW_DB),
        Constraint("insertion_loss_db", "<=", -share.gain_db),
        Constraint("s11_db", "<=", -LEAST_MATCH_DB),
        Constraint("s22_db", "<=", -LEAST_MATCH_DB),
        Constraint("return_loss_db", ">=", LEAST_MATCH_DB),
    ]
    if not block.demand.passive:
        if share.nf_db is not None:
            wanted.append(Constraint("nf_db", "<=", share.nf_db))
        if share.iip3_dbm is not None:
            wanted.append(Constraint("iip3_dbm", ">=", share.iip3_dbm))
        if share.power_w is not None:
            wanted.append(Constraint("power_w", "<=", share.power_w))
    wanted += definition.requirements
    own = {constraint.metric for constraint in block.constraints}
    measured = [constraint for constraint in wanted if constraint.metric in definition.metrics]
    return (*block.constraints, *(constraint for constraint in measured if constraint.metric not in own))
