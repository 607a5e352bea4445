"""The page as an engineer meets it: in Chromium, by keyboard, at a desk and on a phone.

Needs a Chromium of the distribution, which `make setup` does not install: apt-get install --no-install-recommends chromium
"""

from __future__ import annotations

import copy
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.mlflow_server import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Download, Locator, Page

pytest.importorskip("kserve")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="NO CHROMIUM HERE, SO THE PAGE IS NOT TESTED: apt-get install --no-install-recommends chromium",
    ),
]
ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 60_000
DESK, PHONE = (1440, 900), (390, 844)
SPECIFICATION = {
    "name": "lna_28ghz",
    "class": "lna",
    "frequency": "28 GHz",
    "supply": "2 V",
    "constraints": {"gain_db": {"min": 15}, "nf_db": {"max": 2.5}, "s11_db": {"max": -10}, "power_w": {"max": "20 mW"}},
}


@contextmanager
def serving(folder: Path, command: list[str], ready: Any, **environment: str) -> Iterator[None]:
    """A server in a folder of its own, until ``ready`` has said yes and the test is over."""
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=folder, stdout=output, stderr=output,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        )  # fmt: skip
    try:
        while not ready():
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``genrf serve`` with the released weights; the address is that which it opened in a browser."""
    folder = tmp_path_factory.mktemp("serve")
    opened, browser = folder / "opened", folder / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o755)
    command = ["-c", "import sys; from serving.command import app; app(sys.argv[1:])", "--http_port", str(free_port())]
    command += ["--grpc_port", str(free_port()), "--designers", "1", "--store", "memory", "--feedback", "off"]
    with serving(folder, command, opened.exists, BROWSER=str(browser), DISPLAY=":0"):
        yield opened.read_text()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with scripted circuits that wants a token."""
    http = free_port()
    address = f"http://127.0.0.1:{http}/ui/"

    def ready() -> bool:
        try:
            return httpx.get(address.replace("/ui/", "/v2/health/ready")).status_code == 200
        except httpx.TransportError:
            return False

    command = ["-m", "tests.serving.scripted_server", str(http), str(free_port())]
    with serving(tmp_path_factory.mktemp("guarded"), command, ready, BEHAVIOUR="slow", GENRF_TOKEN="open sesame"):
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window; its user data are a folder of its own that goes with it."""
    playwright = pytest.importorskip("playwright.sync_api")
    playwright.expect.set_options(timeout=PATIENCE_MS)
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@contextmanager
def looking(browser: Browser, size: tuple[int, int], **options: Any) -> Iterator[Page]:
    """A page of a size, which must not meet an error or load anything from elsewhere."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, accept_downloads=True, **options)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    errors: list[str] = []
    hosts: set[str] = set()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None)
    page.on("request", lambda request: hosts.add(request.url.partition("//")[2].partition("/")[0]))
    yield page
    context.close()
    assert errors == []
    assert all(host.partition(":")[0] in ("127.0.0.1", "") or "blob:" in host for host in hosts), hosts


@pytest.fixture
def page(browser: Browser, server: str) -> Iterator[Page]:
    with looking(browser, DESK) as page:
        page.goto(server)
        page.wait_for_selector("body.ready")
        yield page


@pytest.fixture(scope="module")
def answer(server: str) -> dict[str, Any]:
    """Designs that were found before somebody looks."""
    response = httpx.post(
        server.replace("/ui/", "/v1/designs"),
        json={"specification": SPECIFICATION, "designs": 3, "calls": 16, "all_calls": True},
        timeout=PATIENCE_MS / 1e3,
    )
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture
def answered(browser: Browser, server: str, answer: dict[str, Any]) -> Iterator[Page]:
    """The page on that answer, by its address."""
    with looking(browser, DESK) as page:
        page.goto(f"{server}#answer={answer['id']}")
        page.wait_for_selector(".curves .main-svg")
        page.wait_for_selector("#schematic[src]")
        yield page


