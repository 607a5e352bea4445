"""What every step of a pipeline has around its one function: configuration, work that survives a kill, a run in MLflow.

A step works in a folder of its own below ``$GENRF_WORK``, named after everything that the step depends on. Killed and
started again it finds what it had written. Only when it is done does the folder become the step's output, whole.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genrf.errors import GenRFError
from genrf.files import write_json
from genrf.progress import ERROR, MESSAGES, tell
from training.config.schema import Config
from training.running.machine import commit, describe
from training.running.pipeline_run import LAUNCHER, PIPELINE_RUN, numbers
from training.running.tracking import DATASET_TAG, StepRun, step_run

WORK = "GENRF_WORK"
"""Environment variable: where unfinished steps keep their work; unset, they work in their output folder."""
LEAST_FREE_BYTES = 1_000_000
"""Free space on the disk below which that is taken for the cause of a failure."""
REPORT = "step.json"
"""What a step returned, how long it took, and with which recipe, code and machine, in its output folder."""
LINEAGE = "lineage.json"
"""Where the output comes from, beside it: the step's run in MLflow, the parameters of all steps that led to it, and DVC's
hash of the dataset where it was pulled."""


class Step:
    """A step in progress."""

    def __init__(self, name: str, config: Config, folder: Path, run: StepRun, spent: float) -> None:
        self.name = name
        self.config = config
        self.folder = folder
        """Where to write; may hold what an earlier attempt wrote."""
        self.run = run
        self.result: dict[str, Any] = {}
        self._spent = spent
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall time so far, earlier attempts included."""
        return self._spent + time.monotonic() - self._start

    def finish(self, result: Mapping[str, Any]) -> None:
        """Record what the step's function returned."""
        self.result = dict(result)
        self.run.log_result(self.result)

    @property
    def headline(self) -> dict[str, float]:
        """The figures among what the step's function returned, but for those of one class or method, named with a slash."""
        return {name: value for name, value in numbers(self.result).items() if "/" not in name}

    @property
    def data_version(self) -> str | None:
        """DVC's hash of the dataset, of a step that pulled it."""
        return self.result.get("data_hash") if self.result.get("pulled") else None


@contextlib.contextmanager
def step(name: str, config: str, output: str | Path, *inputs: str | Path, label: str = "") -> Iterator[Step]:
    """Run one step; on success its work folder becomes `output`.

    Args:
        name: the step, as it is called in MLflow and in the summary.
        config: JSON of the sections that the step uses, see `Config.select`.
        inputs: folders that the step reads.
        label: tells steps of the same name apart, such as the number of a shard.

    An error that the user can mend is one line and an exit code of its own.
    """
    full_name = f"{name}-{label}" if label else name
    with failing_in_one_line(Path(output)), _terminated_as_interrupt():
        parsed = Config.from_json(config)
        before = _inherited(inputs)
        folder = _work_folder(full_name, config, Path(output), inputs)
        folder.mkdir(parents=True, exist_ok=True)
        spent = _SpentTime(folder)
        with _alone_in(folder), step_run(parsed, full_name, before["parameters"]) as run:
            _record_dataset(run, inputs, before["data_version"], name)
            current = Step(full_name, parsed, folder, run, spent.seconds)
            try:
                yield current
            except BaseException:
                spent.save(current.seconds)
                raise
            _record_dataset(run, (folder,), before["data_version"], name)
            seconds = current.seconds
            run.log_metrics({"seconds": seconds})
            spent.forget()
            write_json(
                folder / REPORT,
                {
                    "step": full_name,
                    "seconds": seconds,
                    "recipe": parsed.recipe,
                    "commit": commit(),
                    "hardware": describe(),
                    "result": current.result,
                },
            )
            write_json(
                folder / LINEAGE,
                {
                    "run_id": run.run_id or None,
                    "parameters": before["parameters"] | parsed.flat(),
                    "data_version": current.data_version or before["data_version"],
                },
            )
        _move(folder, Path(output))


@contextlib.contextmanager
def failing_in_one_line(output: Path) -> Iterator[None]:
    """End the process for any error, with one line and an exit code; for one that is not the user's, after its traceback.

    Args:
        output: says which disk to look at where that may be full.
    """
    try:
        yield
    except GenRFError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("interrupted; run again to continue", 130)
    except Exception as error:
        if _disk_is_full(error, output):
            where = getattr(error, "filename", None) or output
            _fail(f"{where}: the disk is full; free some space and run again, it continues here", 1)
        traceback.print_exc()
        _fail(f"{type(error).__name__}: {error}", 1)


def read_report(output: str | Path) -> dict[str, Any]:
    """What `step` left in an output folder: step, seconds, recipe, commit, hardware, result."""
    return json.loads((Path(output) / REPORT).read_text(encoding="utf-8"))


