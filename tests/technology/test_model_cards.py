"""The PDK's text is found, parsed and evaluated; it is never executed."""

from __future__ import annotations

import importlib.util

import pytest

from genrf.errors import MissingToolError
from genrf.technology.sg13g2 import model_cards


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2.5k", 2500.0),
        ("3meg", 3e6),
        ("55m", 0.055),
        (".00E-04*4", 0.0),
        ("8.00E-16*(Nx*0.25)**0.975", 8e-16 * 0.75**0.975),
        ("300+100*Nx", 600.0),
        ("007+1", 8.0),
        ("-1u", -1e-6),
    ],
)
def test_spice_arithmetic(expression: str, value: float) -> None:
    assert model_cards.evaluate(expression, {"nx": 3.0}) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("expression", ["__import__('os')", "nx.real", "unknown + 1", "2 +", "'text'", "[1][0]"])
def test_anything_but_arithmetic_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="cannot evaluate SPICE expression"):
        model_cards.evaluate(expression, {"nx": 3.0})


def test_corner_sections_are_read_separately() -> None:
    emitter_capacitance = {
        corner: model_cards.corner_parameters("cornerHBT.lib", f"hbt_{corner}")["vbic_cje"]
        for corner in ("typ", "bcs", "wcs")
    }
    assert emitter_capacitance == {"typ": 1.0, "bcs": 0.83, "wcs": 1.17}


def test_unknown_section_names_file_and_section() -> None:
    with pytest.raises(MissingToolError, match=r"cornerHBT\.lib.*hbt_best"):
        model_cards.corner_parameters("cornerHBT.lib", "hbt_best")


def test_card_has_every_parameter_as_a_number() -> None:
    transistor = model_cards.Subcircuit("sg13g2_hbt_mod.lib", "npn13G2")
    environment = transistor.environment(dict.fromkeys(_corner_names(), 1.0), 27.0, nx=4.0)
    card = model_cards.model_line("npn_x4", transistor.model_type, transistor.model_values(environment))
    assert card.startswith(".model npn_x4 npn level=9 ")
    assert "re=7.13 " in card
    assert "tf=2.08e-13 " in card
    assert "'" not in card
    assert "nx" not in card.removeprefix(".model npn_x4").lower()


def test_missing_package_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    model_cards.model_folder.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    try:
        with pytest.raises(MissingToolError, match="pip install --no-deps ihp-gdsfactory"):
            model_cards.model_folder()
    finally:
        model_cards.model_folder.cache_clear()


def _corner_names() -> list[str]:
    return list(model_cards.corner_parameters("cornerHBT.lib", "hbt_typ"))
