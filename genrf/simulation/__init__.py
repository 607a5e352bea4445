"""Circuits in, metrics out: ngspice in watched worker processes.

`SimulatorPool` and `simulate` in `genrf.simulation.pool` are the way in; a circuit class says how it is measured with a
`genrf.simulation.testbench.Testbench`.
"""
