"""A specification says exactly what it means, or is refused with the field and the remedy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from genrf.conditions import Conditions, Constraint
from genrf.errors import InvalidInputError
from genrf.metrics import Metric, Metrics
from genrf.spec import DesignSpec, relative_slack

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
CONTENT = {
    "class": "lna",
    "frequency": "28 GHz",
    "supply": "1.8 V",
    "constraints": {"gain_db": {"min": 15}, "nf_db": {"max": 3}, "power_w": {"max": "10 mW"}},
}


def spec_with(**changes) -> DesignSpec:
    """The specification above with keys changed."""
    return DesignSpec.from_dict({**CONTENT, **changes})


def spec_from(text: str, tmp_path: Path) -> DesignSpec:
    path = tmp_path / "wanted.yaml"
    path.write_text(text, encoding="utf-8")
    return DesignSpec.from_yaml(path)


def test_a_complete_file_is_read_in_si_units(tmp_path):
    spec = spec_from(
        """
        name: front_end
        class: lna
        frequency: 28 GHz
        supply: 1.8 V
        source_impedance: 50 Ohm
        load_impedance: 0.1 kOhm
        temperature: -10 °C
        corner: wcs
        constraints:
          gain_db: {min: 15 dB, max: 25}
          power_w: {max: 10 mW}
          bandwidth_hz: {min: 2e9}
        """,
        tmp_path,
    )
    assert spec == DesignSpec(
        name="front_end",
        circuit_class="lna",
        conditions=Conditions(
            frequency_hz=28e9, supply_v=1.8, source_ohm=50.0, load_ohm=100.0, temperature_c=-10.0, corner="wcs"
        ),
        constraints=(
            Constraint("gain_db", ">=", 15.0),
            Constraint("gain_db", "<=", 25.0),
            Constraint("power_w", "<=", 0.01),
            Constraint("bandwidth_hz", ">=", 2e9),
        ),
    )


def test_what_is_not_said_has_the_usual_value(tmp_path):
    spec = spec_from("{class: lna, frequency: 5 GHz, supply: 1.2}", tmp_path)
    assert spec.conditions == Conditions(frequency_hz=5e9, supply_v=1.2)
    assert (spec.conditions.source_ohm, spec.conditions.load_ohm, spec.conditions.corner) == (50.0, 50.0, "typ")
    assert spec.name == "wanted"
    assert spec.constraints == ()


@pytest.mark.parametrize(
    ("written", "frequency_hz"),
    [
        ("28 GHz", 28e9),
        ("28GHz", 28e9),
        ("28e9", 28e9),
        (28e9, 28e9),
        (28_000_000_000, 28e9),
        ("28000 MHz", 28e9),
        ("28 ghz", 28e9),
        ("28000 mhz", 28e9),
        ("28 GHZ", 28e9),
    ],
)
def test_frequencies_may_be_written_in_many_ways(written, frequency_hz):
    assert spec_with(frequency=written).conditions.frequency_hz == pytest.approx(frequency_hz)


@pytest.mark.parametrize("written", ["50", "50 Ohm", "50 ohms", "50 Ω", "0.05 kOhm", 50])
def test_impedances_may_be_written_in_many_ways(written):
    assert spec_with(source_impedance=written).conditions.source_ohm == pytest.approx(50.0)


@pytest.mark.parametrize(
    ("written", "celsius"),
    [("300 K", 26.85), ("300 kelvin", 26.85), ("-10 °C", -10.0), ("25 c", 25.0), ("85 degC", 85.0), ("25", 25.0)],
)
def test_temperatures_may_be_in_celsius_or_kelvin(written, celsius):
    assert spec_with(temperature=written).conditions.temperature_c == pytest.approx(celsius, abs=1e-9)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_are_specifications(path):
    spec = DesignSpec.from_yaml(path)
    assert spec.constraints
    assert DesignSpec.from_dict(yaml.safe_load(yaml.safe_dump(spec.to_dict(), sort_keys=False))) == spec


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gian": 3}, "gian: unknown key; known keys: class, constraints, corner, frequency,"),
        ({"constraints": {"gain": {"min": 3}}}, "constraints.gain: not a metric of class lna; choose from gain_db,"),
        ({"constraints": {"gain_db": {"minimum": 3}}}, "constraints.gain_db.minimum: unknown key; known keys: max,"),
        ({"constraints": {"gain_db": {}}}, "constraints.gain_db: give min, max or both"),
        ({"constraints": {"gain_db": 15}}, "constraints.gain_db: expected a mapping of keys to values, got 15"),
        ({"constraints": [1]}, "constraints: expected a mapping of keys to values, got [1]"),
        ({"constraints": False}, "constraints: expected a mapping of keys to values, got False"),
        ({"constraints": {"gain_db": {"min": "much"}}}, "constraints.gain_db.min: expected a number in dB, got 'much'"),
        ({"constraints": {"gain_db": {"min": True}}}, "constraints.gain_db.min: expected a number in dB, got True"),
        ({"constraints": {"gain_db": {"min": math.inf}}}, "constraints.gain_db: expected a finite number, got inf"),
        ({"constraints": {"gain_db": {"min": "nan"}}}, "constraints.gain_db: expected a finite number, got nan"),
        ({"constraints": {"power_w": {"max": "10 mV"}}}, "constraints.power_w.max: expected a number in W,"),
        (
            {"constraints": {"power_w": {"max": "9 MW"}}},
            "constraints.power_w.max: '9 MW' is megawatts; write 9 mW for milliwatts, or 9e+06",
        ),
        ({"supply": "1200 MV"}, "supply: '1200 MV' is megavolts; write 1200 mV for millivolts, or 1.2e+09"),
        (
            {"constraints": {"bandwidth_hz": {"min": "500 mHz"}}},
            "constraints.bandwidth_hz.min: '500 mHz' is millihertz; write 500 MHz for megahertz, or 0.5",
        ),
        ({"constraints": {"power_w": {"max": 0}}}, "constraints.power_w: expected a number above 0, got 0.0"),
        ({"constraints": {"nf_db": {"min": 4, "max": 3}}}, "constraints.nf_db: min 4 is above max 3"),
        (
            {"class": "mixer", "constraints": {"lo_rf_isolation_db": {"min": 88}}},
            "constraints.lo_rf_isolation_db: >= 88 cannot be met, as 80 dB is the best that is ever measured",
        ),
        ({"class": "amplifier"}, "class: unknown circuit class 'amplifier'; known: lna"),
        ({"class": ["lna"]}, "class: expected one of lna"),
        ({"frequency": "28 gHerz"}, "frequency: expected a number in Hz, got '28 gHerz' in gHerz"),
        ({"frequency": "28 mHz"}, "frequency: '28 mHz' is millihertz; write 28 MHz for megahertz, or 0.028"),
        ({"frequency": 10**400}, "frequency: expected a number in Hz, got one beyond 1.8e308"),
        ({"frequency": "9" * 10_000}, "frequency: expected a number in Hz, got a text of 10,000 characters"),
        ({"frequency": [1]}, "frequency: expected a number in Hz, got [1]"),
        ({"frequency": None}, "frequency: expected a number in Hz, got None"),
        ({"supply": "1,8 V"}, "supply: expected a number in V with a decimal point and no comma, got '1,8 V'"),
        ({"supply": 12}, "supply: expected a number from 0.5 to 5, got 12"),
        ({"supply": "1.8 A"}, "supply: expected a number in V, got '1.8 A' in A"),
        ({"load_impedance": "-50"}, "load_impedance: expected a number from 1 to 1000, got -50"),
        ({"temperature": "nan"}, "temperature: expected a number from -40 to 125, got nan"),
        ({"corner": 3}, "corner: expected the name of a corner, got 3"),
        ({"corner": "fast"}, "corner: unknown corner 'fast'; known: typ, "),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_a_mistake_is_one_line_that_names_the_field(changes, message):
    with pytest.raises(InvalidInputError) as caught:
        spec_with(**changes)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["class", "frequency", "supply"])
def test_what_must_be_said_is_asked_for(missing):
    with pytest.raises(InvalidInputError, match=f"^{missing}: missing$"):
        DesignSpec.from_dict({key: value for key, value in CONTENT.items() if key != missing})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class: [lna", "not valid YAML"),
        ("", "the specification: expected a mapping"),
        ("- lna", "the specification: expected a mapping"),
        ("class: lna\nsupply: 1\nsupply: 2\nfrequency: 5 GHz", "supply: given twice, again on line 3"),
        ("{class: lna, frequency: 5 GHz, supply: 1, supplies: 2}", "supplies: unknown key"),
        ("class: !!python/name:os.system", "not valid YAML"),
    ],
)
def test_a_bad_file_is_named(text, message, tmp_path):
    with pytest.raises(InvalidInputError, match=r"wanted\.yaml") as caught:
        spec_from(text, tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_or_binary_file_is_named(tmp_path):
    with pytest.raises(InvalidInputError, match=r"none.yaml: cannot be read: No such file"):
        DesignSpec.from_yaml(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InvalidInputError, match=r"binary.yaml: not valid YAML"):
        DesignSpec.from_yaml(tmp_path / "binary.yaml")


def test_python_users_are_told_the_field_too():
    with pytest.raises(InvalidInputError, match=r"^frequency_hz: expected a number"):
        Conditions(frequency_hz=28.0, supply_v=1.8)
    conditions = Conditions(frequency_hz=28e9, supply_v=1.8)
    twice = (Constraint("gain_db", ">=", 3.0), Constraint("gain_db", ">=", 4.0))
    with pytest.raises(InvalidInputError, match=r"constraints\.gain_db: bounded twice with >="):
        DesignSpec(circuit_class="lna", conditions=conditions, constraints=twice)
    with pytest.raises(InvalidInputError, match=r"constraints\.q: not a metric"):
        DesignSpec(circuit_class="lna", conditions=conditions, constraints=(Constraint("q", ">=", 3.0),))


BOUNDS = st.floats(-50.0, 50.0)


@given(
    st.floats(0.5e9, 100e9),
    st.floats(0.5, 5.0),
    st.dictionaries(st.sampled_from(["gain_db", "nf_db", "s11_db"]), st.tuples(BOUNDS, BOUNDS).map(sorted)),
)
def test_a_specification_survives_its_plain_form(frequency_hz, supply_v, bounds):
    constraints = []
    for metric, (low, high) in bounds.items():
        constraints += [Constraint(metric, ">=", low), Constraint(metric, "<=", high)]
    spec = DesignSpec(
        circuit_class="lna",
        conditions=Conditions(frequency_hz=frequency_hz, supply_v=supply_v),
        constraints=tuple(constraints),
        name="any",
    )
    assert DesignSpec.from_dict(yaml.safe_load(yaml.safe_dump(spec.to_dict(), sort_keys=False))) == spec


def test_meeting_a_bound_exactly_is_enough_and_missing_it_by_a_digit_is_not():
    spec = spec_with()
    exact = {"gain_db": 15.0, "nf_db": 3.0, "power_w": 0.01}
    assert spec.meets(exact)
    assert spec.worst_margin(exact) == 0.0
    for metric, worse in (
        ("gain_db", math.nextafter(15.0, 0.0)),
        ("nf_db", math.nextafter(3.0, 9.0)),
        ("power_w", math.nextafter(0.01, 1.0)),
    ):
        missed = {**exact, metric: worse}
        assert not spec.meets(missed)
        assert spec.worst_margin(missed) < 0.0


def test_margins_are_comparable_between_metrics():
    spec = spec_with()
    margins = spec.margins({"gain_db": 25.0, "nf_db": 4.0, "power_w": 0.1})
    assert {constraint.metric: round(margin, 9) for constraint, margin in margins.items()} == {
        "gain_db": 1.0,  # 10 dB better
        "nf_db": -0.1,  # 1 dB worse
        "power_w": -1.0,  # a decade worse
    }
    assert spec.worst_margin({"gain_db": 25.0, "nf_db": 4.0, "power_w": 0.1}) == pytest.approx(-1.0)


def test_without_constraints_anything_will_do():
    spec = spec_with(constraints=None)
    assert spec.meets({})
    assert spec.worst_margin({}) == math.inf


@given(st.sampled_from([">=", "<="]), st.floats(1e-6, 1e3), st.floats(1e-6, 1e3), st.sampled_from(["linear", "log"]))
def test_relative_slack_has_the_sign_of_the_slack(sense, bound, value, scale):
    metric = Metric("figure", "", "higher", "any", scale)
    constraint = Constraint("figure", sense, bound)
    assert (relative_slack(metric, constraint, value) >= 0.0) == (constraint.slack(value) >= 0.0)


def test_a_constraint_reads_like_one():
    assert str(Constraint("gain_db", ">=", 15.0)) == "gain_db >= 15"


def test_metrics_are_finite_immutable_and_printed_with_their_names():
    metrics = Metrics({"gain_db": 15.25, "power_w": 0.01})
    assert dict(metrics) == {"gain_db": 15.25, "power_w": 0.01}
    assert repr(metrics) == "Metrics(gain_db=15.25, power_w=0.01)"
    assert metrics == Metrics({"power_w": 0.01, "gain_db": 15.25})
    with pytest.raises(TypeError):
        metrics["gain_db"] = 99.0  # type: ignore[index]
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="metric gain_db is not finite"):
            Metrics({"gain_db": bad})


def test_log_metrics_compare_in_decades():
    power = Metric("power_w", "W", "lower", "power", "log")
    gain = Metric("gain_db", "dB", "higher", "gain")
    assert power.normalise(0.01) == pytest.approx(-2.0)
    assert power.normalise(0.0) == pytest.approx(-30.0)
    assert gain.normalise(-3.0) == -3.0


def vco_spec(**constraints):
    content = {"class": "vco", "frequency": "5 GHz", "supply": "2.5 V", "constraints": constraints}
    return DesignSpec.from_dict(content)


def test_the_frequency_asked_for_binds_an_oscillator_unless_the_specification_bounds_it():
    assert vco_spec().constraints == (Constraint("frequency_error_percent", "<=", 1.0),)
    for own in ({"frequency_error_percent": {"max": 8}}, {"frequency_hz": {"min": "4 GHz", "max": "6 GHz"}}):
        assert {constraint.metric for constraint in vco_spec(**own).constraints} == own.keys()
    assert DesignSpec.from_dict(vco_spec().to_dict()) == vco_spec()
    assert DesignSpec.from_dict({"class": "lna", "frequency": "5 GHz", "supply": 1.8}).constraints == ()


OSCILLATOR = {
    "frequency_hz": 5e9,
    "frequency_error_percent": 0.2,
    "tuning_range_percent": 5.0,
    "output_power_dbm": 0.0,
    "power_w": 0.01,
    "phase_noise_estimate_dbc_hz": -110.0,
    "fom_estimate_dbc_hz": -170.0,
}


def test_a_bound_on_phase_noise_is_met_by_sign_off_only():
    spec = vco_spec(phase_noise_dbc_hz={"max": -100})
    assert spec.needs_signoff
    assert not spec.screen.needs_signoff
    assert spec.screen.meets(OSCILLATOR)
    assert not spec.meets(OSCILLATOR)
    assert not spec.meets(OSCILLATOR | {"phase_noise_dbc_hz": -97.0})
    assert spec.worst_margin(OSCILLATOR | {"phase_noise_dbc_hz": -97.0}) == pytest.approx(-0.3)
    assert spec.meets(OSCILLATOR | {"phase_noise_dbc_hz": -104.0})
    missed = OSCILLATOR | {"phase_noise_estimate_dbc_hz": -90.0}
    assert not spec.screen.meets(missed)
    assert spec.worst_margin(missed) == pytest.approx(-1.0)


def test_the_screen_of_a_bound_on_sign_off_and_estimate_is_the_harder_of_both():
    spec = vco_spec(phase_noise_dbc_hz={"max": -100}, phase_noise_estimate_dbc_hz={"max": -105})
    assert Constraint("phase_noise_estimate_dbc_hz", "<=", -105.0) in spec.screen.constraints
    assert len(spec.screen.constraints) == 2


def test_sign_off_without_an_estimate_is_measured_at_once():
    spec = spec_with(constraints={"iip3_dbm": {"min": -10}})
    assert spec.screen is spec


@pytest.mark.parametrize(
    ("bounds", "carried"),
    [
        ({"centre_hz": {"min": "4.9 GHz", "max": "5.1 GHz"}}, ["rejection_low_db >= 3", "rejection_high_db >= 3"]),
        ({"centre_hz": {"max": "5.1 GHz"}, "rejection_low_db": {"min": 20}}, ["rejection_high_db >= 3"]),
        ({"ripple_db": {"max": 1}}, []),
    ],
)
def test_a_bounded_centre_asks_for_a_band_that_has_one(bounds: dict[str, Any], carried: list[str]) -> None:
    """A through line passes from f0/8 to 8 f0, whose geometric mean is f0."""
    content = {"class": "filter", "frequency": "5 GHz", "supply": 1, "constraints": bounds}
    spec = DesignSpec.from_dict(content)
    own = [constraint for constraint in spec.constraints if constraint.metric not in bounds]
    assert [str(constraint) for constraint in own] == carried
    assert DesignSpec.from_dict(spec.to_dict()) == spec
