"""The weights that come with the package, and which bundle is used where none is named.

They are the folder ``pretrained`` of the package: a bundle (see `genrf.generation.bundle`), ``card.json`` with what they
were trained on and what they were measured to do, and the same as a model card for people. ``python -m training publish``
writes it. A checkout or a build without weights has no ``manifest.json`` there.
"""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from genrf import __version__
from genrf.errors import CheckpointError, InvalidInputError
from genrf.generation.bundle import MANIFEST

CARD = "card.json"
TRAINED_HERE = Path("runs/latest/bundle")
"""Where the pipeline leaves the bundle that it trained last, seen from where it was run."""


def released_folder() -> Path:
    """The package's folder for released weights, whether or not there are any."""
    return Path(str(files("genrf") / "pretrained"))


def released_bundle() -> Path | None:
    """Folder of the released weights; none if this copy of the package has none."""
    folder = released_folder()
    return folder if (folder / MANIFEST).is_file() else None


def released_identity() -> str:
    """Identity of the released weights, the same as `Bundle.identity`; empty if there are none."""
    folder = released_bundle()
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest() if folder else ""


def read_card(folder: Path) -> dict[str, Any]:
    """What is known of released weights: their data, training and measured quality.

    Raises:
        CheckpointError: if the card is missing or belongs to other weights.
    """
    path = folder / CARD
    remedy = "publish the weights again with python -m training publish"
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        identity = card["identity"]
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: not the card of released weights; {remedy}") from error
    if identity != hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest():
        raise CheckpointError(f"{path}: describes other weights than those beside it; {remedy}")
    return card


def choose_bundle(named: Path | None) -> tuple[Path, str]:
    """The bundle to use, and a line that says which one it is.

    Args:
        named: what the user named; without it the released weights, and in a copy of the package without them what the
            pipeline trained last in this folder. A bundle that was trained here never takes the place of the released
            one by itself: the same command gives the same circuits in every folder.

    Raises:
        InvalidInputError: if there is no such folder, or none was named and there are no released weights.
    """
    if named is not None:
        if not named.is_dir():
            raise InvalidInputError(
                f"{named}: no model bundle here; give the folder of one with --bundle or GENRF_BUNDLE, "
                "or neither for the released weights"
            )
        return named, f"models: {named}"
    folder = released_bundle()
    if folder is not None:
        return folder, f"models: released with genrf {__version__} ({released_identity()[:10]})"
    if TRAINED_HERE.is_dir():
        return TRAINED_HERE, f"models: {TRAINED_HERE}, for this copy of genrf comes without released weights"
    raise InvalidInputError(
        f"{released_folder() / MANIFEST}: missing, this copy of genrf comes without released weights; train models with "
        "make run, or give the folder of a bundle with --bundle or GENRF_BUNDLE"
    )
