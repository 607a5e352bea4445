"""What the end of a run shows of the model registry's decision."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from training.release.summary import tables

SUMMARY: dict[str, Any] = {
    "recipe": "smoke",
    "circuits": {"simulated": 20, "failed": {}},
    "topologies": {},
    "export": {},
    "quantization": {},
    "success": [],
    "seconds": {},
}


def shown(promotion: dict[str, Any]) -> str:
    output = io.StringIO()
    for table in tables(SUMMARY | {"promotion": promotion}):
        Console(width=300, file=output).print(table)
    return output.getvalue()


@pytest.mark.parametrize("fairness", ["the comparison is generous to them", None])
def test_a_challenger_that_loses_to_the_released_weights_is_said_to(fairness: str | None) -> None:
    reason = "released champion kept: worse than version 1, the released weights: success_at_64: 0.333 against 0.950"
    promotion = {"version": 2, "registered": True, "promoted": False, "reason": reason}
    text = shown(promotion | ({"fairness": fairness} if fairness else {}))
    assert f"version 2 is challenger: {reason}" in text
    assert ("that comparison" in text) is (fairness is not None)
    assert (fairness or "") in text


def test_a_run_that_registers_nothing_is_said_to() -> None:
    promotion = {"version": 2, "registered": False, "promoted": True, "reason": "is the champion already"}
    assert "nothing registered, the bundle is that of version 2 already; version 2 is champion" in shown(promotion)
