"""From bytes to text to a tree, whatever the bytes are.

`decode` follows Python's own rules and falls back to latin-1 with a note. `parse` never fails on a part: what
cannot be parsed as a whole is cut into statements (see `salvage`); the parts that still fail are blanked, so that
every line keeps its number, and named.
"""

from __future__ import annotations

import ast
import codecs
import io
import re
import tokenize
import warnings
from typing import NamedTuple

from llmguard.check.salvage import salvage
from llmguard.errors import UncheckableError

_NEWLINE = re.compile("\r\n|\r|\n")
#: Characters above which a file is read in parts from the start.
LARGE = 2_000_000


class Decoded(NamedTuple):
    """Text of a file. `note` says what was odd about it, "" when nothing was."""

    text: str
    note: str


class Parsed(NamedTuple):
    """A tree, and the parts of the text that are not in it.

    Attributes:
        tree: what could be parsed.
        failed: (first line, last line, reason), 1-based and inclusive.
    """

    tree: ast.Module
    failed: tuple[tuple[int, int, str], ...]


def lines_of(text: str) -> list[str]:
    """The lines as Python counts them (not as `str.splitlines` does: a form feed ends no line)."""
    return _NEWLINE.split(text)


def decode(data: bytes) -> Decoded:
    """The text of a Python file.

    UTF-16 and UTF-32 are read, with a note; so is, as latin-1, what is not valid in its encoding.
    """
    for mark, encoding in (
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            try:
                return Decoded(data.decode(encoding), f"encoded in {encoding.upper()}, which Python does not run")
            except UnicodeDecodeError:
                break
    head = data[:1024]
    if head.count(b"\x00") * 3 > len(head) > 0:
        guess = "utf-16-be" if head[:1] == b"\x00" else "utf-16-le"
        note = f"encoded in {guess.upper()} without a mark, which Python does not run"
        return Decoded(data.decode(guess, "replace"), note)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return Decoded(data.decode(encoding), "")
    except (SyntaxError, UnicodeError, LookupError) as error:
        reason = str(error).partition(" for '")[0] if isinstance(error, SyntaxError) else "not valid in its encoding"
        return Decoded(data.decode("latin-1"), f"{reason}: read as latin-1")


def parse(text: str) -> Parsed:
    """The tree of a module's text; see the module's docstring for what happens when it cannot be parsed."""
    if "\x00" in text:
        text = text.replace("\x00", " ")
    if len(text) <= LARGE:
        try:
            return Parsed(parse_strictly(text), ())
        except UncheckableError:
            pass  # read in parts below, which names what fails and why
    return _parse_in_parts(text)


def _parse_in_parts(text: str) -> Parsed:
    kept, failed = salvage(lines_of(text), parse_strictly, large=len(text) > LARGE)
    try:
        return Parsed(parse_strictly("\n".join(kept)), tuple(failed))
    except UncheckableError as error:
        return Parsed(ast.Module(body=[], type_ignores=[]), ((max(error.line, 1), len(kept), error.problem),))


def parse_strictly(text: str) -> ast.Module:
    """`ast.parse`, with every way in which it fails as one exception.

    Raises:
        UncheckableError: with the reason, and the line where known.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in the checked file are not ours to report
            return ast.parse(text)
    except SyntaxError as error:
        raise UncheckableError(error.msg or "invalid syntax", error.lineno or 0) from None
    except RecursionError:
        raise UncheckableError("an expression or block is nested too deeply") from None
    except MemoryError:
        raise UncheckableError("an expression is too large or nested too deeply") from None
    except (ValueError, OverflowError) as error:
        raise UncheckableError(str(error)) from None
