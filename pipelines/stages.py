"""``dvc.yaml``: the steps that start from the dataset as DVC stages, written from the table of steps.

A stage depends on its inputs, on its part of ``params.yaml``, and on the code that its function imports, whole packages at a
time: a stage that kept old results after a change of code would be worse than one that runs once too often.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from genrf.files import written_whole
from training.config.steps import ROWS, StepDefinition, stages

if TYPE_CHECKING:
    from grimp import ImportGraph

ROOT = Path(__file__).parents[1]
FILE = "dvc.yaml"
HEAD = """# The pipeline as DVC stages: `make stages` runs those whose inputs changed, by the functions of the KFP components.
# Written by `make compile` from training/config/steps.py: change that file, or the recipe below.

"""
DYNAMIC = ("genrf.classes", "genrf.technology", "training.running")
"""Packages that no function imports: two are found by name, and the last runs the function."""


def write_stages(path: Path = ROOT / FILE, recipe: str = "smoke") -> Path:
    """Write the stages, for a recipe that may be changed in the file."""
    import grimp

    graph = grimp.build_graph("genrf", "training", cache_dir=None)
    steps = {step.name: _stage(step, graph) for step in stages()}
    content = {"vars": [{"recipe": recipe}], "stages": steps, "plots": _plots()}
    with written_whole(path) as temporary:
        text = yaml.safe_dump(content, sort_keys=False, width=120, allow_unicode=True)
        temporary.write_text(HEAD + text, encoding="utf-8")
    return path


def code_of(step: StepDefinition, graph: ImportGraph) -> list[str]:
    """The packages and modules, as paths, that a step's function imports, however indirectly."""
    module = step.function.partition(":")[0]
    reached = {module, *graph.find_upstream_modules(module)}
    for package in DYNAMIC:
        for name in {package, *graph.find_descendants(package)}:
            reached |= {name, *graph.find_upstream_modules(name)}
    return sorted({_unit(name, graph.modules) for name in reached} - {""})


def _unit(module: str, modules: set[str]) -> str:
    """The path of the package below the root that a module is in, or of a module that is directly below."""
    parts = module.split(".")
    if len(parts) == 1:
        return ""
    unit = ".".join(parts[:2])
    is_package = any(name.startswith(f"{unit}.") for name in modules)
    return "/".join(parts[:2]) + ("" if is_package else ".py")


def _stage(step: StepDefinition, graph: ImportGraph) -> dict[str, Any]:
    assert step.sections is not None
    output: Any = f"artifacts/{step.output}"
    return {
        "desc": step.does,
        "cmd": f"python -m training {step.name} --recipe ${{recipe}}",
        "deps": [*("data" if name == ROWS else f"artifacts/{name}" for name in step.inputs), *code_of(step, graph)],
        "params": ["seed", "technology", "classes", "recipes.${recipe}", *step.sections],
        # A training's folder is left to the command, so that an interrupted training goes on; it removes a finished one.
        "outs": [{output: {"persist": True}} if step.role == "training" else output],
        "metrics": [{f"artifacts/metrics/{step.name}.json": {"cache": False}}],
    }


def _plots() -> list[Any]:
    losses = [step for step in stages() if step.role == "training"]
    return [
        *(
            {
                step.output: {
                    "x": "step",
                    "y": {f"artifacts/{step.output}/losses.csv": ["train_loss", "validation_loss"]},
                }
            }
            for step in losses
        ),
        "artifacts/evaluation/success.png",
    ]
