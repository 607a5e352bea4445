"""What a pipeline run achieved, in one file and one table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrf.files import write_json
from training.config.schema import Config
from training.evaluation.headline import headline
from training.running.machine import commit
from training.running.pipeline_run import overrides, record_reused
from training.running.step import read_lineage, read_report
from training.running.tracking import DATASET_TAG, active, finish_pipeline_run

if TYPE_CHECKING:
    from rich.console import RenderableType

SUMMARY = "summary.json"
LEVEL_SHOWN = "exact"
_FAILED = "failed_"


def summarize(
    config: Config,
    rows: Sequence[Path],
    prepared: Path,
    topology_gan: Path,
    sizing_diffusion: Path,
    surrogate: Path,
    evaluation: Path,
    bundle: Path,
    quantized: Path,
    promotion: Path,
    output: Path,
) -> dict[str, Any]:
    """Collect what the steps reported into ``summary.json``, and close the pipeline run in MLflow.

    Args:
        rows: folders of the simulated shards.
        prepared, topology_gan, sizing_diffusion, surrogate, evaluation, bundle, quantized, promotion: folder of each other step.
        output: folder to write into.
    """
    steps = {
        "prepared": prepared,
        "topology_gan": topology_gan,
        "sizing_diffusion": sizing_diffusion,
        "surrogate": surrogate,
        "evaluation": evaluation,
        "bundle": bundle,
        "quantized": quantized,
        "promotion": promotion,
    }
    output.mkdir(parents=True, exist_ok=True)
    reports = {name: _with_lineage(folder) for name, folder in steps.items()}
    shards = [_with_lineage(folder) for folder in rows]
    results = {name: report["result"] for name, report in reports.items()}
    counts = dict(results["prepared"])
    failed = {key.removeprefix(_FAILED): counts.pop(key) for key in sorted(counts) if key.startswith(_FAILED)}
    judged = json.loads((evaluation / "evaluation.json").read_text(encoding="utf-8"))
    run = active()
    every = (*shards, *reports.values())
    summary: dict[str, Any] = {
        "recipe": config.recipe,
        "overrides": overrides(config.recipe, {name: str(value) for name, value in config.flat().items()}),
        "mlflow": {"run_id": run.parent_id, "name": run.client.get_run(run.parent_id).info.run_name} if run else None,
        "reused": record_reused(run.client, run.runs, every) if run is not None else [],
        "seed": config.seed,
        "commit": commit(),
        "dataset_sha256": counts.pop("dataset_sha256", None),
        "circuits": {
            "simulated": counts.pop("simulated"),
            "failed": failed,
            **counts,
        },
        "headline": headline(judged),
        "topologies": judged["topologies"],
        "success": [_success(entry) for entry in judged["methods"]],
        "calls": judged["calls"],
        "hypervolume": judged["hypervolume"],
        "training": {name: results[name] for name in ("topology_gan", "sizing_diffusion", "surrogate")},
        "export": results["bundle"],
        "quantization": results["quantized"],
        "promotion": results["promotion"],
        "seconds": {report["step"]: report["seconds"] for report in every},
    }
    path = output / SUMMARY
    write_json(path, summary)
    spent = {"seconds_in_steps": sum(summary["seconds"].values())}
    if run is not None:
        if summary["dataset_sha256"]:
            run.set_tags({DATASET_TAG: summary["dataset_sha256"]}, parent=True)
        run.set_tags({"registry": registry_text(summary["promotion"])}, parent=True)
        run.log_metrics(summary["headline"] | spent, parent=True)
        run.describe(description(summary), parent=True)
        finish_pipeline_run(run, {"": path})
    return spent


def registry_text(promotion: Mapping[str, Any]) -> str:
    """What became of the bundle, in a sentence."""
    word = "champion" if promotion["promoted"] else "challenger"
    text = f"version {promotion['version']} is {word}: {promotion['reason']}"
    if promotion["registered"]:
        return text
    return f"nothing registered, the bundle is that of version {promotion['version']} already; {text}"


def description(summary: Mapping[str, Any]) -> str:
    """The run in Markdown, as MLflow shows it beside its parent run."""
    changed = ", ".join(f"`{key}={value}`" for key, value in summary["overrides"].items()) or "nothing overridden"
    rows = [f"| {name.replace('_', ' ')} | {value:.3g} |" for name, value in summary["headline"].items()]
    lines = [
        f"Recipe `{summary['recipe']}`, {changed}.",
        "",
        f"Model registry: {registry_text(summary['promotion'])}.",
        "",
        f"Reused steps: {', '.join(summary['reused']) or 'none'}.",
        "",
        "| held-out specifications and topologies | share |",
        "|---|---|",
        *rows,
    ]
    return "\n".join(lines)


def _with_lineage(folder: Path) -> dict[str, Any]:
    return read_report(folder) | {"lineage": read_lineage(folder)}


def tables(summary: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The summary as tables for a terminal."""
    from rich.table import Table

    circuits = summary["circuits"]
    failed = ", ".join(f"{cause} {count:,}" for cause, count in circuits["failed"].items()) or "none"
    facts = Table(title=f"Recipe {summary['recipe']}", title_justify="left", show_header=False)
    facts.add_row("circuits simulated", f"{circuits['simulated']:,}")
    facts.add_row("failed, by cause", failed)
    facts.add_row("useful in the last round", _percent(circuits.get("useful_share_last_round")))
    for name, quality in summary["topologies"].items():
        shares = [f"{key} {_percent(value)}" for key, value in quality.items() if key != "drawn"]
        facts.add_row(f"GAN topologies, {name}", ", ".join(shares))
    errors = [value for key, value in summary["export"].items() if key.endswith("_onnx_error")]
    facts.add_row("ONNX against PyTorch", f"relative error {max(errors):.1e} at most" if errors else "not reported")
    for key, value in summary["quantization"].items():
        facts.add_row(key.replace("_", " "), f"{value:.4g}" if isinstance(value, float) else str(value))
    promotion = summary["promotion"]
    facts.add_row("model registry", registry_text(promotion))
    if "fairness" in promotion:
        facts.add_row("that comparison", promotion["fairness"])
    yield facts
    every = {key for entry in summary["success"] for key in entry}
    shown = [key for key in ("success_at_1", "success_at_8", "success_at_16", "success_at_64") if key in every]
    success = Table(title="Share of held-out specifications met within so many simulations", title_justify="left")
    for heading in ("class", "level", "method", *(key.replace("success_at_", "success@") for key in shown)):
        success.add_column(heading, justify="right" if "@" in heading else "left")
    for entry in summary["success"]:
        values = [_percent(entry.get(key)) for key in shown]
        style = "bold" if entry["level"] == LEVEL_SHOWN else ""
        success.add_row(entry["class"], entry["level"], entry["method"], *values, style=style)
    yield success
    times = Table(title="Wall time of each step", title_justify="left")
    times.add_column("step")
    times.add_column("seconds", justify="right")
    for name, seconds in summary["seconds"].items():
        times.add_row(name, f"{seconds:.1f}")
    yield times


def _success(entry: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("class", "level", "method", "specifications", "median_calls_when_met", "median_seconds")
    return {key: value for key, value in entry.items() if key in kept or key.startswith("success_at_")}


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"
