"""What is released is the smallest that passed, whole, within the limit, and says what it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from genrf.errors import CheckpointError, InvalidInputError
from genrf.files import sha256
from genrf.generation.bundle import Bundle, write_manifest
from genrf.generation.released import read_card, released_bundle, released_folder
from genrf.generation.sampler import SamplerSettings
from tests.models.circuits import conditioning
from training.export.quantize import CONVERTED, MODELS
from training.release import publish
from training.release.model_card import FILE as MODEL_CARD
from training.release.model_card import render
from training.release.publish import LIMIT_BYTES, Sources
from training.release.renew_card import renew_card


def put_model(path: Path, numbers: int) -> None:
    """An ONNX file of a given size, with the remarks that an exporter leaves."""
    weights = onnx.numpy_helper.from_array(np.ones(numbers, dtype=np.float32), "weights")
    node = onnx.helper.make_node("Add", ["input", "weights"], ["output"], doc_string="from source.py")
    onnx.helper.set_model_props(node, {"stack_trace": "/home/somebody/source.py"})
    shapes = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in ("input", "output")]
    graph = onnx.helper.make_graph([node], "model", shapes[:1], shapes[1:], [weights])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10), path)


def put_bundle(folder: Path, precision: str = "fp32", **numbers: int) -> Path:
    """A bundle whose models hold so many numbers each; variants name their method."""
    folder.mkdir(parents=True)
    conditioning().save(folder)
    models: dict[str, dict[str, Any]] = {}
    for name in MODELS:
        put_model(folder / f"{name}.onnx", numbers.get(name, 1))
        models[name] = {"class": name.title(), "onnx": f"{name}.onnx"}
        if precision != "fp32" and name in CONVERTED:
            models[name]["method"] = precision
    sampler = SamplerSettings(steps=8, conditions_size=5)
    write_manifest(folder, precision=precision, models=models, sampler=sampler, latent_size=4)
    return folder


def put_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    """What a whole training leaves: int8 is smallest where it is not the denoiser, and all variants passed."""
    put_bundle(tmp_path / "bundle", sizing_denoiser=40, surrogate=40, topology_generator=10)
    put_bundle(tmp_path / "quantized" / "fp16", "fp16", sizing_denoiser=20, surrogate=20, topology_generator=10)
    put_bundle(tmp_path / "quantized" / "int8", "int8", sizing_denoiser=30, surrogate=10, topology_generator=10)
    gate = {"specifications": 20, "fp32_success": 0.8, "fp16_success": 0.8, "int8_success": 0.75}
    put_json(tmp_path / "quantized" / "quantization.json", gate | {"fp16_passed": True, "int8_passed": True})
    success = {"success_at_1": 0.5, "success_at_64": 0.975, "success_at_64_interval": [0.9, 1.0]}
    methods = [
        {"class": "lna", "level": "exact", "method": method, "specifications": 200, "failed": {}, **success}
        for method in ("generator", "retrieval")
    ]
    quality = {"drawn": 1000, "valid": 0.99, "simulates": 0.96, "unique": 0.91, "novel": 0.62}
    put_json(tmp_path / "evaluation.json", {"methods": methods, "topologies": {"lna": quality}})
    rows = {"rows": 900, "rows_train": 700, "rows_validation": 50, "rows_test": 100, "useful": 400, "topologies": 77}
    lna = rows | {"frequency_hz": [2e9, 60e9], "supply_v": [1.2, 3.3]}
    data = {
        "dataset_sha256": "da7a",
        "simulated": 1234,
        "failed_timeout": 34,
        "topologies": 77,
        "classes": {"lna": lna},
    }
    put_json(tmp_path / "report.json", data | {"split": {"seed": 2026, "test_share": 0.1}})
    training = []
    for step in ("train_topology_gan", "train_sizing_diffusion", "train_surrogate"):
        result = {"steps": 300, "parameters": 5678, "best_validation_loss": 0.25}
        report = {"step": step, "seconds": 100.0, "recipe": "full", "commit": "c0ffee", "hardware": "an accelerator"}
        training.append(put_json(tmp_path / f"{step}.json", report | {"result": result}))
    return Sources(
        remarks=["Begun from the weights of an earlier release."],
        bundle=tmp_path / "bundle",
        quantized=tmp_path / "quantized",
        evaluation=tmp_path / "evaluation.json",
        data=tmp_path / "report.json",
        training=training,
    )


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where it is released to; holds what was there before."""
    folder = tmp_path / "package" / "pretrained"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("none yet")
    (folder / "old.onnx").write_text("an earlier release")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_smallest_variant_of_each_model_is_released(sources: Sources, target: Path) -> None:
    card = publish.publish(sources, target)
    bundle = Bundle.load(target)
    assert {name: model["precision"] for name, model in bundle.models.items()} == {
        "topology_generator": "fp32",
        "sizing_denoiser": "fp16",
        "surrogate": "int8",
    }
    assert bundle.precision == "mixed"
    models = {f"{name}.onnx" for name in MODELS}
    assert contents(target).keys() == models | {"normalisation.json", "manifest.json", "card.json", "README.md"}
    for name in models:
        assert b"somebody" not in (target / name).read_bytes()
        assert b"source.py" not in (target / name).read_bytes()
    assert read_card(target) == card
    assert not list(target.parent.glob(".*")), "nothing is left lying about"


