"""Run the pipeline on this machine: the same DAG, each step a process of this environment, finished steps reused.

Killed in the middle and started again, a run continues: steps that were done come from the cache, and a step that was
half done finds its own work. Everything is below ``runs/``:

===================  =========================================================
``runs/latest/``     summary and results of the last run that was completed
``runs/pipeline/``   outputs of all steps of all runs
``runs/cache/``      which outputs belong to which inputs, and the hashes of their files
``runs/work/``       unfinished work
``runs/logs/``       everything that steps printed
===================  =========================================================
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
import signal
import sys
import time
import uuid
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from rich.console import Console

from genrf.cores import cores
from genrf.errors import GenRFError, InvalidInputError
from genrf.files import replace_folder, write_json
from genrf.progress import MESSAGES
from pipelines.at_once import AT_ONCE, independent_tasks_at_once
from pipelines.names import NIGHTLY, TRAIN
from pipelines.terminal import Terminal
from training.config.loading import DEFAULT_PATH, load_config
from training.config.schema import Config
from training.release.summary import SUMMARY, tables
from training.running.environment import variables
from training.running.machine import code_identity
from training.running.page import FILE
from training.running.pipeline_run import LAUNCHER, PIPELINE_RUN
from training.running.step import WORK
from training.running.store import store_uri, without_password

RUNS = Path("runs")


class StepFailedError(GenRFError):
    """A step of the pipeline failed."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code


def run(recipe: str, overrides: Mapping[str, Any] | None = None, console: Console | None = None) -> dict[str, Any]:
    """Run the training pipeline and return its summary, which is also in ``runs/latest/summary.json``.

    Raises:
        InvalidInputError: if the configuration is wrong; nothing has run then.
        StepFailedError: if a step failed, with the step's own message and exit code.
    """
    # Standard output is taken over while steps run: the console keeps the real one.
    console = console or Console(file=sys.stdout)
    config = load_config(DEFAULT_PATH, recipe, overrides)
    with _running(TRAIN, recipe, overrides, config, console) as (outputs, done):
        summary = _publish(outputs)
    console.print(f"{done} Summary: {RUNS / 'latest' / SUMMARY}", highlight=False)
    if recorded := summary.get("mlflow"):
        uri = store_uri(config)
        where = "make ui shows it" if uri == config.tracking.tracking_uri else f"at {without_password(uri)}"
        console.print(f"In MLflow: {recorded['name']} ({recorded['run_id']}), {where}", highlight=False)
    for table in tables(summary):
        console.print(table)
    return summary


def run_night(
    recipe: str, overrides: Mapping[str, Any] | None = None, console: Console | None = None
) -> dict[str, Any]:
    """Run a night and return what came of it, which is also in ``runs/night/night.json``.

    Raises:
        InvalidInputError: if the configuration is wrong; nothing has run then.
        StepFailedError: if a step failed, with the step's own message and exit code; the page says so as well.
    """
    console = console or Console(file=sys.stdout)
    config = load_config(DEFAULT_PATH, recipe, overrides)
    begun = time.time()
    try:
        with _running(NIGHTLY, recipe, overrides, config, console) as (_, done):
            night = _publish_night(begun)
    except StepFailedError:
        _publish_night(begun)
        raise
    console.print(f"{night['outcome']}: {night['reason']}", highlight=False, soft_wrap=True)
    console.print(f"{done} Report: {RUNS / 'night' / FILE}", highlight=False)
    return night


@contextlib.contextmanager
def _running(
    pipeline: str, recipe: str, overrides: Mapping[str, Any] | None, config: Config, console: Console
) -> Iterator[tuple[dict[str, Any], str]]:
    """Run a pipeline; gives its output artifacts and a line on how it went. What is done with them is part of the run."""
    start = time.monotonic()
    arguments = {"recipe": recipe, "overrides": json.dumps(dict(overrides or {}), sort_keys=True)}
    with _only_run():
        code = code_identity()
        identity = _Identity(config, {**arguments, "pipeline": pipeline}, code, anew=pipeline == NIGHTLY)
        log = RUNS / "logs" / f"{time.strftime('%Y%m%d-%H%M%S')}.log"
        with _environment(code, identity.run), Terminal(log, console) as terminal, _stopping_steps():
            outputs = _execute(pipeline, arguments, terminal)
        reused = f", {len(terminal.cached)} steps reused" if terminal.cached else ""
        yield outputs, f"Done in {time.monotonic() - start:.0f} s{reused}."
        identity.done()


def _execute(name: str, arguments: Mapping[str, str], terminal: Terminal) -> dict[str, Any]:
    """Run the DAG with KFP's local runner; returns its output artifacts."""
    # The image's tag is read when the components are imported: only now does it stand for this code.
    from kfp import local
    from kfp.local import cache

    from pipelines.nightly import nightly_pipeline
    from pipelines.placement import here
    from pipelines.reuse import CheckedCache
    from pipelines.train import training_pipeline

    build = nightly_pipeline if name == NIGHTLY else training_pipeline
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(RUNS / "pipeline"), enable_caching=True)
    finished = CheckedCache(RUNS, RUNS / "cache", terminal.note)
    handler = logging.StreamHandler(terminal)
    root = logging.getLogger()
    root.addHandler(handler)
    previous = root.level
    root.setLevel(logging.INFO)
    try:
        with contextlib.redirect_stdout(terminal), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pipeline = build(here)
            with (
                mock.patch.object(cache, "get_local_cache", return_value=finished),
                independent_tasks_at_once(_training_tasks(pipeline.pipeline_spec)),
            ):
                return dict(pipeline(**arguments).outputs)
    except KeyboardInterrupt:
        then = "the next night begins anew" if name == NIGHTLY else "run again to continue"
        raise StepFailedError(f"interrupted; {then}", 130) from None
    except RuntimeError as error:
        failure = terminal.failure
        if failure is None:
            raise StepFailedError(f"{error} (log: {terminal.log})", 1) from error
        raise StepFailedError(f"{failure.task}: {failure.message} (log: {terminal.log})", failure.code) from None
    finally:
        root.setLevel(previous)
        root.removeHandler(handler)


