"""Compile the batched simulator's kernels for this processor, where that has not been done: half a minute, once.

python -m genrf.simulation.batched
"""

from __future__ import annotations

import sys
import time

from genrf.circuit.topology import Circuit, Device, Topology
from genrf.conditions import Conditions
from genrf.simulation.batched.compiling import kernels_folder
from genrf.simulation.batched.simulator import BatchedSimulator
from genrf.simulation.outcome import Simulation

_RESISTOR = Circuit(Topology("lna", (Device("resistor", ("in", "out")),)), (50.0,))


def main() -> int:
    """Simulate one resistor, for which everything has to be there."""
    folder = kernels_folder()
    start = time.perf_counter()
    simulation = Simulation(_RESISTOR, Conditions(frequency_hz=10e9, supply_v=1.5))
    (outcome,) = BatchedSimulator(workers=1).run([simulation], curves=True)
    if outcome.metrics is None:
        print(f"kernels: a resistor cannot be simulated: {outcome.failure}", file=sys.stderr)
        return 1
    if "--verbose" in sys.argv[1:]:
        print(f"{folder}: ready after {time.perf_counter() - start:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
