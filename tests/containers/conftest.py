"""The CPU image and an engine to run it: as a user of its own, on a read-only root file system, on the host's network.

These tests are asked for by name (`make test-containers`) and need an image (`make images IMAGES=cpu`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.models.containers import Container

import docker
from genrf import __version__
from tests.mlflow_server import MLflowServer, free_port

IMAGE = os.environ.get("GENRF_IMAGE", f"genrf/pipeline-python:{__version__}-cpu")
USER = 10001
CONFINED = {
    "read_only": True,
    "tmpfs": {"/tmp": ""},
    "network_mode": "host",
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
}
"""How a cluster runs a container: nothing can be written but /tmp and what is mounted."""


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException as error:
        pytest.fail(f"no container engine answers ({error}); docker/engine.sh starts one on Debian")
    try:
        client.images.get(IMAGE)
    except docker.errors.ImageNotFound:
        pytest.fail(f"{IMAGE} is not built; make images IMAGES=cpu")
    yield client
    client.close()


@pytest.fixture
def writable(tmp_path: Path) -> Path:
    """A folder of the host that the image's user may write."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    # pytest's own folders are for nobody else.
    for parent in folder.parents:
        if parent.stat().st_uid == os.getuid() and parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o055)
        if parent == Path("/tmp"):
            break
    return folder


def run(engine: docker.DockerClient, command: list[str], **arguments: object) -> str:
    """Run a command in the image; what it printed.

    Raises:
        docker.errors.ContainerError: if it failed, with what it printed on standard error.
    """
    output = engine.containers.run(IMAGE, command, remove=True, stderr=True, **CONFINED, **arguments)
    assert isinstance(output, bytes)
    return output.decode()


@pytest.fixture
def server(engine: docker.DockerClient) -> Iterator[tuple[Container, str]]:
    """The design server in a container, and its address."""
    http, grpc = free_port(), free_port()
    command = ["python", "-m", "serving", f"--http_port={http}", f"--grpc_port={grpc}", "--designers=2"]
    container = engine.containers.run(IMAGE, command, detach=True, **CONFINED)
    try:
        yield container, f"http://127.0.0.1:{http}"
    finally:
        container.remove(force=True)


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A tracking server on the host; its address."""
    server = MLflowServer(tmp_path_factory.mktemp("mlflow"), {})
    try:
        yield server.uri
    finally:
        server.stop()
