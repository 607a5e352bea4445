from __future__ import annotations


def pa_control(circuit, conditions, netlist):
    return []
