"""Devices, topologies and circuits refuse what cannot be, and name their parts as a schematic does."""

from __future__ import annotations

import pytest

from genrf.circuit.devices import KINDS, MAX_TERMINALS
from genrf.circuit.topology import Circuit, Device, Topology
from tests.circuit.topologies import COMMON_EMITTER, written


def test_designators_count_each_kind():
    assert written(*COMMON_EMITTER).designators == ("C1", "V1", "R1", "Q1", "L1", "C2")


def test_nets_are_listed_by_first_appearance():
    assert written(*COMMON_EMITTER).nets == ("in", "b", "bias", "c", "0", "vdd", "out")


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="unknown device kind 'mosfet'; known: resistor"):
        Device("mosfet", ("a", "b", "c"))


@pytest.mark.parametrize(("kind", "nets"), [("hbt", ("a", "b")), ("resistor", ("a", "b", "c")), ("bias_voltage", ())])
def test_a_wrong_number_of_terminals_is_refused(kind, nets):
    with pytest.raises(ValueError, match=f"{kind} has {len(KINDS[kind].terminals)} terminals"):
        Device(kind, nets)


def test_every_device_needs_a_value():
    with pytest.raises(ValueError, match="6 devices but 1 values"):
        Circuit(written(*COMMON_EMITTER), (1.0,))


def test_other_values_on_the_same_topology():
    circuit = Circuit(Topology("lna", (Device("resistor", ("in", "out")),)), (50.0,))
    assert circuit.with_values([75]) == Circuit(circuit.topology, (75.0,))


def test_kinds_keep_their_order_since_stored_tokens_depend_on_it():
    assert tuple(KINDS)[:5] == ("resistor", "inductor", "capacitor", "hbt", "bias_voltage")
    assert MAX_TERMINALS == 3
    assert len({kind.prefix for kind in KINDS.values()}) == len(KINDS)
