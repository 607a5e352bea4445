"""The drawing of the packages is that of the code's imports, and readable."""

from __future__ import annotations

import importlib.util
from itertools import combinations
from pathlib import Path
from types import ModuleType

import networkx as nx
import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "house.py"


@pytest.fixture(scope="module")
def house() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_house", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_drawing_is_what_the_command_draws(house: ModuleType, tmp_path: Path) -> None:
    assert house.main(["--output", str(tmp_path / "house.svg")]) == 0
    assert (tmp_path / "house.svg").read_bytes() == house.PICTURE.read_bytes()


def test_every_package_of_the_project_has_a_box(house: ModuleType) -> None:
    whole, inner = house.imports()
    assert set(whole) == {"pipelines", "components", "training", "serving", "genrf"}
    root = SCRIPT.parents[1]
    for name, rooms in inner.items():
        assert {path.parent.name for path in (root / name).glob("*/__init__.py")} <= set(rooms)
        # A module that stands in no folder belongs to one of the named rooms.
        named = {module for modules in house.ROOMS[name].values() for module in modules}
        assert {path.stem for path in (root / name).glob("*.py")} - {"__init__"} == named


def test_arrows_between_the_projects_packages_go_one_way(house: ModuleType) -> None:
    whole, _ = house.imports()
    assert nx.is_directed_acyclic_graph(whole)


def test_where_packages_import_each_other_the_lighter_direction_is_dashed(house: ModuleType) -> None:
    graph = nx.DiGraph()
    graph.add_weighted_edges_from([("a", "b", 5), ("b", "a", 1), ("b", "c", 2), ("a", "c", 1)])
    arrows, back = house.layered(graph)
    assert set(arrows.edges) == {("a", "b"), ("b", "c")}
    assert back == [("b", "a")]


@pytest.mark.parametrize("package", ["training", "genrf"])
def test_no_box_lies_on_another_and_arrows_point_down(house: ModuleType, package: str) -> None:
    graph, _ = house.layered(house.imports()[1][package])
    places, ways = house.places(graph)
    for one, other in combinations(sorted(graph), 2):
        apart = abs(places[one][0] - places[other][0]) >= 0.99 or abs(places[one][1] - places[other][1]) >= 0.99
        assert apart, (one, other)
    for way in ways:
        heights = [places[step][1] for step in way]
        assert heights == sorted(heights, reverse=True)
