"""The service behind KServe's protocol: tensors in, tensors out; everything else is the service's."""

from __future__ import annotations

import uuid
from typing import Any

from kserve import InferRequest, InferResponse, Model

from genrf.errors import InvalidInputError
from serving import telemetry
from serving.contract import INPUTS, OUTPUTS, read_request, wanted_outputs, write_response
from serving.failures import InvalidError, RefusedError
from serving.grpc_guard import CALLER
from serving.limits import RESOLVED
from serving.service import DesignService


class DesignModel(Model):
    """Answers specifications with verified designs over the Open Inference Protocol.

    Args:
        name: under which clients address it.
        service: answers.
    """

    def __init__(self, name: str, service: DesignService) -> None:
        super().__init__(name)
        self._service = service
        # Of the server that listens; whether it can answer is what `healthy` says.
        self.ready = True

    async def healthy(self) -> bool:
        """Whether a process is there that has designed and simulated."""
        try:
            self._service.ready()
        except RefusedError:
            return False
        return True

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
        """Search designs for one specification.

        Raises:
            RefusedError: if that cannot be; a client's mistake (400) with the line that names it.
        """
        given = {name.lower(): value for name, value in (headers or {}).items()}
        # The gate and its counterpart for gRPC have looked at the rest.
        caller = CALLER.get() or given.get(RESOLVED, "")
        try:
            if not isinstance(payload, InferRequest):
                raise InvalidError(f"use the Open Inference Protocol: POST /v2/models/{self.name}/infer")
            request = read_request(payload)
            names, binary = wanted_outputs(payload)
        except (InvalidInputError, InvalidError) as error:
            telemetry.REQUESTS.labels("none", "none", "invalid").inc()
            raise InvalidError(str(error)) from error
        answered = await self._service.design(request, caller)
        # REST requires an identifier in the response even where the client gave none.
        return write_response(payload.id or str(uuid.uuid4()), self.name, answered, names, binary)
