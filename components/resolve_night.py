"""Read the recipe and hand every step of a night the part of the configuration that it depends on."""

from typing import NamedTuple

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def resolve_night(recipe: str, overrides: str) -> NamedTuple(  # type: ignore[valid-type]
    "NightConfigs",
    [
        ("assess_need", str),
        ("grow_data", str),
        ("prepare_grown", str),
        ("retrain_topology_gan", str),
        ("retrain_sizing_diffusion", str),
        ("retrain_surrogate", str),
        ("export_onnx", str),
        ("quantize", str),
        ("judge_challenger", str),
        ("decide_promotion", str),
        ("judge_held", str),
        ("decide_held", str),
    ],
):
    """Read ``params.yaml`` in the working folder: the repository, or the image's copy of it.

    Args:
        recipe: name of the recipe, such as ``nightly``.
        overrides: JSON of values to lay over the recipe, keys such as ``nights.rounds``.
    """
    from collections import namedtuple

    from training.nights.resolving import resolve

    configs = resolve(recipe, overrides)
    return namedtuple("NightConfigs", configs)(**configs)
