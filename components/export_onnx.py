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
        prepared: normalisation, precedents, and circuits to compare on.
        topology_gan: proposes topologies.
        sizing_diffusion: draws component values.
        surrogate: ranks candidates.
        bundle: models, normalisation, and a manifest with the hash of each file.
    """
    from training.running.named import run_component

    run_component("export_onnx", config, bundle, prepared, topology_gan, sizing_diffusion, surrogate)
