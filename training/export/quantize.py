"""Smaller and faster variants of a bundle, kept only if they still design circuits.

Tensors say how far a variant is from the original; whether that matters only simulation says. A variant whose success@K
on held-out specifications falls too far below the original's is reported as failed and not kept.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genrf.files import write_json
from genrf.generation.backend import SIZING_DENOISER, SURROGATE, TOPOLOGY_GENERATOR
from genrf.generation.bundle import Bundle, write_manifest
from training.config.schema import Config
from training.data.specifications import SPECIFICATIONS_FILE, HeldOutSpecification, read_specifications
from training.data.tensors import PreparedData
from training.running.quiet import quiet

if TYPE_CHECKING:
    import onnx

MODELS = (TOPOLOGY_GENERATOR, SIZING_DENOISER, SURROGATE)
CONVERTED = (SIZING_DENOISER, SURROGATE)
"""Models that variants replace. The topology generator stays as it is: it runs once a specification, a rounding error
in one of its choices changes the rest of the circuit, and ONNX Runtime refuses int8 products within its loop."""
BATCH = 64
"""Rows on which variants are compared and timed."""
LEVEL = "exact"
"""Level of the held-out specifications that the gate uses."""

Inputs = dict[str, NDArray[Any]]
Success = Callable[[Config, Bundle, list[HeldOutSpecification]], float]
"""Share of specifications that a bundle's generator meets within the configured calls."""


def quantize(
    config: Config, prepared: Path, bundle: Path, output: Path, success: Success | None = None
) -> dict[str, Any]:
    """Write an ``int8`` and an ``fp16`` bundle below ``output``, each if it passes the gate, and ``quantization.json``.

    Args:
        prepared: folder written by `training.data.prepare.prepare_data`.
        bundle: folder written by `training.export.export_onnx.export_onnx`.
        output: folder to write.
        success: what the gate measures; by default success@K in SPICE.

    Returns:
        For each variant success@K, its fall, whether it passed, and its size. The file also has each model's error and
        time.
    """
    success = success or success_at_calls
    original = Bundle.load(bundle)
    specifications = _gate_specifications(config, prepared)
    batches = _batches(original, PreparedData.load(prepared / "validation.npz"), count=8)
    output.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {
        f"fp32_{name}_ms": _milliseconds(original.path(name), batches[name][0]) for name in MODELS
    }
    base = success(config, original, specifications)
    report["specifications"] = len(specifications)
    report["fp32_success"] = base
    for precision, convert in (("int8", _to_int8), ("fp16", _to_fp16)):
        folder = output / precision
        work = output / f".{precision}.tmp"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(original.folder, work)
        models = {name: dict(model) for name, model in original.models.items()}
        for name in CONVERTED:
            path = work / original.models[name]["onnx"]
            figures = convert(path, batches[name])
            report |= {f"{precision}_{name}_{key}": value for key, value in figures.items()}
            models[name]["method"] = figures["method"]
        variant = write_manifest(
            work,
            precision=precision,
            models=models,
            sampler=original.sampler,
            latent_size=original.latent_size,
        )
        achieved = success(config, variant, specifications)
        passed = base - achieved <= config.quantization.max_success_drop
        report |= {
            f"{precision}_success": achieved,
            f"{precision}_success_drop": base - achieved,
            f"{precision}_passed": passed,
            f"{precision}_megabytes": round(sum(p.stat().st_size for p in work.glob("*.onnx")) / 1e6, 3),
        }
        shutil.rmtree(folder, ignore_errors=True)
        if passed:
            os.replace(work, folder)
        else:
            shutil.rmtree(work)
    report["fp32_megabytes"] = round(sum(p.stat().st_size for p in original.folder.glob("*.onnx")) / 1e6, 3)
    write_json(output / "quantization.json", report)
    shown = ("success", "success_drop", "passed", "megabytes")
    return {key: value for key, value in report.items() if key.partition("_")[2] in shown}


def success_at_calls(config: Config, bundle: Bundle, specifications: list[HeldOutSpecification]) -> float:
    """Success@K of a bundle in SPICE, with K the calls that evaluation allows."""
    from training.evaluation.trials import bundle_designer, generator_trials

    open_designer = partial(bundle_designer, config, bundle)
    trials = generator_trials(open_designer, specifications, config.evaluation.calls, description=bundle.precision)
    return float(np.mean([trial.first_met is not None for trial in trials]))


def _gate_specifications(config: Config, prepared: Path) -> list[HeldOutSpecification]:
    """The same number from every class, as far as they go."""
    by_class: dict[str, list[HeldOutSpecification]] = {}
    for item in read_specifications(prepared / SPECIFICATIONS_FILE):
        if item.level == LEVEL:
            by_class.setdefault(item.spec.circuit_class, []).append(item)
    turns = [item for turn in zip_longest(*by_class.values()) for item in turn if item is not None]
    return turns[: config.quantization.specifications]


