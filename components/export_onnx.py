"""Export the models to ONNX, as the bundle that is served."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def export_onnx(
    config: str,
    prepared: dsl.Input[dsl.Dataset],
    topology_gan: dsl.Input[dsl.Model],
    sizing_diffusion: dsl.Input[dsl.Model],
    surrogate: dsl.Input[dsl.Model],
    bundle: dsl.Output[dsl.Model],
):
    """Export every model that serving needs, each checked against PyTorch.

    Args:
        config: JSON of the configuration's sections ``export`` and ``tracking``.
        bundle: models, normalisation, and a manifest with the hash of each file.
    """
    from pathlib import Path

    from training.export.export_onnx import export_onnx as export
    from training.running.step import step

    folders = [Path(artifact.path) for artifact in (prepared, topology_gan, sizing_diffusion, surrogate)]
    with step("export_onnx", config, bundle.path, *folders) as current:
        current.finish(export(current.config, *folders, current.folder))
    bundle.metadata.update(current.numbers)
