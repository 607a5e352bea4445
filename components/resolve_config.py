"""Read the recipe and hand every step the part of the configuration that it depends on."""

from typing import NamedTuple

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def resolve_config(recipe: str, overrides: str, data_hash: str) -> NamedTuple(  # type: ignore[valid-type]
    "StepConfigs",
    [
        ("simulate_shard", str),
        ("prepare_data", str),
        ("train_topology_gan", str),
        ("train_sizing_diffusion", str),
        ("train_surrogate", str),
        ("evaluate_generator", str),
        ("export_onnx", str),
        ("quantize", str),
        ("promote_model", str),
        ("summarize", str),
        ("data_hash", str),
    ],
):
    """Read ``params.yaml`` in the working folder: the repository, or the image's copy of it.

    A step that is given only what it uses runs again only when that has changed.

    Args:
        recipe: name of the recipe, such as ``smoke``.
        overrides: JSON of values to lay over the recipe, keys such as ``data.rounds``.
        data_hash: DVC's hash of a dataset, ``recorded`` for that of ``data.dvc`` beside the recipe, or empty for none.
    """
    from collections import namedtuple

    from training.data.resolving import resolve

    configs = resolve(recipe, overrides, data_hash)
    return namedtuple("StepConfigs", configs)(**configs)
