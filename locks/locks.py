"""The locks of the environment: which one fits this machine, how they are resolved, whether they are complete.

    python locks/locks.py which             # cpu or cuda: the build of PyTorch that pip takes here
    python locks/locks.py size NAME         # what that environment takes on the disk
    python locks/locks.py resolve           # write cuda.lock and cpu.lock from pyproject.toml; --upgrade: the newest
    python locks/locks.py check [NAME ...]  # exit 1 if pip would install anything that a lock does not pin
    python locks/locks.py requirements EXTRA ...   # what the project and some of its extras declare, for pip
    python locks/locks.py installed NAME    # exit 1 if this environment holds anything that a lock does not pin

``cuda.lock`` is what the public index gives: PyTorch's CUDA build with the CUDA libraries that it pins. ``cpu.lock`` is the same
with PyTorch's CPU wheel and without CUDA. That wheel lies elsewhere: ``TORCH_CPU`` names an index or a folder of wheels that
has it, unless pip is set up with one. ``files.lock`` lists packages of which only files are used, installed without what they
depend on, ``torchserve.lock`` what stays out of the environment, in a folder of its own. Nothing is installed by any of these
commands.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
PROJECT = FOLDER.parent
EXTRAS = "refine,train,pipeline,serve,signoff,dev"
SIZES = {"cpu": "about 3.1 GB", "cuda": "about 7 GB, most of it CUDA libraries"}
"""Of the whole environment, measured after ``make setup``."""
CPU_TORCH = "TORCH_CPU"
PIN = re.compile(r"([A-Za-z0-9._-]+)==(\S+)")


def pins(name: str) -> dict[str, str]:
    """Packages of a lock with their versions."""
    text = (FOLDER / f"{name}.lock").read_text(encoding="utf-8")
    found = (PIN.fullmatch(line) for line in text.splitlines() if line and not line.startswith("#"))
    return {normalized(match[1]): match[2] for match in found if match}


def normalized(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def where() -> list[str]:
    """Options of pip that add the place with PyTorch's CPU wheel, if one is named."""
    place = os.environ.get(CPU_TORCH, "")
    return [] if not place else ["--extra-index-url" if "://" in place else "--find-links", place]


def dry_run(*arguments: str, public: bool = False) -> list[dict[str, Any]]:
    """What pip would install into an empty environment.

    Args:
        public: whether pip is to know of no place but the index, whatever it is set up with here.
    """
    environment = dict(os.environ)
    if public:
        environment = {name: value for name, value in environment.items() if name not in ("PIP_FIND_LINKS", CPU_TORCH)}
        environment["PIP_CONFIG_FILE"] = os.devnull
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--dry-run"]
        command += ["--ignore-installed", "--report", str(report), *([] if public else where()), *arguments]
        done = subprocess.run(command, cwd=PROJECT, env=environment, check=False)
        if done.returncode:
            raise SystemExit(f"locks: pip cannot resolve {' '.join(arguments)}")
        found: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["install"]
    return found


def which() -> str:
    """The lock that fits the build of PyTorch which pip takes here."""
    if os.environ.get(CPU_TORCH):
        return "cpu"
    (torch,) = dry_run("--no-deps", f"torch=={pins('cuda')['torch']}")
    return "cpu" if "+cpu" in torch["metadata"]["version"] else "cuda"


def resolve(*, upgrade: bool) -> None:
    """Write both locks with the versions of before, or the newest; the second has the versions of the first."""
    versions = FOLDER / "cuda.lock"
    for name, public in (("cuda", True), ("cpu", False)):
        keep = versions.exists() and (name == "cpu" or not upgrade)
        wanted = [f".[{EXTRAS},gpu]" if name == "cuda" else f".[{EXTRAS}]"]
        options = ["--constraint", str(versions)] if keep else []
        found = {
            normalized(item["metadata"]["name"]): item["metadata"]["version"]
            for item in dry_run(*options, *wanted, public=public)
        }
        found.pop("genrf-circuit-diffuser")
        if name == "cpu" and "+cpu" not in found["torch"]:
            raise SystemExit(f"locks: pip finds no CPU wheel of torch; name a place that has one in {CPU_TORCH}")
        what = f"PyTorch's {name.upper()} build"
        lines = [f"# Every package of the environment with {what}, resolved by `make lock` (Python 3.11, Linux)."]
        lines += [f"{package}=={version}" for package, version in sorted(found.items())]
        temporary = FOLDER / f"{name}.tmp"
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
        os.replace(temporary, FOLDER / f"{name}.lock")


def check(name: str) -> list[str]:
    """What is wrong with a lock: packages that pip would install besides, or in another version."""
    found = dry_run("--requirement", str(FOLDER / f"{name}.lock"), public=name == "cuda")
    installed = {normalized(item["metadata"]["name"]): item["metadata"]["version"] for item in found}
    locked = pins(name)
    missing = [
        f"{name}.lock: {package} {installed[package]} is not pinned" for package in installed.keys() - locked.keys()
    ]
    other = [f"{name}.lock: {p} is {locked[p]}, pip takes {v}" for p, v in installed.items() if locked.get(p, v) != v]
    return sorted(missing + other)


def requirements(*extras: str) -> list[str]:
    """What the project declares, with these extras and those that they name."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = list(project["dependencies"])
    for extra in extras:
        for requirement in project["optional-dependencies"][extra]:
            own = re.fullmatch(rf"{re.escape(project['name'])}\[(.*)\]", requirement)
            found += requirements(*own[1].split(",")) if own else [requirement]
    return sorted(set(found))


def installed(name: str) -> list[str]:
    """What this environment holds otherwise than a lock says."""
    locked = pins(name)
    own = normalized(tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"])
    found = {normalized(item.name): item.version for item in distributions()}
    # An environment comes with a setuptools of its own.
    found = {package: version for package, version in found.items() if package not in (own, "setuptools")}
    other = {package: version for package, version in found.items() if locked.get(package) != version}
    return sorted(f"{name}.lock: {p} {v} is installed, pinned is {locked.get(p)}" for p, v in other.items())


def main() -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("which")
    commands.add_parser("size").add_argument("name", choices=SIZES)
    commands.add_parser("resolve").add_argument("--upgrade", action="store_true", help="take the newest versions")
    commands.add_parser("check").add_argument("names", nargs="*", metavar="NAME", help=", ".join(SIZES))
    commands.add_parser("requirements").add_argument("extras", nargs="*", metavar="EXTRA")
    commands.add_parser("installed").add_argument("name", choices=SIZES)
    chosen = parser.parse_args()
    if chosen.command == "which":
        print(which())
    elif chosen.command == "size":
        print(SIZES[chosen.name])
    elif chosen.command == "resolve":
        resolve(upgrade=chosen.upgrade)
    elif chosen.command == "requirements":
        print("\n".join(requirements(*chosen.extras)))
    elif chosen.command == "installed":
        wrong = installed(chosen.name)
        print("\n".join(wrong) or "Every package is as pinned.")
        return 1 if wrong else 0
    else:
        unknown = sorted(set(chosen.names) - set(SIZES))
        if unknown:
            parser.error(f"no lock {', '.join(unknown)}; there are {', '.join(SIZES)}")
        wrong = [line for name in chosen.names or SIZES for line in check(name)]
        print("\n".join(wrong) or "Every package is pinned.")
        return 1 if wrong else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
