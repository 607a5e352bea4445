"""Sum the run up in one file and one table."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def summarize(
    config: str,
    rows: dsl.Input[list[dsl.Dataset]],
    prepared: dsl.Input[dsl.Dataset],
    topology_gan: dsl.Input[dsl.Model],
    sizing_diffusion: dsl.Input[dsl.Model],
    surrogate: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Metrics],
    bundle: dsl.Input[dsl.Model],
    quantized: dsl.Input[dsl.Model],
    promotion: dsl.Input[dsl.Artifact],
    summary: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
):
    """Collect what every step reported.

    Args:
        config: JSON of the configuration.
        rows: folders of simulated rows.
        prepared: what `prepare_data` made.
        topology_gan: what `train_topology_gan` made.
        sizing_diffusion: what `train_sizing_diffusion` made.
        surrogate: what `train_surrogate` made.
        evaluation: what `evaluate_generator` made.
        bundle: what `export_onnx` made.
        quantized: what `quantize` made.
        promotion: what `promote_model` made.
        summary: ``summary.json``.
        report: everything on one page.
    """
    from training.running.named import run_component

    run_component(
        "summarize",
        config,
        summary,
        rows,
        prepared,
        topology_gan,
        sizing_diffusion,
        surrogate,
        evaluation,
        bundle,
        quantized,
        promotion,
        report=report,
    )
