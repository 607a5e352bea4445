"""The pipeline on Kubeflow: versions, runs and schedules, by KFP's own client, with nothing made twice.

A version of the pipeline is named after the code's commit, the image and the profile. The same name always means the same
content.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from genrf.errors import GenRFError, InvalidInputError
from training.running.machine import commit
from training.running.store import without_password

if TYPE_CHECKING:
    import kfp
    from kfp_server_api import V2beta1RecurringRun, V2beta1Run

ENDPOINT = "KF_PIPELINES_ENDPOINT"
"""Environment variable of KFP's client: address of the API, such as ``http://localhost:8080/pipeline`` behind a port-forward."""
TOKEN = "GENRF_KUBEFLOW_TOKEN"
"""Environment variable: bearer token for the API, where it wants one."""
EXPERIMENT = "genrf"
ENDED = ("SUCCEEDED", "SKIPPED", "FAILED", "CANCELED")
CRON_FIELDS = 6
"""Seconds come first in Kubeflow's cron expressions."""
_CONTENT = re.compile(r"content sha256:([0-9a-f]{64})")
_POLL_S = 10.0
_LOST = 6
"""Times in a row that the API may not answer while a run is followed."""


@dataclass(frozen=True)
class Version:
    """A version of the pipeline on the cluster."""

    name: str
    pipeline_id: str
    version_id: str
    created: bool
    """Whether it was not there before."""


