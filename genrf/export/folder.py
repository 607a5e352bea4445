"""Everything about a run's best designs, in one folder that appears whole or not at all.

report.html                 the report, with all pictures inside
result.json                 the specification, effort, and metrics of every simulated design
front.svg                   the Pareto front before and after refinement, if there was any
design_1/design.json        values, metrics and provenance; `genrf simulate` reads it
design_1/netlist.spice      runs in a plain ``ngspice -b`` and prints the same metrics
design_1/signoff.json       figures of both simulators, where sign-off was asked for
design_1/s_parameters.s2p   Touchstone, of classes with S-parameters
design_1/performance.svg    S-parameters and other measured curves (also .png)
design_1/schematic.svg      the drawn circuit
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import forkserver, get_context
from pathlib import Path
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Any

from genrf import __version__, classes, technology
from genrf.circuit.canonical import fingerprint
from genrf.circuit.netlist import standalone_netlist
from genrf.errors import InvalidInputError
from genrf.export.design_file import write_design
from genrf.files import write_json
from genrf.generation.design import Design, DesignResult
from genrf.metrics import Metrics
from genrf.spec import DesignSpec

if TYPE_CHECKING:
    from genrf.simulation.testbench import Curve, Trace


class PlotWorker:
    """Processes that draw plots, started early so that matplotlib loads, once, while circuits are searched."""

    def __init__(self) -> None:
        context = get_context("forkserver")
        context.set_forkserver_preload(
            ["matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "genrf.report.curves"]
        )
        self._executor = ProcessPoolExecutor(max_workers=2, mp_context=context)
        with _without_interrupts():
            # Returns at once; the first plot would otherwise wait for the import.
            forkserver.ensure_running()

    def __enter__(self) -> PlotWorker:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(cancel_futures=True)

    def plot(
        self, curves: Mapping[str, Curve | Trace], spec: DesignSpec, metrics: Metrics, paths: Sequence[Path], title: str
    ) -> Future[None]:
        """Draw one design's plot into files."""
        return self._executor.submit(_plot, dict(curves), spec, metrics, list(paths), title)

    def front(self, result: DesignResult, path: Path) -> Future[None]:
        """Draw the Pareto front before and after refinement into a file."""
        return self._executor.submit(_plot_front, result, path)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes started meanwhile ignore Ctrl-C, which a terminal sends to all: this one ends them in good order."""
    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _plot(
    curves: Mapping[str, Curve | Trace], spec: DesignSpec, metrics: Metrics, paths: Sequence[Path], title: str
) -> None:
    from genrf.report.curves import plot_performance

    plot_performance(curves, spec, metrics, paths, title)


def _plot_front(result: DesignResult, path: Path) -> None:
    from genrf.report.front import plot_front

    plot_front(result, path)


def write_result(
    folder: Path,
    result: DesignResult,
    curves: Sequence[Mapping[str, Curve | Trace]],
    plots: PlotWorker,
    *,
    overwrite: bool = False,
) -> None:
    """Write a run's folder.

    Args:
        folder: does not exist yet, unless ``overwrite`` is set; its parent is made.
        curves: measured curves and traces of the first designs, which get a subfolder each; a Touchstone file is
            written where there are S-parameters.

    Raises:
        InvalidInputError: if the folder exists and may not be overwritten.
        OSError: if it cannot be written; nothing is left behind then.
    """
    from genrf.export.touchstone import scattering_of, write_touchstone
    from genrf.report.page import Pictures, write_page
    from genrf.report.schematic import write_schematic

    spec = result.spec
    with written_folder(folder, overwrite=overwrite) as temporary:
        drawn = list(zip(result.designs, curves, strict=False))
        pending = []
        pictures = []
        front = temporary / "front.svg" if result.refined_from is not None and result.designs else None
        if front is not None:
            pending.append(plots.front(result, front))
        for number, (design, its_curves) in enumerate(drawn, start=1):
            place = temporary / f"design_{number}"
            place.mkdir()
            title = f"{spec.name}, design {number}"
            performance = [place / "performance.svg", place / "performance.png"]
            pending.append(plots.plot(its_curves, spec, design.metrics, performance, title))
            pictures.append(Pictures(place / "schematic.svg", performance[0]))
        for number, (design, its_curves) in enumerate(drawn, start=1):
            place = temporary / f"design_{number}"
            write_design(place / "design.json", design, spec)
            write_netlist(place / "netlist.spice", design, spec)
            if number <= len(result.signed_off):
                write_json(place / "signoff.json", result.signed_off[number - 1].content())
            scattering = scattering_of(its_curves)
            if scattering:
                comments = "\n".join(provenance_lines(design, spec))
                ports = math.isqrt(len(scattering))
                write_touchstone(place / f"s_parameters.s{ports}p", scattering, spec.conditions, comments)
            write_schematic(
                design.circuit, pictures[number - 1].schematic,
                supply_v=spec.conditions.supply_v, title=f"{spec.name}, design {number}",
            )  # fmt: skip
        write_json(temporary / "result.json", result_content(result))
        for future in pending:
            future.result()
        write_page(temporary / "report.html", result, pictures, front)


def write_netlist(path: Path, design: Design, spec: DesignSpec) -> None:
    """The netlist that reproduces the design's metrics when run by hand."""
    comments = [f"Measured: {', '.join(f'{name} {value:.6g}' for name, value in design.metrics.items())}"]
    if classes.get(spec.circuit_class).small_signal is not None:
        comments += [
            "Small-signal figures are those of genrf's own simulator, whose junctions follow their heat. ngspice, which holds",
            "them below, prints gains and noise figures within hundredths of a decibel; reflections in deep nulls differ more.",
        ]
    process = technology.get(design.technology)
    text = standalone_netlist(design.circuit, spec.conditions, process, comments)
    path.write_text(text, encoding="utf-8")


