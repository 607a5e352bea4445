"""``python -m training`` on what is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from training.__main__ import app

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "off")
    return tmp_path


def test_a_finished_result_is_kept_while_an_input_is_missing(folder: Path) -> None:
    report = folder / "artifacts" / "quantized" / "step.json"
    report.parent.mkdir(parents=True)
    report.write_text("{}")
    (folder / "artifacts" / "prepared").mkdir()
    done = CliRunner().invoke(app, ["quantize"])
    assert done.exit_code == 2
    assert "artifacts/bundle: not there, and quantize reads it; python -m training export_onnx makes it" in done.output
    assert report.read_text() == "{}"
    assert {path.name for path in (folder / "artifacts").iterdir()} == {"prepared", "quantized"}


def test_the_dataset_is_asked_for(folder: Path) -> None:
    done = CliRunner().invoke(app, ["prepare_data"])
    assert (done.exit_code, done.output.strip()) == (
        2,
        "error: data: not there, and prepare_data reads it; python -m training data makes it",
    )


def test_a_path_that_an_option_names_must_be_there(folder: Path) -> None:
    (folder / "data").mkdir()
    done = CliRunner().invoke(app, ["prepare_data", "--normalisation", "nowhere"])
    assert (done.exit_code, done.output.strip()) == (2, "error: --normalisation: nowhere: no such file or folder")
