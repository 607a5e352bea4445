"""Promote, hold or reject the challenger that is held."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def decide_held(
    config: str,
    need: dsl.Input[dsl.Artifact],
    comparison: dsl.Input[dsl.Metrics],
    decision: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
):
    """Promote, hold or reject the challenger that is held.

    Args:
        config: JSON of the configuration's sections that the step uses.
        need: what the night decided to do, with the champion's bundle.
        comparison: how it did beside the champion.
        decision: ``decision.json``: the verdict, its reason and all counts.
        report: the same on one page.
    """
    from training.running.named import run_component

    run_component("decide_held", config, decision, need, comparison, report=report)
