"""What a request must be before anything looks at it: small, whole, unambiguous JSON, from somebody who may ask.

A client that goes away takes its request with it: whatever is done for it is cancelled.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import math
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi.responses import JSONResponse

from serving.failures import InvalidError, RefusedError, SlowError, UnauthorizedError

log = logging.getLogger("serving.access")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

LARGEST_BODY = 1 << 20
"""Bytes of a request's body."""
BODY_S = 10.0
"""How long a body may take to arrive, in s: less than the server takes to end."""
LONGEST_REASON = 1_000
"""Characters of what a client is told of its mistake."""
DEEPEST = 24
"""Nesting of a request's JSON."""
LONGEST_NUMBER = 40
"""Digits of a number."""
CALLER = "x-genrf-caller"
"""Header, and gRPC metadata, by which a caller names itself: callers take turns, and each keeps its variant."""
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_CALLER = re.compile(r"[\x21-\x7e]{1,128}")
RESOLVED = "x-genrf-resolved-caller"
"""Header by which what answers learns who asks."""
REQUEST_ID = "x-request-id"
"""Header by which a request is found in the log; made here if the client sends none."""
_REQUEST_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)
_OPEN_TO_ALL = ("/v2/health/live", "/v2/health/ready")
"""Paths that probes of Kubernetes ask without a token."""
_PAGE = "/ui/"
"""The page's files hold no secret, and ask for the token themselves."""
_NEED_MODELS = ("/infer", ":predict", "/v2/health/ready", "/ready")
"""Ends of paths whose refusal by KServe would lack Retry-After, and log a traceback."""
_UNLOGGED = (*_OPEN_TO_ALL, "/metrics")


class TooLargeError(InvalidError):
    """The body is larger than is read."""

    http_status = 413


def read_json(text: bytes | str) -> Any:
    """Read JSON that means one thing only.

    Raises:
        InvalidError: for what is not JSON, names a key twice, nests too deeply, or has numbers or text that no answer could
            repeat.
    """
    try:
        _require_shallow(text if isinstance(text, str) else text.decode())
        content = json.loads(
            text, object_pairs_hook=_once, parse_int=_whole, parse_float=_finite, parse_constant=_no_number
        )
        # A lone surrogate can be escaped in JSON, but not be written.
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise InvalidError("the body: holds text that is not Unicode") from error
    except ValueError as error:
        raise InvalidError(f"the body: not valid JSON ({str(error)[:120]})") from error
    return content


def caller_of(headers: MutableMapping[str, str], address: str) -> str:
    """Who asks: the name that a caller gave itself, or its address.

    Raises:
        InvalidError: if the name is not 1 to 128 printable characters.
    """
    name = headers.get(CALLER)
    if name is None:
        return address
    if not _CALLER.fullmatch(name):
        raise InvalidError(f"{CALLER}: expected 1 to 128 printable ASCII characters and no blank, got {name[:40]!r}")
    return f"named {name}"


def require_token(headers: MutableMapping[str, str], token: str | None) -> None:
    """Refuse who does not bear the token, if there is one.

    Raises:
        UnauthorizedError: then.
    """
    if token is None:
        return
    kind, _, given = headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise UnauthorizedError("authorization: send the header Authorization: Bearer TOKEN with the server's token")


