"""S-parameters of a circuit at one frequency from a hybrid-pi model, for many sets of values at once.

A rough guide for drawing values, never a measurement: no capacitance to the substrate, no bias-dependent parasitics.
What a circuit does is said by simulation only.

symbol  meaning                                   npn13G2, measured at V_CE = 1 V and 10 GHz
r_e     emitter resistance of one emitter         37 Ohm
r_b     base resistance of one emitter            120 Ohm
C_be    base-emitter capacitance of one emitter   3.2 fF + 0.13 ps * g_m
C_bc    base-collector capacitance                1.8 fF
C_cs    collector-substrate capacitance           1.1 fF

A diode or a varactor is the capacitance of its junction.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from genrf.circuit.biasing import BETA
from genrf.circuit.graph import BIAS_VOLTAGE, CAPACITOR, DIODE, FIRST_PORT_NET, HBT, INDUCTOR, VARACTOR, NetGraph

THERMAL_V = 0.0259
_EMITTER_OHM = 37.0
_BASE_OHM = 120.0
_C_BE_F = 3.2e-15
_TRANSIT_S = 0.13e-12
_C_BC_F = 1.8e-15
_C_CS_F = 1.1e-15
_CAPACITIVE = (CAPACITOR, DIODE, VARACTOR)
_INDUCTOR_OHM_PER_H = 2e9
_INDUCTOR_PARALLEL_OHM = 900.0
"""Losses of a typical inductor, rounded from `genrf.technology.sg13g2.inductor`."""


class SmallSignal:
    """The nodal equations of one topology at one bias and frequency."""

    def __init__(
        self, graph: NetGraph, current_a: Mapping[int, float], frequency_hz: float, port_ohm: tuple[float, ...]
    ) -> None:
        """
        Args:
            graph: the topology.
            current_a: collector current of each transistor, by device number.
            frequency_hz: frequency in Hz.
            port_ohm: resistive impedance of each port in Ohm, in port order.
        """
        self.omega = 2.0 * np.pi * frequency_hz
        self.port_ohm = np.array(port_ohm)
        self.kinds = np.array(graph.kinds)
        fixed = graph.fixed_nets()
        # Ports come first, then the other nets that carry a signal; -1 is signal ground.
        live = [net for net in range(FIRST_PORT_NET, len(graph.names)) if net not in fixed]
        row = dict.fromkeys(fixed, -1) | {net: index for index, net in enumerate(live)}
        self.row = row
        """Where each net is in `voltages`; -1 for signal ground."""
        self.size = len(live)
        self.passives = [d for d, kind in enumerate(graph.kinds) if kind not in (HBT, BIAS_VOLTAGE)]
        self.transistors = [d for d, kind in enumerate(graph.kinds) if kind == HBT]
        self.current_a = np.array([current_a[device] for device in self.transistors])
        # One column a branch admittance; its entries in the flattened nodal matrix.
        stamps: list[tuple[int, int, float]] = []
        for column, device in enumerate(self.passives):
            first, second = graph.nets[device]
            self._branch(stamps, column, row[first], row[second])
        column = len(self.passives)
        for device in self.transistors:
            collector, base, emitter = (row[net] for net in graph.nets[device])
            self._branch(stamps, column, base, emitter)
            self._branch(stamps, column + 1, base, collector)
            self._branch(stamps, column + 2, collector, -1)
            # A current g_m (v_b - v_e) into the collector and out of the emitter.
            for to, sign in ((collector, 1.0), (emitter, -1.0)):
                for of, also in ((base, 1.0), (emitter, -1.0)):
                    if to >= 0 and of >= 0:
                        stamps.append((to * self.size + of, column + 3, sign * also))
            column += 4
        stamps.sort()
        entries = np.array([entry for entry, _, _ in stamps])
        self.stamp_column = np.array([at for _, at, _ in stamps])
        self.stamp_sign = np.array([sign for _, _, sign in stamps])
        self.stamp_start = np.flatnonzero(np.diff(entries, prepend=-1))
        self.stamp_entry = entries[self.stamp_start]

    def _branch(self, stamps: list[tuple[int, int, float]], column: int, first: int, second: int) -> None:
        for node, other in ((first, second), (second, first)):
            if node >= 0:
                stamps.append((node * self.size + node, column, 1.0))
                if other >= 0:
                    stamps.append((node * self.size + other, column, -1.0))

    def scattering(self, values: NDArray[np.float64]) -> NDArray[np.complex128]:
        """S-parameters, (candidates, ports, ports), of values in SI units, (candidates, devices)."""
        return self.to_scattering(self.voltages(values))

    def to_scattering(self, voltages: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """S-parameters, (candidates, ports, ports), from `voltages`."""
        ports = len(self.port_ohm)
        # S_ij = 2 V_i / sqrt(Z_i Z_j) - delta_ij (Pozar, Microwave Engineering, 4.3).
        root = np.sqrt(self.port_ohm)
        return 2.0 * voltages[:, :ports] / (root[:, None] * root[None, :]) - np.eye(ports)

    def voltages(self, values: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Voltages of the nets for a unit current into each port, with all ports terminated.

        Args:
            values: in SI units, (candidates, devices).

        Returns:
            (candidates, nets that carry a signal, ports); ports come first, `row` tells where the other nets are.
        """
        passive = values[:, self.passives]
        kinds = self.kinds[self.passives]
        passive = np.where(kinds == DIODE, _C_BE_F * passive, np.where(kinds == VARACTOR, _C_BC_F * passive, passive))
        reactance = self.omega * passive
        loss = passive * _INDUCTOR_OHM_PER_H + reactance**2 / _INDUCTOR_PARALLEL_OHM
        inductive = 1.0 / (loss + 1j * reactance)
        admittance = np.where(
            kinds == INDUCTOR, inductive, np.where(np.isin(kinds, _CAPACITIVE), 1j * reactance, 1.0 / passive)
        )
        branches = [admittance]
        for current, device in zip(self.current_a, self.transistors, strict=True):
            emitters = values[:, device]
            transconductance = 1.0 / (THERMAL_V / current + _EMITTER_OHM / emitters)
            charge = _C_BE_F * emitters + _TRANSIT_S * transconductance
            input_admittance = transconductance / BETA + 1j * self.omega * charge
            divider = 1.0 / (1.0 + input_admittance * _BASE_OHM / emitters)
            branches.append(
                np.stack(
                    [
                        input_admittance * divider,
                        1j * self.omega * _C_BC_F * emitters,
                        1j * self.omega * _C_CS_F * emitters,
                        transconductance * divider,
                    ],
                    axis=1,
                )
            )
        columns = np.concatenate(branches, axis=1)  # (candidates, branches)
        terms = columns[:, self.stamp_column] * self.stamp_sign
        entries = np.zeros((len(values), self.size * self.size), dtype=complex)
        entries[:, self.stamp_entry] = np.add.reduceat(terms, self.stamp_start, axis=1)
        nodal = entries.reshape(-1, self.size, self.size)
        ports = len(self.port_ohm)
        index = np.arange(ports)
        nodal[:, index, index] += 1.0 / self.port_ohm
        drive = np.zeros((self.size, ports), dtype=complex)
        drive[index, index] = 1.0
        return np.linalg.solve(nodal, np.broadcast_to(drive, (len(values), *drive.shape)))
