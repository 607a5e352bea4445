"""The steps of a night, each declared once as those of the training pipeline are, of which it takes export and quantization.

A night begins with `assess_need`. It ends there, or trains a challenger (`RETRAIN`), or goes on judging the one that is held
(`JUDGE`). Whatever happens, `REPORT` sums it up.
"""

from __future__ import annotations

from collections.abc import Mapping

from training.config.steps import STEPS, StepDefinition

_TRAINED = ("topology_gan", "sizing_diffusion", "surrogate")
_TITLES = {"topology_gan": "topology GAN", "sizing_diffusion": "sizing diffusion", "surrogate": "surrogate"}

ASSESS = StepDefinition(
    name="assess_need",
    title="Assess need",
    does="Hold what was asked for against what was trained on and promised, and decide what the night does",
    function="training.nights.assess:assess_need",
    sections=("data", "evaluation", "nights"),
    output="need",
    report="training.nights.pages:need",
    role="light",
    acts_outside=True,
)
RETRAIN: tuple[StepDefinition, ...] = (
    StepDefinition(
        name="grow_data",
        title="Grow data",
        does="Simulate where requests were missed, and make a new version of the dataset",
        function="training.nights.grow:grow_data",
        sections=("data", "preparation", "nights"),
        inputs=("need",),
        output="grown",
        report="training.nights.pages:grown",
        role="simulation",
    ),
    StepDefinition(
        name="prepare_grown",
        title="Prepare data",
        does="Split the rows and choose the held-out specifications, with the champion's normalisation",
        function="training.nights.retrain:prepare_grown",
        sections=("preparation",),
        inputs=("need", "grown"),
        output="prepared",
        role="light",
    ),
    *(
        StepDefinition(
            name=f"retrain_{name}",
            title=f"Retrain {_TITLES[name]}",
            does=f"Train the {_TITLES[name]} on from the champion's weights",
            function=f"training.nights.retrain:retrain_{name}",
            sections=(name,),
            inputs=("need", "prepared"),
            output=name,
            report="training.fitting.loss_report:report",
            role="training",
        )
        for name in _TRAINED
    ),
    STEPS["export_onnx"],
    STEPS["quantize"],
    StepDefinition(
        name="judge_challenger",
        title="Judge challenger",
        does="Let champion and challenger try held-out specifications and requests that neither was trained on, in SPICE",
        function="training.nights.judge:judge_challenger",
        sections=("nights", "evaluation"),
        inputs=("need", "prepared", "bundle"),
        output="comparison",
        report="training.nights.pages:comparison",
        role="simulation",
    ),
    StepDefinition(
        name="decide_promotion",
        title="Decide",
        does="Register the challenger, and promote, hold or reject it by a sequential test",
        function="training.nights.decide:decide_promotion",
        sections=None,
        inputs=("need", "grown", "bundle", "quantized", "comparison"),
        output="decision",
        report="training.nights.pages:decision",
        role="light",
        acts_outside=True,
    ),
)
JUDGE: tuple[StepDefinition, ...] = (
    StepDefinition(
        name="judge_held",
        title="Judge held challenger",
        does="Let champion and the challenger that is held try the requests since, in SPICE",
        function="training.nights.judge:judge_held",
        sections=("nights", "evaluation"),
        inputs=("need",),
        output="comparison",
        report="training.nights.pages:comparison",
        role="simulation",
    ),
    StepDefinition(
        name="decide_held",
        title="Decide about held challenger",
        does="Promote, hold or reject the challenger that is held",
        function="training.nights.decide:decide_held",
        sections=None,
        inputs=("need", "comparison"),
        output="decision",
        report="training.nights.pages:decision",
        role="light",
        acts_outside=True,
    ),
)
REPORT = StepDefinition(
    name="report_night",
    title="Report night",
    does="Sum up what was asked, missed, simulated and decided, or where the night ended",
    function="training.nights.report:report_night",
    sections=None,
    output="night",
    report="training.nights.report:page",
    role="light",
    acts_outside=True,
)
NIGHT_STEPS: Mapping[str, StepDefinition] = {step.name: step for step in (ASSESS, *RETRAIN, *JUDGE, REPORT)}
"""All steps of a night by name."""
