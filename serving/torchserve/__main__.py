"""Make what TorchServe serves: ``python -m serving.torchserve archive [--torchscript FOLDER] [--store FOLDER]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from genrf.errors import GenRFError
from serving.torchserve.archive import archive

ARCHIVED = "TorchServe was archived upstream in August 2025 and gets no security patches; python -m serving is what to serve with"


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m serving.torchserve", description=f"{ARCHIVED}.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "archive",
        help="make a .mar of each traced model",
        description="Make a .mar of each model that python -m training export-torchscript wrote.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    command.add_argument(
        "--torchscript", type=Path, default=Path("artifacts/torchscript"), help="folder of traced models"
    )
    command.add_argument(
        "--store", type=Path, default=Path("artifacts/model-store"), help="folder to write, replaced whole"
    )
    arguments = parser.parse_args()
    try:
        made = archive(arguments.torchscript, arguments.store)
    except GenRFError as error:
        print(f"serving.torchserve: {error}", file=sys.stderr)
        return error.exit_code
    print(f"serving.torchserve: {ARCHIVED}", file=sys.stderr)
    print("\n".join(str(path) for path in made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
