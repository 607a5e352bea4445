"""Strict checks of manifests: a field that their kind does not have is refused, as is a value of another type.

Kubernetes' own kinds are checked against its published schemas (kubernetes-validate). For the others there are the models
that their projects publish for Python: KServe's in `kserve`, the trainer's in `kubeflow-trainer-api`. Kubeflow publishes none
of a Profile and of a pipeline as a resource; their few fields are written down here, after the projects' resource
definitions of August 2026 (kubeflow/dashboard, kubeflow/pipelines).
"""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import kubernetes.client
import kubernetes_validate
from kserve import models as kserve_models
from kubeflow_trainer_api.models.trainer_v1alpha1_train_job import TrainerV1alpha1TrainJob

from tests.k8s.manifests import Manifest

VERSIONS = ("1.25", "1.34", "1.37")
"""Versions of Kubernetes whose schemas are asked: the oldest and the newest that there are, and a usual one."""

_TEXT = {"type": "string"}
_TAGS = {"type": "object", "additionalProperties": _TEXT}


def _fields(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


_SPECIFICATIONS = {
    ("kubeflow.org/v1", "Profile"): _fields(
        owner=_fields(("kind", "name"), apiGroup=_TEXT, kind=_TEXT, name=_TEXT, namespace=_TEXT),
        plugins={"type": "array"},
        resourceQuotaSpec={"type": "object"},
    ),
    ("pipelines.kubeflow.org/v2beta1", "Pipeline"): _fields(description=_TEXT, displayName=_TEXT, tags=_TAGS),
    ("pipelines.kubeflow.org/v2beta1", "PipelineVersion"): _fields(
        ("pipelineSpec",),
        codeSourceURL=_TEXT,
        description=_TEXT,
        displayName=_TEXT,
        pipelineName=_TEXT,
        pipelineSpec={"type": "object"},
        pipelineSpecURI=_TEXT,
        platformSpec={"type": "object"},
        tags=_TAGS,
        versionName={"type": "string", "maxLength": 253, "pattern": r"^[a-z0-9]([a-z0-9.\-]*[a-z0-9])?$"},
    ),
}
_KSERVE = {
    ("serving.kserve.io/v1beta1", "InferenceService"): "V1beta1InferenceService",
    ("serving.kserve.io/v1alpha1", "ServingRuntime"): "V1alpha1ServingRuntime",
}
_PLAIN: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "float": (int, float),
    "ResourceQuantity": (str, int),
    "object": (object,),
}


def check(manifest: Manifest, version: str) -> None:
    """Refuse what is not of the manifest's kind.

    Args:
        version: of Kubernetes, for its own kinds.

    Raises:
        ValueError: for a field or value that is not in order, or a kind that nothing is known of.
    """
    kind = (manifest["apiVersion"], manifest["kind"])
    if kind in _KSERVE:
        _check_model(manifest, _KSERVE[kind], manifest["kind"])
    elif kind == ("trainer.kubeflow.org/v1alpha1", "TrainJob"):
        understood = TrainerV1alpha1TrainJob.from_dict(manifest)
        assert understood is not None
        _check_same(manifest, understood.to_dict(), "TrainJob")
    elif kind in _SPECIFICATIONS:
        try:
            jsonschema.validate(manifest["spec"], _SPECIFICATIONS[kind])
        except jsonschema.ValidationError as error:
            raise ValueError(f"{manifest['kind']}: {error.json_path}: {error.message}") from error
    else:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
            raise ValueError(f"{manifest['kind']} {manifest['metadata']['name']}: {error!r}") from error


def _check_model(value: Any, name: str, where: str) -> None:
    """Compare a value with one of the models that a client of Kubernetes' form has."""
    if match := re.fullmatch(r"list\[(.+)\]", name):
        _expect(value, (list,), where)
        for index, item in enumerate(value):
            _check_model(item, match[1], f"{where}[{index}]")
    elif match := re.fullmatch(r"dict\(str, (.+)\)", name):
        _expect(value, (dict,), where)
        for key, item in value.items():
            _check_model(item, match[1], f"{where}.{key}")
    elif name in _PLAIN:
        _expect(value, _PLAIN[name], where)
    else:
        model = getattr(kserve_models, name, None) or getattr(kubernetes.client, name, None)
        if model is None:
            raise ValueError(f"{where}: neither kserve nor kubernetes has a model {name}")
        _expect(value, (dict,), where)
        attributes = {written: attribute for attribute, written in model.attribute_map.items()}
        for key, item in value.items():
            if key not in attributes:
                raise ValueError(f"{where}.{key}: no such field in {name}")
            _check_model(item, model.openapi_types[attributes[key]], f"{where}.{key}")
        # The model itself refuses required fields that are missing.
        model(**{attributes[key]: item for key, item in value.items()})


def _expect(value: Any, types: tuple[type, ...], where: str) -> None:
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types and object not in types):
        raise ValueError(f"{where}: {value!r} is not {' or '.join(each.__name__ for each in types)}")


def _check_same(given: Any, understood: Any, where: str) -> None:
    """Find what a model left out of what it was given."""
    if isinstance(given, dict) and isinstance(understood, dict):
        for key, item in given.items():
            if key not in understood:
                raise ValueError(f"{where}.{key}: no such field")
            _check_same(item, understood[key], f"{where}.{key}")
    elif isinstance(given, list) and isinstance(understood, list) and len(given) == len(understood):
        for index, (item, other) in enumerate(zip(given, understood, strict=True)):
            _check_same(item, other, f"{where}[{index}]")
    elif given != understood:
        raise ValueError(f"{where}: {given!r} is understood as {understood!r}")
