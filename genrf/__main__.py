"""``python -m genrf`` is the command ``genrf``."""

from genrf.cli import app

if __name__ == "__main__":
    app(prog_name="genrf")
