"""Make smaller variants of the bundle and keep those that still design circuits."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def quantize(
    config: str, prepared: dsl.Input[dsl.Dataset], bundle: dsl.Input[dsl.Model], quantised: dsl.Output[dsl.Model]
):
    """Quantise the bundle to int8 and fp16, each gated on success@K.

    Args:
        config: JSON of the configuration's sections ``quantisation``, ``evaluation`` and ``tracking``.
        prepared: held-out specifications for the gate.
        bundle: the fp32 models.
        quantised: one folder a variant, and the report of the gate.
    """
    from pathlib import Path

    from training.export.quantize import quantize as quantise
    from training.running.step import step

    folders = [Path(prepared.path), Path(bundle.path)]
    with step("quantize", config, quantised.path, *folders) as current:
        current.finish(quantise(current.config, *folders, current.folder))
    quantised.metadata.update(current.numbers)