def _to_int8(path: Path, batches: list[Inputs]) -> dict[str, Any]:
    """Replace a model by int8: weights only ("dynamic") or activations too ("qdq"), whichever is nearer to the
    original."""
    reference = _run(path, batches[0])
    candidates: dict[str, tuple[float, Path]] = {}
    for method, convert in (("dynamic", _dynamic), ("qdq", _static)):
        target = path.with_name(f".{method}.onnx")
        # The quantizer advises to run a preprocessing step that the exporter has done already.
        with quiet("", ignored=()):
            convert(path, target, batches)
        candidates[method] = (_difference(path, _run(target, batches[0]), reference), target)
    best = min(candidates, key=lambda method: candidates[method][0])
    figures: dict[str, Any] = {"method": best}
    for method, (error, target) in candidates.items():
        figures[f"{method}_error"] = error
        figures[f"{method}_ms"] = _milliseconds(str(target), batches[0])
    os.replace(candidates[best][1], path)
    for _, target in candidates.values():
        target.unlink(missing_ok=True)
    return figures


def _dynamic(path: Path, target: Path, batches: list[Inputs]) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        _without_shapes(path),
        target,
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        # Processors without VNNI add two products in 16 bits, which full-range weights can overflow.
        reduce_range=True,
        extra_options={"EnableSubgraph": True},
    )


def _static(path: Path, target: Path, batches: list[Inputs]) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Reader(CalibrationDataReader):
        """Hands out the calibration batches one by one."""

        def __init__(self) -> None:
            self._batches = iter(batches)

        def get_next(self) -> Inputs | None:
            return next(self._batches, None)

    quantize_static(
        _without_shapes(path),
        target,
        Reader(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
    )


def _to_fp16(path: Path, batches: list[Inputs]) -> dict[str, Any]:
    """Replace a model by one that computes in 16 bits, with the same inputs and outputs in 32."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    reference = _run(path, batches[0])
    with quiet("", ignored=()):
        onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=True), path)
    return {
        "method": "fp16",
        "error": _difference(path, _run(path, batches[0]), reference),
        "ms": _milliseconds(str(path), batches[0]),
    }


def _without_shapes(path: Path) -> onnx.ModelProto:
    """The model without its intermediate shapes, which conflict with those that the quantizer infers."""
    import onnx

    model = onnx.load(path)
    del model.graph.value_info[:]
    return model


def _batches(bundle: Bundle, data: PreparedData, count: int) -> dict[str, list[Inputs]]:
    """Realistic inputs of each model, for calibration (all) and for comparison (the first)."""
    rng = np.random.default_rng(0)
    batches: dict[str, list[Inputs]] = {name: [] for name in MODELS}
    specification_size = bundle.conditioning.specification_size
    for _ in range(count):
        index = np.sort(rng.integers(len(data), size=BATCH))
        kinds = data.kinds.numpy()[index].astype(np.int64)
        slots = int((kinds > 0).sum(axis=1).max())
        kinds, nets = kinds[:, :slots], data.nets.numpy()[index, :slots].astype(np.int64)
        values, conditions = data.values.numpy()[index, :slots], data.conditions.numpy()[index]
        bounds = rng.standard_normal((BATCH, specification_size - conditions.shape[1]))
        specification = np.concatenate([conditions, bounds], axis=1).astype(np.float32)
        sigma = np.exp(1.5 * rng.standard_normal(BATCH) - 1.0).astype(np.float32)
        noisy = (values + sigma[:, None] * rng.standard_normal(values.shape)).astype(np.float32) * (kinds > 0)
        latent = rng.standard_normal((BATCH, bundle.latent_size)).astype(np.float32)
        batches[TOPOLOGY_GENERATOR].append({"specification": specification, "latent": latent})
        batches[SIZING_DENOISER].append(
            {"noisy_values": noisy, "sigma": sigma, "kinds": kinds, "nets": nets, "specification": specification}
        )
        batches[SURROGATE].append({"values": values, "kinds": kinds, "nets": nets, "conditions": conditions})
    return batches


def _run(path: Path, inputs: Inputs) -> list[NDArray[np.float32]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    outputs: list[NDArray[np.float32]] = session.run(None, inputs)
    return outputs


def _milliseconds(path: str, inputs: Inputs, repeats: int = 10) -> float:
    """Median time of one batch."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    session.run(None, inputs)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        session.run(None, inputs)
        times.append(time.perf_counter() - start)
    return round(1e3 * float(np.median(times)), 3)


def _difference(path: Path, found: list[NDArray[np.float32]], expected: list[NDArray[np.float32]]) -> float:
    """Largest relative L2 error over the outputs; for the generator, which makes choices, the share of topologies that
    change."""
    pairs = list(zip(found, expected, strict=True))
    if path.stem == TOPOLOGY_GENERATOR:
        same = [(ours.argmax(-1) == theirs.argmax(-1)).reshape(len(ours), -1).all(axis=1) for ours, theirs in pairs]
        return float(1.0 - np.logical_and.reduce(same).mean())
    return max(
        float(np.linalg.norm(ours - theirs) / max(float(np.linalg.norm(theirs)), 1e-12)) for ours, theirs in pairs
    )