def read_lineage(output: str | Path) -> dict[str, Any]:
    """Where a step's output comes from, see `LINEAGE`; nothing is known of a folder that no step made."""
    try:
        return json.loads((Path(output) / LINEAGE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"run_id": None, "parameters": {}, "data_version": None}


def _inherited(inputs: tuple[str | Path, ...]) -> dict[str, Any]:
    """Parameters and dataset version of all the steps that led to some folders."""
    lineages = [read_lineage(folder) for folder in inputs]
    parameters = {name: value for lineage in lineages for name, value in lineage["parameters"].items()}
    versions = (lineage["data_version"] for lineage in lineages)
    return {"parameters": parameters, "data_version": next(filter(None, versions), None)}


class _SpentTime:
    """Wall time of earlier attempts, kept in the work folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / ".seconds"
        try:
            self.seconds = float(self._path.read_text())
        except (OSError, ValueError):
            self.seconds = 0.0

    def save(self, seconds: float) -> None:
        with contextlib.suppress(OSError):
            self._path.write_text(f"{seconds:.3f}")

    def forget(self) -> None:
        self._path.unlink(missing_ok=True)


def _work_folder(name: str, config: str, output: Path, inputs: tuple[str | Path, ...]) -> Path:
    root = os.environ.get(WORK)
    if not root or not _can_write(Path(root)):
        return output
    # The run is part of it: two runs at once do not share work, while a retry or a run that is continued does.
    identity = [name, config, os.environ.get(PIPELINE_RUN, ""), *map(str, inputs)]
    return Path(root) / f"{name}-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12]}"


def _can_write(root: Path) -> bool:
    """Whether work can be kept there; Kubeflow gives a volume to no group that its pods are in."""
    with contextlib.suppress(OSError):
        root.mkdir(parents=True, exist_ok=True)
    if os.access(root, os.W_OK | os.X_OK):
        return True
    print(
        f"warning: {WORK}: {root} cannot be written by user {os.getuid()}; "
        "the step works in its output folder, and would start over if it were retried",
        file=sys.stderr,
        flush=True,
    )
    return False


def _move(folder: Path, output: Path) -> None:
    """Make `folder` the output: by renaming, or by a copy that is renamed where they are on different disks."""
    if folder == output:
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(folder, output)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        temporary = output.with_name(f".{output.name}.copying")
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(folder, temporary)
        os.replace(temporary, output)
        shutil.rmtree(folder)


def _record_dataset(run: StepRun, folders: tuple[str | Path, ...], version: str | None, context: str) -> None:
    """Record with the runs the dataset that a folder was made from."""
    for folder in folders:
        path = Path(folder) / "report.json"
        if path.is_file():
            report = json.loads(path.read_text(encoding="utf-8"))
            if report.get("dataset_sha256"):
                run.set_tags({DATASET_TAG: report["dataset_sha256"]}, parent=True)
                run.log_dataset(report, version, context)


@contextlib.contextmanager
def _terminated_as_interrupt() -> Iterator[None]:
    """A polite termination unwinds like Ctrl-C, so that the run ends as killed and simulators are stopped; a second one, which
    a launcher sends after the terminal's own, does not disturb that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    signals = (signal.SIGINT, signal.SIGTERM)

    def interrupt(number: int, frame: Any) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    previous = [signal.signal(each, interrupt) for each in signals]
    launcher = int(os.environ.get(LAUNCHER, "0"))
    if launcher:
        threading.Thread(target=_follow, args=(launcher,), daemon=True).start()
    try:
        yield
    finally:
        for each, handler in zip(signals, previous, strict=True):
            signal.signal(each, handler)


def _follow(launcher: int) -> None:
    """Terminate this process when the launcher is gone, so that nothing works on behind the back of its next run."""
    while True:
        try:
            os.kill(launcher, 0)
        except ProcessLookupError:
            os.kill(os.getpid(), signal.SIGTERM)
            return
        time.sleep(1.0)


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process of this machine works in the folder."""
    path = folder.with_name(f".{folder.name}.lock")
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _disk_is_full(error: Exception, output: Path) -> bool:
    """Whether that is why something failed. PyTorch and SQLite say so in ways of their own: the disk is asked too."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    folder = next(parent for parent in output.absolute().parents if parent.exists())
    return shutil.disk_usage(folder).free < LEAST_FREE_BYTES


def _fail(message: str, code: int) -> None:
    """Say why in one line, to whoever started this process or to people, and end with the exit code."""
    if os.environ.get(MESSAGES):
        tell(ERROR, {"code": code, "message": message})
    else:
        print(f"error: {message}", file=sys.stderr, flush=True)
    raise SystemExit(code)
