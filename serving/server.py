"""KServe's model server with what it lacks: a gate before it, models that load while it listens, and an end in good order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from fastapi_offline import FastAPIOffline
from kserve import ModelServer, model_server
from kserve.errors import InvalidInput, ModelNotFound, UnsupportedProtocol
from kserve.model import BaseKServeModel

from genrf import __version__
from serving import page, rest, telemetry
from serving.failures import RefusedError, UnknownError
from serving.feedback import Recorder
from serving.grpc_guard import Guard, GuardedServer
from serving.jobs import Jobs
from serving.limits import Gate
from serving.service import DesignService
from serving.variants import Variants
from serving.watch import Watch
from serving.workers import Workers

log = logging.getLogger(__name__)

GRACE_S = 15.0
"""How long searches may go on once the server is told to end, in s; Kubernetes kills it after 30 s."""
_MEASURE_S = 1.0
_GPU_MEASURE_S = 15.0


class DesignServer(ModelServer):
    """Serves a service over the Open Inference Protocol and plain JSON.

    Args:
        service: answers.
        jobs: long searches.
        open_variants: starts the processes of each variant; called once the server listens.
        watch: follows the registry, if there is one.
        recorder: is started and stopped with the server.
        token: what callers must bear, if anything.
        admin_token: what whoever changes the challenger's share must bear.
    """

    def __init__(
        self,
        service: DesignService,
        jobs: Jobs,
        open_variants: Callable[[Variants], Awaitable[None]],
        *,
        name: str = "genrf",
        watch: Watch | None = None,
        recorder: Recorder | None = None,
        token: str | None = None,
        admin_token: str | None = None,
        gpu: bool = False,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.service = service
        self.jobs = jobs
        self._open_variants = open_variants
        self._name = name
        self._watch = watch
        self._recorder = recorder
        self._gpu = gpu
        application = FastAPIOffline(
            title="GenRF",
            version=__version__,
            redoc_url=None,
            description="Verified circuit designs for a specification.",
        )
        rest.add_to(application, rest.routes(service, jobs, name, admin_token))
        page.add_to(application)
        application.add_middleware(Gate, token=token, version=self._require_version, require=self.service.ready)
        logging.getLogger("kserve").addFilter(_without_tracebacks_of_clients)
        # The gate's line says more of a request than these two of each.
        for name_of_log in ("uvicorn.access", "kserve.trace"):
            logging.getLogger(name_of_log).setLevel(logging.WARNING)
        guard = Guard(token, self._require_version)
        model_server.GRPCServer = partial(GuardedServer, guard)
        # KServe builds its routes into the application that this module has.
        model_server.app = application

    def _require_version(self, name: str, version: str) -> None:
        self.service.require()
        served = rest.version_of(self.service)
        if name != self._name or version != served:
            raise UnknownError(f"models: {self._name} has version {served}, not {version[:40]!r} of {name[:40]!r}")

    def _register_and_check_atleast_one_model_is_ready(self, models: list[BaseKServeModel]) -> None:
        # Models load while the server listens, so that probes learn how far it is.
        for model in models:
            model.enable_latency_logging = self.enable_latency_logging
            self.register_model(model)

    async def _serve(self) -> None:
        assert self._rest_server is not None
        tasks = [asyncio.ensure_future(part) for part in (self._live(), *self.servers)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        failed = [task for task in tasks if task.done() and task.exception() is not None]
        if failed:
            # The others end in good order: nothing can be designed, or a port is taken.
            self._rest_server._server.should_exit = True
            if self._grpc_server is not None:
                await self._grpc_server.stop()
            await asyncio.wait(tasks, timeout=GRACE_S)
            failed[0].result()

    async def _live(self) -> None:
        """Load, work until the end is near, and end.

        Raises:
            GenRFError: if the models cannot be loaded.
        """
        assert self._rest_server is not None
        http = self._rest_server._server
        if self._recorder is not None:
            self._recorder.start()
        helping = [asyncio.create_task(self._measure())]
        opening = asyncio.ensure_future(self._open_variants(self.service.variants))
        try:
            # KServe is told of a signal only after HTTP has ended, which waits for whatever is being answered.
            while not opening.done() and not http.should_exit:
                await asyncio.wait([opening], timeout=0.1)
            if opening.done():
                opening.result()
                again = self.jobs.resume()
                log.warning("serving: ready%s", f"; {again} jobs of an earlier server are begun again" if again else "")
                if self._watch is not None:
                    helping.append(asyncio.create_task(self._watch.run()))
            while not http.should_exit:
                await asyncio.sleep(0.1)
            self.jobs.close()
            await self.service.close(within_s=GRACE_S)
        finally:
            for task in (opening, *helping):
                task.cancel()
            await asyncio.wait([opening])
            for workers in self.service.variants.items().values():
                await workers.stop()
            if self._recorder is not None:
                await asyncio.to_thread(self._recorder.stop)

    async def _measure(self) -> None:
        measuring = asyncio.create_task(_measure_gpu()) if self._gpu and shutil.which("nvidia-smi") else None
        try:
            while True:
                self.service.measure()
                self.jobs.measure()
                await asyncio.sleep(_MEASURE_S)
        finally:
            if measuring is not None:
                measuring.cancel()


def _without_tracebacks_of_clients(record: logging.LogRecord) -> bool:
    """Drop what KServe logs of a client's mistake: the gate's line has its status, and the client its reason.

    A verb of KServe's that no model here has, such as ``:explain``, raises `NotImplementedError`.
    """
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    return not isinstance(error, (InvalidInput, ModelNotFound, NotImplementedError, RefusedError, UnsupportedProtocol))


async def _measure_gpu() -> None:
    while True:
        process = await asyncio.create_subprocess_exec(
            "nvidia-smi", "--query-gpu=index,memory.used", "--format=csv,noheader,nounits",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        output, _ = await process.communicate()
        for line in output.decode().splitlines():
            with contextlib.suppress(ValueError):
                gpu, mebibytes = line.split(",")
                telemetry.GPU_MEMORY.labels(gpu.strip()).set(float(mebibytes) * 2**20)
        await asyncio.sleep(_GPU_MEASURE_S)


async def opened(variants: Variants, name: str, workers: Workers) -> None:
    """Start a variant's processes and let it serve.

    Raises:
        GenRFError: if they cannot design.
    """
    await workers.start()
    variants.put(name, workers)
