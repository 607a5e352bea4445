"""``python -m pipelines`` is ``genrf pipeline``."""

from pipelines.cli import app

app(prog_name="genrf pipeline")
