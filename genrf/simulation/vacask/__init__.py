"""VACASK as second simulator: a program of its own, asked for its own opinion of the same circuit.

Its VBIC (version 1.3, compiled from Verilog-A) shares no code with ngspice's. It takes charges at the junction's
temperature, scales cards to the ambient one, and has harmonic balance with noise.
"""
