"""The voltage-controlled oscillator."""

from genrf.circuit.ports import Ports

NUMBER = 3
PORTS = Ports(("out", "tune"), held=frozenset({"tune"}))