def test_publishing_again_changes_nothing(sources: Sources, target: Path) -> None:
    publish.publish(sources, target)
    first = contents(target)
    publish.publish(sources, target)
    assert contents(target) == first


def test_a_variant_that_did_not_pass_is_not_released(sources: Sources, target: Path) -> None:
    assert sources.quantized is not None
    gate = {"specifications": 20, "fp32_success": 0.8, "fp16_passed": False, "int8_passed": False}
    put_json(sources.quantized / "quantization.json", gate)
    assert publish.publish(sources, target)["precision"] == "fp32"
    with pytest.raises(InvalidInputError, match=r"--precision int8: no such variant passed its gate; there are fp32"):
        publish.publish(sources, target, precision="int8")


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_one_precision_can_be_asked_for(sources: Sources, target: Path, precision: str) -> None:
    card = publish.publish(sources, target, precision=precision)
    assert card["precision"] == precision
    assert {card["models"][name]["precision"] for name in CONVERTED} == {precision}
    assert card["models"]["topology_generator"]["precision"] == "fp32"


def test_without_variants_the_bundle_is_released_as_it_is(sources: Sources, target: Path) -> None:
    assert publish.publish(replace(sources, quantized=None), target)["precision"] == "fp32"


def test_the_card_leads_back_to_data_code_and_machine(sources: Sources, target: Path) -> None:
    card = publish.publish(sources, target)
    assert card["identity"] == sha256(target / "manifest.json")
    assert (card["recipe"], card["commit"], card["training"]["hardware"]) == ("full", "c0ffee", "an accelerator")
    assert card["training"]["seconds"] == 300.0
    assert card["data"]["dataset_sha256"] == "da7a"
    assert card["data"]["failed"] == {"timeout": 34}
    assert card["data"]["split"] == {"seed": 2026, "test_share": 0.1}
    for name in MODELS:
        assert card["models"][name]["bytes"] == (target / f"{name}.onnx").stat().st_size
        assert card["models"][name]["parameters"] == 5678


def test_the_model_card_shows_the_figures_of_the_card(sources: Sources, target: Path) -> None:
    publish.publish(sources, target)
    text = (target / MODEL_CARD).read_text()
    assert text == render(json.loads((target / "card.json").read_text()))
    headings = re.findall(r"^## (.+)", text, re.MULTILINE)
    assert headings == ["Model details", "Uses", "Training data", "Training procedure", "Evaluation", "Limits"]
    assert "| lna | exact | 200 | 1 / 64 | 50 / 98 % (90 to 100) | 50 / 98 % (90 to 100) |" in text
    assert "1,234 circuits simulated, of which 34 failed (timeout 34)" in text
    assert "\nBegun from the weights of an earlier release.\n" in text
    assert "fp32 80 %, fp16 80 % (passed), int8 75 % (passed)" in text
    assert "| lna | 1,000 | 99 % | 96 % | 91 % | 62 % |" in text
    assert "evaluated before their conversion" in text
    assert "5.0 minutes" in text


def test_an_evaluation_of_the_released_files_is_said_to_be_one(sources: Sources, target: Path) -> None:
    card = publish.publish(sources, target)
    evaluation = json.loads(sources.evaluation.read_text())
    put_json(sources.evaluation, evaluation | {"bundle": card["identity"]})
    assert publish.publish(sources, target)["identity"] == card["identity"]
    assert "These very files were evaluated." in (target / MODEL_CARD).read_text()