def _training_tasks(specification: Any) -> Mapping[str, Any]:
    """The tasks of the DAG, or of the branch of it, that trains."""
    dags = [specification.root.dag, *(component.dag for component in specification.components.values())]
    return next(dag.tasks for dag in dags if any(name.endswith("train-surrogate") for name in dag.tasks))


def _publish_night(begun: float) -> dict[str, Any]:
    """Copy the report of the night that has begun last into ``runs/night/``."""
    folders = [path for path in (RUNS / "pipeline").glob(f"{NIGHTLY}-*/**/report-night/night") if path.is_dir()]
    newest = max(folders, key=lambda path: path.stat().st_mtime, default=None)
    if newest is None or newest.stat().st_mtime < begun:
        return {"outcome": "failed", "reason": "the night ended without a report"}
    replaced = RUNS / ".night"
    shutil.rmtree(replaced, ignore_errors=True)
    shutil.copytree(newest, replaced)
    replace_folder(replaced, RUNS / "night")
    night: dict[str, Any] = json.loads((RUNS / "night" / "night.json").read_text(encoding="utf-8"))
    return night


def _publish(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Make ``runs/latest/`` lead to the results of this run, and check that they are all there."""
    from pipelines.train import RESULTS

    folders = {name: Path(outputs[name].path) for name in RESULTS}
    missing = [name for name, folder in folders.items() if not folder.is_dir() or not any(folder.iterdir())]
    if missing:
        raise StepFailedError(f"the pipeline ended without writing {', '.join(missing)}", 1)
    latest = RUNS / "latest"
    new = RUNS / ".latest"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    for name, folder in folders.items():
        if name != "summary":
            (new / name).symlink_to(os.path.relpath(folder.resolve(), latest.resolve()), target_is_directory=True)
    for path in folders["summary"].glob("summary.*"):
        shutil.copyfile(path, new / path.name)
    old = RUNS / ".latest.old"
    shutil.rmtree(old, ignore_errors=True)
    if latest.exists():
        os.replace(latest, old)
    os.replace(new, latest)
    shutil.rmtree(old, ignore_errors=True)
    summary: dict[str, Any] = json.loads((latest / SUMMARY).read_text(encoding="utf-8"))
    return summary


class _Identity:
    """The run's identity in MLflow: a run that did not complete is continued under its old one.

    Args:
        anew: whether it is not, since it asks what is so now, as a night does.
    """

    def __init__(self, config: Config, arguments: Mapping[str, str], code: str, *, anew: bool) -> None:
        self._path = RUNS / "unfinished.json"
        content = json.dumps([config.to_dict(), dict(arguments), code], sort_keys=True)
        self._key = hashlib.sha256(content.encode()).hexdigest()[:16]
        known = self._read()
        if anew:
            known.pop(self._key, None)
        self.run = known.setdefault(self._key, uuid.uuid4().hex)
        write_json(self._path, known)

    def done(self) -> None:
        """The run is complete: the next one is a new one."""
        known = self._read()
        known.pop(self._key, None)
        write_json(self._path, known)
        shutil.rmtree(RUNS / "work", ignore_errors=True)

    def _read(self) -> dict[str, str]:
        try:
            return dict(json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}


@contextlib.contextmanager
def _only_run() -> Iterator[None]:
    """Refuse to run beside another run in the same folder."""
    RUNS.mkdir(exist_ok=True)
    with (RUNS / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInputError(f"{RUNS}: another run is in progress here; wait for it or stop it first") from None
        yield


@contextlib.contextmanager
def _environment(code: str, identity: str) -> Iterator[None]:
    """What steps find in their environment."""
    values = {
        "GENRF_IMAGE": f"genrf/pipeline-python:{code}",
        PIPELINE_RUN: identity,
        LAUNCHER: str(os.getpid()),
        WORK: str((RUNS / "work").resolve()),
        "PYTHONUNBUFFERED": "1",
        MESSAGES: "1",
        # Threads that wait for each other on cores that another step uses make training many times slower.
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(max(1, cores() // AT_ONCE)),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # A step's own folder must not shadow the project: it is found through the environment's installation.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])),
    }
    if "components.image" in sys.modules:
        raise RuntimeError("components were imported before the launcher could name their image")
    with variables(values):
        yield


@contextlib.contextmanager
def _stopping_steps() -> Iterator[None]:
    """Ctrl-C and a polite termination are passed on to the steps, whose threads know nothing of them."""

    # Within the handler a second signal could find it imported by half.
    import psutil

    def stop(number: int, frame: Any) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        raise KeyboardInterrupt

    signals = (signal.SIGINT, signal.SIGTERM)
    previous = [signal.signal(each, stop) for each in signals]
    try:
        yield
    finally:
        for each, handler in zip(signals, previous, strict=True):
            signal.signal(each, handler)
