"""How the modules of the project hang together; the arrows between its rooms are contracts of import-linter."""

from __future__ import annotations

import grimp
import networkx as nx

from training.config.steps import STEPS, missing_parts

PACKAGES = ("genrf", "training", "components", "pipelines", "serving")


def test_no_modules_import_each_other_in_a_circle() -> None:
    found = grimp.build_graph(*PACKAGES, cache_dir=None)
    imports = nx.DiGraph(
        (own, other) for own in found.modules for other in found.find_modules_directly_imported_by(own)
    )
    circles = [sorted(circle) for circle in nx.strongly_connected_components(imports) if len(circle) > 1]
    assert circles == []


def test_every_step_reads_what_an_earlier_one_makes() -> None:
    assert missing_parts(STEPS.values()) == []
    assert missing_parts(reversed(STEPS.values())) != []
