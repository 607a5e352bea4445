"""Sum up what was asked, missed, simulated and decided, or where the night ended."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def report_night(
    recipe: str,
    overrides: str,
    night: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
):
    """Runs last, whatever happened: what the steps recorded in MLflow becomes one page.

    Args:
        recipe: name of the recipe.
        overrides: JSON of values to lay over the recipe.
        night: ``night.json``.
        report: the same on one page.
    """
    from training.nights.resolving import report_config
    from training.running.named import run_component

    run_component("report_night", report_config(recipe, overrides), night, report=report)
