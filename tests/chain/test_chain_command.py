"""``genrf chain`` from a file to a folder, with blocks that are given instead of generated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import genrf.cli
import genrf.cli_options
from genrf.chain.budget import cascaded_iip3_dbm
from genrf.chain.generate import MIXER_NOISE_NOTE
from genrf.circuit.netlist import run_standalone
from genrf.cli import app
from genrf.export.design_file import read_design
from tests.chain.blocks import FILTER, LNA, MIXER
from tests.scripted_designer import ScriptedDesigner

TOTALS = {"frequency": "28 GHz", "supply": "2 V", "nf_db": 6, "iip3_dbm": -25, "power_w": "40 mW"}
WITH_MIXER = TOTALS | {
    "gain_db": 20,
    "blocks": [{"class": "filter"}, {"class": "lna"}, {"class": "mixer", "gain_db": 5}],
}
WITHOUT_MIXER = TOTALS | {"gain_db": 15, "blocks": [{"class": "filter"}, {"class": "lna"}]}


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genrf.cli_options, "designer", lambda *_: ScriptedDesigner([FILTER, LNA, MIXER]))


def chain(folder: Path, specification: dict[str, object], *options: str) -> tuple[int, str, str]:
    path = folder / "receiver.yaml"
    path.write_text(yaml.safe_dump(specification))
    result = CliRunner().invoke(app, ["chain", str(path), "-o", str(folder / "out"), *options])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_a_receiver_with_a_mixer_is_simulated_as_one_netlist(tmp_path: Path) -> None:
    code, output, errors = chain(tmp_path, WITH_MIXER)
    assert (code, errors) == (0, "")
    assert [line.split()[:2] for line in output.splitlines() if "→" in line][1:] == [
        ["1", "filter"],
        ["2", "lna"],
        ["3", "mixer"],
        ["blocks", "cascaded"],
        ["one", "netlist"],
    ]
    assert MIXER_NOISE_NOTE in output
    folder = tmp_path / "out"
    content = json.loads((folder / "result.json").read_text())
    assert content["met"] is True
    filter_, lna, mixer = (block["figures"] for block in content["blocks"])
    assert content["from_blocks"]["gain_db"] == pytest.approx(sum(b["gain_db"] for b in (filter_, lna, mixer)))
    intercepts = [(filter_["gain_db"], float("inf")), *((b["gain_db"], b["iip3_dbm"]) for b in (lna, mixer))]
    assert content["from_blocks"]["iip3_dbm"] == pytest.approx(cascaded_iip3_dbm(intercepts))
    # Power adds up; gain does not, because no block is matched perfectly.
    assert content["simulated"]["power_w"] == pytest.approx(content["from_blocks"]["power_w"], rel=0.02)
    assert content["simulated"]["gain_db"] == pytest.approx(content["from_blocks"]["gain_db"], abs=5)
    front = run_standalone(folder / "before_mixer.spice", "lna")
    assert lna["nf_db"] < front["nf_db"] < content["simulated"]["nf_db"]
    for number, name in enumerate(("filter", "lna", "mixer"), start=1):
        place = folder / f"block_{number}_{name}"
        assert {path.name for path in place.iterdir()} == {"design.json", "netlist.spice", "schematic.svg"}
        assert read_design(place / "design.json")[1].circuit_class == name


def test_a_front_end_without_a_mixer_prints_the_same_figures_when_run_by_hand(tmp_path: Path) -> None:
    code, output, errors = chain(tmp_path, WITHOUT_MIXER, "--json")
    assert (code, errors) == (0, "")
    content = json.loads(output)
    by_hand = run_standalone(tmp_path / "out" / "netlist.spice", "lna")
    # ngspice holds the junctions, which follow the signal a little in our simulator, and is without the noise of rbp.
    assert content["simulated"]["gain_db"] == pytest.approx(by_hand["gain_db"], abs=0.02)
    assert content["simulated"]["nf_db"] == pytest.approx(by_hand["nf_db"], abs=0.02)
    assert content["simulated"]["power_w"] == pytest.approx(by_hand["power_w"], rel=1e-4)
    assert content["from_blocks"]["nf_db"] == pytest.approx(content["simulated"]["nf_db"], abs=0.5)


def test_a_chain_that_misses_ends_with_exit_code_5_and_is_written(tmp_path: Path) -> None:
    code, _, errors = chain(tmp_path, WITHOUT_MIXER | {"gain_db": 30})
    assert code == 5
    assert "misses gain_db >= 30 (reached 16." in errors
    assert json.loads((tmp_path / "out" / "result.json").read_text())["met"] is False


def test_an_existing_folder_is_refused_unless_forced(tmp_path: Path) -> None:
    assert chain(tmp_path, WITHOUT_MIXER)[0] == 0
    code, _, errors = chain(tmp_path, WITHOUT_MIXER)
    assert code == 2
    assert "exists already" in errors
    assert chain(tmp_path, WITHOUT_MIXER, "--force")[0] == 0


def test_a_class_that_the_models_do_not_know_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genrf.cli_options, "designer", lambda *_: ScriptedDesigner([LNA]))
    code, _, errors = chain(tmp_path, WITHOUT_MIXER)
    assert code == 2
    assert "the models were not trained on class filter; they know lna" in errors
