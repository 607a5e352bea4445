"""The model in-process: what it answers, what it refuses, and how it treats a queue."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

kserve = pytest.importorskip("kserve")

from kserve import InferInput, InferRequest, InferResponse  # noqa: E402
from kserve.errors import InferenceError, InvalidInput, ModelNotReady  # noqa: E402
from prometheus_client import REGISTRY  # noqa: E402

from genrf.errors import GenRFError  # noqa: E402
from genrf.export.design_file import design_from_content  # noqa: E402
from genrf.spec import DesignSpec  # noqa: E402
from serving.contract import OUTPUTS  # noqa: E402
from serving.model import DesignModel  # noqa: E402
from tests.amplifiers import CASCODE, COMMON_EMITTER, MATCHED_28GHZ, SPECIFICATION_28GHZ  # noqa: E402
from tests.scripted_designer import ScriptedDesigner  # noqa: E402

SPECIFICATION = json.dumps(SPECIFICATION_28GHZ)


def request(text: str = SPECIFICATION, name: str = "specification", **parameters: Any) -> InferRequest:
    tensor = InferInput(name, [1], "BYTES", data=[text])
    return InferRequest("genrf", [tensor], request_id="r-1", parameters=parameters)


def tensors(response: InferResponse) -> dict[str, Any]:
    return {output.name: output.as_numpy() for output in response.outputs}


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.fixture(scope="module")
def model() -> Iterator[DesignModel]:
    model = DesignModel("genrf", lambda: ScriptedDesigner([CASCODE, MATCHED_28GHZ, COMMON_EMITTER]))
    assert not model.ready
    model.load()
    yield model
    model.stop()


def answer(model: DesignModel, asked: InferRequest) -> InferResponse:
    return asyncio.run(model.predict(asked))


def test_is_ready_once_a_circuit_has_simulated(model: DesignModel) -> None:
    assert model.ready
    assert asyncio.run(model.healthy())


def test_answers_with_verified_designs(model: DesignModel) -> None:
    response = answer(model, request(designs=2, seed=5))
    found = tensors(response)
    assert [list(output.shape) for output in response.outputs] == [[2], [2], [2], [8], [2, 8]]
    assert found["met"].tolist() == [True, False]
    for row, text in zip(found["metrics"], found["design"], strict=True):
        design, spec = design_from_content(json.loads(text))
        assert spec == DesignSpec.from_dict(SPECIFICATION_28GHZ)
        named = dict(zip(found["metric_name"].tolist(), row.tolist(), strict=True))
        assert named == pytest.approx(dict(design.metrics), rel=1e-12)
        assert design.provenance["seed"] == 5
    assert response.id == "r-1"
    assert response.parameters["simulated"] == 3
    assert response.parameters["first_met"] == 2


def test_says_when_nothing_meets_the_specification(model: DesignModel) -> None:
    wish = json.dumps(SPECIFICATION_28GHZ | {"constraints": {"gain_db": {"min": 60}}})
    response = answer(model, request(wish))
    assert tensors(response)["met"].tolist() == [False]
    assert "first_met" not in response.parameters


def test_answers_no_designs_when_none_simulates(model: DesignModel) -> None:
    response = answer(model, request(json.dumps(SPECIFICATION_28GHZ | {"supply": 5})))
    found = tensors(response)
    assert found["design"].shape == (0,)
    assert found["metrics"].shape == (0, 8)
    assert response.parameters["failed"] == 3


def test_metadata_names_the_tensors_that_are_answered(model: DesignModel) -> None:
    response = answer(model, request())
    assert [(o.name, o.datatype) for o in response.outputs] == [(o["name"], o["datatype"]) for o in OUTPUTS]
    assert asyncio.run(model.get_input_types())[0]["name"] == "specification"


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (request("{"), "inputs.specification: not valid JSON"),
        (request("[]"), "inputs.specification: the specification: expected a mapping"),
        (request(json.dumps({"class": "lna"})), "inputs.specification: frequency: missing"),
        (request(json.dumps(SPECIFICATION_28GHZ | {"x": 1})), "inputs.specification: x: unknown key"),
        (request(" " * 70000), "inputs.specification: longer than 65536 characters"),
        (request(name="spec"), "inputs.spec: unknown tensor"),
        (InferRequest("genrf", []), "inputs.specification: missing"),
        (
            InferRequest("genrf", [InferInput("specification", [2], "BYTES", data=["{}", "{}"])]),
            "inputs.specification: expected BYTES of shape [1]",
        ),
        (
            InferRequest("genrf", [InferInput("specification", [1], "FP32", data=[1.0])]),
            "inputs.specification: expected BYTES of shape [1]",
        ),
        (request(calls=0), "parameters.calls: expected a whole number from 1 to 1024, got 0"),
        (request(calls=100000), "parameters.calls: expected a whole number from 1 to 1024, got 100000"),
        (request(seed="x"), "parameters.seed: expected a whole number"),
        (request(designs=True), "parameters.designs: expected a whole number"),
        (request(budget=1), "parameters.budget: unknown; known: calls, seed, designs"),
    ],
)
def test_refuses_a_bad_request_with_one_line(model: DesignModel, asked: InferRequest, line: str) -> None:
    before = counted("genrf_requests_total", outcome="invalid")
    with pytest.raises(InvalidInput) as caught:
        answer(model, asked)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert counted("genrf_requests_total", outcome="invalid") == before + 1


def test_refuses_other_protocols(model: DesignModel) -> None:
    with pytest.raises(InvalidInput, match="Open Inference Protocol"):
        asyncio.run(model.predict({"instances": []}))


def test_counts_what_it_does(model: DesignModel) -> None:
    names = {
        "met": ("genrf_requests_total", {"outcome": "met"}),
        "calls": ("genrf_spice_calls_total", {}),
        "failures": ("genrf_spice_failures_total", {"cause": "device_limit"}),
        "searches": ("genrf_search_seconds_count", {}),
        "first": ("genrf_calls_to_first_met_sum", {}),
    }
    before = {key: counted(name, **labels) for key, (name, labels) in names.items()}
    answer(model, request())
    change = {key: counted(name, **labels) - before[key] for key, (name, labels) in names.items()}
    assert change == {"met": 1, "calls": 3, "failures": 1, "searches": 1, "first": 2}
    assert counted("genrf_waiting_requests") == 0


class SlowDesigner(ScriptedDesigner):
    """Works on a search until it is told to go on, and notes whether two were ever worked on at once."""

    def __init__(self) -> None:
        super().__init__([CASCODE])
        self.go_on = threading.Event()
        self.working = 0
        self.most_working = 0
        self.held = False

    def design(self, *arguments: Any, **options: Any) -> Any:
        self.working += 1
        self.most_working = max(self.most_working, self.working)
        if self.held:
            assert self.go_on.wait(30)
        try:
            return super().design(*arguments, **options)
        finally:
            self.working -= 1


def test_works_on_one_request_at_a_time_and_refuses_more_than_may_wait() -> None:
    designer = SlowDesigner()
    model = DesignModel("genrf", lambda: designer, most_waiting=3)
    model.load()
    designer.held = True

    async def crowd() -> list[Any]:
        accepted = [asyncio.create_task(model.predict(request())) for _ in range(3)]
        await asyncio.sleep(0.05)
        with pytest.raises(ModelNotReady, match="3 requests are waiting already; try again later"):
            await model.predict(request())
        designer.go_on.set()
        return await asyncio.gather(*accepted)

    try:
        answers = asyncio.run(crowd())
        assert len(answers) == 3
        assert designer.most_working == 1
    finally:
        designer.go_on.set()
        model.stop()


def test_gives_up_a_request_that_waits_too_long_and_stays_usable() -> None:
    designer = SlowDesigner()
    model = DesignModel("genrf", lambda: designer, patience_s=0.1)
    model.load()
    designer.held = True

    async def impatient() -> InferResponse:
        with pytest.raises(ModelNotReady, match=r"No answer within 0\.1 s"):
            await model.predict(request())
        designer.go_on.set()
        model._patience_s = 30.0
        return await model.predict(request())

    try:
        assert asyncio.run(impatient()).parameters["simulated"] == 1
    finally:
        designer.go_on.set()
        model.stop()


def test_an_error_of_the_search_is_no_fault_of_the_client() -> None:
    class Broken(ScriptedDesigner):
        broken = False

        def design(self, *arguments: Any, **options: Any) -> Any:
            if self.broken:
                raise GenRFError("libngspice: gone")
            return super().design(*arguments, **options)

    designer = Broken([CASCODE])
    model = DesignModel("genrf", lambda: designer)
    model.load()
    try:
        designer.broken = True
        with pytest.raises(InferenceError, match="libngspice: gone"):
            answer(model, request())
    finally:
        model.stop()


def test_is_never_ready_when_nothing_simulates() -> None:
    model = DesignModel("genrf", lambda: ScriptedDesigner([COMMON_EMITTER.with_values([9e9] * 10)]))
    with pytest.raises(GenRFError, match=r"warm-up: no circuit of class lna simulates \(1 invalid_value\)"):
        model.load()
    assert not model.ready
