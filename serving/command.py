"""The command ``genrf serve``: the server of ``python -m serving``, and its page in the browser once it can design."""

from __future__ import annotations

import argparse
import errno
import http.client
import logging
import os
import socket
import ssl
import sys
import threading
import time
import webbrowser
from collections.abc import Sequence

from serving.__main__ import main, parser
from serving.page import PATH

EXAMPLES = """\
examples:
  genrf serve                                  open the page once the server is ready; Ctrl-C ends both
  genrf serve --http_port 9000 --no-browser    another port, and nothing opened
  genrf serve --store memory --feedback off    leave no files here
  GENRF_TOKEN=... genrf serve                  the page asks for the token, and so does every route"""


def app(args: Sequence[str] | None = None, prog_name: str = "genrf serve") -> None:
    """Serve until told to end.

    Raises:
        SystemExit: with the server's exit code.
    """
    options = parser()
    options.prog, options.usage = prog_name, f"{prog_name} [options]"
    options.description = (
        "Serve designs, and open the page on which a specification is written, circuits are found and tuned. Everything "
        "that python -m serving takes is taken here."
    )
    options.formatter_class = _Help
    options.epilog = EXAMPLES
    options.add_argument("--no-browser", action="store_true", help="say where the page is instead of opening it")
    options.add_argument("--verbose", action="store_true", help="log every request")
    arguments = options.parse_args(args)
    # Moving a slider asks for many simulations.
    logging.getLogger("serving.access").disabled = not arguments.verbose
    _require_free(arguments.http_port)
    threading.Thread(
        target=_announce,
        args=(arguments.http_port, arguments.ssl_certfile is not None, not arguments.no_browser),
        daemon=True,
    ).start()
    sys.exit(main(options, args))


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Defaults beside the options, and examples as they are written."""


def _require_free(port: int) -> None:
    """End with a line that names a port which is taken: what answers there would be taken for this server."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except (OSError, OverflowError) as error:
            taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            reason = "is taken" if taken else f"cannot be used ({error})"
            print(f"genrf: port {port} {reason}; choose another with --http_port", file=sys.stderr)
            sys.exit(2)


def _announce(port: int, secure: bool, browse: bool) -> None:
    """Wait until the server can design, then say where its page is and open it."""
    while not _ready(port, secure):
        time.sleep(0.3)
    address = f"{'https' if secure else 'http'}://127.0.0.1:{port}{PATH}"
    opened = browse and _has_screen() and webbrowser.open(address)
    print(
        f"genrf: the page is {'opened: ' if opened else 'at '}{address} (Ctrl-C ends the server)",
        file=sys.stderr,
        flush=True,
    )


def _ready(port: int, secure: bool) -> bool:
    connection = (
        # The certificate is the server's own, and nothing secret is sent.
        http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=ssl._create_unverified_context())
        if secure
        else http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    )
    try:
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _has_screen() -> bool:
    """Whether a browser would have a window: without one some would fill the terminal."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
