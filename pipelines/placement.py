"""Where tasks run: GPUs, nodes, secrets, volumes, retries and timeouts, by role. Nothing else here knows of nodes.

======================  ==============================================================================
role                    node
======================  ==============================================================================
``light``               any node: reads, writes, decides
``simulation``          many CPU cores, tainted ``genrf.io/simulation`` so that nothing else fills them
``training``            one GPU, tainted ``nvidia.com/gpu``
======================  ==============================================================================
"""

from __future__ import annotations

from dataclasses import dataclass

from kfp import dsl, kubernetes

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


@dataclass(frozen=True)
class Role:
    """What a role asks of a node."""

    cpu: str
    memory: str
    hours: int
    """Hours after which a task is stopped."""
    toleration: str = ""
    """Key of the taint that the role's nodes carry."""
    gpus: int = 0


ROLES = {
    "light": Role(cpu="2", memory="8Gi", hours=1),
    "simulation": Role(cpu="16", memory="32Gi", hours=6, toleration="genrf.io/simulation"),
    "training": Role(cpu="8", memory="32Gi", hours=12, toleration="nvidia.com/gpu", gpus=1),
}


def on_cluster(task: dsl.PipelineTask, role: str) -> dsl.PipelineTask:
    """Place a task on a node fit for its role, with what it needs to reach MLflow, datasets and its earlier work."""
    need = ROLES[role]
    task.set_cpu_request(need.cpu).set_memory_request(need.memory).set_memory_limit(need.memory)
    task.set_retry(num_retries=2, backoff_duration="60s", backoff_factor=2.0, backoff_max_duration="600s")
    kubernetes.set_timeout(task, need.hours * 3600)
    if need.gpus:
        task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(need.gpus)
    if need.toleration:
        kubernetes.add_node_selector(task, ROLE_LABEL, role)
        kubernetes.add_toleration(task, key=need.toleration, operator="Exists", effect="NoSchedule")
    kubernetes.use_secret_as_env(
        task,
        TRACKING_SECRET,
        {
            "uri": "MLFLOW_TRACKING_URI",
            "username": "MLFLOW_TRACKING_USERNAME",
            "password": "MLFLOW_TRACKING_PASSWORD",
        },
        optional=True,
    )
    kubernetes.use_secret_as_env(
        task,
        STORAGE_SECRET,
        {"access_key": "AWS_ACCESS_KEY_ID", "secret_key": "AWS_SECRET_ACCESS_KEY"},
        optional=True,
    )
    kubernetes.use_config_map_as_env(
        task, STORAGE_CONFIG, {"remote": "GENRF_DVC_REMOTE", "endpoint": "AWS_ENDPOINT_URL"}, optional=True
    )
    # All steps of one pipeline run find the same MLflow parent by the run's label.
    kubernetes.use_field_path_as_env(task, "GENRF_PIPELINE_RUN", "metadata.labels['pipeline/runid']")
    kubernetes.mount_pvc(task, WORK_CLAIM, WORK_PATH)
    task.set_env_variable("GENRF_WORK", WORK_PATH)
    kubernetes.set_image_pull_policy(task, "IfNotPresent")
    return task


def here(task: dsl.PipelineTask, role: str) -> dsl.PipelineTask:
    """Leave a task on this machine: the environment is the launcher's, and a failure is shown at once, not retried."""
    if role not in ROLES:
        raise ValueError(f"unknown role {role!r}")
    return task
