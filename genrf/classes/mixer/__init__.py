"""The mixer: RF in, the local oscillator in one or two phases, IF out."""

from genrf.circuit.ports import Ports

NUMBER = 2
PORTS = Ports(("rf", "lop", "lon", "out"), optional=frozenset({"lon"}))
