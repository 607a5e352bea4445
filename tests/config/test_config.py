"""One configuration with recipes, and errors that name file, key and remedy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from genrf.errors import InvalidInputError
from training.config.loading import load_config, read_recipes
from training.config.schema import Config, per_class
from training.config.steps import STEPS, step_configs

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture
def params(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS.read_text())
    return path


def edited(path: Path, edit: Any) -> Path:
    content = yaml.safe_load(path.read_text())
    edit(content)
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize("recipe", read_recipes(PARAMS))
def test_every_recipe_of_the_repository_is_valid(recipe: str) -> None:
    config = load_config(PARAMS, recipe)
    assert config.recipe == recipe
    assert Config.from_dict(config.to_dict()) == config


def test_every_recipe_is_there() -> None:
    assert set(read_recipes(PARAMS)) == {"smoke", "nights", "nightly", "full"}


def test_a_recipe_lies_over_the_base_and_overrides_over_both(params: Path) -> None:
    edited(params, lambda content: content["recipes"].update(tiny={"data": {"rounds": 7, "shards": 3}}))
    config = load_config(params, "tiny", {"data": {"shards": 9}, "surrogate.width": 32})
    base = load_config(params, "smoke")
    assert (config.data.rounds, config.data.shards, config.surrogate.width) == (7, 9, 32)
    assert config.data.chunk == base.data.chunk
    assert config.evaluation == base.evaluation


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c["data"].update(roundz=1), "data.roundz: unknown key; known keys: chunk, "),
        (lambda c: c.update(dta={}), "dta: unknown key; known keys: classes, data, "),
        (lambda c: c["recipes"]["smoke"].update(dta=1), "recipes.smoke.dta: unknown key; known keys: classes, "),
        (lambda c: c["data"].pop("rounds"), "data.rounds: missing"),
        (lambda c: c["data"].update(rounds="many"), "data.rounds: expected a whole number, got 'many'"),
        (lambda c: c["data"].update(rounds=2.5), "data.rounds: expected a whole number, got 2.5"),
        (lambda c: c["data"].update(rounds=True), "data.rounds: expected a whole number, got True"),
        (lambda c: c["nights"].update(window_days=10**7), "nights.window_days: expected at most 3,650, got 10000000"),
        (lambda c: c["nights"].update(month_nights=10**9), "nights.month_nights: expected at most 3,650, got 1000000000"),
        (lambda c: c["data"].update(rounds=0), "data.rounds: expected at least 1, got 0"),
        (lambda c: c["data"].update(supplies_v=3.3), "data.supplies_v: expected a list, got 3.3"),
        (lambda c: c["data"].update(supplies_v=[]), "data.supplies_v: expected at least one voltage"),
        (lambda c: c["data"].update(frequency_max_hz=1.0), "data.frequency_max_hz: expected more than"),
        (lambda c: c["data"].update(frequency_max_hz=float("nan")), "data.frequency_max_hz: expected a number"),
        (lambda c: c["preparation"].update(test_share=1.2), "preparation.test_share: expected a share from 0 to 1"),
        (lambda c: c["surrogate"].update(heads=5), "surrogate.heads: expected a divisor of width"),
        (lambda c: c["surrogate"].update(dropout=1.0), "surrogate.dropout: expected at least 0 and below 1"),
        (lambda c: c["topology_gan"].update(precision="fp8"), "topology_gan.precision: expected one of auto, fp32"),
        (lambda c: c["topology_gan"].update(temperature=0.0), "topology_gan.temperature: expected a number above 0"),
        (
            lambda c: c["topology_gan"].update(temperature={"default": 0.5, "lna": -1.0}),
            "topology_gan.temperature: expected a number, or numbers for default and any of default, filter, lna",
        ),
        (
            lambda c: c["topology_gan"].update(temperature={"lna": 0.5}),
            "topology_gan.temperature: expected a number, or numbers for default",
        ),
        (lambda c: c["tracking"].update(wandb="maybe"), "tracking.wandb: expected one of off, offline, online"),
        (lambda c: c.update(seed=-1), "seed: expected at least 0, got -1"),
        (lambda c: c.update(classes=[]), "classes: expected at least one circuit class"),
        (lambda c: c.update(data=3), "recipes.smoke.data|data: expected a mapping of keys to values, got 3"),
    ],
)
def test_a_mistake_is_one_line_that_names_file_key_and_remedy(params: Path, edit: Any, message: str) -> None:
    edited(params, edit)
    with pytest.raises(InvalidInputError) as caught:
        load_config(params)
    text = str(caught.value)
    assert text.startswith(f"{params}: ")
    assert re.search("|".join(re.escape(part) for part in message.split("|")), text)
    assert "\n" not in text


def test_a_temperature_for_each_class_or_one_for_all(params: Path) -> None:
    one = load_config(params, overrides={"topology_gan.temperature": 0.4}).topology_gan.temperature
    some = load_config(params, overrides={"topology_gan.temperature": {"default": 0.4, "vco": 0.9}})
    assert (per_class(one, "lna"), per_class(one, "vco")) == (0.4, 0.4)
    assert [per_class(some.topology_gan.temperature, name) for name in ("lna", "vco")] == [0.4, 0.9]


@pytest.mark.parametrize("content", ["data: [1,", "- a\n- b\n", ""])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(InvalidInputError, match=r"params\.yaml"):
        load_config(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot be read: No such file"):
        load_config(tmp_path / "params.yaml")


def test_a_bare_off_in_yaml_is_the_word(params: Path) -> None:
    params.write_text(params.read_text().replace('wandb: "off"', "wandb: off"))
    assert load_config(params).tracking.wandb == "off"


def test_a_step_is_given_only_what_it_uses() -> None:
    config = Config.from_json(load_config(PARAMS).select("data"))
    assert config.data.rounds == load_config(PARAMS).data.rounds
    with pytest.raises(RuntimeError, match=r"surrogate\.width: this step was not given section surrogate"):
        _ = config.surrogate.width


def test_what_a_step_is_given_changes_only_with_its_own_sections() -> None:
    before = step_configs("smoke", path=PARAMS)
    after = step_configs("smoke", '{"surrogate.width": 32}', PARAMS)
    everything = {step.name for step in STEPS.values() if step.sections is None}
    assert {name for name in before if before[name] != after[name]} == {"train_surrogate"} | everything
    assert set(before) == set(STEPS)


def test_overrides_that_are_no_json_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="overrides: expected JSON"):
        step_configs("smoke", "rounds=3", PARAMS)


def test_the_digest_changes_with_the_named_sections_only() -> None:
    config = load_config(PARAMS)
    wider = load_config(PARAMS, overrides={"surrogate.width": 32})
    assert config.digest("data") == wider.digest("data")
    assert config.digest("surrogate") != wider.digest("surrogate")
    assert load_config(PARAMS, overrides={"seed": 1}).digest("data") != config.digest("data")