class Gate:
    """Reads the body, checks it, and ends what is done for a client that goes away.

    Args:
        application: what answers.
        token: what callers must bear, if anything.
        version: raises `UnknownError` if a model does not have a version.
        require: raises `UnreadyError` if nothing can be designed.
    """

    def __init__(
        self,
        application: Application,
        *,
        token: str | None,
        version: Callable[[str, str], None],
        require: Callable[[], None],
    ) -> None:
        self._application = application
        self._token = token
        self._version = version
        self._require = require

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        given = headers.get(REQUEST_ID, "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        start, status = time.monotonic(), 499

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (REQUEST_ID.encode(), request_id.encode())]
            await send(message)

        try:
            await self._checked(scope, headers, request_id, receive, noted)
        finally:
            if scope["path"] not in _UNLOGGED:
                said = {"request_id": request_id, "method": scope["method"], "path": scope["path"], "status": status}
                log.info(json.dumps({**said, "seconds": round(time.monotonic() - start, 4)}))

    async def _checked(
        self,
        scope: MutableMapping[str, Any],
        headers: MutableMapping[str, str],
        request_id: str,
        receive: Receive,
        send: Send,
    ) -> None:
        try:
            if scope["path"] not in _OPEN_TO_ALL and not f"{scope['path']}/".startswith(_PAGE):
                require_token(headers, self._token)
            self._choose_version(scope)
            if scope["path"].endswith(_NEED_MODELS):
                self._require()
            client = scope.get("client") or ("",)
            told = {RESOLVED: caller_of(headers, f"at {client[0]}"), REQUEST_ID: request_id}
            if "inference-header-content-length" not in headers and scope["method"] == "POST":
                # Whatever a client calls its JSON: KServe would take it for bytes.
                told["content-type"] = "application/json"
            scope["headers"] = [
                *((name, value) for name, value in scope["headers"] if name.decode("latin-1").lower() not in told),
                *((name.encode(), value.encode()) for name, value in told.items()),
            ]
            body = await _body(headers, receive)
            if body is None:
                return
            if scope["method"] in ("POST", "PUT", "PATCH") and (body or scope["path"].endswith("/infer")):
                _check(headers, body)
        except RefusedError as error:
            await refusal(error)(scope, receive, send)
            return
        await self._answer(scope, body, receive, send)

    async def _answer(self, scope: MutableMapping[str, Any], body: bytes, receive: Receive, send: Send) -> None:
        gone = asyncio.Event()
        read = False

        async def once() -> Message:
            nonlocal read
            if not read:
                read = True
                return {"type": "http.request", "body": body, "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            gone.set()

        work = asyncio.ensure_future(self._application(scope, once, send))
        watching = asyncio.ensure_future(watch())
        try:
            await asyncio.wait({work, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                work.cancel()
                await asyncio.wait({work})
            if not work.cancelled():
                work.result()
        finally:
            work.cancel()
            watching.cancel()

    def _choose_version(self, scope: MutableMapping[str, Any]) -> None:
        """Take the version out of a path of the protocol, once it is known to be the one that is served."""
        found = re.fullmatch(r"(/v2/models/([^/]+))/versions/([^/]+)(/ready|/infer|)", scope["path"])
        if found:
            self._version(found[2], found[3])
            scope["path"] = found[1] + found[4]
            scope["raw_path"] = scope["path"].encode()


def refusal(error: RefusedError) -> JSONResponse:
    """What a client is told over HTTP; a value of its own may be long."""
    return JSONResponse({"error": str(error)[:LONGEST_REASON]}, status_code=error.http_status, headers=error.headers)


async def _body(headers: MutableMapping[str, str], receive: Receive) -> bytes | None:
    """The body, or none of a client that went away while it was sent.

    Raises:
        TooLargeError: as soon as that is known.
        SlowError: if it is not there in time.
    """
    said = headers.get("content-length", "")
    if said.isdecimal() and len(said) < 19 and int(said) > LARGEST_BODY:
        raise TooLargeError(f"the body: {said} bytes, at most {LARGEST_BODY} are read")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                body += message.get("body", b"")
                if len(body) > LARGEST_BODY:
                    raise TooLargeError(f"the body: more than {LARGEST_BODY} bytes")
                if not message.get("more_body"):
                    return bytes(body)
    except TimeoutError as error:
        raise SlowError(f"the body: {len(body)} bytes after {BODY_S:g} s, and not at its end") from error


def _check(headers: MutableMapping[str, str], body: bytes) -> None:
    """Refuse JSON that is not, and binary tensors that are not whole."""
    header = headers.get("inference-header-content-length")
    if header is None:
        if not isinstance(read_json(body), dict):
            raise InvalidError("the body: expected a mapping of keys to values")
        return
    if not header.isdecimal() or not 0 < int(header[:10]) <= len(body):
        raise InvalidError(f"inference-header-content-length: expected 1 to {len(body)}, got {header[:20]!r}")
    content = read_json(body[: int(header)])
    sizes = [
        tensor["parameters"]["binary_data_size"]
        for tensor in (content.get("inputs") or [] if isinstance(content, dict) else [])
        if isinstance(tensor, dict)
        and isinstance(tensor.get("parameters"), dict)
        and "binary_data_size" in tensor["parameters"]
    ]
    if not all(isinstance(size, int) and size >= 0 for size in sizes) or sum(sizes) != len(body) - int(header):
        raise InvalidError(
            f"binary_data_size: the tensors' sizes must be the {len(body) - int(header)} bytes behind the JSON, got {sizes[:8]}"
        )
    # KServe 0.21 fails on what follows, with a traceback. The one tensor that is read holds text.
    start = int(header)
    while start < len(body):
        start += 4 + int.from_bytes(body[start : start + 4], "little")
    if start != len(body) or 0 in sizes:
        raise InvalidError("the bytes behind the JSON: expected texts, each after its length in four bytes")


def _require_shallow(text: str) -> None:
    # Before it is read: a parser that gives up half-way down may leave Python's own count of its depth wrong.
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", _TEXT.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > DEEPEST:
            raise InvalidError(f"the body: nested more than {DEEPEST} deep")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {twice[:40]!r} is there twice")
    return content


def _whole(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number beyond 1.8e308")
    return value


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")
