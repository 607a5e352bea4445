"""What a request and a response mean: Open Inference Protocol tensors to a specification, and designs to tensors.

tensor          datatype  shape    meaning
specification   BYTES     [1]      request: a specification as JSON, with the keys of a specification file
design          BYTES     [D]      each design as JSON, as ``genrf simulate`` reads it; met first, then by margin
met             BOOL      [D]      whether it meets the specification in simulation
pareto          BOOL      [D]      whether no other simulated design is at least as good in every metric
metric_name     BYTES     [M]      names of the measured metrics
metrics         FP64      [D, M]   measured metrics, in the units of their names

Request parameters: ``calls``, ``seed``, ``designs``, ``all_calls``, ``refine`` and ``objectives`` (names with commas between),
see `serving.request.DesignRequest`. Response parameters: ``simulated``, ``first_met`` (left out if nothing meets the
specification), ``failed`` (calls that gave no metrics), ``seconds``, ``answer`` (its name at ``/v1/designs``), ``variant``,
``cached``.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Container, Sequence
from typing import Any

import numpy as np
from kserve import InferInput, InferOutput, InferRequest, InferResponse
from kserve.errors import InferenceError, InvalidInput
from kserve.protocol.infer_type import to_http_parameters

from genrf import classes
from genrf.errors import InvalidInputError
from genrf.spec import DesignSpec
from serving.failures import InvalidError
from serving.limits import read_json
from serving.request import LARGEST_SPECIFICATION, DesignRequest, read_specification
from serving.service import Answered

SPECIFICATION = "specification"
BINARY_ANSWER = "binary_data_output"
"""The protocol's own parameter, for tensors that travel as bytes."""
INPUTS: list[dict[str, Any]] = [{"name": SPECIFICATION, "datatype": "BYTES", "shape": [1]}]
OUTPUTS: list[dict[str, Any]] = [
    {"name": "design", "datatype": "BYTES", "shape": [-1]},
    {"name": "met", "datatype": "BOOL", "shape": [-1]},
    {"name": "pareto", "datatype": "BOOL", "shape": [-1]},
    {"name": "metric_name", "datatype": "BYTES", "shape": [-1]},
    {"name": "metrics", "datatype": "FP64", "shape": [-1, -1]},
]


def read_request(request: InferRequest) -> DesignRequest:
    """Understand a request.

    Raises:
        InvalidInputError: naming the tensor, field or parameter.
    """
    tensors = {tensor.name: tensor for tensor in request.inputs}
    for name in tensors.keys() - {SPECIFICATION}:
        raise InvalidInputError(f"inputs.{name}: unknown tensor; the only input is {SPECIFICATION}")
    if len(tensors) != len(request.inputs):
        raise InvalidInputError(f"inputs.{SPECIFICATION}: given twice")
    if SPECIFICATION not in tensors:
        raise InvalidInputError(f"inputs.{SPECIFICATION}: missing")
    parameters = dict(to_http_parameters(request.parameters or {}))
    parameters.pop(BINARY_ANSWER, None)
    # A parameter of the protocol is a number, a flag or text.
    if isinstance(parameters.get("objectives"), str):
        parameters["objectives"] = [name.strip() for name in parameters["objectives"].split(",") if name.strip()]
    return DesignRequest.of(_specification(tensors[SPECIFICATION]), parameters, "parameters.")


def write_response(
    request_id: str, model: str, answered: Answered, wanted: Sequence[str] = (), binary: Container[str] = ()
) -> InferResponse:
    """The designs of an answer as tensors.

    Args:
        wanted: names of the tensors that are answered; empty for all.
        binary: names of those that travel as bytes behind the JSON.
    """
    answer = answered.content
    designs = answer["designs"]
    # Sign-off metrics are measured only where a specification bounds them, and a tensor has no empty places.
    names = [
        name
        for name, metric in classes.get(answer["request"]["specification"]["class"]).metrics.items()
        if not metric.signoff or (designs and all(name in design["metrics"] for design in designs))
    ]
    documents = [json.dumps(design, allow_nan=False) for design in designs]
    values: dict[str, np.ndarray] = {
        "design": np.array([text.encode() for text in documents], dtype=np.object_),
        "met": np.array([design["met"] for design in designs], dtype=np.bool_),
        "pareto": np.array([design["pareto"] for design in designs], dtype=np.bool_),
        "metric_name": np.array([name.encode() for name in names], dtype=np.object_),
        "metrics": np.array(
            [[design["metrics"][name] for name in names] for design in designs], dtype=np.float64
        ).reshape(len(designs), len(names)),
    }
    datatypes = {tensor["name"]: tensor["datatype"] for tensor in OUTPUTS}
    outputs = []
    for name in wanted or values:
        output = InferOutput(name, list(values[name].shape), datatypes[name])
        output.set_data_from_numpy(values[name], binary_data=name in binary)
        outputs.append(output)
    parameters: dict[str, Any] = {
        "simulated": answer["simulated"],
        "failed": sum(answer["failed"].values()),
        "seconds": f"{answer['seconds']:.3f}",
        "answer": answered.key,
        "variant": answered.variant,
        "cached": answered.cached,
    }
    if answer["first_met"] is not None:
        parameters["first_met"] = answer["first_met"]
    return InferResponse(request_id, model, outputs, parameters=parameters)


def wanted_outputs(request: InferRequest) -> tuple[list[str], set[str]]:
    """Names of the tensors that a request asks for, in its order, and of those that travel as bytes.

    Raises:
        InvalidInputError: for one that there is not, or that is asked for twice.
    """
    known = [tensor["name"] for tensor in OUTPUTS]
    asked = request.request_outputs or []
    names = [output.name for output in asked]
    for name in names:
        if name not in known or names.count(name) > 1:
            raise InvalidInputError(f"outputs.{name}: expected each of {', '.join(known)} once at most")
    every = bool(to_http_parameters(request.parameters or {}).get(BINARY_ANSWER))
    single = {
        output.name: bool(to_http_parameters(output.parameters or {}).get("binary_data", every)) for output in asked
    }
    return names, {name for name in names or known if single.get(name, every)}


def _specification(tensor: InferInput) -> DesignSpec:
    where = f"inputs.{SPECIFICATION}"
    if tensor.datatype != "BYTES" or list(tensor.shape) != [1]:
        raise InvalidInputError(f"{where}: expected BYTES of shape [1], got {tensor.datatype} of shape {tensor.shape}")
    try:
        (text,) = tensor.as_numpy().reshape(-1).tolist()
        text = text.decode("utf-8") if isinstance(text, bytes) else str(text)
        if len(text) > LARGEST_SPECIFICATION:
            raise InvalidInputError(f"{where}: longer than {LARGEST_SPECIFICATION} characters")
        content = read_json(text)
    except InvalidError as error:
        raise InvalidInputError(f"{where}: {str(error).removeprefix('the body: ')}") from error
    # Of data that are not one text, in KServe's own words.
    except (ValueError, InferenceError, InvalidInput, struct.error) as error:
        raise InvalidInputError(f"{where}: not one text in UTF-8, with its length before it if it is binary") from error
    return read_specification(where, content)
