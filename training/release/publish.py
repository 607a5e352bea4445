"""Release a trained bundle: the smallest variant of each model that passed its gate, with its figures, into the package.

Nothing is measured here and no figure is typed in: ``card.json`` is put together from what preparation, training,
quantization and evaluation left behind, and the model card ``README.md`` is made from ``card.json``. The same inputs give
the same files.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genrf import __version__
from genrf.conditioning import FILE as NORMALISATION
from genrf.errors import CheckpointError, InvalidInputError
from genrf.files import replace_folder
from genrf.generation.backend import SIZING_DENOISER, SURROGATE, TOPOLOGY_GENERATOR, OnnxBackend
from genrf.generation.bundle import Bundle, write_manifest
from genrf.generation.precedents import file_name
from genrf.generation.released import released_folder
from training.evaluation.methods import GENERATOR
from training.export.quantize import CONVERTED, MODELS
from training.models.onnx_files import strip
from training.release.model_card import write_card

LIMIT_BYTES = 32_000_000
"""Size of everything in the folder at most: it is part of the repository and of every installation."""
TRAINED_AS = {
    "train_topology_gan": TOPOLOGY_GENERATOR,
    "train_sizing_diffusion": SIZING_DENOISER,
    "train_surrogate": SURROGATE,
}
"""Step that trained a model, and the model's name in a bundle."""
FULL = "fp32"
_KEPT = re.compile(r"class|level|method|specifications|median_\w+|success_at_\d+(_interval)?")


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where a release comes from."""

    bundle: Path
    """Folder that `training.export.export_onnx` wrote."""
    evaluation: Path
    """``evaluation.json`` or a benchmark's result of the same form."""
    data: Path
    """``report.json`` of `training.data.prepare`."""
    training: Sequence[Path]
    """What the three training steps reported: ``step.json`` of each."""
    quantized: Path | None = None
    """Folder that `training.export.quantize` wrote; without it the bundle is released as it is."""
    remarks: Sequence[str] = ()
    """What else must be known of the training; each a paragraph of the model card."""


