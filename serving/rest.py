"""Plain JSON over HTTP, for people, scripts and the page: ``/v1/designs`` and what belongs to it, described at ``/docs``."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse

from genrf import classes
from genrf.errors import InvalidInputError
from genrf.fields import mapping, refuse_unknown
from genrf.report.curves import LOSS_OF, curves_of
from serving import openapi, telemetry
from serving.drawing import DRAWINGS
from serving.examples import examples
from serving.failures import FIXED_MODELS, InvalidError, RefusedError, UnauthorizedError, UnknownError, UnsupportedError
from serving.jobs import Jobs
from serving.limits import RESOLVED, read_json, refusal
from serving.request import DesignRequest
from serving.service import Answered, DesignService
from serving.store import Job
from serving.variants import CHAMPION


def routes(service: DesignService, jobs: Jobs, name: str, admin_token: str | None) -> APIRouter:
    """The routes of one server.

    Args:
        name: of the model, as the Open Inference Protocol has it.
        admin_token: what whoever changes the challenger's share must bear; without one nobody may.
    """
    router = APIRouter(tags=["designs"])

    @router.post("/v1/designs", **openapi.DESIGN)
    async def design(request: Request) -> JSONResponse:
        """Search designs for a specification; the answer has the best, each verified by simulation."""
        asked = await _read(request)
        answered = await service.design(asked, _caller(request))
        return JSONResponse(answer_of(answered))

    @router.get("/v1/designs/{answer}", **openapi.ANSWER)
    async def answer(answer: str) -> JSONResponse:
        """An answer that was given before, as long as it is kept."""
        return JSONResponse(answer_of(Answered(key=answer, variant="", content=service.answer(answer), cached=True)))

    @router.get("/v1/designs/{answer}/{number}/{what}", **openapi.DRAWING)
    async def drawing(request: Request, answer: str, number: str, what: str) -> Response:
        """A design's netlist, Touchstone file, pictures, report, or JSON that `genrf simulate` reads."""
        _known_drawing(what)
        if not number.isdecimal() or len(number) > 4:
            raise UnknownError(f"designs: {number[:40]!r} is no number of a design")
        chosen = service.design_of(answer, int(number))
        made = await service.made({"do": "draw", "design": chosen, "what": what}, _caller(request))
        return _file(made, {"Cache-Control": "max-age=3600"})

    @router.post("/v1/simulate", **openapi.SIMULATE)
    async def simulate(request: Request) -> JSONResponse:
        """Simulate a design as it is given, with changed values for example: metrics, curves, and how far each value may go."""
        return JSONResponse(await service.made({"do": "measure", "design": await _design(request)}, _caller(request)))

    @router.post("/v1/simulate/{what}", **openapi.DRAW)
    async def draw(request: Request, what: str) -> Response:
        """A netlist, picture or other file of a design as it is given, with changed values for example."""
        _known_drawing(what)
        return _file(
            await service.made({"do": "draw", "design": await _design(request), "what": what}, _caller(request))
        )

    @router.post("/v1/jobs", status_code=202, **openapi.SUBMIT)
    async def submit(request: Request) -> JSONResponse:
        """Begin a search that may take long; its caller comes back for it. It outlives the server."""
        job = jobs.submit(await _read(request), _caller(request))
        return JSONResponse(job_of(job), status_code=202, headers={"Location": f"/v1/jobs/{job.id}"})

    @router.get("/v1/jobs/{job}", **openapi.JOB)
    async def job_state(job: str) -> JSONResponse:
        """How a job goes, and where its answer is."""
        return JSONResponse(job_of(jobs.job(job)))

    @router.delete("/v1/jobs/{job}", **openapi.JOB)
    async def cancel(job: str) -> JSONResponse:
        """End a job."""
        return JSONResponse(job_of(jobs.cancel(job)))

    @router.get("/v1/jobs/{job}/events", **openapi.EVENTS)
    async def events(job: str) -> StreamingResponse:
        """What happens to a job as server-sent events: ``progress`` with the designs that are found, ``done``, ``failed``."""
        jobs.job(job)
        return StreamingResponse(
            _events(jobs, job), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    @router.get("/v1/classes", **openapi.CLASSES)
    async def known_classes() -> JSONResponse:
        """The circuit classes that the models design, with their metrics and units."""
        service.require()
        return JSONResponse([class_of(known) for known in service.variants[CHAMPION].identity["classes"]])

    @router.get("/v1/examples", **openapi.EXAMPLES)
    async def known_examples() -> JSONResponse:
        """Specifications to start from, of the classes that the models design."""
        service.require()
        designed = service.variants[CHAMPION].identity["classes"]
        return JSONResponse([one for one in examples() if one["specification"]["class"] in designed])

    @router.get("/v1/variants", **openapi.VARIANTS)
    async def variants() -> JSONResponse:
        """Which models serve, the challenger's share, and what is known of which is better."""
        return JSONResponse(service.variants.content())

    @router.put("/v1/variants", **openapi.SHARE)
    async def change(request: Request) -> JSONResponse:
        """Change the challenger's share of the callers."""
        if admin_token is None:
            raise UnauthorizedError(
                "authorization: the server was started without GENRF_ADMIN_TOKEN, so nobody may change this"
            )
        given = request.headers.get("x-genrf-admin-token", "")
        if not hmac.compare_digest(given.encode(), admin_token.encode()):
            raise UnauthorizedError("x-genrf-admin-token: missing or not the server's")
        content = mapping("the request", read_json(await request.body()))
        refuse_unknown(content, {"share"}, "")
        service.variants.set_share(content.get("share"))
        return JSONResponse(service.variants.content())

    @router.post("/v2/repository/index", include_in_schema=False)
    async def index() -> JSONResponse:
        """The repository extension of the Open Inference Protocol."""
        service.require()
        return JSONResponse([{"name": name, "version": version_of(service), "state": "READY", "reason": ""}])

    @router.post("/v2/repository/models/{model}/load", include_in_schema=False)
    @router.post("/v2/repository/models/{model}/unload", include_in_schema=False)
    async def fixed(model: str) -> JSONResponse:
        raise UnsupportedError(FIXED_MODELS)

    return router


def version_of(service: DesignService) -> str:
    """Version of the models that the champion serves: the registry's, or the start of the bundle's hash."""
    identity = service.variants[CHAMPION].identity
    return str(identity["version"] or identity["bundle"][:12])


def add_to(application: Any, router: APIRouter) -> None:
    """Put routes before those of KServe, with answers for what is refused."""
    application.include_router(router)
    application.add_exception_handler(RefusedError, _refused)
    application.add_exception_handler(InvalidInputError, _invalid)
    application.add_exception_handler(RequestValidationError, _malformed)


async def _malformed(_: Request, error: Exception) -> JSONResponse:
    """Answer what does not fit KServe's model of a request in one line, as any other mistake."""
    assert isinstance(error, RequestValidationError)
    telemetry.REQUESTS.labels("none", "none", "invalid").inc()
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("body", "InferenceRequest"))
    return JSONResponse(
        {"error": f"{where or 'the body'}: {first['msg'][:1].lower()}{first['msg'][1:]}"}, status_code=400
    )


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RefusedError)
    return refusal(error)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    return refusal(InvalidError(str(error)))


