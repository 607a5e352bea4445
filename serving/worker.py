"""A process that designs: jobs come in as lines of JSON, and go out as lines of JSON.

    {"do": "search", "request": {...}}                       what `serving.request.DesignRequest` reads
    {"do": "measure", "design": {...}}                       simulate a design, with its curves and what may be changed of it
    {"do": "draw", "design": {...}, "what": "schematic.svg"} one of `serving.drawing.DRAWINGS`
    {"do": "cancel"}                                         end what is being done

    {"ready": {...}}                                         once it has designed and simulated: the models' identity
    {"spent": 3, "of": 64, "design": {...} or null}          while it searches
    {"done": {...}}, {"refused": "..."}, {"failed": "..."}, {"cancelled": true}

It ends when its input does: a server that was killed leaves no process behind.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from genrf.circuit.tokens import MAX_DEVICES
from genrf.cores import LIMIT
from genrf.errors import GenRFError, InvalidInputError, MissingToolError
from genrf.export.design_file import design_content, design_from_content, parts_from_content
from genrf.feedback.record import ModelVersion, SearchRecord
from genrf.generation.design import Design, DesignResult
from genrf.generation.designer import Designer
from genrf.generation.opening import open_designer
from genrf.generation.record import Progress
from genrf.signoff import require_second_simulator
from genrf.simulation.outcome import Simulation
from genrf.spec import DesignSpec
from serving.champion import registered
from serving.drawing import UNMEASURED, drawn, plain_curves
from serving.request import DesignRequest
from serving.values import values_of
from serving.warm_up import warm_up

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
"""ONNX Runtime's name of what runs the models of a device; there is no fallback from one to the other."""
NICE = 10
"""How far a process for long searches steps back behind those for short ones."""


class Cancelled(Exception):
    """Nobody waits for the search any more."""


class Worker:
    """Does one job after another.

    Args:
        designer: entered, and warm.
        model: the models behind it, for the record.
        jobs: lines of JSON.
        answers: where lines of JSON go.
    """

    def __init__(self, designer: Designer, model: ModelVersion, jobs: IO[str], answers: IO[str]) -> None:
        self._designer = designer
        self._model = model
        self._jobs = jobs
        self._answers = answers
        self._cancelled = threading.Event()
        self._waiting: list[dict[str, Any]] = []
        self._change = threading.Condition()
        self._last_told = 0.0

    def run(self, cold: Sequence[str] = ()) -> None:
        """Work until the input ends.

        Args:
            cold: classes to warm up while there is nothing to do.
        """
        threading.Thread(target=self._listen, daemon=True).start()
        left = list(cold)
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or left)
                job = self._waiting.pop(0) if self._waiting else None
            if job is None:
                try:
                    warm_up(self._designer, left.pop(0))
                except GenRFError as error:
                    # Searches of the other classes are answered all the same.
                    print(f"serving: {error}", file=sys.stderr, flush=True)
                continue
            try:
                self.say(done=self._do(job))
            except Cancelled:
                self.say(cancelled=True)
            except (InvalidInputError, MissingToolError) as error:
                self.say(refused=str(error))
            except GenRFError as error:
                self.say(failed=str(error))
            except Exception as error:  # whatever one job meets, the next is done
                self.say(failed=f"{type(error).__name__}: {error}")

    def say(self, **content: Any) -> None:
        """Send a line."""
        self._answers.write(json.dumps(content, allow_nan=False) + "\n")
        self._answers.flush()

    def _listen(self) -> None:
        for line in self._jobs:
            job = json.loads(line)
            with self._change:
                if job["do"] == "cancel":
                    self._cancelled.set()
                else:
                    # Here and not where it is begun: it may be ended before that.
                    self._cancelled.clear()
                    self._waiting.append(job)
                    self._change.notify()
        # Simulators end with their sockets; a search that is under way is nobody's any more.
        os._exit(0)

    def _do(self, job: dict[str, Any]) -> Any:
        if job["do"] == "search":
            return self._search(DesignRequest.parse(job["request"]))
        if job.get("what") in UNMEASURED:
            design, spec = design_from_content(job["design"])
            return drawn(job["what"], design, spec, {})
        circuit, spec, provenance = parts_from_content(job["design"])
        if len(circuit.values) > MAX_DEVICES:
            raise InvalidInputError(
                f"circuit.devices: {len(circuit.values)} of them, at most {MAX_DEVICES} are simulated here; "
                "genrf simulate takes any number"
            )
        require_second_simulator(spec)
        (outcome,) = self._designer.simulate(
            [Simulation(circuit, spec.conditions, spec.needs_signoff, second=bool(spec.second_metrics))], curves=True
        )
        if outcome.metrics is None:
            assert outcome.failure is not None
            raise InvalidInputError(f"design: does not simulate, {outcome.failure.cause}: {outcome.failure.detail}")
        pareto = bool(job["design"].get("pareto", False))
        measured = Design.judged(circuit, outcome.metrics, spec, provenance, pareto=pareto)
        if job["do"] == "draw":
            return drawn(job["what"], measured, spec, outcome.curves)
        return {
            **design_content(measured, spec),
            "curves": plain_curves(outcome.curves),
            "values": values_of(circuit, spec.conditions, measured.technology),
        }

    def _search(self, request: DesignRequest) -> dict[str, Any]:
        start = time.perf_counter()
        result = self._designer.design(
            request.spec,
            calls=request.calls,
            seed=request.seed,
            stop_when_met=not request.all_calls,
            progress=self._progress(request),
        )
        if request.refine:
            result = self._designer.refine(
                result,
                calls=request.refine,
                objectives=request.objectives,
                seed=request.seed,
                progress=self._progress(request),
            )
        seconds = time.perf_counter() - start
        record = SearchRecord.of_result(
            result,
            source="server",
            model=self._model,
            variant=str(self._designer.provenance["precision"]),
            calls=request.allowed,
            seconds=seconds,
        )
        answer = answer_content(request, result, self._model, seconds)
        return {
            "answer": {**answer, "warnings": self._designer.beyond_precedents(request.spec)},
            "record": record.content(),
        }

    def _progress(self, request: DesignRequest) -> Progress:
        best = -math.inf

        def advance(spent: int, allowed: int, design: Design | None = None) -> None:
            nonlocal best
            if self._cancelled.is_set():
                raise Cancelled
            better = design is not None and design.margin > best
            if design is not None:
                best = max(best, design.margin)
            # Whoever watches sees each improvement; all else at a pace that eyes can follow.
            if better or time.monotonic() - self._last_told > 0.1:
                self._last_told = time.monotonic()
                shown = design_content(design, request.spec) if design is not None else None
                self.say(spent=spent, of=request.allowed, design=shown)

        return advance


