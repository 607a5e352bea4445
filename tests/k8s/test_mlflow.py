"""A real MLflow server with the settings of the manifests: who is answered, and whose pages may change something."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

import pytest

from tests.k8s.manifests import Manifest, environment, of_kind, pods
from tests.mlflow_server import MLflowServer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(rendered: dict[str, list[Manifest]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[MLflowServer]:
    """The server of the manifests, but for where it keeps its records."""
    container = pods(rendered["cpu"])["mlflow"]["containers"][0]
    assert container["command"] == ["mlflow", "server", "--host=0.0.0.0", "--port=5000", "--workers=1"]
    maps = of_kind(rendered["cpu"], "ConfigMap")
    settings = {}
    for name, variable in environment(container).items():
        reference = variable.get("valueFrom", {}).get("configMapKeyRef")
        if reference and name.startswith("MLFLOW_SERVER_"):
            settings[name] = maps[reference["name"]]["data"][reference["key"]]
    assert set(settings) == {"MLFLOW_SERVER_ALLOWED_HOSTS", "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"}
    started = MLflowServer(tmp_path_factory.mktemp("mlflow"), settings)
    yield started
    started.stop()


def status(server: MLflowServer, path: str, host: str, *, origin: str = "", make: str = "") -> int:
    """Status of a request to a host; of one that makes an experiment where its name is given."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {"Host": host, "Content-Type": "application/json"} | ({"Origin": origin} if origin else {})
    body = json.dumps({"name": make}) if make else None
    connection.request("POST" if make else "GET", path, body=body, headers=headers)
    answer = connection.getresponse().status
    connection.close()
    return answer


SEARCH = "/api/2.0/mlflow/experiments/get?experiment_id=0"
CREATE = "/api/2.0/mlflow/experiments/create"


@pytest.mark.parametrize(
    "host",
    [
        "mlflow:5000",  # the design server, in the same namespace
        "mlflow.genrf.svc:5000",  # steps, in theirs
        "mlflow.genrf.svc.cluster.local:5000",
        "mlflow.genrf.example",  # the route
        "localhost:5000",  # a port forward
    ],
)
def test_it_answers_to_its_names(server: MLflowServer, host: str) -> None:
    assert status(server, SEARCH, host) == 200


def test_it_answers_to_no_other_name_but_to_probes(server: MLflowServer) -> None:
    assert status(server, SEARCH, "attacker.example") == 403
    assert status(server, "/health", "10.244.0.7:5000") == 200


def test_pages_of_the_route_may_change_something_and_others_may_not(server: MLflowServer) -> None:
    route = "mlflow.genrf.example"
    assert status(server, CREATE, route, origin=f"https://{route}", make="from the route") == 200
    assert status(server, CREATE, route, origin="https://attacker.example", make="from elsewhere") == 403
    assert status(server, CREATE, "mlflow.genrf.svc:5000", make="from a step") == 200
