"""The contract of the protocol's tensors, and the model behind it: what it answers, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

kserve = pytest.importorskip("kserve")

from kserve import InferInput, InferRequest, InferResponse  # noqa: E402
from kserve.protocol.infer_type import RequestedOutput  # noqa: E402
from prometheus_client import REGISTRY  # noqa: E402

from genrf.export.design_file import design_from_content  # noqa: E402
from genrf.spec import DesignSpec  # noqa: E402
from serving.contract import OUTPUTS  # noqa: E402
from serving.failures import BrokenError, InvalidError  # noqa: E402
from serving.model import DesignModel  # noqa: E402
from serving.server import opened  # noqa: E402
from serving.service import DesignService  # noqa: E402
from serving.store import Store  # noqa: E402
from serving.variants import CHAMPION, Variants  # noqa: E402
from tests.amplifiers import SPECIFICATION_28GHZ  # noqa: E402
from tests.serving.scripted_server import workers  # noqa: E402

SPECIFICATION = json.dumps(SPECIFICATION_28GHZ)
Answer = Callable[..., InferResponse]


def request(text: str = SPECIFICATION, name: str = "specification", **parameters: Any) -> InferRequest:
    tensor = InferInput(name, [1], "BYTES", data=[text])
    return InferRequest("genrf", [tensor], request_id="r-1", parameters=parameters)


def tensors(response: InferResponse) -> dict[str, Any]:
    return {output.name: output.as_numpy() for output in response.outputs}


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.fixture(scope="module")
def service(run: Callable[..., Any]) -> Iterator[DesignService]:
    service = DesignService(Variants(), Store(None))
    run(opened(service.variants, CHAMPION, workers("plain", 1)))
    yield service
    run(service.close())


@pytest.fixture(scope="module")
def answer(service: DesignService, run: Callable[..., Any]) -> Answer:
    model = DesignModel("genrf", service)
    return lambda asked, **headers: run(model.predict(asked, headers))


def test_is_healthy_once_a_process_has_designed(service: DesignService, run: Callable[..., Any]) -> None:
    assert run(DesignModel("genrf", service).healthy())
    assert not run(DesignModel("genrf", DesignService(Variants(), Store(None))).healthy())


def test_answers_with_verified_designs(answer: Answer) -> None:
    response = answer(request(designs=2, seed=5, all_calls=True))
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


def test_says_when_nothing_meets_the_specification(answer: Answer) -> None:
    wish = json.dumps(SPECIFICATION_28GHZ | {"constraints": {"gain_db": {"min": 60}}})
    response = answer(request(wish))
    assert tensors(response)["met"].tolist() == [False]
    assert "first_met" not in response.parameters


def test_answers_no_designs_when_none_simulates(answer: Answer) -> None:
    response = answer(request(json.dumps(SPECIFICATION_28GHZ | {"supply": 5})))
    found = tensors(response)
    assert found["design"].shape == (0,)
    assert found["metrics"].shape == (0, 8)
    assert response.parameters["failed"] == 3


def test_metadata_names_the_tensors_that_are_answered(answer: Answer) -> None:
    response = answer(request())
    assert [(o.name, o.datatype) for o in response.outputs] == [(o["name"], o["datatype"]) for o in OUTPUTS]


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (request("{"), "inputs.specification: not valid JSON"),
        (
            request('{"class": "lna", "class": "pa"}'),
            "inputs.specification: not valid JSON (key 'class' is there twice)",
        ),
        (request('{"frequency": ' + "9" * 400 + "}"), "inputs.specification: not valid JSON (a number of 400 digits)"),
        (request("[" * 5000), "inputs.specification: nested more than 24 deep"),
        (request('{"name": "\\ud800"}'), "inputs.specification: holds text that is not Unicode"),
        (request(all_calls="yes"), "parameters.all_calls: expected true or false, got 'yes'"),
        (request(objectives="gain_db"), "parameters.objectives: only refinement trades metrics"),
        (request(refine=8, objectives="gain_db,beauty"), "pareto: 'beauty' is not a metric of class lna"),
        (
            InferRequest("genrf", [InferInput("specification", [1], "BYTES", data=["{}", "{}"])]),
            "inputs.specification: not one text in UTF-8",
        ),
        (
            InferRequest("genrf", request().inputs, request_outputs=[RequestedOutput("gain")]),
            "outputs.gain: expected each of design, met",
        ),
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
        (request(calls=0), "parameters.calls: expected a whole number from 1 to 1024, got '0'"),
        (request(calls=100000), "parameters.calls: expected a whole number from 1 to 1024, got '100000'"),
        (request(seed="x"), "parameters.seed: expected a whole number"),
        (request(designs=True), "parameters.designs: expected a whole number"),
        (request(budget=1), "parameters.budget: unknown key; known keys: all_calls, calls, designs"),
    ],
)
def test_refuses_a_bad_request_with_one_line(answer: Answer, asked: InferRequest, line: str) -> None:
    before = counted("genrf_requests_total", outcome="invalid", circuit_class="none", variant="none")
    with pytest.raises(InvalidError) as caught:
        answer(asked)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert counted("genrf_requests_total", outcome="invalid", circuit_class="none", variant="none") == before + 1


def test_refuses_other_protocols(answer: Answer) -> None:
    with pytest.raises(InvalidError, match="Open Inference Protocol"):
        answer({"instances": []})


def test_answers_what_is_asked_for_alone(answer: Answer) -> None:
    asked = InferRequest(
        "genrf",
        request().inputs,
        request_outputs=[RequestedOutput("metrics", {"binary_data": True}), RequestedOutput("met")],
    )
    response = answer(asked)
    assert [output.name for output in response.outputs] == ["metrics", "met"]
    assert response.outputs[0].parameters["binary_data_size"] == 8 * response.outputs[0].shape[1]


def test_searches_once_for_what_is_asked_twice(answer: Answer) -> None:
    calls = counted("genrf_spice_calls_total", variant="champion")
    first, second = answer(request(seed=77)), answer(request(seed=77))
    assert counted("genrf_spice_calls_total", variant="champion") == calls + 2
    assert tensors(first)["design"].tolist() == tensors(second)["design"].tolist()
    assert (first.parameters["cached"], second.parameters["cached"]) == (False, True)


def test_stops_once_the_specification_is_met_unless_more_is_asked_for(answer: Answer) -> None:
    assert answer(request(seed=4)).parameters["simulated"] == 2
    assert answer(request(seed=4, all_calls=True)).parameters["simulated"] == 3


def test_counts_what_it_does(answer: Answer) -> None:
    labels = {"circuit_class": "lna", "variant": "champion"}
    names = {
        "met": ("genrf_requests_total", {**labels, "outcome": "met"}),
        "calls": ("genrf_spice_calls_total", {"variant": "champion"}),
        "failures": ("genrf_spice_failures_total", {"cause": "device_limit"}),
        "searches": ("genrf_phase_seconds_count", {"phase": "search"}),
        "first": ("genrf_calls_to_first_met_sum", {"variant": "champion"}),
    }
    before = {key: counted(name, **labels) for key, (name, labels) in names.items()}
    answer(request(seed=99, all_calls=True))
    change = {key: counted(name, **labels) - before[key] for key, (name, labels) in names.items()}
    assert change == {"met": 1, "calls": 3, "failures": 1, "searches": 1, "first": 2}


def test_an_error_of_the_search_is_no_fault_of_the_client(run: Callable[..., Any]) -> None:
    service = DesignService(Variants(), Store(None))
    run(opened(service.variants, CHAMPION, workers("broken", 1)))
    try:
        with pytest.raises(BrokenError, match="libngspice: gone"):
            run(DesignModel("genrf", service).predict(request()))
    finally:
        run(service.close())
