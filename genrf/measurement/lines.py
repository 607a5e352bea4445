"""Reading a SPICE netlist as lines: comments gone, continuations joined, included files put in their place.

Nothing outside the folder of the netlist is read, and every line remembers where it came from. The text is lower case
afterwards, as ngspice reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from genrf.errors import InvalidInputError

DEEPEST_INCLUDE = 8
MOST_LINES = 200_000
MOST_BYTES = 20_000_000

_COMMENT = re.compile(r";|//|(?:(?<=[\s,])|^)\$")
"""What ends a line early: as in ngspice's default mode."""
_INCLUDE = re.compile(r"\.(include|incl|inc|lib)\b\s*(.*)", re.I)
_END = re.compile(r"\.end(\s|\Z)", re.I)
_ARGUMENTS = re.compile(r"\"[^\"]*\"|'[^']*'|\S+")
_REFUSED_CHARACTERS = {"`": "a back quote (a shell escape)", "\\": "a backslash", '"': "a double quote"}


@dataclass(frozen=True, slots=True)
class Line:
    """One logical line of a netlist."""

    path: Path
    number: int
    """Line number in its file, of its first part."""
    text: str
    """Lower case, single spaces, none around ``=``."""

    @property
    def where(self) -> str:
        """File and line, as error messages say it."""
        return f"{self.path}:{self.number}"

    @property
    def tokens(self) -> list[str]:
        """Words; an expression in braces or quotes is one."""
        return re.findall(r"(?:\{[^}]*\}|'[^']*'|[^\s{'])+", self.text)

    def refuse(self, message: str) -> InvalidInputError:
        """An error that names this line, to raise."""
        return InvalidInputError(f"{self.where}: {message}")


def read_lines(path: Path) -> list[Line]:
    """The netlist's lines up to ``.end``, without the title, which is the first line of the file.

    Raises:
        InvalidInputError: naming file and line, if a file cannot be read, lies outside the netlist's folder, or
            contains what no netlist needs and a shell might run.
    """
    lines: list[Line] = []
    for line in _expanded(path, path.resolve().parent, depth=0):
        lines.append(line)
        if len(lines) > MOST_LINES:
            raise line.refuse(f"the netlist has more than {MOST_LINES} lines, included files counted")
    return lines


def _expanded(path: Path, folder: Path, depth: int, section: str | None = None) -> Iterator[Line]:
    """Lines of a file (of one section of a library), each ``.include`` and ``.lib`` replaced by what it names."""
    inside = section is None
    found = inside
    for line in _joined(path, skip_title=depth == 0):
        statement = _INCLUDE.match(line.text)
        lowered = line.text.lower()
        if section is not None:
            if lowered.startswith(".endl"):
                inside = False
                continue
            # Within a library ``.lib NAME`` opens a section; with two words it reads another library.
            if statement and statement[1].lower() == "lib" and len(statement[2].split()) == 1:
                inside = statement[2].lower() == section
                found = found or inside
                continue
            if not inside:
                continue
        if _END.match(line.text):
            # Only the netlist itself ends there: ngspice reads on after the ``.end`` of an included file.
            if depth == 0:
                return
            continue
        if statement is None:
            yield _normalised(line)
            continue
        target, wanted = _target(line, statement[1].lower(), statement[2], folder)
        if depth == DEEPEST_INCLUDE:
            raise line.refuse(f"included files lie more than {DEEPEST_INCLUDE} deep; does one include itself?")
        yield from _expanded(target, folder, depth + 1, wanted)
    if not found:
        raise InvalidInputError(f"{path}: no section {section!r}")


def _target(line: Line, card: str, argument: str, folder: Path) -> tuple[Path, str | None]:
    words = [word.strip("\"'") for word in _ARGUMENTS.findall(argument)]
    if len(words) != (2 if card == "lib" else 1):
        raise line.refuse(f"expected {'.lib FILE SECTION' if card == 'lib' else '.include FILE'}")
    given = Path(words[0])
    target = (line.path.parent / given).resolve()
    if not target.is_relative_to(folder):
        raise line.refuse(f"{words[0]} is outside the netlist's folder; copy the file there and include the copy")
    return line.path.parent / given, words[1].lower() if card == "lib" else None


def _joined(path: Path, skip_title: bool) -> Iterator[Line]:
    """Logical lines of one file: comments cut, ``+`` lines joined to the line they continue."""
    first, parts = 0, ""
    for number, raw in enumerate(_text(path).splitlines(), start=1):
        if skip_title and number == 1:
            continue
        text = raw.strip()
        if text.startswith("*"):
            continue
        comment = _COMMENT.search(text)
        text = (text[: comment.start()] if comment else text).strip()
        if not text:
            continue
        if text.startswith("+"):
            if not parts:
                raise InvalidInputError(f"{path}:{number}: a continuation line with nothing before it")
            parts += " " + text[1:].strip()
            continue
        if parts:
            yield Line(path, first, parts)
        first, parts = number, text
    if parts:
        yield Line(path, first, parts)


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise InvalidInputError(f"{path}: no such file")
        if path.stat().st_size > MOST_BYTES:
            raise InvalidInputError(f"{path}: larger than {MOST_BYTES} bytes")
        content = path.read_bytes()
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            # Older programs write one byte a character, the micro sign among them.
            return content.decode("latin-1")
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be read: {error.strerror}") from error


def _normalised(line: Line) -> Line:
    # ngspice reads the micro sign as micro, and the Greek letter that looks like it as nothing.
    line = Line(line.path, line.number, line.text.replace("\N{MICRO SIGN}", "u"))
    if "\N{GREEK SMALL LETTER MU}" in line.text:
        raise line.refuse("a Greek mu, which ngspice ignores: a capacitor of 10 mu would have 10 F; write u for micro")
    for character, name in _REFUSED_CHARACTERS.items():
        if character in line.text:
            raise line.refuse(f"{name} is not allowed in a netlist")
    if line.text[0] == "!":
        raise line.refuse("a shell escape is not allowed in a netlist")
    if not line.text.isascii() or not line.text.replace("\t", " ").isprintable():
        raise line.refuse("only ASCII is allowed outside comments")
    text = re.sub(r"\s+", " ", line.text)
    return Line(line.path, line.number, re.sub(r" ?= ?", "=", text).lower())
