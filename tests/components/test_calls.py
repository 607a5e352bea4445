"""Every component called by itself: what it is given reaches the step's function, and what that reports reaches KFP."""

from __future__ import annotations

import importlib
import inspect
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from training.config.steps import ROWS, STEPS, StepDefinition, maker, step_configs
from training.data.versions import recorded
from training.running.page import FILE
from training.running.pipeline_run import LAUNCHER
from training.running.step import LINEAGE, REPORT, WORK, read_report
from training.running.store import NOWHERE

REPORTED = {
    "loss": 0.25,
    "steps": 3,
    "success_at_1/lna/exact/random": 0.0,
    "reason": "there was no champion",
    "promoted": True,
}
VALUES = {"source": "2", "data_hash": "abc.dir"}


@dataclass
class FakeArtifact:
    """What KFP gives a component for an artifact."""

    path: str
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass
class Call:
    """How a step's function was called."""

    recipe: str
    folders: tuple[Any, ...]
    values: dict[str, Any]


@pytest.fixture(params=STEPS.values(), ids=STEPS)
def step(request: pytest.FixtureRequest) -> StepDefinition:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Call]:
    """Calls of the steps' functions, in whose place something quick stands."""
    seen: list[Call] = []

    def load(step: StepDefinition) -> Any:
        def function(config: Any, *folders: Any, **values: Any) -> dict[str, Any]:
            seen.append(Call(config.recipe, folders, values))
            (folders[-1] / "result.txt").write_text(step.name)
            return REPORTED

        return function

    def write_report(step: StepDefinition, result: dict[str, Any], folder: Path) -> None:
        (folder / FILE).write_text(f"{step.title}: {result['loss']}")

    monkeypatch.setattr(StepDefinition, "load", load)
    monkeypatch.setattr(StepDefinition, "write_report", write_report)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOWHERE)
    monkeypatch.delenv(WORK, raising=False)
    monkeypatch.delenv(LAUNCHER, raising=False)
    monkeypatch.chdir(tmp_path)
    return seen


def function_of(name: str) -> Any:
    return getattr(importlib.import_module(f"components.{name}"), name).python_func


def artifact_for(folder: Path, name: str) -> Any:
    """One folder, or one a shard in no particular order."""
    if maker(name).many:
        return [FakeArtifact(str(folder / name / shard)) for shard in ("1", "0")]
    return FakeArtifact(str(folder / name))


def called(step: StepDefinition, folder: Path) -> FakeArtifact:
    """Call the component by the names of the table; its output."""
    output = FakeArtifact(str(folder / "out" / step.output))
    function_of(step.name)(
        config=step_configs("smoke", path=Path(__file__).parents[2] / "params.yaml")[step.name],
        **{name: VALUES[name] for name in step.parameters},
        **{name: artifact_for(folder, name) for name in step.inputs},
        **{step.output: output},
        **({"report": FakeArtifact(str(folder / "page" / "report"))} if step.report else {}),
    )
    return output


def test_its_signature_is_the_tables(step: StepDefinition) -> None:
    parameters = inspect.signature(function_of(step.name)).parameters
    outputs = [step.output, *(["report"] if step.report else [])]
    assert list(parameters) == ["config", *step.parameters, *step.inputs, *outputs]
    component = getattr(importlib.import_module(f"components.{step.name}"), step.name).component_spec
    artifacts = {name: found for name, found in component.inputs.items() if found.type.startswith("system.")}
    assert set(artifacts) == set(step.inputs)
    assert {name for name, found in artifacts.items() if found.is_artifact_list} == set(step.inputs) & {ROWS}
    assert {found.type for name, found in component.inputs.items() if name not in artifacts} == {"String"}
    assert list(component.outputs) == outputs
    assert not step.report or component.outputs["report"].type == "system.HTML@0.0.1"


