"""The command line as a user meets it: what it prints, what it writes, how it ends."""

from __future__ import annotations

import errno
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import genrf.cli
import genrf.cli_options
from genrf.circuit.netlist import run_standalone
from genrf.cli import app
from genrf.errors import MissingToolError
from genrf.export.design_file import read_design
from tests.amplifiers import CASCODE, COMMON_EMITTER, MATCHED_28GHZ, SPECIFICATION_28GHZ
from tests.scripted_designer import ScriptedDesigner

COMMANDS = (
    "generate",
    "simulate",
    "yield",
    "spec check",
    "objects check",
    "feedback",
    "metrics",
    "pipeline",
    "lineage",
    "serve",
    "version",
)
EXAMPLES = sorted(Path("examples").glob("*.yaml"))


def run(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, output, and error output of a command."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def written(path: Path, **changes: object) -> Path:
    path.write_text(yaml.safe_dump(SPECIFICATION_28GHZ | changes))
    return path


@pytest.fixture(scope="module")
def scripted() -> object:
    """The circuits that the test double proposes: one that meets the specification, and two that do not."""
    detuned = MATCHED_28GHZ.with_values([0.97 * value if value < 1e-9 else value for value in MATCHED_28GHZ.values])
    return lambda *_: ScriptedDesigner([CASCODE, MATCHED_28GHZ, COMMON_EMITTER, detuned])


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory, scripted: object) -> tuple[Path, str]:
    """The output folder of one successful run, and what it printed."""
    folder = tmp_path_factory.mktemp("generate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(genrf.cli_options, "designer", scripted)
        code, output, errors = run("generate", written(folder / "wanted.yaml"), "-o", folder / "out", "-n", "2")
    assert (code, errors) == (0, "")
    return folder / "out", output


def test_prints_the_best_designs_against_the_specification(generated: tuple[Path, str]) -> None:
    _, output = generated
    rows = [line for line in output.splitlines() if re.match(r"\s*(bound|\d+)  ", line)]
    assert [row.split()[0] for row in rows] == ["bound", "1", "2"]
    assert "≥ 16.00" in rows[0]
    assert "17.27" in rows[1]
    assert "yes" in rows[1]
    assert "of 4 meet the specification, the first after 2" in output


def test_until_met_stops_at_the_first_verified_design(
    scripted: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(genrf.cli_options, "designer", scripted)
    code, output, _ = run("generate", written(tmp_path / "wanted.yaml"), "-o", tmp_path / "out", "--until-met")
    assert code == 0
    assert "1 of 2 meet the specification, the first after 2" in output


def test_writes_every_file_of_each_design(generated: tuple[Path, str]) -> None:
    folder, _ = generated
    names = {"design.json", "netlist.spice", "s_parameters.s2p", "performance.svg", "performance.png", "schematic.svg"}
    assert {path.name for path in folder.iterdir()} == {"design_1", "design_2", "report.html", "result.json"}
    for number in (1, 2):
        files = {path.name: path.stat().st_size for path in (folder / f"design_{number}").iterdir()}
        assert files.keys() == names
        assert min(files.values()) > 1000
    assert not list(folder.parent.glob(".*")), "no temporary folder is left"


def test_the_written_netlist_gives_the_same_metrics_when_run_by_hand(generated: tuple[Path, str]) -> None:
    folder, _ = generated
    for number in (1, 2):
        design, spec = read_design(folder / f"design_{number}" / "design.json")
        by_hand = run_standalone(folder / f"design_{number}" / "netlist.spice", spec.circuit_class)
        assert by_hand.keys() == design.metrics.keys()
        for name, value in design.metrics.items():
            # ngspice holds the junctions, which follow the signal a little in our simulator, and is without the noise of rbp.
            close = {"abs": 0.02} if name.endswith("_db") else {"rel": 1e-3}
            assert by_hand[name] == pytest.approx(value, **close), name


def test_the_touchstone_file_shows_the_same_gain(generated: tuple[Path, str]) -> None:
    import skrf

    folder, _ = generated
    design, spec = read_design(folder / "design_1" / "design.json")
    network = skrf.Network(str(folder / "design_1" / "s_parameters.s2p"))
    centre = abs(network.f - spec.conditions.frequency_hz).argmin()
    assert network.s_db[centre, 1, 0] == pytest.approx(design.metrics["gain_db"], abs=1e-6)
    assert network.s_db[centre, 0, 0] == pytest.approx(design.metrics["s11_db"], abs=1e-6)


def test_a_written_design_simulates_to_its_own_metrics(generated: tuple[Path, str]) -> None:
    folder, _ = generated
    path = folder / "design_1" / "design.json"
    code, output, _ = run("simulate", path, "--json")
    (content,) = json.loads(output)
    assert code == 0
    assert content["met"]
    assert content["metrics"] == pytest.approx(dict(read_design(path)[0].metrics), rel=1e-9)


def test_the_files_of_a_design_come_from_its_json_alone(generated: tuple[Path, str], tmp_path: Path) -> None:
    original = generated[0] / "design_1"
    (tmp_path / "mail.json").write_bytes((original / "design.json").read_bytes())
    code, output, _ = run("export", tmp_path / "mail.json", "--output", tmp_path / "made")
    assert (code, output) == (0, f"{tmp_path}/made: meets its specification; see {tmp_path}/made/report.html\n")
    made = tmp_path / "made" / "design_1"
    assert {path.name for path in made.iterdir()} == {path.name for path in original.iterdir()}
    assert (made / "s_parameters.s2p").read_text() == (original / "s_parameters.s2p").read_text()
    code, _, error = run("export", tmp_path / "mail.json", "--output", tmp_path / "made")
    assert code == 2
    assert "exists already; choose another with --output" in error


def test_simulates_every_combination_of_corner_and_supply(generated: tuple[Path, str]) -> None:
    folder, _ = generated
    path = folder / "design_1" / "design.json"
    corners = [option for corner in ("typ", "bcs", "wcs") for option in ("--corner", corner)]
    code, output, errors = run("simulate", path, *corners, "--supply", "1.9", "--supply", "2", "--json")
    found = {(entry["corner"], entry["supply_v"]): entry["metrics"]["gain_db"] for entry in json.loads(output)}
    assert found.keys() == {(corner, supply) for corner in ("typ", "bcs", "wcs") for supply in (1.9, 2.0)}
    assert len(set(found.values())) == 6
    missed = sum(not entry["met"] for entry in json.loads(output))
    assert missed > 0
    assert (code, errors) == (5, f"genrf: the specification is missed in {missed} of 6 simulations\n")


def test_a_simulation_that_fails_is_a_failure(generated: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = generated
    content = json.loads((folder / "design_1" / "design.json").read_text())
    transistor = next(device for device in content["circuit"]["devices"] if device["kind"] == "hbt")
    transistor["emitters"] = 1.0
    (tmp_path / "overloaded.json").write_text(json.dumps(content))
    code, output, errors = run("simulate", tmp_path / "overloaded.json")
    assert code == 1
    assert "device_limit" in output
    assert errors.startswith("genrf: 1 of 1 simulations failed: device_limit: Q1")


def test_robust_designs_are_judged_at_every_corner(
    tmp_path: Path, scripted: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(genrf.cli_options, "designer", scripted)
    spec = written(tmp_path / "wanted.yaml", constraints={"gain_db": {"min": 12}})
    code, output, _ = run("generate", spec, "-o", tmp_path / "out", "-n", "2", "--robust")
    assert code == 0
    assert re.search(
        r"Process corners met: design 1 3 of 3, design 2 (3 of 3|[0-2] of 3 \(not \w+( and \w+)*\))", output
    )
    margins = [read_design(tmp_path / "out" / f"design_{n}" / "design.json")[0].provenance["corners"] for n in (1, 2)]
    assert [verdict["met"] for verdict in margins] == sorted((v["met"] for v in margins), reverse=True)


def test_refuses_to_overwrite_before_doing_any_work(
    generated: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = generated
    monkeypatch.setattr(genrf.cli_options, "designer", lambda *_: pytest.fail("work was done"))
    code, _, errors = run("generate", folder.parent / "wanted.yaml", "-o", folder)
    assert (code, errors.count("\n")) == (2, 1)
    assert "exists already; choose another with --output or overwrite it with --force" in errors


def test_an_impossible_specification_ends_with_the_closest_design_and_what_it_misses(
    tmp_path: Path, scripted: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(genrf.cli_options, "designer", scripted)
    spec = written(tmp_path / "dream.yaml", constraints={"gain_db": {"min": 60}})
    code, output, errors = run("generate", spec, "-o", tmp_path / "out", "-n", "1", "--json")
    assert code == 5
    assert re.fullmatch(
        rf"genrf: {spec}: not met by any of 4 simulated circuits; the closest: "
        r"gain_db >= 60.00 dB is missed by 42\.\d\d dB \(reached 17\.\d\d dB\)\n",
        errors,
    )
    assert not any(design["met"] for design in json.loads(output)["designs"])
    assert (tmp_path / "out" / "design_1" / "schematic.svg").exists(), "the closest design is written all the same"


def test_a_specification_that_no_circuit_survives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genrf.cli_options, "designer", lambda *_: ScriptedDesigner([COMMON_EMITTER]))
    code, _, errors = run("generate", written(tmp_path / "dry.yaml"), "-o", tmp_path / "out")
    assert code == 5
    assert "no circuit could be simulated (1 " in errors


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (MissingToolError("libngspice: not installed; apt-get install libngspice0"), 3, "libngspice: not installed"),
        (
            OSError(errno.ENOSPC, "No space left on device", "out/design.json"),
            1,
            "out/design.json: No space left on device",
        ),
    ],
)
def test_failures_are_one_line_and_an_exit_code(
    error: Exception, code: int, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(genrf.cli_options, "designer", fail)
    found, _, errors = run("generate", written(tmp_path / "spec.yaml"), "-o", tmp_path / "out")
    assert found == code
    assert errors.startswith(f"genrf: {line}")
    assert errors.count("\n") == 1
    with pytest.raises(type(error)):
        run("--debug", "generate", tmp_path / "spec.yaml", "-o", tmp_path / "out")


def test_a_corrupted_bundle_is_named(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "manifest.json").write_text('{"format": 1')
    code, _, errors = run(
        "generate", written(tmp_path / "spec.yaml"), "-b", tmp_path / "bundle", "-o", tmp_path / "out"
    )
    assert code == 4
    assert "manifest.json: not valid JSON" in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"colour": "red"}, "colour: unknown key"),
        ({"frequency": "fast"}, "frequency: expected a number in Hz"),
        ({"constraints": {"gain": {"min": 1}}}, "constraints.gain: not a metric of class lna"),
        ({"class": "toaster"}, "unknown circuit class 'toaster'"),
    ],
)
def test_a_bad_specification_is_named_by_file_and_field(changes: dict[str, object], named: str, tmp_path: Path) -> None:
    path = written(tmp_path / "bad.yaml", **changes)
    for command in (("generate", path), ("spec", "check", path)):
        code, _, errors = run(*command)
        assert code == 2
        assert errors.startswith(f"genrf: {path}: ")
        assert named in errors
        assert errors.count("\n") == 1


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_shipped_examples_are_valid_and_named_like_their_files(path: Path) -> None:
    code, output, _ = run("spec", "check", path, "--json")
    assert code == 0
    (spec,) = json.loads(output)
    assert spec["name"] == path.stem
    assert len(spec["constraints"]) >= 5


def test_lists_the_vocabulary() -> None:
    code, output, _ = run("metrics", "lna")
    assert code == 0
    for name in ("gain_db", "nf_db", "s11_db", "power_w", "mu_min"):
        assert name in output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    if command in ("pipeline", "lineage"):
        pytest.importorskip("pipelines.cli")
    if command == "serve":
        pytest.importorskip("serving.command")
    code, output, _ = run(*command.split(), "--help")
    assert code == 0
    assert f"genrf {command}" in " ".join(output.split())


def test_nothing_heavy_is_imported_for_help() -> None:
    program = (
        "import sys\nfrom genrf.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'matplotlib', 'schemdraw', 'skrf', 'onnxruntime', 'torch', 'kfp', 'mlflow', 'pandas'}\n"
        "print('heavy:', sorted(heavy & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "genrf", "version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("genrf ")
    assert "sg13g2" in done.stdout


def test_the_pipeline_is_reached_through_the_entry_point() -> None:
    code, output, _ = run("pipeline", "--help")
    assert code == 0
    assert {"run", "compile"} <= set(output.split())


def test_says_so_when_the_pipeline_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: ())
    code, _, errors = run("pipeline", "run")
    assert code == 3
    assert "pipeline: not installed" in errors
