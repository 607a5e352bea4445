"""The command ``genrf chain``: a receiver from generated blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genrf import cli_options, terminal
from genrf.cli_options import BundleFolder, Force, Json, OutputFolder, Seed, Workers
from genrf.errors import GenRFError, SpecificationNotMetError

EXAMPLES = ("chain examples/chains/receiver_5ghz.yaml", "chain my_receiver.yaml --calls 128 --output out")


def chain(
    spec_file: Annotated[
        Path, typer.Argument(metavar="SPEC.yaml", help="Specification of the chain.", show_default=False)
    ],
    bundle: BundleFolder = None,
    output: OutputFolder = None,
    calls: Annotated[int, typer.Option("--calls", "-k", min=1, help="SPICE calls to spend on each block.")] = 64,
    seed: Seed = 0,
    workers: Workers = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Generate a receiver of filter, amplifier and mixer, and simulate it as one netlist.

    Gain, noise figure, intercept point and power of the whole are shared out over the blocks; each is generated to its
    share; then all are joined and simulated together. Ends with exit code 5 if the joined netlist misses the
    specification; it is written all the same.
    """
    from genrf.chain.generate import generate_chain
    from genrf.chain.report import chain_content, chain_table, write_chain
    from genrf.chain.spec import ChainSpec
    from genrf.export.folder import check_free

    spec = ChainSpec.from_yaml(spec_file)
    folder = output if output is not None else Path("designs") / spec_file.stem
    check_free(folder, overwrite=force)
    with (
        cli_options.designer(bundle, workers, seed) as designer,
        terminal.progress_bar(calls * len(spec.blocks)) as advance,
    ):
        result = generate_chain(designer, spec, calls=calls, seed=seed, progress=advance)
    write_chain(folder, result, overwrite=force)
    if as_json:
        terminal.print_json(chain_content(result))
    else:
        out = terminal.console()
        out.print(chain_table(result))
        for note in result.notes:
            out.print(f"note: {note}", soft_wrap=True)
        out.print(f"Written to {folder}", soft_wrap=True)
    if result.failure is not None:
        raise GenRFError(f"{spec_file}: {result.failure}")
    if result.missed:
        raise SpecificationNotMetError(f"{spec_file}: the joined netlist misses {'; '.join(result.missed)}")
