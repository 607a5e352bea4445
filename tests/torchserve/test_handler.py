"""The handler without TorchServe: what it answers, and that a client's mistake names the field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from genrf.circuit.tokens import MAX_DEVICES
from serving.torchserve.handler import MOST_ROWS, MOST_SLOTS, CircuitModelHandler

INTERFACE = {
    "bundle": "b0d1",
    "file": "scaler.pt",
    "inputs": {
        "values": {"type": "float32", "shape": ["B", "M"]},
        "sigma": {"type": "float32", "shape": ["B"], "above": 0.0},
        "nets": {"type": "int64", "shape": ["B", "M", 3], "lowest": 0, "highest": 27},
        "conditions": {"type": "float32", "shape": ["B", 2]},
    },
    "outputs": ["scaled", "connected"],
}
GOOD: dict[str, Any] = {
    "values": [[1.0, -2.5], [0, 4]],
    "sigma": [2, 10],
    "nets": [[[1, 2, 0], [3, 7, 0]], [[27, 0, 0], [0, 0, 0]]],
    "conditions": [[0, 0], [0, 0]],
}


class Scaler(torch.nn.Module):
    """A model that a person can check."""

    def forward(
        self, values: torch.Tensor, sigma: torch.Tensor, nets: torch.Tensor, conditions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return values * sigma[:, None] + conditions[:, :1], nets.sum(dim=(1, 2))


class Context:
    """What TorchServe gives a handler."""

    def __init__(self, folder: Path) -> None:
        self.system_properties = {"model_dir": str(folder)}
        self.status: dict[int, int] = {}
        self.content_type: dict[int, str] = {}

    def set_response_status(self, code: int, phrase: str, idx: int) -> None:
        self.status[idx] = code

    def set_response_content_type(self, idx: int, value: str) -> None:
        self.content_type[idx] = value


@pytest.fixture
def context(tmp_path: Path) -> Context:
    (tmp_path / "interface.json").write_text(json.dumps(INTERFACE))
    torch.jit.save(torch.jit.script(Scaler()), tmp_path / "scaler.pt")
    return Context(tmp_path)


@pytest.fixture
def handler(context: Context) -> CircuitModelHandler:
    made = CircuitModelHandler()
    made.initialize(context)
    return made


def test_answers_with_the_outputs_by_name(handler: CircuitModelHandler, context: Context) -> None:
    (answer,) = handler.handle([{"body": {"inputs": GOOD}}], context)
    assert json.loads(answer) == {"outputs": {"scaled": [[2.0, -5.0], [0.0, 40.0]], "connected": [13, 27]}}
    assert context.status == {}
    assert context.content_type == {0: "application/json"}


def test_each_request_of_a_batch_is_answered_for_itself(handler: CircuitModelHandler, context: Context) -> None:
    text = json.dumps({"inputs": GOOD}).encode()
    answers = [json.loads(each) for each in handler.handle([{"body": text}, {"body": b"{"}, {"body": text}], context)]
    assert answers[0] == answers[2]
    assert answers[1]["code"] == 400
    assert context.status == {1: 400}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"values": None}, "inputs.values: expected numbers of shape [B, M], got null"),
        ({"values": [["1", "2"], ["3", "4"]]}, "inputs.values: expected numbers of shape [B, M], got [["),
        ({"values": [[True, False], [True, False]]}, "inputs.values: expected numbers of shape [B, M], got [[true"),
        ({"values": []}, "inputs.values: expected numbers of shape [B, M], got []"),
        ({"values": [[1.0], [1.0, 2.0]]}, "inputs.values: rows differ in length; expected numbers of shape [B, M]"),
        ({"values": [1.0, 2.0]}, "inputs.values: expected numbers of shape [B, M], got shape [2]"),
        (
            {"values": [[1.0, float("nan")], [0, 0]]},
            "inputs.values[0][1]: expected a finite number of 32 bits, got nan",
        ),
        ({"values": [[1.0, 0], [1e39, 0]]}, "inputs.values[1][0]: expected a finite number of 32 bits, got inf"),
        ({"sigma": [1.0, 0.0]}, "inputs.sigma[1]: expected a number above 0, got 0.0"),
        ({"sigma": [1.0]}, "inputs.sigma: dimension 0: expected 2 as in inputs.values, got 1"),
        ({"nets": [[[1.5, 2, 0]] * 2] * 2}, "inputs.nets: expected whole numbers of shape [B, M, 3], got [[["),
        ({"nets": [[[0, 28, 0]] * 2] * 2}, "inputs.nets[0][0][1]: expected 0 to 27, got 28"),
        ({"nets": [[[0, -1, 0]] * 2] * 2}, "inputs.nets[0][0][1]: expected 0 to 27, got -1"),
        ({"nets": [[[2**70, 0, 0]] * 2] * 2}, "inputs.nets: expected whole numbers of shape [B, M, 3], got [[["),
        ({"nets": [[[0, 0]] * 2] * 2}, "inputs.nets: dimension 2: expected 3, got 2; the shape is [B, M, 3]"),
        ({"nets": [[[0, 0, 0]]] * 2}, "inputs.nets: dimension 1: expected 2 as in inputs.values, got 1"),
        ({"conditions": [[0.0]] * 2}, "inputs.conditions: dimension 1: expected 2, got 1; the shape is [B, 2]"),
        ({"values": [[0.0] * 29]}, "inputs.values: dimension 1: expected at most 28, got 29"),
        ({"values": [[0.0]] * 1025}, "inputs.values: dimension 0: expected at most 1024, got 1025"),
        ({"value": [[0.0]]}, "inputs.value: unknown; known: values, sigma, nets, conditions"),
        ({"values": [[3e38, 0], [0, 0]]}, "inputs: too large, scaled is not finite; give numbers nearer to 0"),
    ],
)
def test_a_mistake_is_a_400_that_names_the_field(
    handler: CircuitModelHandler, context: Context, changed: dict[str, Any], message: str
) -> None:
    (answer,) = handler.handle([{"body": {"inputs": GOOD | changed}}], context)
    assert context.status == {0: 400}
    content = json.loads(answer)
    assert content["code"] == 400
    assert content["message"].startswith(message)
    assert len(content["message"].splitlines()) == 1
    assert len(content["message"]) < 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\x80\x04", "body: not valid JSON"),
        (None, 'body: expected an object {"inputs": {...}}'),
        ([1, 2], 'body: expected an object {"inputs": {...}}'),
        ({"inputs": [1]}, 'body: expected an object {"inputs": {...}} with values, sigma, nets, conditions'),
        ({"inputs": {}}, "inputs.values: missing; expected numbers of shape [B, M]"),
    ],
)
def test_a_body_that_is_no_request_is_a_400(
    handler: CircuitModelHandler, context: Context, body: Any, message: str
) -> None:
    (answer,) = handler.handle([{"body": body}], context)
    assert context.status == {0: 400}
    assert json.loads(answer)["message"].startswith(message)


def test_takes_every_circuit_that_the_models_take() -> None:
    """The handler imports nothing of the project, so what it repeats is compared here."""
    assert MOST_SLOTS == MAX_DEVICES
    assert MOST_ROWS > 0
    source = Path(__file__).parents[2] / "serving" / "torchserve" / "handler.py"
    imported = [line.split()[1] for line in source.read_text().splitlines() if line.startswith(("import ", "from "))]
    assert not [name for name in imported if name.startswith(("genrf", "serving"))]
