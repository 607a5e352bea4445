"""The command ``genrf feedback``: what was asked for, and how often it was met."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from genrf import terminal
from genrf.cli_options import Json
from genrf.errors import InvalidInputError

EXAMPLES = (
    "feedback feedback",
    "feedback s3://feedback/genrf --since 2026-01-31",
    "feedback s3://feedback/genrf --since 2026-01-31T02:00:00+01:00 --json",
)
_SHOWN = 20
"""Poisoned lines that are listed outside JSON."""


def feedback(
    log: Annotated[
        str, typer.Argument(metavar="LOG", help="Folder or s3://BUCKET/KEY of a feedback log.", show_default=False)
    ],
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Leave out what is older than this date or time, ISO 8601; UTC where it gives no offset.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what was asked of the models: requests a class, how many were met, how long they took.

    The share that was met comes with its Wilson interval of 95 % confidence. Lines of the log that are no records count for
    nothing and are listed.
    """
    from genrf.feedback.log import open_log
    from genrf.feedback.summary import summaries, summary_table

    start = None if since is None else _time(since)
    reading = open_log(log).read(start)
    found = summaries(reading.records)
    if as_json:
        terminal.print_json(
            {
                "log": log,
                "since": None if start is None else start.isoformat(),
                "classes": {summary.circuit_class: summary.content() for summary in found},
                "poisoned": [{"place": bad.place, "line": bad.line, "reason": bad.reason} for bad in reading.poisoned],
            }
        )
        return
    output = terminal.console()
    output.print(summary_table(found, title=f"{log}{'' if start is None else f' since {start:%Y-%m-%d %H:%M %Z}'}"))
    for bad in reading.poisoned[:_SHOWN]:
        output.print(f"poisoned: {bad}", soft_wrap=True, markup=False)
    if len(reading.poisoned) > _SHOWN:
        output.print(f"poisoned: {len(reading.poisoned) - _SHOWN} more, which --json lists", soft_wrap=True)


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInputError(
            f"--since: expected a date or time such as 2026-01-31 or 2026-01-31T02:00:00Z, got {text!r}"
        ) from error
