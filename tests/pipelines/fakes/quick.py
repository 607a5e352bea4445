"""Stand-ins for the functions that the steps call, made from the table of steps: milliseconds instead of minutes.

Each depends on its inputs and its configuration, so that a test sees whether a step was given the right ones. It counts
up and saves where it is, as real training does. Environment variables make it slow or let it fail:

``QUICK_SLOW``  name of the step that takes its time
``QUICK_FAIL``  name of the step that fails, and how: ``NAME:user``, ``NAME:bug``, ``NAME:disk``
"""

import errno
import hashlib
import json
import os
import time

from genrf.errors import CheckpointError
from genrf.progress import progress_bar

REAL = ("summarize",)
"""Steps that do their own work, on what the others left."""
PAGES = ("promote_model", "summarize")
"""Steps that write their own page."""


def write_page(step, result, folder):
    """Stands for a page."""
    (folder / "report.html").write_text(f"<h1>{step.title}</h1>")


def stand_in(step):
    """A function with the signature of a step's own."""

    def function(config, *folders, **values):
        *inputs, output = folders
        assert len(inputs) == len(step.inputs), f"{step.name}: {len(inputs)} inputs, not {len(step.inputs)}"
        assert set(step.parameters) <= set(values) <= {*step.parameters, *step.options}, (
            f"{step.name}: {sorted(values)}"
        )
        flat = [folder for item in inputs for folder in (item if isinstance(item, list) else [item])]
        words = [config.digest(*step.sections) if step.sections else "", *map(str, values.values())]
        report = _work(step.name, output, flat, words)
        return report | RESULTS.get(step.name, lambda *_: {})(config, flat, output)

    return function


def _work(name, output, inputs, words):
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
    digest = hashlib.sha256(" ".join([name, *words]).encode())
    for folder in inputs:
        digest.update((folder / "result.txt").read_bytes())
    (output / "result.txt").write_text(digest.hexdigest())
    return {"steps": 5}


def _prepared(config, rows, output):
    counts = {"dataset_sha256": "abc", "simulated": 10 * len(rows), "failed_timeout": 1}
    (output / "report.json").write_text(json.dumps(counts))
    return counts


def _evaluation(config, inputs, output):
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
    return {"success_at_64/lna/exact/generator": 0.75}


RESULTS = {
    "prepare_data": _prepared,
    "evaluate_generator": _evaluation,
    "export_onnx": lambda *_: {"surrogate_onnx_error": 1e-6},
    "quantize": lambda *_: {"int8_success_drop": 0.0},
    "promote_model": lambda *_: {"version": 1, "registered": True, "promoted": True, "reason": "there was no champion"},
}
"""What the steps report besides, and the files of theirs that others read: those that the summary needs."""