def expect(locator: Locator) -> Any:
    from playwright.sync_api import expect

    return expect(locator)


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until something has the focus."""
    for _ in range(150):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"no way by keyboard to {target}")


def type_into(page: Page, target: Locator, text: str) -> None:
    tab_to(page, target)
    page.keyboard.press("Control+A")
    page.keyboard.type(text)


def test_a_specification_typed_by_keyboard_alone_gives_a_design_that_meets_it(page: Page) -> None:
    expect(page.locator("#bounds .bound-value").first).to_have_value("20")
    tab_to(page, page.locator("#example"))
    page.keyboard.press("ArrowDown")
    expect(page.locator("#frequency")).to_have_value("5.5 GHz")
    type_into(page, page.locator("#frequency"), "6 GHz")
    type_into(page, page.get_by_label("Gain, at least"), "15")
    type_into(page, page.get_by_label("Power, at most"), "20 mW")
    tab_to(page, page.locator("#submit"))
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("Done: the specification is met")
    expect(page.locator("#verdict")).to_have_text("met")
    expect(page.locator("#designs tbody tr").first).to_contain_text("met")
    assert "#answer=" in page.url
    tab_to(page, page.get_by_role("button", name="Show design 2"))
    page.keyboard.press("Enter")
    expect(page.locator("#curves-title")).to_have_text("Design 2")
    expect(page.get_by_role("button", name="Show design 2")).to_be_focused()
    expect(page.locator("#first-curve .plot")).to_have_attribute(
        "aria-label", re.compile(r"at 6\.000 GHz: S21 \d+\.\d dB")
    )


def test_every_candidate_stands_against_the_bounds_in_words(answered: Page, answer: dict[str, Any]) -> None:
    rows = answered.locator("#designs tbody tr")
    expect(rows).to_have_count(len(answer["designs"]))
    expect(rows.first).to_be_visible()
    for row, design in zip(rows.all(), answer["designs"], strict=True):
        expect(row).to_contain_text(f"{design['metrics']['gain_db']:.2f}")
        for cell in row.locator("td.met, td.missed").all():
            assert re.search("met|missed", cell.inner_text() + (cell.text_content() or ""))


def test_a_slider_changes_what_is_measured_and_resetting_brings_it_back(
    answered: Page, answer: dict[str, Any], server: str
) -> None:
    design = copy.deepcopy(answer["designs"][0])
    device = next(one for one in design["circuit"]["devices"] if one["kind"] == "inductor")
    gain, slider = (
        answered.locator('[data-metric="gain_db"]'),
        answered.get_by_role("slider", name=f"{device['designator']}, "),
    )
    (before,) = re.findall(r"[\d.]+ dB", gain.inner_text())
    slider.focus()
    for _ in range(20):
        answered.keyboard.press("ArrowRight")
    value = float(slider.evaluate("element => element.value"))
    device["inductance_h"] = float(f"{device['inductance_h'] * 3 ** (value / 200):.4g}")
    measured = httpx.post(server.replace("/ui/", "/v1/simulate"), json={"design": design}, timeout=60).json()
    expect(gain).to_contain_text(f"{measured['metrics']['gain_db']:.2f} dB")
    expect(answered.locator("#curves-title")).to_have_text("Design 1, tuned")
    expect(answered.locator("#design-verdict")).to_contain_text("met" if measured["met"] else "missed")
    answered.locator("#reset").click()
    expect(gain).to_contain_text(before)
    expect(answered.locator("#curves-title")).to_have_text("Design 1")


def test_a_value_can_be_typed_and_what_is_none_is_refused_beside_it(answered: Page) -> None:
    typed = answered.locator("#values .typed").first
    typed.fill("lots")
    typed.press("Enter")
    expect(answered.locator("#values .wrong").first).to_contain_text("Expected a value from")
    bias = answered.get_by_label(re.compile(r"Value of V\d+, bias")).first
    bias.fill("0 V")
    bias.press("Enter")
    expect(answered.locator("#curves-title")).to_have_text("Design 1, tuned")
    expect(answered.locator("#design-verdict")).to_contain_text(re.compile("missed|does not simulate"))


@pytest.mark.parametrize(
    ("label", "text", "said"),
    [
        ("Supply", "99", "expected a number from 0.5 to 5"),
        ("Frequency", "fast", "expected a number in Hz"),
        ("Gain, at least", "lots", "expected a number in dB"),
        ("Power, at most", "9 MW", "write 9 mW for milliwatts"),
    ],
)
def test_what_the_server_refuses_is_shown_at_the_field_that_it_names(
    page: Page, label: str, text: str, said: str
) -> None:
    field = page.get_by_label(label, exact=True)
    field.fill(text)
    page.locator("#submit").click()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    expect(page.locator("#form .wrong")).to_contain_text(said)
    page.keyboard.type("1")
    expect(page.locator("#form .wrong")).to_have_count(0)


def test_an_option_that_is_folded_away_is_unfolded_for_its_error(page: Page) -> None:
    page.get_by_text("Search", exact=True).click()
    page.get_by_label("Simulations", exact=True).fill("0")
    page.get_by_text("Search", exact=True).click()
    page.locator("#submit").click()
    expect(page.get_by_label("Simulations", exact=True)).to_be_focused()
    expect(page.locator("#form .wrong")).to_contain_text("1 to 1024")


def test_a_metric_that_is_bounded_twice_is_named_before_anything_is_sent(page: Page) -> None:
    page.locator("#add-bound").click()
    added = page.locator("#bounds .bound").last
    added.locator(".bound-metric").select_option("gain_db")
    added.locator(".bound-value").fill("5")
    page.locator("#submit").click()
    expect(added.locator(".wrong")).to_contain_text("bounded twice")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_has_nothing_beyond_its_edge(
    browser: Browser, server: str, answer: dict[str, Any], scheme: Any
) -> None:
    with looking(browser, PHONE, is_mobile=True, has_touch=True, color_scheme=scheme) as page:
        for address in (server, f"{server}#answer={answer['id']}"):
            page.goto("about:blank")
            page.goto(address)
            page.wait_for_selector("body.ready")
            if "#" in address:
                page.wait_for_selector("#trade-plot .main-svg")
            assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE[0]
            assert page.evaluate("innerWidth") == PHONE[0]
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", background)[:3])) > 384) == (scheme == "light")


def downloaded(page: Page, title: str) -> tuple[str, str]:
    """Name and text of a file."""
    with page.expect_download() as waiting:
        page.get_by_role("button", name=title, exact=True).click()
    download: Download = waiting.value
    return download.suggested_filename, Path(download.path()).read_text()


def test_downloads_are_the_files_of_the_design(answered: Page, answer: dict[str, Any], server: str) -> None:
    links = answer["designs"][0]["links"]
    for title, what in (
        ("Netlist (SPICE)", "netlist.spice"),
        ("Touchstone", "touchstone"),
        ("Report (HTML)", "report.html"),
    ):
        name, text = downloaded(answered, title)
        assert name.startswith("lna_28ghz_1_")
        assert text == httpx.get(server.replace("/ui/", links[what]), timeout=60).text


def test_the_files_of_a_tuned_design_have_its_values(answered: Page) -> None:
    typed = answered.get_by_label(re.compile(r"Value of L1, inductor"))
    typed.fill("123.4 pH")
    typed.press("Enter")
    expect(answered.locator("#downloads-text")).to_contain_text("as they are now")
    name, text = downloaded(answered, "Netlist (SPICE)")
    assert name == "lna_28ghz_1_tuned_netlist.spice"
    assert re.search(r"L1 +inductor +1\.234e-10 H", text)
    _, text = downloaded(answered, "Design (JSON)")
    assert "by hand: L1" in text


def test_a_server_that_wants_a_token_is_given_one(browser: Browser, guarded: str) -> None:
    with looking(browser, DESK) as page:
        page.goto(guarded)
        page.get_by_label("Token", exact=True).fill("guess")
        page.keyboard.press("Enter")
        expect(page.locator("#token-error")).to_be_visible()
        page.get_by_label("Token", exact=True).fill("open sesame")
        page.keyboard.press("Enter")
        page.wait_for_selector("body.ready")
        page.reload()
        page.wait_for_selector("body.ready")
        expect(page.locator("#token")).to_be_hidden()


def test_a_search_can_be_cancelled(browser: Browser, guarded: str) -> None:
    with looking(browser, DESK) as page:
        page.goto(guarded)
        page.get_by_label("Token", exact=True).fill("open sesame")
        page.keyboard.press("Enter")
        page.wait_for_selector("body.ready")
        page.get_by_text("Impedances, temperature, corner").click()
        page.get_by_label("Name", exact=True).fill("wait for it")
        page.locator("#submit").click()
        page.locator("#cancel").click()
        expect(page.locator("#run-title")).to_have_text("Cancelled")
        expect(page.locator("#submit")).to_be_enabled()


def test_a_port_that_is_taken_is_named_in_a_line(server: str) -> None:
    port = server.split(":")[2].partition("/")[0]
    program = "from serving.command import app; app(['--http_port', '" + port + "'])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"genrf: port {port} is taken; choose another with --http_port\n")
