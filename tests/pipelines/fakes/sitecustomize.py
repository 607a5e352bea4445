"""Puts quick functions in the place of the real ones, in every process that has this folder on its path."""

import importlib.abc
import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).parent
REPLACED = {
    f"training.{name}": "quick.py"
    for name in ("simulate", "prepare", "train", "evaluate", "export_onnx", "quantize", "registry")
} | {"training.running.tracking": "untracked.py"}


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path=None, target=None):
        if fullname in REPLACED:
            return importlib.util.spec_from_file_location(fullname, HERE / REPLACED[fullname])
        return None


sys.meta_path.insert(0, Finder())
