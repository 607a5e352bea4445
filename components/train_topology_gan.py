"""Train the Cycle-GAN that proposes topologies."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def train_topology_gan(
    config: str,
    prepared: dsl.Input[dsl.Dataset],
    topology_gan: dsl.Output[dsl.Model],
    report: dsl.Output[dsl.HTML],
):
    """Train the Cycle-GAN between specifications and topologies.

    Args:
        config: JSON of the configuration's sections ``topology_gan`` and ``tracking``.
        prepared: splits and normalisation.
        topology_gan: weights, losses, and what is needed to go on after a kill while training is not done.
        report: loss curves.
    """
    from training.running.named import run_component

    run_component("train_topology_gan", config, topology_gan, prepared, report=report)
