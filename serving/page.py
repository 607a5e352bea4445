"""The page for the engineer, at ``/ui/``: static files that use the routes of `serving.rest` alone.

Its plots are drawn by Plotly's JavaScript, which the Python package of that name carries.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles

FOLDER = Path(__file__).parent / "static"
PATH = "/ui/"
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        # Plotly and the report style their elements in place.
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Asked for again by its tag each time: a new version must not meet scripts of an old one.
    "Cache-Control": "no-cache",
}


class PageFiles(StaticFiles):
    """The page's files, which load nothing from elsewhere."""

    def file_response(self, *args: Any, **arguments: Any) -> Response:
        """A file, with the headers that say so."""
        response = super().file_response(*args, **arguments)
        response.headers.update(HEADERS)
        return response


def add_to(application: Any) -> None:
    """Serve the page."""
    files = PageFiles(directory=FOLDER, packages=[("plotly", "package_data")], html=True)
    application.mount(PATH.rstrip("/"), files, name="page")
