"""Tables of circuits: dataclasses of arrays that share their first axis, one row a circuit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Self

import numpy as np

from genrf.files import written_whole


class ArrayTable:
    """Base of dataclasses whose fields are arrays of equal length."""

    def arrays(self) -> dict[str, Any]:
        """The columns by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(next(iter(self.arrays().values())))

    def take(self, index: Any) -> Self:
        """Rows of an index or mask, as a table of their own."""
        return type(self)(**{name: array[index] for name, array in self.arrays().items()})

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Tables one below the other."""
        names = parts[0].arrays()
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})

    def save(self, path: Path, *, compressed: bool = False) -> None:
        """Write as ``.npz``, whole or not at all."""
        write = np.savez_compressed if compressed else np.savez
        with written_whole(path) as temporary, temporary.open("wb") as file:
            write(file, **self.arrays())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; nothing is unpickled.

        Raises:
            OSError: if the file cannot be read; what a damaged archive raises is numpy's and zipfile's own.
        """
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return cls(**{field.name: archive[field.name] for field in fields(cls)})  # type: ignore[arg-type]
