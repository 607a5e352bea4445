"""What the server counts for Prometheus, beside KServe's own latencies; shown under ``/metrics``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter(
    "genrf_requests",
    "Requests, by circuit class, variant, and how they ended.",
    ["circuit_class", "variant", "outcome"],
)
"""Outcomes: met, missed, cached, invalid, busy, late, abandoned, error."""
SPICE_CALLS = Counter("genrf_spice_calls", "Circuits simulated.", ["variant"])
SPICE_FAILURES = Counter("genrf_spice_failures", "Circuits that gave no metrics, by cause.", ["cause"])
PHASES = Histogram(
    "genrf_phase_seconds",
    "Time of a request, by phase: queue, search, networks, descents, simulation, write.",
    ["phase"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 300),
)
BEYOND = Counter(
    "genrf_requests_beyond_training",
    "Searches for what no circuit that the models know was simulated under.",
    ["circuit_class"],
)
CALLS_TO_FIRST = Histogram(
    "genrf_calls_to_first_met",
    "SPICE calls until a design met the specification.",
    ["variant"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 256),
)
FEEDBACK = Counter("genrf_feedback_records", "Records for the feedback log, by what became of them.", ["outcome"])
"""Outcomes: written, dropped."""
WAITING = Gauge("genrf_waiting_requests", "Requests that wait for a designing process.", ["lane"])
OLDEST = Gauge("genrf_oldest_waiting_seconds", "How long the oldest of them has waited.", ["lane"])
WORKING = Gauge("genrf_designing_processes", "Processes for short searches that are ready or work.", ["variant"])
RESTARTS = Counter(
    "genrf_designing_process_restarts", "Processes that crashed, hung or were killed, and were replaced."
)
ABANDONED = Counter("genrf_abandoned_searches", "Searches that were ended as nobody waited for them any more.")
JOBS = Gauge("genrf_jobs", "Jobs, by state.", ["state"])
SHARE = Gauge("genrf_variant_share", "Share of the callers that a variant serves.", ["variant"])
PROMISED = Gauge(
    "genrf_promised_success",
    "Share of held-out specifications that the models met when they were released.",
    ["circuit_class"],
)
EVIDENCE = Gauge("genrf_challenger_evidence", "Logarithm of the evidence that one of both is better.", ["better"])
SWAPS = Counter("genrf_model_swaps", "Changes of a variant's models, by how they ended.", ["variant", "outcome"])
MODELS = Gauge("genrf_models", "The models that a variant serves with; always 1.", ["variant", "bundle", "version"])
GPU_MEMORY = Gauge("genrf_gpu_memory_bytes", "GPU memory that is in use, of all processes of the GPU.", ["gpu"])

_NETWORKS = ("topologies", "sizing", "precedents", "ranking")
"""Stages of a search that are not the judge's."""


def count(answer: Mapping[str, Any], variant: str) -> None:
    """Record a search that ended."""
    circuit_class = answer["request"]["specification"]["class"]
    first = answer["first_met"]
    if answer["warnings"]:
        BEYOND.labels(circuit_class).inc()
    SPICE_CALLS.labels(variant).inc(answer["simulated"])
    for cause, number in answer["failed"].items():
        SPICE_FAILURES.labels(cause).inc(number)
    stages = answer["stages"]
    PHASES.labels("search").observe(answer["seconds"])
    PHASES.labels("simulation").observe(stages.get("spice", 0.0))
    PHASES.labels("descents").observe(stages.get("descent", 0.0))
    PHASES.labels("networks").observe(sum(stages.get(name, 0.0) for name in _NETWORKS))
    if first is not None:
        CALLS_TO_FIRST.labels(variant).observe(first)


def promise(card: Mapping[str, Any]) -> None:
    """Set what released weights were measured to do on held-out specifications, which requests can be held against.

    Args:
        card: see `genrf.generation.released.read_card`.
    """
    for measured in card["evaluation"]["methods"]:
        if measured["method"] == "generator" and measured["level"] == "exact":
            PROMISED.labels(measured["class"]).set(measured["success_at_64"])
