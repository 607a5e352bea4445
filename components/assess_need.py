"""Decide what the night does."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def assess_need(
    config: str,
    need: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
) -> str:
    """Decide what the night does.

    Args:
        config: JSON of the configuration's sections that the step uses.
        need: ``need.json`` and the bundles of champion and held challenger.
        report: the same on one page.

    Returns:
        What the night does: ``nothing``, ``retrain`` or ``judge``.
    """
    from training.running.named import run_component

    return str(run_component("assess_need", config, need, report=report)["action"])