def publish(sources: Sources, target: Path | None = None, *, precision: str | None = None) -> dict[str, Any]:
    """Write the released bundle, its card and its model card, whole or not at all.

    Args:
        target: folder to write; by default the package's.
        precision: ``fp32``, ``fp16`` or ``int8`` for all models that have such a variant, in place of the smallest of
            each model that passed its gate.

    Returns:
        The card.

    Raises:
        CheckpointError: if the bundle or a variant is damaged or does not load, or if they do not belong together.
        InvalidInputError: if a report is missing or lacks something, if the precision did not pass its gate, or if the
            release would be too large.
    """
    target = target or released_folder()
    original = Bundle.load(sources.bundle)
    gate = read_report(sources.quantized / "quantization.json", "quantize") if sources.quantized else {}
    variants = _variants(original, sources.quantized, gate)
    if precision is not None and precision not in variants:
        raise InvalidInputError(
            f"--precision {precision}: no such variant passed its gate; there are {', '.join(variants)}"
        )
    card = _card(sources, original, gate)
    work = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        models = _put_models(work, variants if precision is None else {precision: variants[precision]})
        for path in (original.folder / NORMALISATION, *sorted(original.folder.glob(file_name("*")))):
            shutil.copyfile(path, work / path.name)
        used = {models[name]["precision"] for name in CONVERTED}
        bundle = write_manifest(
            work,
            precision=used.pop() if len(used) == 1 else "mixed",
            models=models,
            sampler=original.sampler,
            latent_size=original.latent_size,
        )
        OnnxBackend(bundle, threads=1)
        card |= {"identity": bundle.identity, "precision": bundle.precision}
        for name, model in models.items():
            size = Path(bundle.path(name)).stat().st_size
            card["models"][name] |= {"class": model["class"], "precision": model["precision"], "bytes": size}
        card["bytes"] = sum(path.stat().st_size for path in work.iterdir())
        write_card(work, card)
        _check_size(work, card, target)
        replace_folder(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return card


def _variants(original: Bundle, quantized: Path | None, gate: Mapping[str, Any]) -> dict[str, Bundle]:
    """The bundle and those of its variants that passed, by precision."""
    variants = {original.precision: original}
    if quantized is None:
        return variants
    for key in sorted(gate):
        precision = key.removesuffix("_passed")
        if precision == key or gate[key] is not True:
            continue
        variant = Bundle.load(quantized / precision)
        for name, digest in variant.files.items():
            # Both are taken over from the bundle as they are.
            if name in (NORMALISATION, original.models[TOPOLOGY_GENERATOR]["onnx"]) and original.files[name] != digest:
                raise CheckpointError(
                    f"{quantized / precision}: not a variant of {original.folder}, {name} differs; quantize it again"
                )
        variants[precision] = variant
    return variants


def _put_models(work: Path, variants: Mapping[str, Bundle]) -> dict[str, dict[str, Any]]:
    """Copy the smallest file of each model; returns what the manifest says of it."""
    models: dict[str, dict[str, Any]] = {}
    for name in MODELS:
        sizes: dict[str, int] = {}
        for precision, variant in variants.items():
            copy = work / f".{precision}.onnx"
            shutil.copyfile(variant.path(name), copy)
            strip(copy)
            sizes[precision] = copy.stat().st_size
        # The first of several of one size: a model that variants do not convert is the bundle's own.
        chosen = min(sizes, key=lambda precision: sizes[precision])
        (work / f".{chosen}.onnx").replace(work / f"{name}.onnx")
        for rest in sizes.keys() - {chosen}:
            (work / f".{rest}.onnx").unlink()
        model = variants[chosen].models[name]
        models[name] = {**model, "onnx": f"{name}.onnx", "precision": chosen if name in CONVERTED else FULL}
    return models


def _card(sources: Sources, bundle: Bundle, gate: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that is known of the models but the sizes of their files."""
    data = read_report(sources.data, "prepare the data")
    reports = _training_reports(sources.training)
    evaluation = read_report(sources.evaluation, "evaluate")
    methods = [kept_of(entry) for entry in value_of(evaluation, "methods", sources.evaluation)]
    judged = {entry["class"] for entry in methods if entry["method"] == GENERATOR}
    missing = [name for name in bundle.conditioning.classes if name not in judged]
    if missing:
        raise InvalidInputError(f"{sources.evaluation}: methods: the generator was not judged on {', '.join(missing)}")
    failed = {key.removeprefix("failed_"): value for key, value in data.items() if key.startswith("failed_")}
    return {
        "genrf": __version__,
        "recipe": _common(reports, "recipe"),
        "commit": _common(reports, "commit"),
        "data": {
            **{
                key: value_of(data, key, sources.data)
                for key in ("dataset_sha256", "simulated", "topologies", "split", "classes")
            },
            "failed": failed,
        },
        "training": {
            "hardware": _common(reports, "hardware"),
            "seconds": round(sum(report["seconds"] for report in reports.values()), 1),
        },
        "remarks": list(sources.remarks),
        "models": {
            name: {
                "seconds": round(reports[name]["seconds"], 1),
                **{key: reports[name]["result"][key] for key in ("steps", "parameters", "best_validation_loss")},
            }
            for name in MODELS
        },
        "sampler": {"steps": bundle.sampler.steps, "guidance": bundle.sampler.guidance},
        "gate": {
            key: value
            for key, value in gate.items()
            if key == "specifications" or key.partition("_")[2] in ("success", "success_drop", "passed")
        },
        "evaluation": {
            "file": sources.evaluation.name,
            **{key: evaluation[key] for key in ("bundle", "commit", "hardware", "calls") if key in evaluation},
            "methods": methods,
        },
        "topologies": evaluation.get("topologies", {}),
    }


def _training_reports(paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """What the training steps reported, by the model's name in a bundle."""
    reports: dict[str, dict[str, Any]] = {}
    for path in paths:
        report = read_report(path, "train")
        name = TRAINED_AS.get(str(value_of(report, "step", path)))
        if name is None:
            raise InvalidInputError(f"{path}: step: expected one of {', '.join(TRAINED_AS)}, got {report['step']!r}")
        for key in ("seconds", "recipe", "commit", "hardware", "result"):
            value_of(report, key, path)
        for key in ("steps", "parameters", "best_validation_loss"):
            value_of(report["result"], key, path)
        reports[name] = report
    missing = [step for step, name in TRAINED_AS.items() if name not in reports]
    if missing:
        raise InvalidInputError(f"--training: no report of {', '.join(missing)}; give step.json of each training step")
    return reports


def _common(reports: Mapping[str, Mapping[str, Any]], key: str) -> str:
    """What the reports say, once if they agree."""
    return "; ".join(dict.fromkeys(str(reports[name][key]) for name in MODELS))


def kept_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What the card repeats of an entry of an evaluation."""
    return {key: value for key, value in entry.items() if _KEPT.fullmatch(key)}


def read_report(path: Path, verb: str) -> dict[str, Any]:
    """The JSON object of a file that a step wrote.

    Args:
        verb: how to get the file, for the error.

    Raises:
        InvalidInputError: if the file is missing or malformed.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be read ({error.strerror}); {verb} first") from error
    except ValueError as error:
        raise InvalidInputError(f"{path}: not valid JSON; {verb} again") from error
    if not isinstance(content, dict):
        raise InvalidInputError(f"{path}: expected an object, got {type(content).__name__}; {verb} again")
    return content


def value_of(content: Mapping[str, Any], key: str, path: Path) -> Any:
    """One value of a report.

    Raises:
        InvalidInputError: if it is missing.
    """
    if key not in content:
        raise InvalidInputError(f"{path}: {key}: missing; run the step that wrote it again")
    return content[key]


def _check_size(work: Path, card: Mapping[str, Any], target: Path) -> None:
    size = sum(path.stat().st_size for path in work.iterdir())
    if size > LIMIT_BYTES:
        parts = ", ".join(
            f"{name} {model['bytes'] / 1e6:.1f} MB in {model['precision']}" for name, model in card["models"].items()
        )
        raise InvalidInputError(
            f"{target}: the release would have {size / 1e6:.1f} MB of at most {LIMIT_BYTES / 1e6:.0f} ({parts}); "
            "train smaller models or let a smaller variant pass its gate"
        )
