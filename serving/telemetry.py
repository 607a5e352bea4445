"""What the server counts for Prometheus, beside KServe's own latencies; shown under ``/metrics``."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from genrf.generation.design import DesignResult

REQUESTS = Counter("genrf_requests", "Requests, by how they ended.", ["outcome"])
"""Outcomes: met, missed, invalid, busy, error."""
SPICE_CALLS = Counter("genrf_spice_calls", "Circuits simulated.")
SPICE_FAILURES = Counter("genrf_spice_failures", "Circuits that gave no metrics, by cause.", ["cause"])
SECONDS = Histogram(
    "genrf_search_seconds", "Time of one search, waiting left out.", buckets=(0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60)
)
CALLS_TO_FIRST = Histogram(
    "genrf_calls_to_first_met",
    "SPICE calls until a design met the specification.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 256),
)
FEEDBACK = Counter("genrf_feedback_records", "Records for the feedback log, by what became of them.", ["outcome"])
"""Outcomes: written, dropped."""
WAITING = Gauge("genrf_waiting_requests", "Requests that wait or are worked on.")


def count(result: DesignResult, seconds: float) -> None:
    """Record a search that ended."""
    REQUESTS.labels("missed" if result.first_met is None else "met").inc()
    SPICE_CALLS.inc(result.simulated)
    for cause, number in result.failed.items():
        SPICE_FAILURES.labels(cause).inc(number)
    SECONDS.observe(seconds)
    if result.first_met is not None:
        CALLS_TO_FIRST.observe(result.first_met)
