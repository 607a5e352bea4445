"""Register the challenger, and promote, hold or reject it."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def decide_promotion(
    config: str,
    need: dsl.Input[dsl.Artifact],
    grown: dsl.Input[dsl.Dataset],
    bundle: dsl.Input[dsl.Model],
    quantized: dsl.Input[dsl.Model],
    comparison: dsl.Input[dsl.Metrics],
    decision: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
):
    """Register the challenger, and promote, hold or reject it.

    Args:
        config: JSON of the configuration's sections that the step uses.
        need: what the night decided to do, with the champion's bundle.
        grown: what it was trained on.
        bundle: the fp32 models.
        quantized: their smaller variants.
        comparison: how it did beside the champion.
        decision: ``decision.json``: the verdict, its reason and all counts.
        report: the same on one page.
    """
    from training.running.named import run_component

    run_component("decide_promotion", config, decision, need, grown, bundle, quantized, comparison, report=report)
