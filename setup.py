"""Builds the package with the files of the process's models, and the specifications of ``examples/``, in it.

The package that distributes them depends on layout tools of several hundred megabytes, of which nothing is used here. So a
build takes its files alone: those that are installed beside it, else from the package index. An editable installation has
them from ``locks/files.lock``. The models are licensed under Apache-2.0; their license goes with them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
DISTRIBUTION = "ihp-gdsfactory"
MODELS = "ihp/models/ngspice/models/"
TARGET = Path("genrf/technology/sg13g2/models")
EXAMPLES = Path("serving/examples")
"""Where `serving.examples` has the specifications from which people start."""


class BuildWithModels(build_py):
    """Copies the model files and the examples into the built package."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            self._copy_models(Path(self.build_lib) / TARGET)
            self._copy_examples(Path(self.build_lib) / EXAMPLES)

    def _copy_examples(self, target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True)
        for path in sorted((HERE / "examples").glob("*.yaml")):
            self.copy_file(str(path), str(target / path.name))

    def _copy_models(self, target: Path) -> None:
        lines = (HERE / "locks" / "files.lock").read_text(encoding="utf-8").splitlines()
        pin = next(line for line in lines if line.startswith(DISTRIBUTION))
        for name, content in (_installed(pin) or _downloaded(pin)).items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(content)
        (target / "VERSION").write_text(pin.partition("==")[2].strip() + "\n", encoding="utf-8")


def _name(path: str) -> str | None:
    """What a file of the package is called among the models; none if it is not kept."""
    if path.startswith(MODELS) and not path.endswith("/"):
        return path.removeprefix(MODELS)
    return "LICENSE" if path.endswith("/licenses/LICENSE") else None


def _installed(pin: str) -> dict[str, bytes]:
    """The files of an installed package of that version; nothing if there is none."""
    try:
        found = distribution(DISTRIBUTION)
    except PackageNotFoundError:
        return {}
    if f"{DISTRIBUTION}=={found.version}" != pin:
        return {}
    files = found.files or []
    return {name: Path(str(file.locate())).read_bytes() for file in files if (name := _name(str(file)))}


def _downloaded(pin: str) -> dict[str, bytes]:
    """The files of the package as the index has it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, pin]
        subprocess.run(command, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return {name: archive.read(path) for path in archive.namelist() if (name := _name(path))}


setup(cmdclass={"build_py": BuildWithModels})
