"""What the tests of serving share."""

from tests.serving.loop import run

__all__ = ["run"]