def provenance_lines(design: Design, spec: DesignSpec) -> list[str]:
    """What the design is, under which conditions it was measured, and where it came from, for comments in files."""
    conditions = spec.conditions
    return [
        f"{spec.name}: {spec.circuit_class} designed by genrf {__version__}",
        f"f0 {conditions.frequency_hz:.9g} Hz, supply {conditions.supply_v:g} V, source {conditions.source_ohm:g} Ohm, "
        f"load {conditions.load_ohm:g} Ohm, {conditions.temperature_c:g} C, corner {conditions.corner}",
        ", ".join(f"{name} {value:.6g}" for name, value in design.metrics.items()),
        ", ".join(f"{key} {value}" for key, value in design.provenance.items()),
    ]


def result_content(result: DesignResult) -> dict[str, Any]:
    """A run as plain data: specification, effort, and the metrics of every design."""
    return {
        "specification": result.spec.to_dict(),
        "simulated": result.simulated,
        "explored": result.explored,
        "failed": result.failed,
        "first_met": result.first_met,
        "objectives": list(result.objectives),
        "refined_from": result.refined_from,
        "hypervolume": result.hypervolume,
        "seconds": result.seconds,
        "designs": [
            {
                "met": design.met,
                "margin": design.margin if result.spec.constraints else None,
                "pareto": design.pareto,
                "metrics": dict(design.metrics),
                "fingerprint": fingerprint(design.circuit.topology),
                "provenance": design.provenance,
            }
            for design in result.designs
        ],
    }


@contextmanager
def written_folder(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder beside ``folder``; it takes its place once the block ends without an error.

    Raises:
        InvalidInputError: if the folder exists and may not be overwritten.
    """
    check_free(folder, overwrite=overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    tag = f"{os.getpid()}.{uuid.uuid4().hex[:8]}"
    temporary = folder.with_name(f".{folder.name}.{tag}.tmp")
    old = folder.with_name(f".{folder.name}.{tag}.old")
    temporary.mkdir()
    try:
        yield temporary
        if folder.exists():
            # A folder cannot be replaced in one step: the old one steps aside, and comes back if the new one cannot
            # move in.
            os.replace(folder, old)
            try:
                os.replace(temporary, folder)
            except OSError:
                os.replace(old, folder)
                raise
        else:
            os.replace(temporary, folder)
    except OSError as error:
        # A write that fails, unlike an open, does not say of which file.
        raise OSError(error.errno, error.strerror or str(error), str(folder)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that exists, before any work is done for it.

    Raises:
        InvalidInputError: naming the folder and the remedy.
    """
    if folder.exists() and not overwrite:
        raise InvalidInputError(f"{folder}: exists already; choose another with --output or overwrite it with --force")
    if folder.exists() and (not folder.is_dir() or not _is_result(folder)):
        raise InvalidInputError(f"{folder}: was not written by genrf generate, so --force does not replace it")


def _is_result(folder: Path) -> bool:
    return (folder / "result.json").is_file() or not any(folder.iterdir())
