"""A bundle is verified before it is used, and runs where it is told to."""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from genrf.errors import CheckpointError, MissingToolError
from genrf.generation.backend import SIZING_DENOISER, SURROGATE, TOPOLOGY_GENERATOR, OnnxBackend
from genrf.generation.bundle import MANIFEST, Bundle, write_manifest
from genrf.generation.sampler import SamplerSettings
from tests.models.circuits import conditioning

INPUTS = {
    TOPOLOGY_GENERATOR: ("specification", "latent"),
    SIZING_DENOISER: ("noisy_values", "sigma", "kinds", "nets", "specification"),
    SURROGATE: ("values", "kinds", "nets", "conditions"),
}
OUTPUTS = {TOPOLOGY_GENERATOR: 2, SIZING_DENOISER: 1, SURROGATE: 3}
RANKS = {"sigma": 1, "nets": 3}


def stand_in(name: str) -> onnx.ModelProto:
    """A model with the interface of the real one, whose outputs are all its first input."""
    inputs = [
        helper.make_tensor_value_info(
            key, TensorProto.INT64 if key in ("kinds", "nets") else TensorProto.FLOAT, [None] * RANKS.get(key, 2)
        )
        for key in INPUTS[name]
    ]
    outputs = [helper.make_tensor_value_info(f"out{i}", TensorProto.FLOAT, [None, None]) for i in range(OUTPUTS[name])]
    nodes = [helper.make_node("Identity", [INPUTS[name][0]], [output.name]) for output in outputs]
    graph = helper.make_graph(nodes, name, inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle")
    conditioning().save(folder)
    models: dict[str, dict[str, Any]] = {}
    for name in INPUTS:
        onnx.save(stand_in(name), folder / f"{name}.onnx")
        models[name] = {"class": "StandIn", "version": 1, "config": {}, "onnx": f"{name}.onnx"}
    return write_manifest(
        folder, precision="fp32", models=models, sampler=SamplerSettings(conditions_size=5), latent_size=4
    )


@pytest.fixture
def folder(original: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original.folder, tmp_path / "bundle"))


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        Bundle.load(folder)
    message = str(caught.value)
    assert str(folder) in message
    assert "\n" not in message
    return message


def test_a_bundle_comes_back_as_it_was_written(original: Bundle, folder: Path) -> None:
    loaded = Bundle.load(folder)
    assert loaded.identity == original.identity
    assert loaded.sampler == SamplerSettings(conditions_size=5)
    assert loaded.conditioning == conditioning()
    assert loaded.latent_size == 4


def test_a_changed_file_is_refused(folder: Path) -> None:
    path = folder / f"{SURROGATE}.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert f"{SURROGATE}.onnx: changed since the bundle was written" in refusal(folder)


def test_a_missing_file_is_refused(folder: Path) -> None:
    (folder / "normalisation.json").unlink()
    assert "normalisation.json: missing from the bundle" in refusal(folder)


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "nothing")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 99}', '{"format": 1}', '{"format": 2}'])
def test_a_manifest_of_another_kind_is_refused(folder: Path, content: str) -> None:
    (folder / MANIFEST).write_text(content)
    refusal(folder)


def test_a_file_outside_the_bundle_is_refused(folder: Path) -> None:
    content = json.loads((folder / MANIFEST).read_text())
    content["files"]["../elsewhere.json"] = "0" * 64
    (folder / MANIFEST).write_text(json.dumps(content))
    assert "files: expected names of files in its folder, got '../elsewhere.json'" in refusal(folder)


def test_a_model_whose_file_is_not_listed_is_refused(folder: Path) -> None:
    content = json.loads((folder / MANIFEST).read_text())
    content["models"][SURROGATE]["onnx"] = "unlisted.onnx"
    (folder / MANIFEST).write_text(json.dumps(content))
    assert "a model's file 'unlisted.onnx' is not among its files" in refusal(folder)


def test_an_unknown_setting_is_refused(folder: Path) -> None:
    content = json.loads((folder / MANIFEST).read_text())
    content["sampler"]["warp"] = 9
    (folder / MANIFEST).write_text(json.dumps(content))
    assert "warp" in refusal(folder)


def test_any_change_gives_another_identity(original: Bundle, folder: Path) -> None:
    (folder / "note.txt").write_text("new")
    changed = write_manifest(folder, precision="fp32", models=original.models, sampler=original.sampler, latent_size=4)
    assert changed.identity != original.identity


def test_each_model_gets_its_inputs_and_gives_its_outputs(original: Bundle) -> None:
    backend = OnnxBackend(original, threads=1)
    specification = np.ones((3, 9), dtype=np.float32)
    kinds, nets = np.ones((3, 5), dtype=np.int64), np.ones((3, 5, 3), dtype=np.int64)
    values = np.full((3, 5), 2.0, dtype=np.float32)
    assert backend.latent_size == 4
    assert [out.shape for out in backend.propose(specification, np.ones((3, 4), dtype=np.float32))] == [(3, 9)] * 2
    np.testing.assert_array_equal(
        backend.denoise(values, np.ones(3, dtype=np.float32), kinds, nets, specification), values
    )
    mean, log_variance, works = backend.predict(values, kinds, nets, specification)
    np.testing.assert_array_equal(mean, log_variance)
    np.testing.assert_array_equal(mean, works)
    assert set(backend.providers) == set(INPUTS)
    assert backend.providers[SURROGATE] == ["CPUExecutionProvider"]


def test_a_gpu_that_is_not_there_is_an_error_not_a_slow_run(original: Bundle) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        original.path(SURROGATE), providers=["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    if "CUDAExecutionProvider" in session.get_providers():
        pytest.skip("there is a GPU here")
    with pytest.raises(MissingToolError, match="could not load its CUDA provider; use device cpu"):
        OnnxBackend(original, device="cuda")


def test_int8_on_a_gpu_is_said_to_run_on_the_cpu(original: Bundle) -> None:
    # Where there is no GPU, it is refused after that.
    with pytest.warns(UserWarning, match="is in int8, which ONNX Runtime"), contextlib.suppress(MissingToolError):
        OnnxBackend(replace(original, precision="int8"), device="cuda")


def test_a_file_that_is_no_model_is_refused(original: Bundle, folder: Path) -> None:
    (folder / f"{SURROGATE}.onnx").write_bytes(b"not a model")
    sealed = write_manifest(folder, precision="fp32", models=original.models, sampler=original.sampler, latent_size=4)
    with pytest.raises(CheckpointError, match=r"surrogate\.onnx: ONNX Runtime cannot load it"):
        OnnxBackend(sealed)