class Kubeflow:
    """Kubeflow Pipelines of one cluster.

    Args:
        host: address of the API; by default the environment's, else that of the pod or of the kubeconfig.
        namespace: of the runs; a Profile's where Kubeflow has several users.

    Raises:
        GenRFError: from every method, if the API does not answer or refuses.
    """

    def __init__(self, host: str | None = None, namespace: str | None = None) -> None:
        self.host = host or os.environ.get(ENDPOINT)
        self.namespace = namespace
        with _api(self.host), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            self._client = _client(self.host)

    def upload(self, profile: str, image: str, pipeline: str) -> Version:
        """Have a pipeline as this code compiles it on the cluster.

        Args:
            pipeline: its name.

        Raises:
            InvalidInputError: if its version's name is taken by other content, as of code that was not committed.
        """
        # The components take the image that is named when they are imported.
        from pipelines.compile import compile_for

        name = version_name(profile, image)
        with tempfile.TemporaryDirectory() as folder, _api(self.host), contextlib.redirect_stdout(io.StringIO()):
            path = compile_for(profile, Path(folder), pipeline)
            _check_image(path, image)
            content = content_hash(path)
            description = f"{pipeline} of commit {commit()}, profile {profile}, image {image}, content sha256:{content}"
            pipeline_id = self._pipeline_id(pipeline)
            if pipeline_id is None:
                pipeline_id = self._client.upload_pipeline(
                    str(path), pipeline, description=_description(path), namespace=self.namespace
                ).pipeline_id
            for known in _pages(self._client.list_pipeline_versions, "pipeline_versions", pipeline_id=pipeline_id):
                if known.display_name == name:
                    stored = _CONTENT.search(known.description or "")
                    if stored is None or stored[1] != content:
                        raise InvalidInputError(
                            f"pipeline version {name} is on the cluster with other content; "
                            "commit the changes and give the image a new tag, then submit again"
                        )
                    return Version(name, pipeline_id, known.pipeline_version_id, created=False)
            made = self._client.upload_pipeline_version(str(path), name, pipeline_id, description=description)
        return Version(name, pipeline_id, made.pipeline_version_id, created=True)

    def run(self, version: Version, title: str, parameters: Mapping[str, Any]) -> str:
        """Start a run; returns its id."""
        with _api(self.host), contextlib.redirect_stdout(io.StringIO()):
            return str(
                self._client.run_pipeline(
                    self._experiment(),
                    title,
                    params=dict(parameters),
                    pipeline_id=version.pipeline_id,
                    version_id=version.version_id,
                ).run_id
            )

    def schedule(self, version: Version, title: str, cron: str, parameters: Mapping[str, Any]) -> tuple[str, bool]:
        """Have one recurring run of this title, which never overlaps itself and makes up for no missed times.

        Returns:
            its id, and whether it had to be made.
        """
        cron = checked_cron(cron)
        with _api(self.host):
            earlier = self._recurring(title)
            for known in earlier:
                if _same(known, version, cron, parameters):
                    self._delete(other for other in earlier if other is not known)
                    return str(known.recurring_run_id), False
            made = self._client.create_recurring_run(
                self._experiment(),
                title,
                cron_expression=cron,
                max_concurrency=1,
                no_catchup=True,
                params=dict(parameters),
                pipeline_id=version.pipeline_id,
                version_id=version.version_id,
            )
            # The API cannot change a recurring run. The new one is made first, so that a failure leaves one that runs.
            self._delete(earlier)
        return str(made.recurring_run_id), True

    def unschedule(self, title: str) -> int:
        """Remove the recurring runs of this title; returns how many there were."""
        with _api(self.host):
            known = self._recurring(title)
            self._delete(known)
        return len(known)

    def runs(self, most: int) -> list[V2beta1Run]:
        """The latest runs of the experiment, newest first."""
        with _api(self.host):
            found = self._client.list_runs(
                page_size=most, sort_by="created_at desc", experiment_id=self._experiment(), namespace=self.namespace
            )
        return list(found.runs or [])

    def get(self, run_id: str) -> V2beta1Run:
        """A run with its tasks."""
        with _api(self.host):
            return self._client.get_run(run_id)

    def follow(self, run_id: str, poll_s: float = _POLL_S) -> Iterator[tuple[str, str]]:
        """Changes of state of a run's tasks until it ends, last that of the run itself under the name ``run``."""
        shown: dict[str, str] = {}
        lost = 0
        while True:
            try:
                run = self.get(run_id)
            except GenRFError:
                # An API server that restarts is no failed run.
                lost += 1
                if lost > _LOST:
                    raise
                time.sleep(poll_s)
                continue
            lost = 0
            for name, state in tasks(run):
                if shown.get(name) != state:
                    shown[name] = state
                    yield name, state
            if run.state in ENDED:
                yield "run", str(run.state)
                return
            time.sleep(poll_s)

    def url(self, run_id: str) -> str:
        """Where the user interface shows a run."""
        return f"{(self.host or '').rstrip('/')}/#/runs/details/{run_id}"

    def _pipeline_id(self, name: str) -> str | None:
        """A pipeline's id in this namespace; the client's own search by name knows of no namespaces."""
        known = _pages(self._client.list_pipelines, "pipelines", namespace=self.namespace)
        return next((str(each.pipeline_id) for each in known if each.display_name == name), None)

    def _experiment(self) -> str:
        with contextlib.redirect_stdout(io.StringIO()):
            return str(self._client.create_experiment(EXPERIMENT, namespace=self.namespace).experiment_id)

    def _recurring(self, title: str) -> list[V2beta1RecurringRun]:
        found = _pages(
            self._client.list_recurring_runs,
            "recurring_runs",
            experiment_id=self._experiment(),
            namespace=self.namespace,
        )
        return [each for each in found if each.display_name == title]

    def _delete(self, recurring: Any) -> None:
        for each in recurring:
            self._client.delete_recurring_run(each.recurring_run_id)


def version_name(profile: str, image: str) -> str:
    """Commit, image (its digest or tag, and a hash of its whole name) and profile: what decides a version's content."""
    _, at, digest = image.partition("@sha256:")
    which = digest[:12] if at else re.sub(r"[^A-Za-z0-9._-]", "-", image.rpartition("/")[2].rpartition(":")[2])
    name = hashlib.sha256(image.encode()).hexdigest()[:6]
    code = commit()
    return f"{code[:12]}{'-dirty' if code.endswith('-dirty') else ''}-{which}-{name}-{profile}"


def content_hash(path: Path) -> str:
    """SHA-256 of a compiled pipeline, whichever KFP wrote it."""
    documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    documents[0].pop("sdkVersion", None)
    return hashlib.sha256(yaml.safe_dump(documents, sort_keys=True).encode()).hexdigest()


