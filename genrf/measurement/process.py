"""Measure a user's netlist in a process of its own, that can write no file and has a limit on time and memory.

The child is started as ``python -m genrf.measurement.process``, reads what to measure as JSON and answers in JSON:
a netlist can crash or hang the simulator, and costs only its own measurement then.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrf.conditions import Conditions
from genrf.errors import GenRFError, InvalidInputError, MissingToolError
from genrf.measurement.user_netlist import UserNetlist
from genrf.metrics import Metrics
from genrf.simulation.outcome import Failure, Outcome
from genrf.simulation.pool import WORKER_ENVIRONMENT
from genrf.simulation.testbench import Deck, SimulationFailure
from genrf.technology import vbic_temperature

if TYPE_CHECKING:
    from genrf.simulation.library import Library

TIME_LIMIT_S = 60.0
"""Processor time a netlist may take."""
_WALL_FACTOR = 5.0
_READ = (*vbic_temperature.used_parameters(), *vbic_temperature.FACTORS, *vbic_temperature.SEPARATE, "tnom")
_MEMORY_BYTES = 8 << 30


def measure_netlist(
    netlist: UserNetlist, conditions: Conditions, *, signoff: bool = False, limit_s: float = TIME_LIMIT_S
) -> Outcome:
    """Measure a netlist with the testbench of its class.

    Args:
        limit_s: processor time it may take, in s.

    Raises:
        InvalidInputError: if sign-off is asked for that does not know the netlist's devices.
        MissingToolError: if ngspice's library is not installed.
    """
    if signoff and netlist.probed:
        raise InvalidInputError(
            "--signoff: phase noise is signed off from the noise of every device, which is known for designs of this "
            "program only (genrf simulate DESIGN.json --signoff); leave --signoff out"
        )
    request = {"netlist": asdict(netlist), "conditions": asdict(conditions), "signoff": signoff, "limit_s": limit_s}
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
    late = Outcome(None, Failure("timeout", f"more than {limit_s:g} s of processor time"))
    try:
        finished = subprocess.run(
            [sys.executable, "-m", "genrf.measurement.process"],
            input=json.dumps(request).encode(),
            capture_output=True,
            env=os.environ | {"PYTHONPATH": path} | WORKER_ENVIRONMENT,
            timeout=_WALL_FACTOR * limit_s + 10.0,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return late
    if finished.returncode == -signal.SIGVTALRM:
        return late
    try:
        answer = json.loads(finished.stdout)
    except ValueError:
        return Outcome(None, Failure("crash", f"the simulator ended with status {finished.returncode}"))
    if "missing" in answer:
        raise MissingToolError(answer["missing"])
    if "failure" in answer:
        return Outcome(None, Failure(**answer["failure"]))
    return Outcome(Metrics(answer["metrics"]), notes=tuple(answer["notes"]))


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    from genrf import classes
    from genrf.measurement.technology import NetlistTechnology
    from genrf.simulation.library import library

    content = {name: tuple(value) if isinstance(value, list) else value for name, value in request["netlist"].items()}
    netlist = UserNetlist(**content)  # type: ignore[arg-type]
    testbench = classes.get(netlist.circuit_class).testbench
    conditions = Conditions(**request["conditions"])
    try:
        simulator = library()
        technology = NetlistTechnology(netlist, *_read(simulator, netlist))
        measured = testbench.simulate(
            simulator, technology.circuit, conditions, technology, signoff=request["signoff"], thorough=True
        )
    except SimulationFailure as failure:
        return {"failure": {"cause": failure.cause, "detail": failure.detail}}
    except GenRFError as error:
        return {"missing": str(error)}
    return {"metrics": dict(measured.metrics), "notes": [*measured.notes, *technology.notes]}


def _read(
    simulator: Library, netlist: UserNetlist
) -> tuple[list[float], dict[str, float], dict[str, dict[str, float]]]:
    """Voltages of the bias sources, in V, thermal resistances by their nets, in K/W, and VBIC's cards by their names, as
    ngspice reads them.

    Raises:
        SimulationFailure: if it refuses the netlist.
    """
    sources = [f"v_{net} {net} 0 {value}" for net, value in netlist.bias]
    title, nets = "a user's netlist", [net for net, _ in netlist.bias]
    simulator.run(Deck((title, *netlist.definitions, *sources, "r_read read_0 0 1"), ("op",), ("read_0", *nets)))
    bias = [float(simulator.vector("op1", net)[0]) for net in nets]
    if not netlist.heated:
        return bias, {}, {}
    simulator.run(Deck((title, *netlist.definitions, *netlist.lines, *sources), (), ("read_0",)))
    thermal: dict[str, float] = {}
    cards: dict[str, dict[str, float]] = {}
    for net, name, model in netlist.heated:
        # A model that knows nothing of heat has no such parameter.
        with contextlib.suppress(SimulationFailure):
            # Multipliers that are not given are 0 before an analysis.
            size = (simulator.device(name, "m") or 1.0) * (simulator.device(name, "area") or 1.0)
            ohm = simulator.device(model, "rth") / size
            if ohm > 0.0:
                thermal[net] = ohm
                card = {parameter: simulator.device(model, parameter) for parameter in _READ}
                if not any(card[parameter] for parameter in vbic_temperature.SEPARATE):
                    # What is not given has no value before an analysis.
                    card["eap"] = card["eap"] or vbic_temperature.DEFAULTS["eap"]
                    cards[model] = card
    return bias, thermal, cards


def main() -> None:
    """Entry point of the child."""
    request = json.load(sys.stdin)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # ngspice reads .spiceinit from the working and the home folder; a user's settings must not change results.
    os.chdir("/")
    os.environ["HOME"] = "/nonexistent"
    # What ngspice prints itself must not mix with the answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.setitimer(signal.ITIMER_VIRTUAL, request["limit_s"])
    answer = _answer(request)
    json.dump(answer, answers)
    answers.flush()
    # libngspice's exit handlers are slow and have nothing to save.
    os._exit(0)


if __name__ == "__main__":
    main()
