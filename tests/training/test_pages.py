"""Pages that Kubeflow shows: one file each, with everything inside, and the figures by which runs are compared."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genrf import technology
from genrf.conditioning import Conditioning
from genrf.generation.design import Design
from genrf.simulation.judge import simulate
from tests.training.test_evaluate import own_specification
from training.config.steps import STEPS
from training.data.rows import Rows
from training.data.specifications import HeldOutSpecification
from training.evaluation.baselines import retrieved_circuits
from training.evaluation.headline import headline
from training.evaluation.report import write_report
from training.evaluation.showpiece import draw_showpieces, showpieces
from training.evaluation.trials import Trial
from training.running.page import FILE

INTERVAL = [0.1, 0.9]


def entry(circuit_class: str, level: str, method: str, **success: float) -> dict[str, Any]:
    intervals = {f"{name}_interval": INTERVAL for name in success}
    return {"class": circuit_class, "level": level, "method": method, "specifications": 4, **success, **intervals}


EVALUATION: dict[str, Any] = {
    "methods": [
        entry("lna", "exact", "generator", success_at_1=0.5, success_at_8=0.75, success_at_64=1.0),
        entry("vco", "exact", "generator", success_at_1=0.25, success_at_8=0.25),
        entry("lna", "frontier", "generator", success_at_1=0.0, success_at_8=0.25, success_at_64=0.5),
        entry("lna", "exact", "retrieval", success_at_1=0.5, success_at_8=0.5, success_at_64=0.75),
    ],
    "topologies": {
        "lna": {"drawn": 8, "valid": 1.0, "simulates": 0.5},
        "vco": {"drawn": 8, "valid": 0.5, "simulates": 0.5},
    },
}


def shown(folder: Path) -> str:
    """A page, which refers to nothing outside itself."""
    text = (folder / FILE).read_text()
    assert all(source.startswith("data:image/") for source in re.findall(r'src="([^"]*)', text))
    assert "href" not in text
    assert "<script" not in text
    return text


def test_an_evaluation_is_a_dozen_figures_with_the_same_names_in_every_run() -> None:
    assert headline(EVALUATION) == {
        "success_at_64": 1.0,
        "success_at_8": 0.5,
        "success_at_1": 0.375,
        "success_frontier": 0.5,
        "success_retrieval": 0.75,
        "topologies_valid": 0.75,
        "topologies_simulates": 0.5,
    }


@pytest.fixture(scope="module")
def designed(prepared: Path) -> tuple[HeldOutSpecification, Design]:
    """A specification and a circuit that meets it."""
    train, conditioning = Rows.load(prepared / "train.npz"), Conditioning.load(prepared)
    spec = own_specification(train, int(np.flatnonzero(train.useful)[0]), conditioning)
    circuit = next(retrieved_circuits(spec, train, conditioning, technology.get("sg13g2")))
    metrics = simulate(circuit, spec.conditions).metrics
    assert metrics is not None
    return HeldOutSpecification(level="exact", row=0, spec=spec), Design(
        circuit=circuit, metrics=metrics, met=True, margin=0.1
    )


def trial(item: HeldOutSpecification, best: Design | None, level: str = "exact") -> Trial:
    return Trial("generator", "lna", level, item.spec.name, 1, 1, {}, 0.1, best=best)


def test_the_page_of_an_evaluation_has_figures_curves_and_the_best_circuit(
    designed: tuple[HeldOutSpecification, Design], tmp_path: Path
) -> None:
    item, design = designed
    write_report(EVALUATION, tmp_path)
    (tmp_path / "evaluation.json").write_text(json.dumps(EVALUATION))
    draw_showpieces([trial(item, design)], [item], "sg13g2", tmp_path)
    STEPS["evaluate_generator"].write_report(
        {**headline(EVALUATION), "success_at_1/lna/exact/generator": 0.5}, tmp_path
    )
    text = shown(tmp_path)
    assert len(re.findall("data:image/png", text)) == 1
    assert len(re.findall(re.escape("data:image/svg+xml"), text)) == 2
    assert "<td>success frontier</td><td>0.5</td>" in text
    assert "<td>lna</td><td>exact</td><td>generator</td><td>4</td><td>50 %</td><td>75 %</td><td>100 %</td>" in text
    assert "success_at_1/lna" not in text


def test_a_circuit_of_the_hardest_level_that_was_met_is_drawn(designed: tuple[HeldOutSpecification, Design]) -> None:
    item, design = designed
    wide = Design(circuit=design.circuit, metrics=design.metrics, met=True, margin=0.9)
    missed = Design(circuit=design.circuit, metrics=design.metrics, met=False, margin=-0.1)
    hard = HeldOutSpecification(level="tightened", row=0, spec=item.spec)
    chosen = showpieces([trial(item, wide), trial(hard, design, "tightened"), trial(item, missed)], [item, hard])
    assert [drawn.margin for _, drawn in chosen] == [design.margin]
    assert showpieces([trial(item, missed), trial(item, None)], [item]) == []


def test_the_page_of_a_training_has_its_loss_curves(tmp_path: Path) -> None:
    (tmp_path / "losses.csv").write_text("step,train_loss,validation_loss\n10,2.0,2.5\n20,1.0,1.5\n")
    STEPS["train_surrogate"].write_report({"steps": 20, "best_validation_loss": 1.5}, tmp_path)
    text = shown(tmp_path)
    assert "<h1>Train surrogate</h1>" in text
    assert "<td>best validation loss</td><td>1.5</td>" in text
    assert "data:image/png" in text


@pytest.mark.parametrize("registered", [True, False])
def test_the_page_of_a_promotion_says_what_was_decided_and_why(tmp_path: Path, registered: bool) -> None:
    result = {
        "version": 3,
        "registered": registered,
        "promoted": False,
        "reason": "worse than version 2: success_at_64: 0.500 against 0.750",
        "challenger_success_at_64": 0.5,
        "champion_success_at_64": 0.75,
    }
    STEPS["promote_model"].write_report(result, tmp_path)
    text = shown(tmp_path)
    assert "version 3 is challenger: worse than version 2" in text
    assert ("nothing registered" in text) is not registered
    assert "<td>success at 64</td><td>0.5</td><td>0.75</td>" in text
