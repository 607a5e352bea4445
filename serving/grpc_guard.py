"""The gate's counterpart for gRPC: token, version and caller are looked at before KServe's servicer is."""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable
from concurrent import futures
from typing import Any

import grpc
from grpc import aio
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc
from kserve.protocol.grpc.interceptors import ExceptionToStatusInterceptor
from kserve.protocol.grpc.server import GRPCServer
from kserve.protocol.grpc.servicer import InferenceServicer

from genrf.errors import InvalidInputError
from serving.failures import FIXED_MODELS, RefusedError, UnsupportedError
from serving.limits import LARGEST_BODY, caller_of, require_token

CALLER: contextvars.ContextVar[str | None] = contextvars.ContextVar("caller", default=None)
"""Who asks over gRPC; None of a request that did not come so."""
_OPEN_TO_ALL = ("/ServerLive", "/ServerReady")
_FIXED = ("/RepositoryModelLoad", "/RepositoryModelUnload")
_Handler = Callable[[Any, Any], Awaitable[Any]]


class Guard(aio.ServerInterceptor):
    """Refuses what the gate would refuse.

    Args:
        token: what callers must bear, if anything.
        version: raises `UnknownError` if a model does not have a version.
    """

    def __init__(self, token: str | None, version: Callable[[str, str], None]) -> None:
        self._token = token
        self._version = version

    async def intercept_service(self, continuation: Any, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Put the checks before a method."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        return grpc.unary_unary_rpc_method_handler(
            self._checked(handler.unary_unary, handler_call_details.method),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _checked(self, method: _Handler, name: str) -> _Handler:
        async def checked(request: Any, context: Any) -> Any:
            try:
                headers = {str(key).lower(): str(value) for key, value in context.invocation_metadata() or ()}
                if not name.endswith(_OPEN_TO_ALL):
                    require_token(headers, self._token)
                if name.endswith(_FIXED):
                    raise UnsupportedError(FIXED_MODELS)
                if version := getattr(request, "model_version", "") or getattr(request, "version", ""):
                    self._version(getattr(request, "model_name", "") or getattr(request, "name", ""), version)
                # Without the port, which is another for each connection.
                CALLER.set(caller_of(headers, f"at {context.peer().rpartition(':')[0]}"))
            except RefusedError as error:
                await context.abort(error.status_code, str(error))
            return await method(request, context)

        return checked


class GuardedServer(GRPCServer):
    """KServe's gRPC server behind a guard, at a port of its own.

    Args:
        guard: looks at each call first.
    """

    def __init__(self, guard: Guard, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._guard = guard

    async def start(self, max_workers: int) -> None:
        """Listen, until it is stopped.

        Raises:
            InvalidInputError: if the port is taken.
        """
        self._server = aio.server(
            futures.ThreadPoolExecutor(max_workers=max_workers),
            interceptors=(self._guard, ExceptionToStatusInterceptor()),
            options=[
                ("grpc.max_receive_message_length", LARGEST_BODY),
                # Two servers at one port would share the calls, and none would say so.
                ("grpc.so_reuseport", 0),
            ],
        )
        servicer = InferenceServicer(self._data_plane, self._model_repository_extension)
        grpc_predict_v2_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, self._server)
        try:
            self._server.add_insecure_port(f"[::]:{self._port}")
        except RuntimeError as error:
            raise InvalidInputError(f"--grpc_port {self._port}: cannot be listened at; name another") from error
        await self._server.start()
        await self._server.wait_for_termination()