def test_a_release_that_is_too_large_is_refused_and_the_old_one_stays(
    sources: Sources, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(target)
    monkeypatch.setattr(publish, "LIMIT_BYTES", 3000)
    with pytest.raises(InvalidInputError, match=r"would have .* MB of at most .*surrogate .* in int8"):
        publish.publish(sources, target)
    assert contents(target) == before
    assert not list(target.parent.glob(".*"))


Spoil = Callable[[Sources], Sources]


def without(name: str, *keys: str) -> Spoil:
    """Remove a value from one of the sources' files."""

    def spoil(sources: Sources) -> Sources:
        path = sources.bundle.parent / name
        content = inner = json.loads(path.read_text())
        for key in keys[:-1]:
            inner = inner[key]
        del inner[keys[-1]]
        put_json(path, content)
        return sources

    return spoil


def of_another_bundle(sources: Sources) -> Sources:
    put_bundle(sources.bundle.parent / "other", topology_generator=11)
    return replace(sources, bundle=sources.bundle.parent / "other")


@pytest.mark.parametrize(
    ("spoil", "error", "named"),
    [
        (without("report.json", "classes"), InvalidInputError, r"report\.json: classes: missing"),
        (without("train_surrogate.json", "hardware"), InvalidInputError, r"surrogate\.json: hardware: missing"),
        (without("train_surrogate.json", "result", "steps"), InvalidInputError, r"surrogate\.json: steps: missing"),
        (without("evaluation.json", "methods"), InvalidInputError, r"evaluation\.json: methods: missing"),
        (lambda s: replace(s, training=s.training[:2]), InvalidInputError, "no report of train_surrogate"),
        (lambda s: replace(s, data=s.data.with_name("no.json")), InvalidInputError, r"no\.json: cannot be read"),
        (lambda s: replace(s, bundle=s.bundle.with_name("no")), CheckpointError, r"manifest\.json: cannot be read"),
        (of_another_bundle, CheckpointError, "not a variant of .*other, topology_generator.onnx differs"),
    ],
)
def test_what_is_missing_or_does_not_belong_is_named(
    sources: Sources, target: Path, spoil: Spoil, error: type[Exception], named: str
) -> None:
    before = contents(target)
    with pytest.raises(error, match=named):
        publish.publish(spoil(sources), target)
    assert contents(target) == before


def test_a_class_that_was_not_judged_is_named(sources: Sources, target: Path) -> None:
    put_json(sources.evaluation, {"methods": [{"class": "pa", "level": "exact", "method": "generator"}]})
    with pytest.raises(InvalidInputError, match="the generator was not judged on lna"):
        publish.publish(sources, target)


def test_the_package_keeps_the_limit() -> None:
    folder = released_folder()
    assert (folder / MODEL_CARD).is_file()
    assert sum(path.stat().st_size for path in folder.iterdir()) <= LIMIT_BYTES
    if released_bundle() is None:
        assert {path.name for path in folder.iterdir()} == {MODEL_CARD}


@pytest.mark.skipif(released_bundle() is None, reason="this copy of the package has no released weights")
def test_the_packages_weights_are_whole_and_its_model_card_is_that_of_its_card() -> None:
    folder = released_folder()
    bundle = Bundle.load(folder)
    card = read_card(folder)
    assert (folder / MODEL_CARD).read_text() == render(card)
    assert {path.name for path in folder.iterdir()} == {*bundle.files, "manifest.json", "card.json", MODEL_CARD}
    assert set(bundle.conditioning.classes) == set(card["data"]["classes"])
    for name in MODELS:
        assert b"stack_trace" not in Path(bundle.path(name)).read_bytes()


def measured_on(card: dict[str, Any], folder: Path) -> tuple[Path, Path]:
    """Results of the two benchmarks of released weights."""
    bundle = {"identity": card["identity"][:16], "precision": card["precision"]}
    entries = [
        {"class": "lna", "level": "exact", "method": method, "calls": calls, "specifications": 150}
        | {"success_at_1": 0.25, f"success_at_{calls}": share, f"success_at_{calls}_interval": [0.1, 1.0], "curve": []}
        for method, calls, share in (("generator", 64, 0.75), ("cma-es", 640, 0.5), ("cma-es", 64, 0.125))
    ]
    result = {"bundle": bundle, "commit": "beef", "machines": ["2 cores", "16 cores"], "entries": entries}
    quality = {"drawn": 100, "valid": 0.98, "simulates": 0.97, "unique": 0.93, "novel": 0.5}
    topologies = {"bundle": bundle, "classes": {"lna": quality}}
    return put_json(folder / "design_quality.json", result), put_json(folder / "topologies.json", topologies)


def test_figures_of_the_released_files_take_the_place_of_earlier_ones(
    sources: Sources, target: Path, tmp_path: Path
) -> None:
    before = publish.publish(sources, target)
    design_quality, topologies = measured_on(before, tmp_path)
    card = renew_card(design_quality, topologies, target)
    assert read_card(target) == card
    changed = {key for key in card if card[key] != before[key]}
    assert changed == {"evaluation", "topologies"}
    text = (target / MODEL_CARD).read_text()
    assert "These very files were evaluated." in text
    assert "| lna | exact | 150 | 1 / 64 | 25 / 75 % (10 to 100) | 25 / 12 % (10 to 100) |" in text
    assert "| lna | 100 | 98 % | 97 % | 93 % | 50 % |" in text
    assert renew_card(design_quality, None, target)["topologies"] == card["topologies"]


def test_figures_of_other_weights_are_refused(sources: Sources, target: Path, tmp_path: Path) -> None:
    card = publish.publish(sources, target)
    first = contents(target)
    design_quality, topologies = measured_on(card | {"identity": "0" * 64}, tmp_path)
    with pytest.raises(InvalidInputError, match=r"bundle.identity: is 0000000000000000, the released weights are"):
        renew_card(design_quality, topologies, target)
    with pytest.raises(InvalidInputError, match=r"missing\.json: cannot be read"):
        renew_card(tmp_path / "missing.json", None, target)
    assert contents(target) == first