def test_the_function_is_given_configuration_inputs_in_order_output_and_parameters(
    step: StepDefinition, calls: list[Call], tmp_path: Path
) -> None:
    output = called(step, tmp_path)
    (call,) = calls
    expected = [
        [tmp_path / name / shard for shard in ("0", "1")] if maker(name).many else tmp_path / name
        for name in step.inputs
    ]
    assert call.recipe == "smoke"
    assert list(call.folders) == [*expected, Path(output.path)]
    assert call.values == {name: VALUES[name] for name in step.parameters}


def test_the_output_is_written_and_carries_the_headline_numbers(
    step: StepDefinition, calls: list[Call], tmp_path: Path
) -> None:
    output = called(step, tmp_path)
    page = {FILE} if step.report else set()
    assert {path.name for path in Path(output.path).iterdir()} == {"result.txt", REPORT, LINEAGE} | page
    assert (Path(output.path) / "result.txt").read_text() == step.name
    assert output.metadata == {"loss": 0.25, "steps": 3}
    report = read_report(output.path)
    assert report["step"] == (f"{step.name}-{VALUES['source']}" if step.many else step.name)
    assert report["result"] == REPORTED


def test_a_page_is_one_file_where_kubeflow_looks_for_it(
    step: StepDefinition, calls: list[Call], tmp_path: Path
) -> None:
    called(step, tmp_path)
    page = tmp_path / "page" / "report"
    assert page.is_file() is bool(step.report)
    assert not step.report or page.read_text() == f"{step.title}: 0.25"


def test_the_configuration_is_resolved_for_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    resolve = function_of("resolve_config")
    found = resolve(recipe="smoke", overrides=json.dumps({"data.rounds": 7}), data_hash="recorded")
    assert found._fields == (*STEPS, "data_hash")
    assert found._asdict() == step_configs("smoke", '{"data.rounds": 7}') | {"data_hash": ""}
    assert json.loads(found.simulate_shard)["data"]["rounds"] == 7
    assert set(inspect.signature(resolve).return_annotation.__annotations__) == {*STEPS, "data_hash"}


def test_the_recorded_dataset_is_the_default_where_it_is_of_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.chdir(root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOWHERE)
    resolve = function_of("resolve_config")
    known = recorded(root)
    assert known is not None
    assert resolve("smoke", "{}", "recorded").data_hash == known.hash
    assert resolve("nightly", "{}", "recorded").data_hash == ""
    assert resolve("smoke", "{}", "").data_hash == ""
    other = "0123456789abcdef" * 2 + ".dir"
    assert resolve("nightly", "{}", other).data_hash == other


def test_a_hash_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOWHERE)
    with pytest.raises(SystemExit) as caught:
        function_of("resolve_config")("smoke", "{}", "latest")
    assert caught.value.code == 2
    assert "data_hash: expected the md5 of a data.dvc" in capsys.readouterr().err


@pytest.mark.parametrize(("data_hash", "expected"), [("", ["0", "1", "2"]), ("known.dir", ["pull"])])
def test_the_data_are_planned_as_a_pull_or_as_shards(
    monkeypatch: pytest.MonkeyPatch, data_hash: str, expected: list[str]
) -> None:
    monkeypatch.setattr("training.data.versions.reachable", lambda known, root: known == "known.dir")
    config = step_configs("smoke", '{"data.shards": 3}', Path(__file__).parents[2] / "params.yaml")["simulate_shard"]
    plan = function_of("plan_data")(config=config, data_hash=data_hash)
    assert plan == [{"source": source, "config": config, "data_hash": data_hash} for source in expected]
    assert set(inspect.signature(function_of("simulate_shard")).parameters) >= set(plan[0])


def test_every_step_has_a_component_and_every_function_takes_what_the_table_says(step: StepDefinition) -> None:
    assert function_of(step.name).__name__ == step.name
    parameters = list(inspect.signature(step.load()).parameters)
    expected = 1 + len(step.inputs) + 1  # configuration, inputs, output
    assert set(parameters[expected:]) >= {*step.options} | ({*step.parameters} - {*parameters[:expected]})
    assert {*step.parameters, *step.options} <= set(parameters)
