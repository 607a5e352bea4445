"""Where tasks run: cores, GPUs, nodes, secrets, volumes, retries and timeouts, by role and profile.

======================  ==============================================================================
role                    task
======================  ==============================================================================
``light``               reads, writes, decides
``shard``               simulates one of many shards of the dataset, a process a core
``simulation``          simulates alone, a process a core
``training``            trains one network, on one GPU where there are any
======================  ==============================================================================

======================  ==============================================================================
profile                 cluster
======================  ==============================================================================
``gpu``                 nodes with a GPU, tainted ``nvidia.com/gpu``, and nodes with many cores, tainted
                        ``genrf.io/simulation``; both labelled ``genrf.io/role``
``cpu``                 any nodes of eight cores or more, none labelled or tainted
``single-node``         one small node: kind, k3s, minikube
======================  ==============================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from kfp import dsl, kubernetes

from genrf.cores import LIMIT
from genrf.errors import InvalidInputError

ROLE_LABEL = "genrf.io/role"
"""Node label that says what a node is for."""
TRACKING_SECRET = "genrf-tracking"
"""Secret with the MLflow server's address and credentials."""
STORAGE_SECRET = "genrf-storage"
"""Secret with the credentials of the object store that holds datasets."""
STORAGE_CONFIG = "genrf-storage"
"""Config map with the dataset remote's address."""
WORK_CLAIM = "genrf-work"
"""Volume claim for unfinished work, so that a retried step continues."""
WORK_PATH = "/work"
RETRIES = 2
BACKOFF_S = 60
BACKOFF_FACTOR = 2.0
WAITING_H = 24
"""Hours that the attempts of a task may wait for nodes in all."""


@dataclass(frozen=True)
class Role:
    """What a role asks of a node."""

    cpu: int
    memory: str
    hours: int
    """Hours after which an attempt is stopped."""
    nodes: str = ""
    """Value of the label that the role's nodes carry; without one any node will do."""
    toleration: str = ""
    """Key of the taint that they carry."""
    gpus: int = 0

    @property
    def longest_s(self) -> int:
        """Seconds from the start of the first attempt within which the last one may end.

        Argo counts the ``maxDuration`` of a backoff from there, not between attempts, and stops even a running attempt then.
        """
        backoff_s = sum(BACKOFF_S * BACKOFF_FACTOR**retry for retry in range(RETRIES))
        return (1 + RETRIES) * self.hours * 3600 + int(backoff_s) + WAITING_H * 3600


PROFILES: Mapping[str, Mapping[str, Role]] = {
    "gpu": {
        "light": Role(cpu=2, memory="8Gi", hours=1),
        "shard": Role(cpu=4, memory="8Gi", hours=6, nodes="simulation", toleration="genrf.io/simulation"),
        "simulation": Role(cpu=16, memory="32Gi", hours=6, nodes="simulation", toleration="genrf.io/simulation"),
        "training": Role(cpu=8, memory="32Gi", hours=12, nodes="training", toleration="nvidia.com/gpu", gpus=1),
    },
    "cpu": {
        "light": Role(cpu=1, memory="4Gi", hours=1),
        "shard": Role(cpu=2, memory="4Gi", hours=12),
        "simulation": Role(cpu=6, memory="16Gi", hours=12),
        "training": Role(cpu=6, memory="16Gi", hours=24),
    },
    "single-node": {
        "light": Role(cpu=1, memory="2Gi", hours=1),
        "shard": Role(cpu=1, memory="2Gi", hours=12),
        "simulation": Role(cpu=1, memory="3Gi", hours=12),
        "training": Role(cpu=1, memory="3Gi", hours=24),
    },
}
DEFAULT_PROFILE = "gpu"


@dataclass(frozen=True)
class Cluster:
    """A kind of cluster, to whose nodes tasks are sent."""

    profile: str = DEFAULT_PROFILE

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise InvalidInputError(f"--profile: expected one of {', '.join(PROFILES)}, got {self.profile!r}")

    def __call__(self, task: dsl.PipelineTask, role: str) -> dsl.PipelineTask:
        """Place a task on a node fit for its role, with what it needs to reach MLflow, datasets and its earlier work."""
        need = PROFILES[self.profile][role]
        task.set_cpu_request(str(need.cpu)).set_memory_request(need.memory).set_memory_limit(need.memory)
        task.set_retry(
            num_retries=RETRIES,
            backoff_duration=f"{BACKOFF_S}s",
            backoff_factor=BACKOFF_FACTOR,
            backoff_max_duration=f"{need.longest_s}s",
        )
        kubernetes.set_timeout(task, need.hours * 3600)
        if need.gpus:
            task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(need.gpus)
        if need.nodes:
            kubernetes.add_node_selector(task, ROLE_LABEL, need.nodes)
            kubernetes.add_toleration(task, key=need.toleration, operator="Exists", effect="NoSchedule")
        _environment(task)
        # A process sees all cores of its node: it is told how many are its own.
        task.set_env_variable(LIMIT, str(need.cpu)).set_env_variable("OMP_NUM_THREADS", str(need.cpu))
        kubernetes.mount_pvc(task, WORK_CLAIM, WORK_PATH)
        task.set_env_variable("GENRF_WORK", WORK_PATH)
        kubernetes.set_image_pull_policy(task, "IfNotPresent")
        return task


def _environment(task: dsl.PipelineTask) -> None:
    """Give a task what it needs to reach MLflow and the store of datasets.

    The store's names are those that only this project reads: with the usual ones KFP's launcher, which runs beside the task's own
    program, would send the pipeline's artifacts there.
    """
    from_secret = partial(kubernetes.use_secret_as_env, task, optional=True)
    from_secret(
        TRACKING_SECRET,
        {
            "uri": "MLFLOW_TRACKING_URI",
            "username": "MLFLOW_TRACKING_USERNAME",
            "password": "MLFLOW_TRACKING_PASSWORD",
        },
    )
    from_secret(STORAGE_SECRET, {"access_key": "GENRF_S3_ACCESS_KEY", "secret_key": "GENRF_S3_SECRET_KEY"})
    kubernetes.use_config_map_as_env(
        task,
        STORAGE_CONFIG,
        {"remote": "GENRF_DVC_REMOTE", "endpoint": "GENRF_S3_ENDPOINT", "feedback": "GENRF_FEEDBACK"},
        optional=True,
    )
    # All steps of one pipeline run find the same MLflow parent by the run's label.
    kubernetes.use_field_path_as_env(task, "GENRF_PIPELINE_RUN", "metadata.labels['pipeline/runid']")


def here(task: dsl.PipelineTask, role: str) -> dsl.PipelineTask:
    """Leave a task on this machine: the environment is the launcher's, and a failure is shown at once, not retried."""
    if role not in PROFILES[DEFAULT_PROFILE]:
        raise ValueError(f"unknown role {role!r}")
    return task
