"""Make smaller variants of the bundle and keep those that still design circuits."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def quantize(
    config: str, prepared: dsl.Input[dsl.Dataset], bundle: dsl.Input[dsl.Model], quantized: dsl.Output[dsl.Model]
):
    """Quantize the bundle to int8 and fp16, each gated on success@K.

    Args:
        config: JSON of the configuration's sections ``quantization``, ``evaluation`` and ``tracking``.
        prepared: held-out specifications for the gate.
        bundle: the fp32 models.
        quantized: one folder a variant, and the report of the gate.
    """
    from training.running.named import run_component

    run_component("quantize", config, quantized, prepared, bundle)
