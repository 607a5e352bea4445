"""What ``/docs`` and clients are told of the routes: schemas and examples, in OpenAPI's words."""

from __future__ import annotations

from typing import Any

from serving.drawing import DRAWINGS
from serving.request import LIMITS

EXAMPLE = {
    "class": "lna",
    "frequency": "28 GHz",
    "supply": "1.5 V",
    "constraints": {
        "gain_db": {"min": 12},
        "nf_db": {"max": 3.5},
        "s11_db": {"max": -10},
        "s22_db": {"max": -10},
        "power_w": {"max": "20 mW"},
    },
}
_QUANTITY = {"anyOf": [{"type": "number"}, {"type": "string"}], "description": 'in SI units, or text such as "28 GHz"'}
SPECIFICATION: dict[str, Any] = {
    "type": "object",
    "required": ["class", "frequency", "supply"],
    "properties": {
        "class": {"type": "string", "description": "a circuit class of /v1/classes"},
        "name": {"type": "string"},
        **dict.fromkeys(
            ("frequency", "supply", "source_impedance", "load_impedance", "temperature", "tone_spacing"), _QUANTITY
        ),
        "corner": {"type": "string"},
        "constraints": {
            "type": "object",
            "description": "bounds on the class's metrics",
            "additionalProperties": {
                "type": "object",
                "properties": {"min": _QUANTITY, "max": _QUANTITY},
                "additionalProperties": False,
                "minProperties": 1,
            },
        },
    },
    "additionalProperties": False,
    "example": EXAMPLE,
}
REQUEST: dict[str, Any] = {
    "type": "object",
    "required": ["specification"],
    "properties": {
        "specification": SPECIFICATION,
        **{
            name: {"type": "integer", "default": default, "minimum": low, "maximum": high}
            for name, (default, low, high) in LIMITS.items()
        },
        "all_calls": {
            "type": "boolean",
            "default": False,
            "description": "whether to go on once it is met, for more margin",
        },
        "objectives": {"type": "array", "items": {"type": "string"}, "description": "metrics that refinement trades"},
    },
    "additionalProperties": False,
}
_DESIGN = {"type": "object", "description": "a design as genrf simulate reads it"}
_ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
_ANSWER = {
    "type": "object",
    "required": ["id", "cached", "request", "model", "simulated", "first_met", "designs"],
    "properties": {
        "id": {"type": "string"},
        "cached": {"type": "boolean"},
        "variant": {"type": "string"},
        "request": {"type": "object"},
        "model": {"type": "object"},
        "simulated": {"type": "integer"},
        "first_met": {"type": ["integer", "null"]},
        "designs": {"type": "array", "items": {"type": "object"}},
        "warnings": {"type": "array", "items": {"type": "string"}},
    },
}
_JOB = {
    "type": "object",
    "required": ["id", "state", "links"],
    "properties": {
        "id": {"type": "string"},
        "state": {"enum": ["waiting", "working", "done", "failed", "cancelled"]},
        "answer": {"type": ["string", "null"]},
        "error": {"type": ["string", "null"]},
        "links": {"type": "object"},
    },
}
_REFUSALS = {
    400: "the request is not understood; the error names the field",
    401: "the token is missing or another",
    404: "there is no such thing",
    413: "the body is too large",
    429: "too many are waiting; Retry-After says when to try again",
    500: "the search failed",
    503: "the models are not loaded, or the server ends",
    504: "no answer in time",
}


def _route(
    answer: dict[str, Any] | None,
    *refusals: int,
    body: dict[str, Any] | None = None,
    status: int = 200,
    media: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Arguments of a route: what it takes and answers. Any may be refused with 401 and 503."""
    content = media if media is not None else {"application/json": {"schema": answer}}
    described: dict[str, Any] = {
        "response_model": None,
        "responses": {
            status: {"description": "done", "content": content},
            **{
                code: {"description": _REFUSALS[code], "content": {"application/json": {"schema": _ERROR}}}
                for code in sorted({401, 503, *refusals})
            },
        },
    }
    if body is not None:
        described["openapi_extra"] = {
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}}
        }
    return described


DESIGN = _route(_ANSWER, 400, 413, 429, 500, 504, body=REQUEST)
ANSWER = _route(_ANSWER, 404)
_FILES: dict[str, Any] = {media: {} for media in sorted({media for media, _ in DRAWINGS.values()})}
DRAWING = _route(None, 400, 404, 429, 500, 504, media=_FILES)
_DESIGN_BODY = {
    "type": "object",
    "required": ["design"],
    "properties": {"design": _DESIGN},
    "additionalProperties": False,
}
SIMULATE = _route(_DESIGN, 400, 413, 429, 500, 504, body=_DESIGN_BODY)
DRAW = _route(None, 400, 404, 413, 429, 500, 504, body=_DESIGN_BODY, media=_FILES)
SUBMIT = _route(_JOB, 400, 413, 429, body=REQUEST, status=202)
JOB = _route(_JOB, 404)
EVENTS = _route(None, 404, media={"text/event-stream": {}})
CLASSES = _route({"type": "array", "items": {"type": "object"}})
EXAMPLES = _route(
    {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["title", "specification"],
            "properties": {"title": {"type": "string"}, "specification": SPECIFICATION},
        },
    }
)
VARIANTS = _route({"type": "object"})
SHARE = _route(
    {"type": "object"}, 400, 413,
    body={
        "type": "object",
        "required": ["share"],
        "properties": {"share": {"type": "number", "minimum": 0, "maximum": 1}},
        "additionalProperties": False,
    },
)  # fmt: skip
