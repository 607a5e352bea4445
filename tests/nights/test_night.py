"""The pipeline of a night with its real functions, in a recipe too small for its figures to mean anything."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from mlflow import MlflowClient

from genrf.errors import InvalidInputError
from genrf.export.design_file import write_design
from genrf.feedback.log import open_log
from genrf.feedback.record import ModelVersion, SearchRecord
from genrf.files import sha256
from genrf.generation.bundle import Bundle
from genrf.generation.released import released_folder, released_identity
from genrf.spec import DesignSpec
from tests.pipelines.conftest import MICRO, ROOT
from training.config.loading import load_config
from training.evaluation.trials import bundle_designer
from training.nights.lineage import lineage
from training.running.store import TRACKING_URI

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
NIGHTS = {
    "least_requests": 8,
    "targets": 2,
    "target_calls": 4,
    "rounds": 1,
    "circuits_per_round": 100,
    "judged": 2,
    "patience_nights": 2,
    "largest_failed_share": 1.0,
}


@dataclass(frozen=True)
class House:
    """A folder in which nights run, with a log, a registry and a DVC remote of its own."""

    folder: Path

    def record(self, records: Iterable[SearchRecord]) -> None:
        open_log(str(self.folder / "feedback")).append(list(records))

    def night(self, *overrides: str, killed: str = "") -> subprocess.CompletedProcess[str]:
        """Run a night; of a step that is named the process is killed once it has begun."""
        command = [sys.executable, "-m", "pipelines", "night", "--recipe", "micro"]
        for override in overrides:
            command += ["--set", override]
        environment = {
            **os.environ,
            "GENRF_CODE": "as-tested",
            "GENRF_FEEDBACK": str(self.folder / "feedback"),
            "GENRF_DVC_REMOTE": str(self.folder / "remote"),
            "HOME": str(self.folder / "home"),
        }
        with (
            tempfile.TemporaryFile("w+") as errors,
            subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
            ) as process,
        ):
            assert process.stdout is not None
            printed = []
            for line in process.stdout:
                printed.append(line)
                if killed and line.startswith(f"{killed}: started"):
                    kill_step(process.pid, killed.replace("-", "_"), self.folder / "runs" / "work")
            process.wait(timeout=60)
            errors.seek(0)
            return subprocess.CompletedProcess(command, process.returncode, "".join(printed), errors.read())

    @property
    def report(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "runs" / "night" / "night.json").read_text())
        return content

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(tracking_uri=f"sqlite:///{self.folder}/mlflow.db")

    def kept(self) -> dict[str, str]:
        """What a night that comes to nothing leaves as it was: log, datasets, versions of the model and who is the champion."""
        model = self.client.get_registered_model("genrf")
        versions = self.client.search_model_versions("name = 'genrf'")
        files = [path for name in ("feedback", "remote") for path in (self.folder / name).rglob("*") if path.is_file()]
        return {
            **{f"alias {name}": version for name, version in model.aliases.items()},
            **{f"version {version.version}": version.source for version in versions},
            **{str(path.relative_to(self.folder)): sha256(path) for path in files},
        }


def kill_step(launcher: int, function: str, work: Path) -> None:
    """Kill the process of a step once it has written something."""
    deadline = time.monotonic() + 60
    while not any(work.glob(f"{function}-*/[!.]*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    steps = [process for process in psutil.Process(launcher).children(recursive=True) if function in process.cmdline()]
    assert steps, f"{function} is not running"
    for process in steps:
        process.kill()


def asked(number: int, met: bool, bundle: str) -> SearchRecord:
    """A request for an amplifier that nobody can make, or that anybody can."""
    spec = DesignSpec.from_dict(
        {
            "class": "lna",
            "frequency": 40e9 + number * 1e8,
            "supply": 1.5,
            "constraints": {"gain_db": {"min": 5.0}, "power_w": {"max": 0.05 if met else 1e-4}},
        }
    )
    return SearchRecord(
        id=f"{number:032x}",
        time=datetime.now(UTC),
        source="server",
        specification={key: value for key, value in spec.to_dict().items() if key != "name"},
        circuit_class="lna",
        model=ModelVersion(bundle=bundle),
        variant="fp32",
        calls=64,
        simulated=64,
        first_met=1 if met else None,
        met=met,
        designs=(),
        failed={},
        seconds=1.0,
    )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    folder = tmp_path_factory.mktemp("nights")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["recipes"]["micro"] = {**MICRO, "classes": ["lna"], "nights": NIGHTS}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    return House(folder)


@pytest.fixture(scope="module")
def quiet(house: House) -> House:
    """After a night in which all was well."""
    house.record(asked(number, True, released_identity()) for number in range(10))
    done = house.night()
    assert done.returncode == 0, done.stderr
    return house


@dataclass(frozen=True)
class Struck:
    """A night of which a step was killed."""

    house: House
    done: subprocess.CompletedProcess[str]
    report: dict[str, Any]
    before: dict[str, str]
    """What had to survive."""
    after: dict[str, str]


@pytest.fixture(scope="module")
def struck(quiet: House) -> Struck:
    """After a night in which requests were missed, and which was killed while it simulated for them."""
    quiet.record(asked(number, False, released_identity()) for number in range(100, 120))
    before = quiet.kept()
    done = quiet.night(killed="grow-data")
    return Struck(quiet, done, quiet.report, before, quiet.kept())


@pytest.fixture(scope="module")
def retrained(struck: Struck) -> House:
    """After the night that followed."""
    done = struck.house.night()
    assert done.returncode == 0, done.stderr
    return struck.house


def test_a_night_without_need_simulates_nothing_and_says_why(quiet: House) -> None:
    # The report of this night is read before the next one writes its own.
    client = quiet.client
    parents = client.search_runs(
        [client.get_experiment_by_name("genrf").experiment_id], "tags.genrf.pipeline_run != ''"
    )
    first = min(parents, key=lambda run: run.info.start_time)
    children = client.search_runs([first.info.experiment_id], f"tags.mlflow.parentRunId = '{first.info.run_id}'")
    assert {run.info.run_name for run in children} == {"assess_need", "report_night"}
    assert first.info.status == "FINISHED"


def test_the_released_weights_are_the_first_champion(quiet: House) -> None:
    version = quiet.client.get_model_version_by_alias("genrf", "champion")
    assert version.tags["released"] == released_identity()


def test_a_night_of_which_a_step_is_killed_says_so_and_changes_nothing(struck: Struck) -> None:
    assert struck.done.returncode == 1
    assert struck.done.stderr.startswith("error: grow-data: ended without a word, as a process does that is killed")
    assert struck.done.stderr.count("\n") == 1
    assert struck.report["outcome"] == "failed"
    assert "grow_data" in struck.report["reason"]
    assert struck.after == struck.before


def test_missed_requests_make_a_challenger_that_is_judged_and_not_promoted_on_nothing(retrained: House) -> None:
    report = retrained.report
    assert report["outcome"] in ("hold", "reject")
    assert report["need"]["action"] == "retrain"
    assert next(step["step"] for step in report["steps"]) == "assess_need"
    # The night before, which was killed, is another run.
    assert {step["status"] for step in report["steps"]} == {"FINISHED"}
    (night,) = retrained.client.search_runs(["1"], f"tags.night = '{report['outcome']}' and metrics.spice_calls >= 0")
    assert night.data.metrics["spice_calls"] == sum(report["simulated"].values()) > 0
    assert night.data.metrics["losses"] == report["decision"]["losses"]
    challenger = retrained.client.get_model_version_by_alias("genrf", "challenger")
    assert challenger.version != retrained.client.get_model_version_by_alias("genrf", "champion").version
    assert (retrained.folder / "runs" / "night" / "report.html").is_file()


def test_a_design_of_the_challenger_leads_back_to_the_rows_and_the_requests(
    retrained: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    challenger = retrained.client.get_model_version_by_alias("genrf", "challenger")
    bundle = Bundle.load(next(Path(challenger.source.removeprefix("file://")).glob("bundle")))
    config = load_config(retrained.folder / "params.yaml", "micro")
    spec = DesignSpec.from_dict(asked(0, True, bundle.identity).specification)
    with bundle_designer(config, bundle) as designer:
        result = designer.design(spec, calls=4)
    design = result.designs[0]
    design.provenance["bundle"] = bundle.identity
    write_design(retrained.folder / "design.json", design, spec)
    monkeypatch.setenv(TRACKING_URI, f"sqlite:///{retrained.folder}/mlflow.db")
    monkeypatch.setenv("GENRF_DVC_REMOTE", str(retrained.folder / "remote"))
    monkeypatch.chdir(retrained.folder)
    found = lineage(config, retrained.folder / "design.json")
    assert found["model"]["version"] == int(challenger.version)
    assert found["run"]["commit"]
    assert found["run"]["parameters"]["data.rounds"] == "2"
    assert found["data"][0]["version"] == challenger.tags["data_version"]
    assert set(found["data"][0]["requests"]) <= {f"{number:032x}" for number in range(100, 120)}
    assert found["data"][0]["requests"]
    assert found["data"][0]["simulator"].startswith("ngspice")


def test_a_log_that_is_not_there_ends_the_night_with_one_line_and_a_report(house: House, retrained: House) -> None:
    (house.folder / "feedback").rename(house.folder / "gone")
    done = house.night()
    (house.folder / "gone").rename(house.folder / "feedback")
    assert done.returncode != 0
    assert "no feedback log is there" in done.stderr
    assert house.report["outcome"] == "failed"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('{"provenance": {"bundle": "x"}}', "says of no design which bundle made it"),
        ('{"provenance": {"bundle": "%s"}}' % ("f" * 64), "mlflow.db: no MLflow runs are here"),
        ("{", "not JSON"),
        (None, "no plain file"),
    ],
)
def test_what_leads_nowhere_is_said_in_a_line(
    content: str | None, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(TRACKING_URI, raising=False)
    path = tmp_path / "design.json"
    if content is None:
        os.mkfifo(path)
    else:
        path.write_text(content)
    with pytest.raises(InvalidInputError, match=line):
        lineage(load_config(ROOT / "params.yaml"), path)
    assert not (tmp_path / "mlflow.db").exists()


def test_whatever_a_design_says_of_itself_is_shown_as_text(tmp_path: Path) -> None:
    provenance = {"bundle": released_identity(), "odd": [1, None], "red": "[red]x", "lone": "\ud800"}
    (tmp_path / "design.json").write_text("\ufeff" + json.dumps({"provenance": provenance}), encoding="utf-8")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "genrf", "lineage", "design.json"],
        cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ | {"MLFLOW_TRACKING_URI": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "1, None" in done.stdout
    assert "[red]x" in done.stdout
    assert released_identity() in done.stdout


def test_the_released_weights_lead_to_their_card(
    tmp_path: Path, retrained: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "answer.json").write_text(json.dumps({"designs": [{"provenance": {"bundle": released_identity()}}]}))
    monkeypatch.setenv(TRACKING_URI, f"sqlite:///{retrained.folder}/mlflow.db")
    found = lineage(load_config(ROOT / "params.yaml"), tmp_path / "answer.json")
    assert found["model"]["card"].endswith("card.json")
    assert (released_folder() / "card.json").is_file()
