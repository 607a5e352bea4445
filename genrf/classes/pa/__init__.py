"""The power amplifier."""

from genrf.circuit.ports import Ports

NUMBER = 1
PORTS = Ports(("in", "out"))
