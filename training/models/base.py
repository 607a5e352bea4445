"""The interface of every model and the format of its checkpoint."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import nn

from genrf.errors import CheckpointError
from genrf.files import written_whole

MODEL = "model.pt"
"""Name of the checkpoint in a training's output folder."""


class BaseCircuitModel(nn.Module, ABC):
    """A neural network with a configuration, and checkpoints of tensors and plain data only."""

    version: ClassVar[int] = 1
    """Raised whenever weights or configuration of the class change their meaning."""
    config_class: ClassVar[type]
    """A frozen dataclass of plain data from which the network is built."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def forward(self, *inputs: Any, **named: Any) -> Any:
        """One pass of the network; batch first."""

    @abstractmethod
    def generate(self, *inputs: Any, **named: Any) -> Any:
        """Draw the model's output for specification (or conditions) vectors, (B, ...)."""

    def hidden_matrices(self) -> list[nn.Parameter]:
        """Matrices between hidden layers, which Muon trains best; the rest is left to AdamW."""
        return []

    def regions(self) -> list[tuple[nn.Module, str]]:
        """Methods that make up most of a pass, as modules and names: what to compile, alike ones once."""
        return []

    def save_checkpoint(self, path: Path) -> None:
        """Write class name, version, configuration and weights to one file, whole or not at all."""
        content = {
            "model": type(self).__name__,
            "version": self.version,
            "config": asdict(self.config),
            "weights": {name: tensor.detach().cpu() for name, tensor in self.state_dict().items()},
        }
        with written_whole(path) as temporary:
            torch.save(content, temporary)

    @classmethod
    def load_checkpoint(cls, path: Path, config: Any = None) -> Self:
        """Read a model that `save_checkpoint` wrote, in evaluation mode on the CPU.

        Args:
            path: the checkpoint file.
            config: if given, the configuration that the checkpoint must have.

        Raises:
            CheckpointError: if the file is missing, corrupt, of another class or version, or has another configuration.
        """
        remedy = "train the model again or point to the right file"
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be read ({error.strerror or error}); {remedy}") from error
        except Exception as error:  # of many types, for a damaged file
            raise CheckpointError(f"{path}: not a readable checkpoint, the file is damaged; {remedy}") from error
        if not isinstance(content, dict) or content.keys() != {"model", "version", "config", "weights"}:
            raise CheckpointError(f"{path}: not a model checkpoint; {remedy}")
        if content["model"] != cls.__name__:
            raise CheckpointError(f"{path}: holds a {content['model']}, expected a {cls.__name__}; {remedy}")
        if content["version"] != cls.version:
            raise CheckpointError(
                f"{path}: {cls.__name__} version {content['version']}, this program reads version {cls.version}; "
                f"{remedy}"
            )
        stored = config_from_plain(cls.config_class, content["config"], path)
        if config is not None and stored != config:
            changed = [
                field.name for field in fields(config) if getattr(stored, field.name) != getattr(config, field.name)
            ]
            differences = ", ".join(
                f"{name} is {getattr(stored, name)}, expected {getattr(config, name)}" for name in changed
            )
            raise CheckpointError(f"{path}: {cls.__name__} of another configuration: {differences}; {remedy}")
        model = cls(stored)
        try:
            model.load_state_dict(content["weights"])
        except (RuntimeError, AttributeError, TypeError) as error:
            raise CheckpointError(
                f"{path}: weights do not fit the {cls.__name__} that the file describes; {remedy}"
            ) from error
        return model.eval()


def config_from_plain(config_class: type, plain: Any, path: Path) -> Any:
    """Rebuild a (possibly nested) configuration dataclass from `dataclasses.asdict`'s output.

    Args:
        path: the file that it was read from, for the error.

    Raises:
        CheckpointError: if its fields are not those of the class.
    """
    known = {field.name: field for field in fields(config_class)}
    if not isinstance(plain, dict) or plain.keys() != known.keys():
        raise CheckpointError(
            f"{path}: configuration does not have the fields of {config_class.__name__}; train the model again"
        )
    values = {}
    for name, value in plain.items():
        factory = known[name].default_factory
        default = known[name].default if factory is MISSING else factory()
        if is_dataclass(default) and isinstance(value, dict):
            value = config_from_plain(type(default), value, path)
        values[name] = tuple(value) if isinstance(value, list) else value
    return config_class(**values)
