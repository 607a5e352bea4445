"""The end of a night, however it came: what its steps recorded in MLflow, on one page and as one file."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrf.files import write_json
from training.config.schema import Config
from training.nights.pages import evidence_part, need_parts
from training.nights.records import DECISION, NEED
from training.running.page import Part, figures, write_page
from training.running.pipeline_run import PARENT_TAG, STEP_TAG
from training.running.tracking import active, finish_pipeline_run

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

NIGHT = "night.json"


def report_night(config: Config, output: Path) -> dict[str, Any]:
    """Sum up; writes ``night.json``.

    Returns:
        ``outcome`` (``nothing``, ``promote``, ``hold``, ``reject`` or ``failed``), its ``reason``, and the seconds of the steps.
    """
    output.mkdir(parents=True, exist_ok=True)
    run = active()
    if run is None:
        content: dict[str, Any] = {"outcome": "unknown", "reason": "tracking is off: nothing was recorded", "steps": []}
        write_json(output / NIGHT, content)
        return {"outcome": content["outcome"], "reason": content["reason"]}
    client = run.client
    children = client.search_runs(
        [run.runs.experiment], f"tags.`{PARENT_TAG}` = '{run.parent_id}'", order_by=["attributes.start_time ASC"]
    )
    steps = [child for child in children if child.data.tags.get(STEP_TAG) not in (None, "report_night")]
    content = {
        "steps": [
            {
                "step": child.data.tags[STEP_TAG],
                "status": child.info.status,
                "seconds": child.data.metrics.get("seconds"),
            }
            for child in steps
        ],
        "need": _artifact(client, steps, "assess_need", NEED),
        "decision": _artifact(client, steps, "decide_promotion", DECISION)
        or _artifact(client, steps, "decide_held", DECISION),
        "simulated": {name: int(value) for child in steps for name, value in _simulated(child).items()},
    }
    content["outcome"], content["reason"] = _outcome(content)
    write_json(output / NIGHT, content)
    run.log_artifact(output / NIGHT)
    # What two nights are compared by in MLflow, beside the tags with outcome and reason.
    for name, value in _headline(content).items():
        client.log_metric(run.parent_id, name, value)
    if content["outcome"] == "failed":
        client.set_terminated(run.parent_id, "FAILED")
    else:
        finish_pipeline_run(run)
    seconds = sum(item["seconds"] or 0.0 for item in content["steps"])
    return {"outcome": content["outcome"], "reason": content["reason"], "seconds_of_steps": seconds}


def page(result: Mapping[str, Any], folder: Path, title: str) -> None:
    """Write the page: the outcome, what was asked for, what was simulated, what was decided."""
    content = json.loads((folder / NIGHT).read_text(encoding="utf-8"))
    parts = [Part(text=f"{result['reason']}.")]
    if content.get("decision"):
        parts.append(evidence_part(content["decision"]))
    if content.get("need"):
        parts += need_parts(content["need"], {})[1:]
    if content.get("simulated"):
        parts += [Part(heading="Simulated"), figures(content["simulated"])]
    rows = [
        (item["step"], item["status"].lower(), "" if item["seconds"] is None else f"{item['seconds']:.1f}")
        for item in content["steps"]
    ]
    parts.append(Part(heading="Steps", columns=("step", "ended", "seconds"), rows=rows))
    write_page(folder, f"{title}: {result['outcome']}", parts)


def _artifact(client: MlflowClient, steps: list[Run], name: str, file: str) -> dict[str, Any] | None:
    """A file that a step keeps with its run."""
    for child in steps:
        if child.data.tags.get(STEP_TAG) == name and any(
            x.path == file for x in client.list_artifacts(child.info.run_id)
        ):
            with tempfile.TemporaryDirectory() as folder:
                path = client.download_artifacts(child.info.run_id, file, folder)
                return dict(json.loads(Path(path).read_text(encoding="utf-8")))
    return None


def _simulated(child: Run) -> dict[str, float]:
    name = child.data.tags[STEP_TAG]
    return {
        f"{name}, {key.replace('_', ' ')}": value
        for key, value in child.data.metrics.items()
        if key.startswith("simulated")
    }


def _headline(content: Mapping[str, Any]) -> dict[str, float]:
    """A night's figures: pairs that only one side met, shares met by both, SPICE calls."""
    decision = content["decision"] or {}
    judged = {name: decision.get(name) for name in ("wins", "losses", "champion_share", "challenger_share")}
    found = {name: float(value) for name, value in judged.items() if value is not None and math.isfinite(value)}
    return {**found, "spice_calls": float(sum(content["simulated"].values()))}


def _outcome(content: Mapping[str, Any]) -> tuple[str, str]:
    if content["decision"] is not None:
        return content["decision"]["action"], content["decision"]["reason"]
    need = content["need"]
    if need is not None and need["action"] == "nothing":
        return "nothing", need["reason"]
    unfinished = [item["step"] for item in content["steps"] if item["status"] != "FINISHED"]
    where = f"in {', '.join(unfinished)}" if unfinished else "between its steps"
    return "failed", f"the night ended {where}; nothing was promoted, and the next night begins anew"