def answer_of(answered: Answered) -> dict[str, Any]:
    """An answer with links to what can be had of its designs."""
    designs = [
        {**design, "links": {what: f"/v1/designs/{answered.key}/{number}/{what}" for what in DRAWINGS}}
        for number, design in enumerate(answered.content["designs"], start=1)
    ]
    about = {
        "id": answered.key,
        "cached": answered.cached,
        **({"variant": answered.variant} if answered.variant else {}),
    }
    return {**about, **answered.content, "designs": designs}


def job_of(job: Job) -> dict[str, Any]:
    """A job as its caller sees it."""
    return {
        "id": job.id,
        "state": job.state,
        "created": job.created,
        "request": job.request,
        "answer": job.answer,
        "error": job.error,
        "links": {
            "events": f"/v1/jobs/{job.id}/events",
            **({"answer": f"/v1/designs/{job.answer}"} if job.answer else {}),
        },
    }


def class_of(name: str) -> dict[str, Any]:
    """A circuit class, for a form: its metrics with unit, direction and what they are."""
    definition = classes.get(name)
    return {
        "name": name,
        "title": definition.title,
        "specification_metrics": list(definition.specification_metrics),
        "trade_off": list(definition.trade_off),
        "metrics": [
            {
                "name": metric.name,
                "unit": metric.unit,
                "sense": metric.sense,
                "description": metric.description,
                "scale": metric.scale,
                "signoff": metric.signoff,
                "second": metric.second,
                "shown_in": curves_of(metric.name),
                "negated": metric.name in LOSS_OF,
            }
            for metric in definition.metrics.values()
        ],
        "requirements": [
            {"metric": own.metric, "sense": own.sense, "bound": own.bound} for own in definition.requirements
        ],
    }


async def _events(jobs: Jobs, job: str) -> AsyncIterator[str]:
    async for said in jobs.events(job):
        yield ": still here\n\n" if said is None else f"event: {said['event']}\ndata: {json.dumps(said)}\n\n"


async def _read(request: Request) -> DesignRequest:
    try:
        return DesignRequest.parse(read_json(await request.body()))
    except InvalidInputError:
        telemetry.REQUESTS.labels("none", "none", "invalid").inc()
        raise


async def _design(request: Request) -> dict[str, Any]:
    content = mapping("the request", read_json(await request.body()))
    refuse_unknown(content, {"design"}, "")
    return mapping("design", content.get("design"))


def _known_drawing(what: str) -> None:
    if what not in DRAWINGS:
        raise UnknownError(f"{what[:40]}: expected one of {', '.join(DRAWINGS)}")


def _file(made: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        base64.b64decode(made["content"]),
        media_type=made["media"],
        headers={"Content-Disposition": f'inline; filename="{made["name"]}"', **(headers or {})},
    )


def _caller(request: Request) -> str:
    return request.headers.get(RESOLVED, "")
