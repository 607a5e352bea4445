"""What holds for every component."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from kfp.dsl.base_component import BaseComponent

from components.image import IMAGE

FOLDER = Path(__file__).parents[2] / "components"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in {"__init__", "image"})


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def function_of(name: str) -> ast.FunctionDef:
    tree = ast.parse((FOLDER / f"{name}.py").read_text())
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return function


def test_a_module_holds_one_component_of_its_name(name: str) -> None:
    assert function_of(name).name == name
    component = getattr(importlib.import_module(f"components.{name}"), name)
    assert isinstance(component, BaseComponent)


def test_it_runs_in_the_image_without_installing_anything(name: str) -> None:
    component = getattr(importlib.import_module(f"components.{name}"), name)
    container = component.component_spec.implementation.container
    assert container.image == IMAGE
    assert "pip install" not in " ".join(container.command)


def test_its_body_only_imports_from_training(name: str) -> None:
    imported = {
        (node.module or "").split(".")[0] for node in ast.walk(function_of(name)) if isinstance(node, ast.ImportFrom)
    }
    assert imported <= {"training", "collections"}


def test_it_says_what_it_does_and_is_short(name: str) -> None:
    assert ast.get_docstring(function_of(name))
    assert len((FOLDER / f"{name}.py").read_text().splitlines()) <= 60


def test_importing_all_of_them_loads_no_heavy_library() -> None:
    code = "; ".join(f"import components.{name}" for name in NAMES)
    check = "import sys; assert not {'torch', 'mlflow', 'pandas', 'dvc'} & set(sys.modules), sorted(sys.modules)"
    subprocess.run([sys.executable, "-c", f"{code}; {check}"], check=True)