def answer_content(request: DesignRequest, result: DesignResult, model: ModelVersion, seconds: float) -> dict[str, Any]:
    """What is answered and kept: the best designs of a search, and how it went, as plain data."""
    return {
        "request": request.content(),
        "model": {"bundle": model.bundle, "name": model.name, "version": model.version},
        "simulated": result.simulated,
        "explored": result.explored,
        "first_met": result.first_met,
        "failed": result.failed,
        "objectives": list(result.objectives),
        "seconds": seconds,
        "stages": result.seconds,
        "designs": [_with_margins(design, result.spec) for design in result.designs[: request.designs]],
    }


def _with_margins(design: Design, spec: DesignSpec) -> dict[str, Any]:
    margins = {
        f"{constraint.metric} {constraint.sense} {constraint.bound:g}": margin
        for constraint, margin in spec.margins(design.metrics).items()
    }
    return {**design_content(design, spec), "margins": margins}


def work(
    open_one: Callable[[], Designer],
    model: tuple[str, str] | None = None,
    number: int = 0,
    device: str = "cpu",
) -> int:
    """Be such a process, with the designer that a function gives.

    Args:
        number: which of the processes it is: each begins with another class.
        device: where its models run.
        model: name and version of the registered models, if they are.
    """
    # Libraries print to the standard output now and then, which is the server's.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        with open_one() as designer:
            first = number % len(designer.circuit_classes)
            warm, *cold = (*designer.circuit_classes[first:], *designer.circuit_classes[:first])
            warm_up(designer, warm)
            identity = designer.provenance
            registered_name, version = model or (None, None)
            version_of = ModelVersion(bundle=str(identity["bundle"]), name=registered_name, version=version)
            worker = Worker(designer, version_of, sys.stdin, answers)
            named = {"name": registered_name, "version": version, "provider": PROVIDERS[device]}
            worker.say(ready={**identity, **named, "classes": designer.circuit_classes})
            worker.run(cold)
    except GenRFError as error:
        print(json.dumps({"failed": str(error)}), file=answers, flush=True)
        return error.exit_code
    return 0


def main() -> int:
    """Run a worker of a bundle."""
    parser = argparse.ArgumentParser(prog="python -m serving.worker", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--long", action="store_true", help="step back behind processes for short searches")
    parser.add_argument(
        "--number", type=int, default=0, help="which of the processes it is: each begins with another class"
    )
    arguments = parser.parse_args()
    if arguments.long:
        os.nice(NICE)
    # One thread each: as many processes as cores do more than one process with as many threads.
    os.environ[LIMIT] = "1"
    return work(
        lambda: open_designer(arguments.bundle, workers=1, threads=1, device=arguments.device),
        registered(arguments.bundle),
        arguments.number,
        arguments.device,
    )


if __name__ == "__main__":
    sys.exit(main())
