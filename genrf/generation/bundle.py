"""A bundle: one folder with everything that generation needs, verified before use.

``manifest.json`` names the format's version, each model's class, version, configuration and files, the sampler's
settings, and the SHA-256 of every other file of the folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genrf.conditioning import Conditioning
from genrf.errors import CheckpointError
from genrf.files import sha256, write_json
from genrf.generation.sampler import SamplerSettings

MANIFEST = "manifest.json"
FORMAT = 2
_REMEDY = "export the models again"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A verified bundle."""

    folder: Path
    precision: str
    """``fp32``, ``fp16`` or ``int8``; ``mixed`` if its models differ in that."""
    models: dict[str, dict[str, Any]]
    """Name -> class, version, config, names of inputs and outputs, and the file's name under ``onnx``."""
    sampler: SamplerSettings
    conditioning: Conditioning
    files: dict[str, str]
    """File name -> SHA-256."""
    latent_size: int
    identity: str
    """SHA-256 of the manifest, which covers every file: what a design's provenance records."""

    def path(self, model: str) -> str:
        """Path of a model's ONNX file."""
        return str(self.folder / self.models[model]["onnx"])

    @classmethod
    def load(cls, folder: Path | str) -> Bundle:
        """Read and verify a bundle.

        Raises:
            CheckpointError: if a file is missing or changed, or the format is not this program's.
        """
        folder = Path(folder)
        path = folder / MANIFEST
        try:
            text = path.read_bytes()
            content = json.loads(text)
        except OSError as error:
            raise CheckpointError(
                f"{path}: cannot be read ({error.strerror}); give the folder of a bundle or {_REMEDY}"
            ) from error
        except ValueError as error:
            raise CheckpointError(f"{path}: not valid JSON; {_REMEDY}") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            found = content.get("format") if isinstance(content, dict) else None
            raise CheckpointError(f"{path}: format {found!r}, this program reads format {FORMAT}; {_REMEDY}")
        try:
            files = dict(content["files"])
            for name in files:
                _require_plain(path, name)
            for model in content["models"].values():
                for kind in ("onnx", "torchscript"):
                    if kind in model and model[kind] not in files:
                        raise CheckpointError(f"{path}: a model's file {model[kind]!r} is not among its files; {_REMEDY}")
            for name, expected in files.items():
                _verify(folder / name, expected)
            return cls(
                folder=folder,
                precision=content["precision"],
                models=content["models"],
                sampler=SamplerSettings(**content["sampler"]),
                conditioning=Conditioning.load(folder),
                files=files,
                latent_size=int(content["latent_size"]),
                identity=hashlib.sha256(text).hexdigest(),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path}: not a manifest of this format ({error}); {_REMEDY}") from error


def write_manifest(
    folder: Path,
    *,
    precision: str,
    models: Mapping[str, Mapping[str, Any]],
    sampler: SamplerSettings,
    latent_size: int,
) -> Bundle:
    """Seal a folder of exported models: hash every file, write the manifest, and load the result."""
    files = {
        path.name: sha256(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != MANIFEST and not path.name.startswith(".")
    }
    content = {
        "format": FORMAT,
        "precision": precision,
        "latent_size": latent_size,
        "sampler": asdict(sampler),
        "models": {name: dict(model) for name, model in models.items()},
        "files": files,
    }
    write_json(folder / MANIFEST, content)
    return Bundle.load(folder)


def _require_plain(manifest: Path, name: str) -> None:
    if Path(name).name != name or name == "..":
        raise CheckpointError(f"{manifest}: files: expected names of files in its folder, got {name!r}; {_REMEDY}")


def _verify(path: Path, expected: str) -> None:
    try:
        found = sha256(path)
    except OSError as error:
        raise CheckpointError(f"{path}: missing from the bundle ({error.strerror}); {_REMEDY}") from error
    if found != expected:
        raise CheckpointError(
            f"{path}: changed since the bundle was written (SHA-256 {found[:12]}, expected {expected[:12]}); {_REMEDY}"
        )
