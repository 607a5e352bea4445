"""What a request and a response mean: Open Inference Protocol tensors to a specification, and designs to tensors.

tensor          datatype  shape    meaning
specification   BYTES     [1]      request: a specification as JSON, with the keys of a specification file
design          BYTES     [D]      each design as JSON, as ``genrf simulate`` reads it; met first, then by margin
met             BOOL      [D]      whether it meets the specification in simulation
pareto          BOOL      [D]      whether no other simulated design is at least as good in every metric
metric_name     BYTES     [M]      names of the measured metrics
metrics         FP64      [D, M]   measured metrics, in the units of their names

Request parameters: ``calls``, ``seed`` and ``designs``. Response parameters: ``simulated``, ``first_met`` (left out
if nothing meets the specification), ``failed`` (calls that gave no metrics), ``seconds``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from kserve import InferInput, InferOutput, InferRequest, InferResponse
from kserve.protocol.infer_type import to_http_parameters

from genrf import classes
from genrf.errors import InvalidInputError
from genrf.export.design_file import design_content
from genrf.generation.design import DesignResult
from genrf.spec import DesignSpec

SPECIFICATION = "specification"
LARGEST_SPECIFICATION = 65536
"""Bytes of JSON that are read."""
DEFAULTS = {"calls": 64, "seed": 0, "designs": 1}
LIMITS = {"calls": (1, 1024), "seed": (0, 2**32 - 1), "designs": (1, 64)}
"""Smallest and largest value of each request parameter: a request cannot keep the server busy for long."""

INPUTS: list[dict[str, Any]] = [{"name": SPECIFICATION, "datatype": "BYTES", "shape": [1]}]
OUTPUTS: list[dict[str, Any]] = [
    {"name": "design", "datatype": "BYTES", "shape": [-1]},
    {"name": "met", "datatype": "BOOL", "shape": [-1]},
    {"name": "pareto", "datatype": "BOOL", "shape": [-1]},
    {"name": "metric_name", "datatype": "BYTES", "shape": [-1]},
    {"name": "metrics", "datatype": "FP64", "shape": [-1, -1]},
]


@dataclass(frozen=True)
class DesignRequest:
    """A request that has been understood."""

    spec: DesignSpec
    calls: int
    seed: int
    designs: int


def read_request(request: InferRequest) -> DesignRequest:
    """Understand a request.

    Raises:
        InvalidInputError: naming the tensor, field or parameter.
    """
    tensors = {tensor.name: tensor for tensor in request.inputs}
    for name in tensors.keys() - {SPECIFICATION}:
        raise InvalidInputError(f"inputs.{name}: unknown tensor; the only input is {SPECIFICATION}")
    if SPECIFICATION not in tensors:
        raise InvalidInputError(f"inputs.{SPECIFICATION}: missing")
    parameters = dict(to_http_parameters(request.parameters or {}))
    # KServe's own key for tensors that travel as raw bytes.
    parameters.pop("binary_data_output", None)
    for name in parameters.keys() - DEFAULTS.keys():
        raise InvalidInputError(f"parameters.{name}: unknown; known: {', '.join(DEFAULTS)}")
    return DesignRequest(
        spec=_specification(tensors[SPECIFICATION]),
        **{name: _parameter(name, parameters.get(name, default)) for name, default in DEFAULTS.items()},
    )


def write_response(request_id: str, model: str, result: DesignResult, count: int, seconds: float) -> InferResponse:
    """The best designs of a search as tensors."""
    designs = result.designs[:count]
    # Sign-off metrics are measured only where a specification bounds them, and a tensor has no empty places.
    names = [
        name
        for name, metric in classes.get(result.spec.circuit_class).metrics.items()
        if not metric.signoff or (designs and all(name in design.metrics for design in designs))
    ]
    documents = [json.dumps(design_content(design, result.spec), allow_nan=False) for design in designs]
    outputs = [
        _output("design", "BYTES", np.array([text.encode() for text in documents], dtype=np.object_)),
        _output("met", "BOOL", np.array([design.met for design in designs], dtype=np.bool_)),
        _output("pareto", "BOOL", np.array([design.pareto for design in designs], dtype=np.bool_)),
        _output("metric_name", "BYTES", np.array([name.encode() for name in names], dtype=np.object_)),
        _output(
            "metrics",
            "FP64",
            np.array([[design.metrics[name] for name in names] for design in designs], dtype=np.float64).reshape(
                len(designs), len(names)
            ),
        ),
    ]
    parameters: dict[str, Any] = {
        "simulated": result.simulated,
        "failed": sum(result.failed.values()),
        "seconds": f"{seconds:.3f}",
    }
    if result.first_met is not None:
        parameters["first_met"] = result.first_met
    return InferResponse(request_id, model, outputs, parameters=parameters)


def _output(name: str, datatype: str, values: np.ndarray) -> InferOutput:
    output = InferOutput(name, list(values.shape), datatype)
    output.set_data_from_numpy(values, binary_data=False)
    return output


def _specification(tensor: InferInput) -> DesignSpec:
    where = f"inputs.{SPECIFICATION}"
    if tensor.datatype != "BYTES" or list(tensor.shape) != [1]:
        raise InvalidInputError(f"{where}: expected BYTES of shape [1], got {tensor.datatype} of shape {tensor.shape}")
    (text,) = tensor.as_numpy().reshape(-1).tolist()
    try:
        text = text.decode("utf-8") if isinstance(text, bytes) else str(text)
        if len(text) > LARGEST_SPECIFICATION:
            raise InvalidInputError(f"{where}: longer than {LARGEST_SPECIFICATION} characters")
        content = json.loads(text)
    except ValueError as error:
        raise InvalidInputError(f"{where}: not valid JSON") from error
    try:
        return DesignSpec.from_dict(content)
    except InvalidInputError as error:
        raise InvalidInputError(f"{where}: {error}") from error


def _parameter(name: str, value: Any) -> int:
    low, high = LIMITS[name]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInputError(f"parameters.{name}: expected a whole number from {low} to {high}, got {value!r}")
    return value


def parameter_summary() -> Mapping[str, Mapping[str, int]]:
    """Default and limits of each request parameter, for people."""
    return {name: {"default": DEFAULTS[name], "smallest": low, "largest": high} for name, (low, high) in LIMITS.items()}
