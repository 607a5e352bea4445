"""Let champion and challenger try the same specifications, in SPICE."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def judge_challenger(
    config: str,
    need: dsl.Input[dsl.Artifact],
    prepared: dsl.Input[dsl.Dataset],
    bundle: dsl.Input[dsl.Model],
    comparison: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
):
    """Let champion and challenger try the same specifications, in SPICE.

    Args:
        config: JSON of the configuration's sections that the step uses.
        need: what the night decided to do, with the champion's bundle.
        prepared: the held-out specifications.
        bundle: the challenger.
        comparison: ``comparison.json``: how both did on each.
        report: the same on one page.
    """
    from training.running.named import run_component

    run_component("judge_challenger", config, comparison, need, prepared, bundle, report=report)
