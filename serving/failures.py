"""Why a request is not answered, said the same over REST and gRPC."""

from __future__ import annotations

import math

from grpc import StatusCode
from grpc_interceptor.exceptions import GrpcException

FIXED_MODELS = "models: the registry's aliases say which serve; they are not changed over the network"
"""What whoever asks to load or unload a model is told."""


class RefusedError(GrpcException):
    """Something that a client is told: with a status of HTTP and one of gRPC.

    Args:
        message: one line.
        retry_after_s: when to try again, in s; None where that would not help.
    """

    http_status = 500

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(status_code=self.status_code, details=message)
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return str(self.details)

    @property
    def headers(self) -> dict[str, str]:
        """What an answer over HTTP says besides its body."""
        return {} if self.retry_after_s is None else {"Retry-After": str(max(1, math.ceil(self.retry_after_s)))}


class InvalidError(RefusedError):
    """The client's mistake."""

    http_status = 400
    status_code = StatusCode.INVALID_ARGUMENT


class UnauthorizedError(RefusedError):
    """The token is missing or another."""

    http_status = 401
    status_code = StatusCode.UNAUTHENTICATED


class SlowError(RefusedError):
    """The request does not arrive."""

    http_status = 408
    status_code = StatusCode.DEADLINE_EXCEEDED


class UnknownError(RefusedError):
    """There is no such design, job or model."""

    http_status = 404
    status_code = StatusCode.NOT_FOUND


class BusyError(RefusedError):
    """More is asked than can be answered in time."""

    http_status = 429
    status_code = StatusCode.RESOURCE_EXHAUSTED


class UnreadyError(RefusedError):
    """The models are not loaded, or the server ends."""

    http_status = 503
    status_code = StatusCode.UNAVAILABLE


class UnsupportedError(RefusedError):
    """Not done over the network."""

    http_status = 501
    status_code = StatusCode.UNIMPLEMENTED


class LateError(RefusedError):
    """The search took longer than it may."""

    http_status = 504
    status_code = StatusCode.DEADLINE_EXCEEDED


class BrokenError(RefusedError):
    """The search itself failed: no fault of the client."""

    http_status = 500
    status_code = StatusCode.INTERNAL
