"""Errors that a user can cause, each shown as one line and turned into an exit code by the command line."""

from __future__ import annotations


class GenRFError(Exception):
    """Something the user can mend; the message names the file, field, value and remedy."""

    exit_code = 1


class InvalidInputError(GenRFError):
    """A specification, netlist, configuration or argument that cannot be accepted."""

    exit_code = 2


class MissingToolError(GenRFError):
    """A program, library or data file that the work needs is not installed."""

    exit_code = 3


class CheckpointError(GenRFError):
    """A checkpoint or model bundle that is corrupt, of an unknown version or of another configuration."""

    exit_code = 4


class SpecificationNotMetError(GenRFError):
    """No simulated circuit meets the specification."""

    exit_code = 5
