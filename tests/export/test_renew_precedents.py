"""Released precedents are brought within the rules, judged anew, and put in place only when every class is done."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from genrf import technology
from genrf.circuit.design_rules import DesignRules
from genrf.errors import InvalidInputError
from genrf.generation.bundle import Bundle, write_manifest
from genrf.generation.precedents import Precedents, file_name, precedents_in
from genrf.generation.released import read_card, released_bundle
from training.release import renew_precedents as module
from training.release.renew_precedents import renew_precedents

MOST = 6


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the released weights whose precedents are few, and break a rule: every first capacitor is tiny."""
    folder = released_bundle()
    assert folder is not None
    copy = tmp_path_factory.mktemp("released") / "pretrained"
    shutil.copytree(folder, copy)
    bundle, card = Bundle.load(copy), read_card(copy)
    for name in bundle.conditioning.classes:
        known = Precedents.load(copy / file_name(name)).take(np.arange(MOST))
        known.save(copy / file_name(name), compressed=True)
    for name in ("card.json", "README.md"):
        (copy / name).unlink()
    sealed = write_manifest(
        copy,
        precision=bundle.precision,
        models=bundle.models,
        sampler=bundle.sampler,
        latent_size=bundle.latent_size,
    )
    (copy / "card.json").write_text(json.dumps(card | {"identity": sealed.identity}))
    return copy


@pytest.mark.slow
def test_they_keep_the_rules_afterwards_and_the_weights_say_so(released: Path, tmp_path: Path) -> None:
    before = Bundle.load(released)
    done = renew_precedents(tmp_path, ("lna", "filter"), workers=2, target=released)
    assert set(done) == {"lna", "filter"}
    assert Bundle.load(released).identity == before.identity, "three classes are not done yet"
    done = renew_precedents(tmp_path, workers=2, target=released)
    after = Bundle.load(released)
    assert after.identity != before.identity
    assert read_card(released)["precedents"] == done
    process = technology.get("sg13g2")
    for name in after.conditioning.classes:
        known = precedents_in(released)(name)
        assert known is not None
        assert len(known) == done[name]["kept"] > 0
        assert done[name]["before"] == done[name]["simulated"] == MOST
        for circuit, conditions in known.circuits(name, after.conditioning, process):
            # They are stored in half precision.
            kept = DesignRules(name, conditions, process).kept(circuit)
            assert kept.topology == circuit.topology
            assert kept.values == pytest.approx(circuit.values, rel=3e-3)


@pytest.mark.slow
def test_what_was_done_before_a_kill_is_not_done_again(
    released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)
    first = renew_precedents(tmp_path, ("lna",), workers=1, target=released)
    next(tmp_path.glob("lna-*-000002-2.npz")).unlink()
    times = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("lna-*.npz")}
    again = renew_precedents(tmp_path, ("lna",), workers=1, target=released)
    assert again == first
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in times} == times


def test_a_class_that_the_weights_do_not_know_is_refused(released: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="--class antenna: not one of the bundle's, which are"):
        renew_precedents(tmp_path, ("antenna",), target=released)
