"""Stand-ins for the functions that the steps call: same signatures, same files, milliseconds instead of minutes.

Each depends on its inputs and its configuration, so that a test sees whether a step was given the right ones. A
function counts up and saves where it is, as real training does. Environment variables make it slow or let it fail:

``QUICK_SLOW``  name of the function that takes its time
``QUICK_FAIL``  name of the function that raises, and what: ``NAME:user``, ``NAME:bug``, ``NAME:disk``
"""

import errno
import hashlib
import json
import os
import time
from pathlib import Path

from genrf.errors import CheckpointError
from genrf.progress import progress_bar


def _work(name, output, *inputs):
    output.mkdir(parents=True, exist_ok=True)
    failing, _, how = os.environ.get("QUICK_FAIL", "").partition(":")
    if failing == name:
        if how == "user":
            raise CheckpointError(f"{inputs[-1].name}/model.pt: the checkpoint is corrupt; train again")
        if how == "disk":
            raise OSError(errno.ENOSPC, "No space left on device", str(output / "rows.parquet"))
        raise ValueError("shapes do not match")
    state = output / "state.txt"
    with (output / "visits.txt").open("a") as file:
        file.write(f"{state.read_text() if state.exists() else 0}\n")
    with progress_bar() as progress:
        task = progress.add_task(name, total=5)
        for index in range(int(state.read_text()) if state.exists() else 0, 5):
            time.sleep(0.6 if os.environ.get("QUICK_SLOW") == name else 0.0)
            state.write_text(str(index + 1))
            progress.update(task, completed=index + 1)
    digest = hashlib.sha256(name.encode())
    for folder in inputs:
        digest.update((folder / "result.txt").read_bytes() if folder.is_dir() else str(folder).encode())
    (output / "result.txt").write_text(digest.hexdigest())
    return {"steps": 5}


def simulate_shard(config, shard, output):
    return _work("simulate_shard", output, Path(f"{config.seed}-{shard}-{config.data.rounds}")) | {"simulated": 10}


def prepare_data(config, shards, output):
    counts = {"dataset_sha256": "abc", "simulated": 10 * len(shards), "failed_timeout": 1}
    (output / "report.json").write_text(json.dumps(counts))
    return _work("prepare_data", output, *shards, Path(str(config.preparation.test_share))) | counts


def train_topology_gan(config, prepared, output):
    return _work("train_topology_gan", output, prepared, Path(str(config.topology_gan.width)))


def train_sizing_diffusion(config, prepared, output):
    return _work("train_sizing_diffusion", output, prepared, Path(str(config.sizing_diffusion.width)))


def train_surrogate(config, prepared, output):
    return _work("train_surrogate", output, prepared, Path(str(config.surrogate.width)))


def evaluate(config, prepared, topology_gan, sizing_diffusion, surrogate, output):
    report = _work("evaluate", output, prepared, topology_gan, sizing_diffusion, surrogate)
    success = {"success_at_1": 0.25, "success_at_8": 0.5, "success_at_64": 0.75}
    entries = [
        {"class": "lna", "level": "exact", "method": method, "specifications": 4, **success}
        for method in ("generator", "retrieval", "random")
    ]
    content = {
        "specifications": "set-1",
        "calls": config.evaluation.calls,
        "topologies": {"lna": {"drawn": 8, "valid": 1.0, "simulates": 0.9, "unique": 0.8, "novel": 0.7}},
        "methods": entries,
        "hypervolume": {"lna": {"generator": 1.0}},
    }
    (output / "evaluation.json").write_text(json.dumps(content))
    return report | {"success_at_64/lna/exact/generator": 0.75}


def export_onnx(config, prepared, topology_gan, sizing_diffusion, surrogate, output):
    _work("export_onnx", output, prepared, topology_gan, sizing_diffusion, surrogate)
    return {"surrogate_onnx_error": 1e-6}


def quantize(config, prepared, bundle, output):
    return _work("quantize", output, prepared, bundle) | {"int8_success_drop": 0.0}


def promote(config, prepared, bundle, quantized, evaluation, output, judge=None, *, released=""):
    _work("promote", output, bundle, quantized, evaluation)
    return {"version": 1, "promoted": True, "reason": "there was no champion"}
