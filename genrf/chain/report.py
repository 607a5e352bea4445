"""A generated chain as a table and as a folder.

result.json                     specification, budget, figures of blocks and whole
netlist.spice                   the whole chain; runs in a plain ``ngspice -b``
before_mixer.spice              the part before a mixer, whose noise figure it prints
block_1_filter/design.json ...  each block's design, netlist and schematic, as `genrf generate` writes them
"""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrf import technology
from genrf.chain.budget import Figures, cascade
from genrf.chain.generate import ChainResult
from genrf.chain.joining import joined
from genrf.circuit.netlist import standalone_netlist
from genrf.export.design_file import write_design
from genrf.export.folder import write_netlist, written_folder
from genrf.fields import quantity_text
from genrf.files import write_json

if TYPE_CHECKING:
    from rich.table import Table

_COLUMNS = ("gain_db", "nf_db", "iip3_dbm", "power_w")


def chain_table(result: ChainResult) -> Table:
    """One row a block and two for the whole; each cell has what was budgeted and what was simulated."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(
        title=f"{result.spec.name}: budgeted → simulated",
        title_justify="left",
        header_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("", no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for number, block in enumerate(result.blocks, start=1):
        last = number == len(result.blocks)
        table.add_row(f"{number} {block.spec.circuit_class}", *_cells(block.budget, block.figures), end_section=last)
    table.add_row("blocks cascaded", *_cells(result.spec.total, result.from_blocks))
    table.add_row("one netlist", *_cells(result.spec.total, result.simulated))
    return table


def chain_content(result: ChainResult) -> dict[str, Any]:
    """A chain as plain data; an infinite intercept is null."""
    return {
        "name": result.spec.name,
        "conditions": asdict(result.spec.conditions),
        "asked": _plain(result.spec.total),
        "budgeted": _plain(cascade([block.budget for block in result.blocks])),
        "from_blocks": _plain(result.from_blocks),
        "simulated": None if result.simulated is None else _plain(result.simulated),
        "failure": result.failure,
        "met": not result.missed,
        "notes": list(result.notes),
        "blocks": [
            {
                "class": block.spec.circuit_class,
                "budget": _plain(block.budget),
                "figures": _plain(block.figures),
                "specification": block.spec.to_dict(),
                "met": block.design.met,
                "metrics": dict(block.design.metrics),
                "simulated": block.result.simulated,
                "failed": block.result.failed,
            }
            for block in result.blocks
        ],
    }


def write_chain(folder: Path, result: ChainResult, *, overwrite: bool = False) -> None:
    """Write a chain's folder.

    Raises:
        InvalidInputError: if the folder exists and may not be overwritten.
        OSError: if it cannot be written; nothing is left behind then.
    """
    from genrf.report.schematic import write_schematic

    conditions = result.spec.conditions
    process = technology.get(result.blocks[0].design.technology)
    with written_folder(folder, overwrite=overwrite) as temporary:
        for number, block in enumerate(result.blocks, start=1):
            place = temporary / f"block_{number}_{block.spec.circuit_class}"
            place.mkdir()
            write_design(place / "design.json", block.design, block.spec)
            write_netlist(place / "netlist.spice", block.design, block.spec)
            write_schematic(
                block.design.circuit, place / "schematic.svg", supply_v=conditions.supply_v, title=block.spec.name
            )
        whole = standalone_netlist(result.circuit, conditions, process)
        (temporary / "netlist.spice").write_text(whole, encoding="utf-8")
        if result.circuit.topology.circuit_class == "mixer":
            front = joined([block.design.circuit for block in result.blocks[:-1]], "lna")
            text = standalone_netlist(front, conditions, process)
            (temporary / "before_mixer.spice").write_text(text, encoding="utf-8")
        write_json(temporary / "result.json", chain_content(result))


def _cells(budget: Figures, got: Figures | None) -> list[str]:
    cells = []
    for name in _COLUMNS:
        asked, value = getattr(budget, name), None if got is None else getattr(got, name)
        text = f"{_text(name, asked)} → {_text(name, value)}"
        if asked is not None and value is not None and math.isfinite(asked):
            higher = name in ("gain_db", "iip3_dbm")
            met = value >= asked if higher else value <= asked
            text = f"[{'green' if met else 'red'}]{text}[/]"
        cells.append(text)
    return cells


def _text(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    if math.isinf(value):
        return "∞"
    return quantity_text(value, "W") if name == "power_w" else f"{value:.2f}"


def _plain(figures: Figures) -> dict[str, float | None]:
    return {name: value if value is None or math.isfinite(value) else None for name, value in asdict(figures).items()}
