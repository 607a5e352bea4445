"""Chains, transistors and rails as pieces that can be tried on a sheet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from genrf.circuit.topology import GROUND, SUPPLY
from genrf.report.chains import BIAS_VOLTAGE, Chain, CircuitGraph
from genrf.report.sheet import (
    LENGTH,
    Direction,
    Piece,
    Point,
    device_piece,
    ground_piece,
    mark_piece,
    move,
    transistor_piece,
    transistor_pins,
)

Wire = tuple[str, Point, Point]
"""A straight wire: net, from, to."""


class Pieces:
    """Makes pieces of a circuit's parts.

    Args:
        graph: the circuit.
        texts: label lines of each device, in the topology's order.
    """

    def __init__(self, graph: CircuitGraph, texts: Sequence[tuple[str, ...]]) -> None:
        self._devices = graph.topology.devices
        self._side_ports = graph.side_ports
        self._texts = texts
        self._bias_texts = {
            device.nets[0]: text
            for device, text in zip(self._devices, texts, strict=True)
            if device.kind == BIAS_VOLTAGE and device.nets[0] in graph.bias_nets
        }

    def chain(self, chain: Chain, start: Point, direction: Direction, wires: Iterable[Wire] = ()) -> Piece:
        """The devices of a chain in a straight line, with the rail's symbol at the end if it ends on one."""
        piece = Piece(wires=[wire for wire in wires if wire[1] != wire[2]])
        at = start
        for index, a, b in zip(chain.devices, chain.nets, chain.nets[1:], strict=False):
            device = self._devices[index]
            flipped = device.nets[0] != a
            piece.add(device_piece(device.kind, index, self._texts[index], at, direction, (a, b), flipped=flipped))
            at = move(at, direction, LENGTH)
        return piece.add(self.rail(chain.nets[-1], at, direction))

    def transistor(self, index: int, base: Point, wires: Iterable[Wire] = ()) -> Piece:
        """A transistor with its base at a point, and the rails' symbols at its terminals on rails."""
        nets = self._devices[index].nets
        piece = transistor_piece(index, self._texts[index], base, nets)
        piece.wires += [wire for wire in wires if wire[1] != wire[2]]
        directions: tuple[Direction, ...] = ("up", "left", "down")
        for net, at, direction in zip(nets, transistor_pins(base), directions, strict=True):
            piece.add(self.rail(net, at, direction))
        return piece

    def rail(self, net: str, at: Point, direction: Direction) -> Piece:
        """What is drawn at a terminal on a rail; nothing for a signal net."""
        if net == GROUND:
            return mark_piece("bias", at, "up", ("GND",)) if direction == "up" else ground_piece(at)
        if net == SUPPLY:
            return mark_piece("bias", at, "down", ("VDD",)) if direction == "down" else Piece(risers=[at])
        if net in self._side_ports:
            return mark_piece("port", at, direction, (net,))
        if net in self._bias_texts:
            return mark_piece("bias", at, direction, self._bias_texts[net])
        return Piece()
