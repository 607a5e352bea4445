"""kubectl, and the manifests as it renders them."""

from __future__ import annotations

import importlib.util
import io
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.k8s.manifests import OVERLAYS, ROOT, SERVICES, TRAIN_JOB, Manifest


@pytest.fixture(scope="session")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """kubectl, out of the Python package that ships it."""
    found = importlib.util.find_spec("aws_cdk")
    assert found is not None
    assert found.submodule_search_locations is not None
    folders = [Path(location) for location in found.submodule_search_locations]
    (archive,) = [path for folder in folders for path in folder.rglob("lambda-layer-kubectl*.tgz")]
    with tarfile.open(archive) as package:
        layer = package.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as content:
            path = Path(content.extract("kubectl/kubectl", tmp_path_factory.mktemp("kubectl")))
    path.chmod(0o755)
    return path


@pytest.fixture(scope="session")
def rendered(kubectl: Path) -> dict[str, list[Manifest]]:
    """Manifests by overlay, and those of the TrainJob."""
    manifests = {}
    for name in (*OVERLAYS, TRAIN_JOB):
        folder = ROOT / "k8s" / ("" if name == TRAIN_JOB else "overlays") / name
        done = subprocess.run([str(kubectl), "kustomize", str(folder)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        manifests[name] = list(yaml.safe_load_all(done.stdout))
    return manifests


@pytest.fixture(params=(*OVERLAYS, TRAIN_JOB))
def manifests(request: pytest.FixtureRequest, rendered: dict[str, list[Manifest]]) -> list[Manifest]:
    """The manifests of one overlay after the other."""
    return rendered[request.param]


@pytest.fixture(params=SERVICES)
def services(request: pytest.FixtureRequest, rendered: dict[str, list[Manifest]]) -> list[Manifest]:
    """Overlays with MLflow and the design server, one after the other."""
    return rendered[request.param]
