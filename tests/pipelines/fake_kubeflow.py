"""Kubeflow Pipelines' API over HTTP, as far as the commands use it, in memory.

Requests must be what the client's own models are.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import Message
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kfp_server_api
import yaml

PREFIX = "/apis/v2beta1"
Content = dict[str, Any]


def checked(model: str, content: Content) -> Content:
    """The content, if it is the model and nothing else.

    Raises:
        ValueError: if the model does not carry all of it.
    """
    client = kfp_server_api.ApiClient()
    parsed = client.deserialize(SimpleNamespace(data=json.dumps(content)), model)
    again = client.sanitize_for_serialization(parsed)
    if _texts(again) != _texts(content):
        raise ValueError(f"not a {model}: {content} is read as {again}")
    return content


def _texts(content: Any) -> Any:
    """The same with whole numbers as text: protobuf's JSON takes 64-bit ones written either way."""
    if isinstance(content, dict):
        return {key: _texts(value) for key, value in content.items()}
    return str(content) if isinstance(content, int) and not isinstance(content, bool) else content


class FakeKubeflow:
    """What the server holds, and what it is told to do wrong."""

    def __init__(self) -> None:
        self.pipelines: dict[str, Content] = {}
        self.versions: dict[str, Content] = {}
        self.specifications: dict[str, list[Any]] = {}
        self.experiments: dict[str, Content] = {}
        self.runs: dict[str, Content] = {}
        self.recurring: dict[str, Content] = {}
        self.calls: list[str] = []
        self.fail: dict[str, int] = {}
        """Status by ``METHOD /path`` that is answered instead."""
        self.token: str | None = None
        self.address = ""

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes, content_type: str) -> Any:
        """The answer to one request.

        Raises:
            LookupError: if there is no such route.
        """
        if path == "/healthz":
            return {"multi_user": False}
        if method == "POST" and path in ("/pipelines/upload", "/pipelines/upload_version"):
            return self._upload(path, query, _file_of(body, content_type))
        if method == "GET" and (match := re.fullmatch(r"/pipelines/([^/]+)/versions", path)):
            known = [each for each in self.versions.values() if each["pipeline_id"] == match[1]]
            return {"pipeline_versions": known, "total_size": len(known)}
        if method == "POST" and path == "/runs":
            return self._keep(self.runs, "run_id", checked("V2beta1Run", json.loads(body)) | {"state": "PENDING"})
        if method == "POST" and path == "/recurringruns":
            return self._keep(self.recurring, "recurring_run_id", checked("V2beta1RecurringRun", json.loads(body)))
        if method == "POST" and path == "/experiments":
            return self._keep(self.experiments, "experiment_id", checked("V2beta1Experiment", json.loads(body)))
        if method == "DELETE" and path.startswith("/recurringruns/"):
            del self.recurring[path.rpartition("/")[2]]
            return {}
        kinds = {
            "pipelines": self.pipelines,
            "experiments": self.experiments,
            "runs": self.runs,
            "recurringruns": self.recurring,
        }
        kind, _, identity = path.strip("/").partition("/")
        if method != "GET" or kind not in kinds:
            raise LookupError(path)
        if identity:
            return kinds[kind][identity]
        field = "recurringRuns" if kind == "recurringruns" else kind
        found = [each for each in kinds[kind].values() if _passes(each, query)]
        return {field: found[::-1], "total_size": len(found)}

    def _upload(self, path: str, query: dict[str, str], file: bytes) -> Content:
        documents = list(yaml.safe_load_all(file))
        assert documents[0]["pipelineInfo"]["name"]
        entry = {"display_name": query["name"], "description": query.get("description", "")}
        if path.endswith("upload"):
            entry |= {"namespace": query.get("namespace", "")}
            if any(
                (each["display_name"], each["namespace"]) == (query["name"], entry["namespace"])
                for each in self.pipelines.values()
            ):
                raise ValueError(f"the name {query['name']} already exists")
            pipeline = self._keep(self.pipelines, "pipeline_id", entry)
            # As the real server does, the upload of a pipeline makes a first version of the same name.
            query = {"pipelineid": pipeline["pipeline_id"], "name": query["name"]}
            entry = {"display_name": query["name"]}
            self._keep(self.versions, "pipeline_version_id", entry | {"pipeline_id": pipeline["pipeline_id"]})
            return pipeline
        assert query["pipelineid"] in self.pipelines
        version = self._keep(self.versions, "pipeline_version_id", entry | {"pipeline_id": query["pipelineid"]})
        self.specifications[version["pipeline_version_id"]] = documents
        return version

    @staticmethod
    def _keep(where: dict[str, Content], key: str, content: Content) -> Content:
        identity = str(uuid.uuid4())
        where[identity] = content | {key: identity, "created_at": datetime.now(UTC).isoformat()}
        return where[identity]


def _passes(entry: Content, query: dict[str, str]) -> bool:
    if "experiment_id" in query and entry.get("experiment_id") != query["experiment_id"]:
        return False
    if "pipeline_id" in entry and entry.get("namespace", "") != query.get("namespace", ""):
        return False
    predicates = json.loads(query.get("filter", "{}")).get("predicates", [])
    return all(entry[each["key"]] == each["stringValue"] for each in predicates)


def _file_of(body: bytes, content_type: str) -> bytes:
    header = f"Content-Type: {content_type}\r\n\r\n".encode()
    message: Message = BytesParser().parsebytes(header + body)
    (part,) = message.get_payload()
    content = part.get_payload(decode=True)  # type: ignore[union-attr]
    assert isinstance(content, bytes)
    return content


@contextmanager
def fake_kubeflow() -> Iterator[FakeKubeflow]:
    """A server on a port of its own."""
    state = FakeKubeflow()

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            parts = urlsplit(self.path)
            path = parts.path.removeprefix(PREFIX)
            call = f"{self.command} {path}"
            state.calls.append(call)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            status, answer = 200, {}
            if state.token and self.headers.get("authorization") != f"Bearer {state.token}":
                status, answer = 401, {"error": "unauthenticated"}
            elif call in state.fail:
                status, answer = state.fail[call], {"error": "told to fail"}
            else:
                try:
                    answer = state.answer(self.command, path, query, body, self.headers.get("Content-Type", ""))
                except (LookupError, ValueError) as error:
                    status, answer = 400, {"error": f"{type(error).__name__}: {error}"}
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = handle_one

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
