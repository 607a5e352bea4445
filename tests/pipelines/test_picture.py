"""The README's picture of the DAG is that of the compiled pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.compile import FOLDER, PICTURE, PIPELINE
from pipelines.picture import draw, tasks


def test_the_committed_picture_is_drawn_from_the_committed_pipeline(tmp_path: Path) -> None:
    draw(FOLDER / PIPELINE, tmp_path / "pipeline.svg")
    assert (tmp_path / "pipeline.svg").read_text() == PICTURE.read_text()


def test_the_picture_shows_every_task_and_which_of_them_need_a_gpu() -> None:
    graph = tasks(FOLDER / PIPELINE)
    on_gpu = {name for name, data in graph.nodes(data=True) if data["gpu"]}
    assert on_gpu == {"train-topology-gan", "train-sizing-diffusion", "train-surrogate"}
    assert {"plan-data", "prepare-data", "evaluate-generator", "export-onnx", "quantize", "summarize"} <= set(graph)


@pytest.mark.parametrize("training", ["train-topology-gan", "train-sizing-diffusion", "train-surrogate"])
def test_an_arrow_is_left_out_where_a_longer_way_implies_it(training: str) -> None:
    graph = tasks(FOLDER / PIPELINE)
    assert set(graph.successors(training)) == {"evaluate-generator", "export-onnx"}
