"""A smaller variant is kept only if it still designs circuits."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genrf.generation.backend import SIZING_DENOISER, SURROGATE, OnnxBackend
from genrf.generation.bundle import Bundle
from tests.export.conftest import Trained
from tests.models.circuits import random_batch
from training.config.schema import Config
from training.data.specifications import HeldOutSpecification
from training.export import quantize

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Gate:
    """Stands for success@K in SPICE: what each precision is said to achieve."""

    def __init__(self, **success: float) -> None:
        self.success = success
        self.asked: list[str] = []

    def __call__(self, config: Config, bundle: Bundle, specifications: list[HeldOutSpecification]) -> float:
        self.asked.append(bundle.precision)
        return self.success[bundle.precision]


@pytest.fixture(autouse=True)
def no_specifications(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantize, "_gate_specifications", lambda config, prepared: [])


@pytest.fixture
def strict(config: Config) -> Config:
    return dataclasses.replace(config, quantization=dataclasses.replace(config.quantization, max_success_drop=0.1))


def test_a_variant_that_designs_worse_is_reported_and_not_kept(
    strict: Config, trained: Trained, exported: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    gate = Gate(fp32=0.9, int8=0.7, fp16=0.85)
    report = quantize.quantize(strict, trained.prepared, exported[0], tmp_path, success=gate)
    assert gate.asked == ["fp32", "int8", "fp16"]
    assert report["int8_passed"] is False
    assert report["int8_success_drop"] == pytest.approx(0.2)
    assert report["fp16_passed"] is True
    assert {path.name for path in tmp_path.iterdir()} == {"fp16", "quantization.json"}

    variant, original = Bundle.load(tmp_path / "fp16"), Bundle.load(exported[0])
    assert variant.precision == "fp16"
    assert variant.identity != original.identity
    for name in (SIZING_DENOISER, SURROGATE):
        assert Path(variant.path(name)).stat().st_size < Path(original.path(name)).stat().st_size
    rows = random_batch(16)
    inputs = [tensor.numpy() for tensor in (rows.values, rows.kinds, rows.nets, rows.conditions)]
    ours, theirs = (OnnxBackend(bundle, threads=1).predict(*inputs)[0] for bundle in (variant, original))
    np.testing.assert_allclose(ours, theirs, atol=0.02)
    assert not np.array_equal(ours, theirs)

    whole = json.loads((tmp_path / "quantization.json").read_text())
    for name in (SIZING_DENOISER, SURROGATE):
        for method in ("dynamic", "qdq"):
            assert 0 < whole[f"int8_{name}_{method}_error"] < 0.5
        nearer = min(("dynamic", "qdq"), key=lambda method: whole[f"int8_{name}_{method}_error"])
        assert whole[f"int8_{name}_method"] == nearer


def test_a_variant_that_failed_before_is_not_left_lying_about(
    strict: Config, trained: Trained, exported: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    quantize.quantize(strict, trained.prepared, exported[0], tmp_path, success=Gate(fp32=0.5, int8=0.5, fp16=0.5))
    assert (tmp_path / "int8").is_dir()
    quantize.quantize(strict, trained.prepared, exported[0], tmp_path, success=Gate(fp32=0.9, int8=0.5, fp16=0.5))
    assert not (tmp_path / "int8").exists()
    assert not (tmp_path / "fp16").exists()