def checked_cron(cron: str) -> str:
    """A cron expression as Kubeflow reads it.

    Raises:
        InvalidInputError: if it has not six fields.
    """
    fields = cron.split()
    if len(fields) == CRON_FIELDS - 1:
        raise InvalidInputError(f'--cron: Kubeflow\'s expressions begin with the seconds: "0 {" ".join(fields)}"')
    if len(fields) != CRON_FIELDS or not all(re.fullmatch(r"[0-9A-Za-z*/,?-]+", field) for field in fields):
        raise InvalidInputError(
            f"--cron: expected six fields (second minute hour day month weekday), such as "
            f'"0 0 2 * * *" for two o\'clock every night, got {cron!r}'
        )
    return " ".join(fields)


def tasks(run: V2beta1Run) -> list[tuple[str, str]]:
    """Names and states of a run's tasks, in the order in which they started; those that only hold others left out."""
    details = (run.run_details.task_details if run.run_details else None) or []
    own = [task for task in details if task.display_name and task.start_time and task.display_name != "root"]
    own = [task for task in own if not task.display_name.endswith("-driver")]
    return [(task.display_name, str(task.state)) for task in sorted(own, key=lambda task: task.start_time)]


def _check_image(path: Path, image: str) -> None:
    """See that the steps run in the image after which the version is named; the components take theirs when they are imported."""
    specification = next(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    executors = specification["deploymentSpec"]["executors"].values()
    others = {executor["container"]["image"] for executor in executors} - {image}
    if others:
        raise RuntimeError(f"the pipeline was compiled for {', '.join(sorted(others))} in place of {image}")


def _token() -> str | None:
    token = os.environ.get(TOKEN, "").strip()
    if not token.isascii() or any(character.isspace() for character in token):
        raise InvalidInputError(f"{TOKEN}: expected a token of one line of ASCII characters; it is not shown here")
    return token or None


def _client(host: str | None) -> kfp.Client:
    import kfp

    class Client(kfp.Client):
        """Asks once whether the API is well: KFP 2.17 asks five times, also where it is refused, and then says only that."""

        def get_kfp_healthz(self, sleep_duration: int = 0) -> Any:
            return self._healthz_api.healthz_service_get_healthz()

    return Client(host=host, existing_token=_token())


def _same(known: V2beta1RecurringRun, version: Version, cron: str, parameters: Mapping[str, Any]) -> bool:
    return bool(
        known.pipeline_version_reference
        and known.pipeline_version_reference.pipeline_version_id == version.version_id
        and known.trigger
        and known.trigger.cron_schedule
        and known.trigger.cron_schedule.cron == cron
        and dict((known.runtime_config and known.runtime_config.parameters) or {}) == dict(parameters)
        and known.mode == "ENABLE"
    )


def _description(path: Path) -> str:
    first = next(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    return str(first["pipelineInfo"].get("description", ""))


def _pages(listing: Any, field: str, **arguments: Any) -> Iterator[Any]:
    """All entries of a listing of the API."""
    token = ""
    while True:
        page = listing(page_token=token, page_size=100, **arguments)
        yield from getattr(page, field) or []
        token = page.next_page_token or ""
        if not token:
            return


@contextlib.contextmanager
def _api(host: str | None) -> Iterator[None]:
    """Errors of the API as one line each."""
    import kfp_server_api
    import urllib3

    where = without_password(host) if host else "Kubeflow Pipelines"
    try:
        yield
    except kfp_server_api.ApiException as error:
        if error.status in (401, 403):
            raise GenRFError(
                f"{where}: refused with status {error.status}; set {TOKEN} to a token that may use this namespace"
            ) from None
        message = re.search(r'"(?:error|message)":\s*"((?:[^"\\]|\\.)*)"', str(error.body or ""))
        said = message[1] if message else error.reason
        raise GenRFError(f"{where}: answered {error.status}: {said}") from None
    except (urllib3.exceptions.HTTPError, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise GenRFError(
            f"{where}: does not answer ({type(reason).__name__}); name the API with --host or {ENDPOINT}, "
            "and forward its port if it is inside the cluster"
        ) from None
