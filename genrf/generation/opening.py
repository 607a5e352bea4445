"""A designer from a bundle's folder: what the command line and the server both start from."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from genrf.generation.backend import OnnxBackend
from genrf.generation.bundle import Bundle
from genrf.generation.designer import Designer
from genrf.generation.precedents import precedents_in


def open_designer(
    folder: Path,
    *,
    workers: int | None = None,
    threads: int | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    seed: int = 0,
) -> Designer:
    """Verify a bundle, load its models, and make a designer of them; enter it to start its simulators.

    Args:
        workers: simulator processes; by default one a core.
        threads: threads of ONNX Runtime; by default one a core.
        device: where the models run.

    Raises:
        CheckpointError: if the bundle is missing, corrupt or of another format.
        MissingToolError: if ONNX Runtime or, for ``cuda``, its GPU provider is not installed.
    """
    bundle = Bundle.load(folder)
    return Designer(
        OnnxBackend(bundle, threads=threads, device=device),
        bundle.conditioning,
        bundle.sampler,
        precedents=precedents_in(bundle.folder),
        workers=workers,
        seed=seed,
        provenance={"bundle": bundle.identity, "precision": bundle.precision},
    )
