"""``dvc.yaml``: the steps as DVC stages, written from the table of steps for one recipe.

A stage depends on its inputs, on its own sections of ``params.yaml`` with what the recipe lays over them, and on the code that
its function imports, whole packages at a time: a stage that kept old results after a change of code would be worse than one
that runs once too often.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from genrf.errors import GenRFError
from genrf.files import written_whole
from training.config.loading import DEFAULT_PATH, DEFAULT_RECIPE, load_config
from training.config.steps import ROWS, StepDefinition, maker, stages
from training.stages import SIMULATE_DATA, input_of

if TYPE_CHECKING:
    from grimp import ImportGraph

ROOT = Path(__file__).parents[1]
FILE = "dvc.yaml"
HEAD = """# The pipeline as DVC stages: `make stages` runs those whose inputs changed, by the functions of the KFP components.
# Written from training/config/steps.py and params.yaml for one recipe: `make stages RECIPE=nightly` writes another's.

"""
DYNAMIC = ("genrf.classes", "genrf.technology", "training.running")
"""Packages that no function imports: two are found by name, and the last runs the function."""
WITHOUT_EFFECT = {"data": {"workers"}}
"""Fields by section that change how fast a step is and not what it makes."""


def write_stages(
    path: Path = ROOT / FILE, recipe: str = DEFAULT_RECIPE, parameters: Path = ROOT / DEFAULT_PATH
) -> Path:
    """Write the stages of a recipe.

    Args:
        path: file to write.
        recipe: name of the recipe.
        parameters: configuration file in which the recipe is.

    Raises:
        InvalidInputError: if there is no such recipe, or the configuration is wrong.
    """
    import grimp

    load_config(parameters, recipe)
    values = yaml.safe_load(parameters.read_text(encoding="utf-8"))
    graph = grimp.build_graph("genrf", "training", cache_dir=None)
    steps = {SIMULATE_DATA: _data_stage(graph, recipe, values)}
    steps |= {step.name: _stage(step, graph, recipe, values) for step in stages()}
    with written_whole(path) as temporary:
        text = yaml.safe_dump({"stages": steps, "plots": _plots()}, sort_keys=False, width=120, allow_unicode=True)
        temporary.write_text(HEAD + text, encoding="utf-8")
    return path


def code_of(function: str, graph: ImportGraph) -> list[str]:
    """The packages and modules, as paths, that a function ``module:name`` imports, however indirectly."""
    module = function.partition(":")[0]
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


def _data_stage(graph: ImportGraph, recipe: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The stage that makes the rows, beside ``data/``: data.dvc tracks that folder, and DVC takes no path in two places."""
    step = maker(ROWS)
    return {
        "desc": "Simulate the dataset from its seed; make data puts it into data/ and records it",
        "cmd": f"python -m training {SIMULATE_DATA} --recipe {recipe}",
        "deps": code_of("training.data.simulate:simulate_shard", graph),
        "params": _parameters(step, recipe, values),
        "outs": [f"artifacts/{step.output}"],
    }


def _stage(step: StepDefinition, graph: ImportGraph, recipe: str, values: Mapping[str, Any]) -> dict[str, Any]:
    output: Any = f"artifacts/{step.output}"
    return {
        "desc": step.does,
        "cmd": f"python -m training {step.name} --recipe {recipe}",
        "deps": [*(str(input_of(name)) for name in step.inputs), *code_of(step.function, graph)],
        "params": _parameters(step, recipe, values),
        # A training's folder is left to the command, so that an interrupted training goes on; it removes a finished one.
        "outs": [{output: {"persist": True}} if step.role == "training" else output],
        "metrics": [{f"artifacts/metrics/{step.name}.json": {"cache": False}}],
    }


def _parameters(step: StepDefinition, recipe: str, values: Mapping[str, Any]) -> list[str]:
    """Keys of the configuration file that decide what a step makes: of its own sections, and what the recipe lays over them."""
    assert step.sections is not None
    names = ("seed", "technology", "classes", *step.sections)
    laid_over = values["recipes"][recipe] or {}
    return [
        *(key for name in names for key in _keys(name, values[name], "")),
        *(key for name in names if name in laid_over for key in _keys(name, laid_over[name], f"recipes.{recipe}.")),
    ]


def _keys(section: str, value: Any, where: str) -> list[str]:
    without = WITHOUT_EFFECT.get(section)
    if without is None:
        return [f"{where}{section}"]
    return [f"{where}{section}.{field}" for field in value if field not in without]


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


def main(recipe: Annotated[str, typer.Option(help="Recipe in params.yaml.")] = DEFAULT_RECIPE) -> None:
    """Write dvc.yaml for a recipe."""
    try:
        write_stages(recipe=recipe)
    except GenRFError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(error.exit_code) from error


if __name__ == "__main__":
    typer.run(main)
