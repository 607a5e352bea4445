"""What the page is made of and asks for, without a browser: its files, examples to start from, values that may be changed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from genrf.spec import DesignSpec
from tests.amplifiers import CASCODE, SPECIFICATION_28GHZ

pytest.importorskip("kserve")

from fastapi import FastAPI
from fastapi.testclient import TestClient

from serving import page
from serving.examples import examples
from serving.values import values_of

STATIC = Path(page.__file__).parent / "static"


@pytest.fixture(scope="module")
def client() -> TestClient:
    application = FastAPI()
    page.add_to(application)
    return TestClient(application)


@pytest.mark.parametrize("name", ["", "app.js", "style.css", "plotly.min.js"])
def test_files_are_served_with_a_policy_that_lets_nothing_else_in(client: TestClient, name: str) -> None:
    response = client.get(page.PATH + name)
    assert response.status_code == 200
    policy = response.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "default-src 'none'" in policy
    assert response.headers["cache-control"] == "no-cache"


def test_the_page_is_found_without_the_last_slash_and_nothing_beside_it(client: TestClient) -> None:
    assert client.get("/ui").text == (STATIC / "index.html").read_text()
    assert client.get("/ui/../page.py").status_code == 404
    assert client.get("/ui/%2e%2e/page.py").status_code == 404


def test_nothing_is_loaded_from_elsewhere_and_data_never_become_markup() -> None:
    for path in STATIC.iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text
        assert "https://" not in text
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text), path.name


def test_every_identifier_of_the_page_is_there_once() -> None:
    names = re.findall(r'\bid="([^"]+)"', (STATIC / "index.html").read_text())
    assert len(names) == len(set(names))
    asked = {name for path in STATIC.glob("*.js") for name in re.findall(r"find\('([\w-]+)'\)", path.read_text())}
    assert asked <= set(names)


def test_examples_are_those_of_the_repository_with_what_their_comment_says() -> None:
    found = {one["specification"]["name"]: one for one in examples()}
    assert found["lna_28ghz"]["specification"]["frequency"] == "28 GHz"
    assert found["lna_28ghz"]["title"].startswith("A 5G millimetre-wave receiver")
    for one in examples():
        DesignSpec.from_dict(one["specification"])


def test_values_say_how_far_they_may_go() -> None:
    spec = DesignSpec.from_dict(SPECIFICATION_28GHZ)
    values = values_of(CASCODE, spec.conditions, "sg13g2")
    assert [one["designator"] for one in values] == list(CASCODE.topology.designators)
    by_kind = {one["kind"]: one for one in values}
    assert (by_kind["inductor"]["name"], by_kind["inductor"]["unit"]) == ("inductance_h", "H")
    assert by_kind["inductor"]["low"] < by_kind["inductor"]["high"]
    assert by_kind["bias_voltage"]["high"] == spec.conditions.supply_v
    assert by_kind["bias_voltage"]["step"] == 0.001
    # Eleven emitters and thirteen cannot be drawn as equal transistors of at most ten.
    assert {10.0, 12.0, 14.0} <= set(by_kind["hbt"]["allowed"])
    assert not {11.0, 13.0} & set(by_kind["hbt"]["allowed"])
