"""The command ``genrf measure``: a user's own netlist on the testbenches of this program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genrf import terminal
from genrf.cli_options import Json
from genrf.errors import GenRFError, InvalidInputError

EXAMPLES = (
    "measure examples/bsim4_lna.cir --class lna --frequency 5GHz --ports rfin,rfout --supply vcc=1.2",
    "measure my.cir --class lna --frequency 28e9 --ports in,out --supply vdd=1.8 --json",
)


def measure(
    netlist_file: Annotated[
        Path, typer.Argument(metavar="FILE.cir", help="Netlist for ngspice, with its models.", show_default=False)
    ],
    circuit_class: Annotated[str, typer.Option("--class", help="Circuit class that it is measured as.")],
    frequency: Annotated[str, typer.Option("--frequency", help="Centre frequency, such as 5GHz or 5e9.")],
    ports: Annotated[
        str | None,
        typer.Option(
            "--ports",
            help="The netlist's nets that are the class's ports, in its order; - for an optional one that is not there.",
            show_default="the class's names",
        ),
    ] = None,
    supply: Annotated[
        str | None,
        typer.Option("--supply", metavar="NET=VOLTS", help="Supply net and voltage; none without supply."),
    ] = None,
    probe: Annotated[
        str | None,
        typer.Option("--probe", metavar="NET", help="Net at the resonator, for oscillators only.", show_default=False),
    ] = None,
    source: Annotated[float, typer.Option("--source", help="Source impedance in Ohm.")] = 50.0,
    load: Annotated[float, typer.Option("--load", help="Load impedance in Ohm.")] = 50.0,
    temperature: Annotated[float, typer.Option("--temperature", help="Temperature in C.")] = 27.0,
    signoff: Annotated[bool, typer.Option("--signoff", help="Measure the sign-off metrics too.")] = False,
    as_json: Json = False,
) -> None:
    """Measure a netlist of your own with a class's testbench.

    The file may bring its own models and subcircuits. Sources at the ports and the supply are the testbench's: take
    yours out. DC bias sources stay, analyses are left out with a note, and commands or files outside the netlist's
    folder are refused. Nothing is written.
    """
    from genrf import classes
    from genrf.conditions import Conditions
    from genrf.fields import quantity
    from genrf.measurement.process import measure_netlist
    from genrf.measurement.user_netlist import read_netlist

    classes.get(circuit_class)
    net, volts = _supply(supply)
    conditions = Conditions(
        frequency_hz=quantity("--frequency", frequency, "Hz"),
        # A circuit without supply still meets the testbench's source; any voltage does.
        supply_v=1.0 if volts is None else volts,
        source_ohm=source,
        load_ohm=load,
        temperature_c=temperature,
    )
    named = None if ports is None else [name.strip() for name in ports.split(",")]
    netlist = read_netlist(netlist_file, circuit_class, named, net, probe)
    outcome = measure_netlist(netlist, conditions, signoff=signoff)
    if outcome.metrics is None:
        failure = outcome.failure
        if failure is None:
            raise GenRFError(f"{netlist_file}: failed")
        where, said = netlist.explain(failure.detail)
        raise GenRFError(f"{where or netlist_file}: {failure.cause}: {said}")
    if as_json:
        terminal.print_json(
            {
                "netlist": str(netlist_file),
                "class": circuit_class,
                "frequency_hz": conditions.frequency_hz,
                "supply_v": volts,
                "source_ohm": source,
                "load_ohm": load,
                "temperature_c": temperature,
                "metrics": dict(outcome.metrics),
                "notes": [*netlist.notes, *outcome.notes],
            }
        )
        return
    from genrf.measurement.table import measurement_table

    output = terminal.console()
    output.print(measurement_table(circuit_class, outcome.metrics, str(netlist_file)))
    for note in (*netlist.notes, *outcome.notes):
        output.print(f"note: {note}", soft_wrap=True)


def _supply(text: str | None) -> tuple[str | None, float | None]:
    from genrf.fields import quantity

    if text is None:
        return None, None
    net, equals, volts = text.partition("=")
    if not net or not equals:
        raise InvalidInputError(f"--supply: expected NET=VOLTS such as vdd=1.8, got {text!r}")
    return net.strip(), quantity("--supply", volts, "V")
