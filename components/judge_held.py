"""Let champion and the challenger that is held try the requests since, in SPICE."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def judge_held(
    config: str,
    need: dsl.Input[dsl.Artifact],
    comparison: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
):
    """Let champion and the challenger that is held try the requests since, in SPICE.

    Args:
        config: JSON of the configuration's sections that the step uses.
        need: what the night decided to do, with the champion's bundle.
        comparison: ``comparison.json``: how both did on each.
        report: the same on one page.
    """
    from training.running.named import run_component

    run_component("judge_held", config, comparison, need, report=report)
