"""The low-noise amplifier."""

from genrf.circuit.ports import Ports

NUMBER = 0
PORTS = Ports(("in", "out"))
