"""A record says what was asked and what came of it, nothing personal, and knows when it is not one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from genrf.errors import InvalidInputError
from genrf.feedback.record import BEST, ModelVersion, SearchRecord
from genrf.generation.design import DesignResult
from genrf.generation.opening import open_designer
from genrf.generation.released import released_folder
from genrf.objects.batch import text_of
from genrf.spec import DesignSpec
from tests.amplifiers import MATCHED_28GHZ
from tests.feedback.conftest import MODEL, RecordFactory
from tests.scripted_designer import ScriptedDesigner


def test_it_says_what_was_asked_and_what_came_of_it(record: RecordFactory, result: DesignResult) -> None:
    made = record()
    assert DesignSpec.from_dict(made.specification, name=result.spec.name) == result.spec
    assert (made.circuit_class, made.model, made.variant, made.calls) == ("lna", MODEL, "int8", 64)
    assert (made.simulated, made.first_met, made.met) == (3, 2, True)
    assert sum(made.failed.values()) == 1
    assert [design.met for design in made.designs] == [True, False]
    assert len(made.designs) <= BEST
    assert made.designs[0].metrics == dict(result.designs[0].metrics)
    assert made.designs[0].margin == result.designs[0].margin >= 0


def test_it_survives_being_written_and_read(record: RecordFactory) -> None:
    for made in (record(), record(model=ModelVersion(bundle="0" * 64, name="genrf", version="7"))):
        assert SearchRecord.parse(json.loads(text_of(made.content()))) == made


def test_it_has_nothing_that_its_author_chose(record: RecordFactory, result: DesignResult) -> None:
    assert result.spec.name == "Jane Doe's satellite"
    assert "Jane" not in text_of(record().content())
    assert "name" not in record().specification


def test_every_search_has_an_id_of_its_own(record: RecordFactory) -> None:
    assert record().id != record().id


def test_a_specification_without_bounds_has_no_margin(result: DesignResult, record: RecordFactory) -> None:
    with ScriptedDesigner([MATCHED_28GHZ]) as designer:
        free = designer.design(replace(result.spec, constraints=()))
    made = SearchRecord.of_result(free, source="command line", model=MODEL, variant="fp32", calls=1)
    assert made.designs[0].margin is None
    assert SearchRecord.parse(json.loads(text_of(made.content()))) == made


def test_what_a_later_version_adds_is_left_out(record: RecordFactory) -> None:
    made = record()
    assert SearchRecord.parse({**made.content(), "temperature_of_the_room": 20}) == made


@pytest.mark.slow
@pytest.mark.parametrize("circuit_class", ["lna", "pa", "mixer", "vco", "filter"])
def test_what_the_released_models_find_can_be_recorded(circuit_class: str) -> None:
    spec = DesignSpec.from_dict({"class": circuit_class, "frequency": "10 GHz", "supply": 2.0})
    with open_designer(released_folder(), workers=1) as designer:
        found = designer.design(spec, calls=4)
        model, variant = ModelVersion(bundle=designer.provenance["bundle"]), designer.provenance["precision"]
    made = SearchRecord.of_result(found, source="command line", model=model, variant=variant, calls=4)
    assert SearchRecord.parse(json.loads(text_of(made.content()))) == made


Change = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.pop("id"), "id: missing"),
        (lambda c: c.update(id="1"), "id: expected 32 hexadecimal digits, got '1'"),
        (lambda c: c.update(id=["1"]), "id: expected 32 hexadecimal digits"),
        (lambda c: c.update(time="yesterday"), "time: expected ISO 8601 with its offset"),
        (lambda c: c.update(source="a friend"), "source: expected one of command line, server, got 'a friend'"),
        (lambda c: c.update(specification=[]), r"specification: expected a mapping, got \[\]"),
        (lambda c: c["specification"].update(supply=9), "specification: supply: expected a number from 0.5 to 5, got 9"),
        (lambda c: c["specification"].update(frequency=10**400), "specification: "),
        (lambda c: c["specification"].update({"class": "toaster"}), "specification: class: unknown circuit class 'toaster'"),
        (lambda c: c["specification"].update(name="mine"), "specification.name: is kept by no record"),
        (lambda c: c.update(circuit_class="pa"), "circuit_class: expected lna as in the specification, got 'pa'"),
        (lambda c: c.update(model="best"), "model: expected a mapping"),
        (lambda c: c["model"].update(bundle="12"), "model.bundle: expected the SHA-256 of a bundle's manifest"),
        (lambda c: c["model"].update(name="genrf"), "model: expected name and version or neither"),
        (lambda c: c["model"].update(name="x" * 300, version="1"), "model.name: expected text of at most 256"),
        (lambda c: c.update(variant="FP 32"), "variant: expected one word"),
        (lambda c: c.update(calls=0), "calls: expected a whole number from 1, got 0"),
        (lambda c: c.update(calls=True), "calls: expected a whole number from 1, got True"),
        (lambda c: c.update(simulated=2.5), "simulated: expected a whole number from 0, got 2.5"),
        (lambda c: c.update(first_met=4), "first_met: expected none, or from 1 to the 3 simulated, got 4"),
        (lambda c: c.update(met=False), "met: False, but first_met is 2"),
        (lambda c: c.update(met="yes"), "met: expected true or false, got 'yes'"),
        (lambda c: c.update(failed={"device_limit": 9}), "failed: 9 calls of 3 simulated"),
        (lambda c: c.update(failed={"It broke": 1}), "failed: expected causes of one word, got 'It broke'"),
        (lambda c: c.update(seconds=-1), "seconds: expected a finite number from 0, got -1"),
        (lambda c: c.update(seconds=10**400), "seconds: expected a finite number"),
        (lambda c: c.update(designs={}), "designs: expected a list"),
        (lambda c: c["designs"].append("x"), "designs.3: expected a mapping, got 'x'"),
        (lambda c: c["designs"][0].pop("met"), "designs.1.met: expected true or false, got None"),
        (lambda c: c["designs"][0].update(margin="wide"), "designs.1.margin: expected a finite number, got 'wide'"),
        (lambda c: c["designs"][1].update(fingerprint="no"), "designs.2.fingerprint: expected 16 hexadecimal digits"),
        (lambda c: c["designs"][0].update(source="Jane Doe"), "designs.1.source: expected words of small letters"),
        (lambda c: c["designs"][0]["metrics"].update(beauty=1), "designs.1.metrics.beauty: not a metric of class lna"),
        (lambda c: c["designs"][0]["metrics"].update(nf_db="low"), "designs.1.metrics.nf_db: expected a finite number"),
    ],
)  # fmt: skip
def test_a_poisoned_record_is_known_by_its_field(record: RecordFactory, change: Change, said: str) -> None:
    content = record().content()
    change(content)
    with pytest.raises(InvalidInputError, match=said):
        SearchRecord.parse(content)
