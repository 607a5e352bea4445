"""Chain files: what they may say, and what each block is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from genrf.chain.spec import GAIN_WINDOW_DB, ChainSpec
from genrf.errors import InvalidInputError

EXAMPLES = sorted(Path("examples/chains").glob("*.yaml"))


def content(**changes: Any) -> dict[str, Any]:
    plain = {
        "frequency": "28 GHz",
        "supply": "2 V",
        "gain_db": 20,
        "nf_db": 6,
        "iip3_dbm": -25,
        "power_w": "40 mW",
        "blocks": [{"class": "filter"}, {"class": "lna", "share": 2}, {"class": "mixer", "gain_db": 5}],
    }
    return plain | changes


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_can_be_read(path: Path) -> None:
    spec = ChainSpec.from_yaml(path)
    assert spec.name == path.stem
    assert all(block.constraints for block in spec.block_specs(spec.budget()))


def test_each_block_is_asked_for_what_its_class_measures() -> None:
    spec = ChainSpec.from_dict(content())
    band, lna, mixer = spec.block_specs(spec.budget())
    assert [str(constraint) for constraint in band.constraints] == ["insertion_loss_db <= 2", "return_loss_db >= 10"]
    asked = {constraint.metric: constraint for constraint in lna.constraints}
    assert asked.keys() == {"gain_db", "s11_db", "s22_db", "nf_db", "iip3_dbm", "power_w", "mu_min"}
    window = [(c.sense, c.bound) for c in lna.constraints if c.metric == "gain_db"]
    assert window == [(">=", pytest.approx(20 + 2 - 5)), ("<=", pytest.approx(20 + 2 - 5 + GAIN_WINDOW_DB))]
    assert asked["power_w"].bound == pytest.approx(2 / 3 * 40e-3)
    assert {constraint.metric for constraint in mixer.constraints} == {"conversion_gain_db", "iip3_dbm", "power_w"}
    assert {spec.conditions for spec in (band, lna, mixer)} == {lna.conditions}


def test_a_bound_of_the_users_own_replaces_the_budgets() -> None:
    blocks = [{"class": "lna", "constraints": {"nf_db": {"max": 2.5}}}, {"class": "lna"}]
    spec = ChainSpec.from_dict(content(blocks=blocks))
    first, second = spec.block_specs(spec.budget())
    assert [str(c) for c in first.constraints if c.metric == "nf_db"] == ["nf_db <= 2.5"]
    assert next(c.bound for c in second.constraints if c.metric == "nf_db") > 2.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gain": 20}, "gain: unknown key"),
        ({"gain_db": "high"}, "gain_db: expected a number in dB, got 'high'"),
        ({"nf_db": -1}, "nf_db: expected a number above 0"),
        ({"frequency": "1 MHz"}, "frequency: expected a number from"),
        ({"blocks": "filter, lna"}, "blocks: expected a list"),
        ({"blocks": [{"class": "lna"}]}, "blocks: a chain has at least two blocks"),
        ({"blocks": [{"class": "filter"}, {"class": "filter"}]}, "blocks: a chain needs an lna"),
        ({"blocks": [{"class": "mixer"}, {"class": "lna"}]}, "blocks: a mixer must be the last block"),
        ({"blocks": [{"class": "lna"}, {"class": "vco"}]}, r"blocks\[1\].class: expected one of filter, lna, mixer"),
        ({"blocks": [{"class": "lna"}, {"class": "lna", "shares": 2}]}, r"blocks\[1\].shares: unknown key"),
        ({"blocks": [{"class": "lna"}, {"class": "lna", "share": 0}]}, r"blocks\[1\].share: expected a number above 0"),
        ({"blocks": [{"class": "filter", "share": 2}, {"class": "lna"}]}, r"blocks\[0\].share: a filter's noise"),
        (
            {"blocks": [{"class": "filter", "gain_db": 3}, {"class": "lna"}]},
            r"blocks\[0\].gain_db: a filter has no gain",
        ),
        (
            {"blocks": [{"class": "lna", "constraints": {"nf": {"max": 2}}}, {"class": "lna"}]},
            r"blocks\[0\].constraints.nf: not a metric of class lna",
        ),
        ({"nf_db": 1.5}, "nf_db: 1.5 dB is no more than what the passive blocks' loss makes"),
    ],
)
def test_errors_name_the_field(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "chain.yaml"
    path.write_text(yaml.safe_dump(content(**changes)))
    with pytest.raises(InvalidInputError, match=f"chain.yaml: {message}"):
        ChainSpec.from_yaml(path)


def test_a_missing_field_is_named_but_power_may_be_left_out() -> None:
    without_power = content()
    del without_power["power_w"]
    assert ChainSpec.from_dict(without_power).total.power_w is None
    del without_power["iip3_dbm"]
    with pytest.raises(InvalidInputError, match="iip3_dbm: missing"):
        ChainSpec.from_dict(without_power)
