"""Register the bundle as challenger, and as champion if it designs better than the one that is."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def promote_model(
    config: str,
    prepared: dsl.Input[dsl.Dataset],
    bundle: dsl.Input[dsl.Model],
    quantized: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Metrics],
    promotion: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
):
    """Compare with the champion on the same held-out specifications.

    Args:
        config: JSON of the configuration.
        prepared: the held-out specifications, on which a champion of other data is judged again.
        bundle: the fp32 models.
        quantized: its smaller variants.
        evaluation: how the bundle did.
        promotion: the decision, its reason, and the figures of both; whether a new version was registered.
        report: the decision and its figures.
    """
    from training.running.named import run_component

    run_component("promote_model", config, promotion, prepared, bundle, quantized, evaluation, report=report)
