"""The model behind the protocol: one designer, warm, that works on one request after another."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kserve import InferRequest, InferResponse, Model
from kserve.errors import InferenceError, InvalidInput, ModelNotReady

from genrf.conditions import Conditions
from genrf.errors import GenRFError, InvalidInputError
from genrf.feedback.record import ModelVersion, SearchRecord
from genrf.generation.design import DesignResult
from genrf.generation.designer import Designer
from genrf.spec import DesignSpec
from serving import telemetry
from serving.contract import INPUTS, OUTPUTS, DesignRequest, read_request, write_response
from serving.feedback import Recorder

WARM_UP_CALLS = 16
WARM_UP_SEEDS = 4
"""Searches that are tried before a server in which no circuit simulates is called broken."""


class DesignModel(Model):
    """Answers specifications with verified designs.

    A search uses every core, so requests are worked on one at a time; the others wait, up to a limit and for a
    limited time.

    Args:
        name: under which clients address it.
        open_designer: verifies the bundle and gives a designer that is not entered yet.
        most_waiting: requests that may wait or be worked on; one more is refused (503).
        patience_s: how long a request may wait and be worked on, in s; then it is given up (503).
        recorder: is told of every search; started and stopped with the model.
        registered: name and version of the models, if they came from a registry; for the record.
    """

    def __init__(
        self,
        name: str,
        open_designer: Callable[[], Designer],
        *,
        most_waiting: int = 16,
        patience_s: float = 60.0,
        recorder: Recorder | None = None,
        registered: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(name)
        self._open = open_designer
        self._most_waiting = most_waiting
        self._patience_s = patience_s
        self._recorder = recorder
        self._registered = registered or (None, None)
        self._designer: Designer | None = None
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="designer")
        self._waiting = 0

    def load(self) -> bool:
        """Verify the bundle, start the simulators, and be ready once a circuit of every class has simulated.

        Raises:
            GenRFError: if the bundle is unusable, the simulator is missing, or nothing simulates.
        """
        designer = self._open().__enter__()
        try:
            for name in designer.circuit_classes:
                _warm_up(designer, name)
        except BaseException:
            designer.__exit__(None, None, None)
            raise
        self._designer = designer
        if self._recorder is not None:
            self._recorder.start()
        self.ready = True
        return self.ready

    def stop(self) -> None:
        """Stop working: end the simulators once the current search is done, and write what is to be recorded."""
        self.ready = False
        self._worker.shutdown(wait=True, cancel_futures=True)
        if self._designer is not None:
            self._designer.__exit__(None, None, None)
            self._designer = None
        if self._recorder is not None:
            self._recorder.stop()

    async def get_input_types(self) -> list[dict[str, Any]]:
        """Request tensors, for the model's metadata."""
        return INPUTS

    async def get_output_types(self) -> list[dict[str, Any]]:
        """Response tensors, for the model's metadata."""
        return OUTPUTS

    async def predict(
        self,
        payload: InferRequest,
        headers: dict[str, str] | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> InferResponse:
        """Search designs for one specification; a client's mistake is refused (400) with the line that names it."""
        if not isinstance(payload, InferRequest):
            telemetry.REQUESTS.labels("invalid").inc()
            raise InvalidInput(f"use the Open Inference Protocol: POST /v2/models/{self.name}/infer")
        try:
            request = read_request(payload)
        except InvalidInputError as error:
            telemetry.REQUESTS.labels("invalid").inc()
            raise InvalidInput(str(error)) from error
        result, seconds = await self._queued(request)
        # REST requires an identifier in the response even where the client gave none.
        return write_response(payload.id or str(uuid.uuid4()), self.name, result, request.designs, seconds)

    async def _queued(self, request: DesignRequest) -> tuple[DesignResult, float]:
        if self._designer is None:
            raise ModelNotReady(self.name)
        if self._waiting >= self._most_waiting:
            telemetry.REQUESTS.labels("busy").inc()
            raise ModelNotReady(self.name, f"{self._waiting} requests are waiting already; try again later.")
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._worker, self._search, request)
        self._change_waiting(1)
        # A search that is given up still occupies the designer until it ends, so it counts until then.
        work.add_done_callback(lambda _: self._change_waiting(-1))
        try:
            return await asyncio.wait_for(asyncio.shield(work), self._patience_s)
        except TimeoutError as error:
            work.cancel()
            work.add_done_callback(_forget)
            telemetry.REQUESTS.labels("busy").inc()
            raise ModelNotReady(self.name, f"No answer within {self._patience_s:g} s; try again later.") from error
        except InvalidInputError as error:
            telemetry.REQUESTS.labels("invalid").inc()
            raise InvalidInput(str(error)) from error
        except GenRFError as error:
            telemetry.REQUESTS.labels("error").inc()
            raise InferenceError(str(error)) from error

    def _search(self, request: DesignRequest) -> tuple[DesignResult, float]:
        assert self._designer is not None
        start = time.perf_counter()
        result = self._designer.design(request.spec, calls=request.calls, seed=request.seed)
        seconds = time.perf_counter() - start
        telemetry.count(result, seconds)
        if self._recorder is not None:
            provenance, (name, version) = self._designer.provenance, self._registered
            self._recorder.record(
                SearchRecord.of_result(
                    result,
                    source="server",
                    model=ModelVersion(bundle=provenance["bundle"], name=name, version=version),
                    variant=provenance["precision"],
                    calls=request.calls,
                    seconds=seconds,
                )
            )
        return result, seconds

    def _change_waiting(self, change: int) -> None:
        self._waiting += change
        telemetry.WAITING.set(self._waiting)


def _forget(work: asyncio.Future[tuple[DesignResult, float]]) -> None:
    """Look at the outcome of a search that nobody waits for, so that asyncio does not complain of it."""
    if not work.cancelled():
        work.exception()


def _warm_up(designer: Designer, circuit_class: str) -> None:
    """Design and simulate once, so that the first client finds everything loaded.

    Raises:
        GenRFError: if no circuit simulates.
    """
    spec = DesignSpec(
        circuit_class=circuit_class, conditions=Conditions(frequency_hz=10e9, supply_v=2.0), name="warm-up"
    )
    failed: dict[str, int] = {}
    for seed in range(WARM_UP_SEEDS):
        result = designer.design(spec, calls=WARM_UP_CALLS, seed=seed)
        if result.designs:
            return
        failed = result.failed
    causes = ", ".join(f"{count} {cause}" for cause, count in failed.items()) or "no legal circuit was generated"
    raise GenRFError(f"warm-up: no circuit of class {circuit_class} simulates ({causes}); check the bundle and ngspice")
