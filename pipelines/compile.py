"""The pipeline as files for a cluster and for DVC, kept in the repository so that a change of the DAG is seen in review."""

from __future__ import annotations

from pathlib import Path

from kfp import compiler
from kfp.compiler.compiler_utils import KubernetesManifestOptions

from genrf.errors import InvalidInputError
from pipelines.nightly import NAME as NIGHT
from pipelines.nightly import nightly_pipeline
from pipelines.picture import draw
from pipelines.placement import DEFAULT_PROFILE, Cluster
from pipelines.stages import FILE, ROOT, write_stages
from pipelines.train import NAME, training_pipeline

FOLDER = Path(__file__).parent / "compiled"
PIPELINE = "train.yaml"
"""Pipeline specification with its platform specification: upload it, or submit it with the KFP client."""
MANIFEST = "train.kubernetes.yaml"
"""The same as Pipeline and PipelineVersion resources, for ``kubectl apply``."""
NIGHT_PIPELINE, NIGHT_MANIFEST = "nightly.yaml", "nightly.kubernetes.yaml"
"""The same of the pipeline of a night."""
_BUILD = {NAME: (training_pipeline, PIPELINE, MANIFEST), NIGHT: (nightly_pipeline, NIGHT_PIPELINE, NIGHT_MANIFEST)}
PICTURE = Path(__file__).parents[1] / "docs" / "pipeline.svg"
"""The DAG as the README shows it."""
NAMESPACE = "kubeflow"
"""Where Kubeflow Pipelines keeps pipelines in its standalone form; a profile has its own."""


def compile_for(profile: str, folder: Path, name: str = NAME) -> Path:
    """Write a pipeline for one kind of cluster, and return its path.

    Args:
        name: `pipelines.train.NAME` or `pipelines.nightly.NAME`.

    Raises:
        InvalidInputError: for an unknown profile, or where the folder cannot be written.
    """
    build, file, _ = _BUILD[name]
    pipeline = build(Cluster(profile))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(f"--output: {folder}: cannot be written ({error.strerror})") from error
    compiler.Compiler().compile(pipeline, str(folder / file))
    return folder / file


def compile_pipeline(folder: Path = FOLDER, profile: str = DEFAULT_PROFILE) -> list[Path]:
    """Write both files of both pipelines and the picture of the training pipeline, for the repository the DVC stages as well, and
    return their paths.

    Raises:
        InvalidInputError: as `compile_for`.
    """
    picture = PICTURE if folder == FOLDER else folder / PICTURE.name
    written = []
    for name, (build, _, manifest) in _BUILD.items():
        written += [compile_for(profile, folder, name), folder / manifest]
        compiler.Compiler().compile(
            build(Cluster(profile)),
            str(folder / manifest),
            kubernetes_manifest_format=True,
            kubernetes_manifest_options=KubernetesManifestOptions(
                pipeline_name=name,
                pipeline_version_name=f"{name}-v1",
                namespace=NAMESPACE,
                include_pipeline_manifest=True,
            ),
        )
    draw(folder / PIPELINE, picture)
    # The stages are the repository's own.
    stages = [write_stages(ROOT / FILE)] if folder == FOLDER else []
    return [*written, picture, *stages]
