"""The passive filter."""

from genrf.circuit.ports import Ports

NUMBER = 4
PORTS = Ports(("in", "out"))
