"""Simulate where requests were missed, as a new version of the dataset."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def grow_data(
    config: str,
    need: dsl.Input[dsl.Artifact],
    grown: dsl.Output[dsl.Dataset],
    report: dsl.Output[dsl.HTML],
):
    """Simulate where requests were missed, as a new version of the dataset.

    Args:
        config: JSON of the configuration's sections that the step uses.
        need: what the night decided to do, with the champion's bundle.
        grown: the dataset, with its parent's rows and the new ones.
        report: the same on one page.
    """
    from training.running.named import run_component

    run_component("grow_data", config, grown, need, report=report)
