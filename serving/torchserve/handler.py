"""What TorchServe runs in each worker: checks a request's arrays, runs one traced model, answers with arrays.

    POST /predictions/surrogate
    {"inputs": {"values": [[0.1, ...], ...], "kinds": [[4, ...], ...], "nets": [[[1, 3, 0], ...], ...], "conditions": [[...]]}}

is answered with ``{"outputs": {"mean": [[...], ...], "log_variance": [[...], ...], "works": [...]}}``. Inputs, outputs and their
meaning are those of `genrf.generation.backend.Backend`; ``interface.json`` in the archive names them with type, shape and range.
In shapes B is the batch, at most `MOST_ROWS`, and M the device slots of a circuit, at most `MOST_SLOTS`.

A client's mistake is answered with status 400 and ``{"code": 400, "message": "inputs.nets: ..."}``. Numbers are computed on the
CPU in 32 bits, as ONNX Runtime does for a bundle in fp32.

An archive holds this file and no package, so it imports nothing of the project. Arrays come as JSON, never pickled. TorchServe
takes the one class of the module for its handler, which is why there is no other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

INTERFACE = "interface.json"
"""File of an archive: the traced model's file, inputs and outputs."""
MOST_ROWS = 1024
"""Rows of a request at most: nobody keeps a worker busy for long."""
MOST_SLOTS = 28

Interface = Mapping[str, Any]


class CircuitModelHandler:
    """One traced model, as TorchServe drives it."""

    def initialize(self, context: Any) -> None:
        """Load the model of the archive; an error ends the worker.

        Args:
            context: TorchServe's, which names the folder that the archive was unpacked into.
        """
        folder = Path(context.system_properties["model_dir"])
        self._interface: Interface = json.loads((folder / INTERFACE).read_text(encoding="utf-8"))
        self._model = torch.jit.load(folder / self._interface["file"], map_location="cpu")

    def handle(self, data: Sequence[Mapping[str, Any]], context: Any) -> list[str]:
        """Answer requests, each with one JSON text.

        Args:
            data: of each request what came under ``body``, parsed where the client said that it is JSON.
            context: takes the status of each answer.
        """
        return [self._answer(request.get("body"), index, context) for index, request in enumerate(data)]

    def _answer(self, body: Any, index: int, context: Any) -> str:
        context.set_response_content_type(index, "application/json")
        try:
            inputs = read_request(body, self._interface)
        except ValueError as error:
            return _refused(str(error), index, context)
        # TorchScript's optimizer would compile for every new number of rows, which takes seconds.
        with torch.inference_mode(), torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            outputs = self._model(*(torch.from_numpy(array) for array in inputs.values()))
        found = dict(
            zip(self._interface["outputs"], outputs if isinstance(outputs, tuple) else (outputs,), strict=True)
        )
        for name, tensor in found.items():
            if not torch.isfinite(tensor).all():
                return _refused(f"inputs: too large, {name} is not finite; give numbers nearer to 0", index, context)
        return json.dumps({"outputs": {name: tensor.tolist() for name, tensor in found.items()}})


def read_request(body: Any, interface: Interface) -> dict[str, NDArray[Any]]:
    """Understand a request.

    Args:
        body: parsed JSON, or its text.
        interface: content of ``interface.json``.

    Returns:
        The model's inputs in its order, float32 or int64, with shapes that fit together.

    Raises:
        ValueError: naming the field, what it has and what would be accepted.
    """
    if isinstance(body, bytes | bytearray | str):
        try:
            body = json.loads(body)
        except ValueError as error:
            raise ValueError("body: not valid JSON; send one object with Content-Type: application/json") from error
    known = interface["inputs"]
    given = body.get("inputs") if isinstance(body, dict) else None
    if not isinstance(given, dict):
        raise ValueError(f'body: expected an object {{"inputs": {{...}}}} with {", ".join(known)}')
    for name in given.keys() - known.keys():
        raise ValueError(f"inputs.{name}: unknown; known: {', '.join(known)}")
    sizes: dict[str, tuple[int, str]] = {}
    found = {}
    for name, expected in known.items():
        if name not in given:
            raise ValueError(f"inputs.{name}: missing; expected {_described(expected)}")
        found[name] = _array(name, given[name], expected)
        _check_sizes(name, found[name].shape, expected, sizes)
    return found


def _array(name: str, value: Any, expected: Mapping[str, Any]) -> NDArray[Any]:
    """One input with its type and range."""
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"inputs.{name}: rows differ in length; expected {_described(expected)}") from error
    whole = expected["type"] == "int64"
    if array.size == 0 or array.dtype.kind not in ("i" if whole else "if"):
        raise ValueError(f"inputs.{name}: expected {_described(expected)}, got {_shown(value)}")
    if array.ndim != len(expected["shape"]):
        raise ValueError(f"inputs.{name}: expected {_described(expected)}, got shape {list(array.shape)}")
    with np.errstate(over="ignore"):
        array = array.astype(expected["type"])
    _check_range(name, array, expected)
    return array


def _check_range(name: str, array: NDArray[Any], expected: Mapping[str, Any]) -> None:
    wrong = ~np.isfinite(array)
    if "above" in expected:
        wrong |= array <= expected["above"]
    if "lowest" in expected:
        wrong |= (array < expected["lowest"]) | (array > expected["highest"])
    if wrong.any():
        place = np.argwhere(wrong)[0]
        where = "".join(f"[{index}]" for index in place)
        raise ValueError(f"inputs.{name}{where}: expected {_range(expected)}, got {array[tuple(place)]}")


def _check_sizes(
    name: str, shape: Sequence[int], expected: Mapping[str, Any], sizes: dict[str, tuple[int, str]]
) -> None:
    """Compare a shape with its description; ``sizes`` takes each letter's size and the input that it was seen in."""
    most = {"B": MOST_ROWS, "M": MOST_SLOTS}
    for place, (size, wanted) in enumerate(zip(shape, expected["shape"], strict=True)):
        where = f"inputs.{name}: dimension {place}"
        if isinstance(wanted, int):
            if size != wanted:
                raise ValueError(f"{where}: expected {wanted}, got {size}; the shape is {_shape(expected)}")
            continue
        if size > most[wanted]:
            raise ValueError(f"{where}: expected at most {most[wanted]}, got {size}")
        other, seen = sizes.setdefault(wanted, (size, name))
        if size != other:
            raise ValueError(f"{where}: expected {other} as in inputs.{seen}, got {size}")


def _described(expected: Mapping[str, Any]) -> str:
    return f"{'whole numbers' if expected['type'] == 'int64' else 'numbers'} of shape {_shape(expected)}"


def _shape(expected: Mapping[str, Any]) -> str:
    return f"[{', '.join(str(size) for size in expected['shape'])}]"


def _range(expected: Mapping[str, Any]) -> str:
    if "lowest" in expected:
        return f"{expected['lowest']} to {expected['highest']}"
    return f"a number above {expected['above']:g}" if "above" in expected else "a finite number of 32 bits"


def _shown(value: Any) -> str:
    """The value, shortened so that an answer is one line."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _refused(message: str, index: int, context: Any) -> str:
    context.set_response_status(400, "Bad Request", index)
    return json.dumps({"code": 400, "message": message})
