"""The page for the engineer, at ``/ui/``: static files that use the routes of `serving.rest` alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles

FOLDER = Path(__file__).parent / "static"
PATH = "/ui/"


def add_to(application: Any) -> None:
    """Serve the page."""
    application.mount(PATH.rstrip("/"), StaticFiles(directory=FOLDER, html=True), name="page")

    async def page() -> RedirectResponse:
        return RedirectResponse(PATH)

    application.add_api_route("/ui", page, include_in_schema=False)
