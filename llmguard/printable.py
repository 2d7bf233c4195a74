"""Text that others wrote (file names, sources, reasons, what models answer), fit to be shown on one line.

Nothing in it moves a cursor, ends a line, turns the writing direction, or is a command for a CI runner: GitHub's `::`
at the start of a line and `##[` anywhere, Azure's `##vso[`, TeamCity's `##teamcity[`.
"""

from __future__ import annotations

import re
from typing import Any

# Control characters, line and paragraph separators, marks of direction, half characters.
_NO_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
# What GitHub makes links of by itself, and what ends code.
_LIVE = re.compile(r"@|://|www\.|#\d|`")
_COMMAND = re.compile(r"^(\s*):(?=:)|(#)#(?=\w*\[)")


def printable(text: str) -> str:
    """The text with what is no text escaped: `\\x1b`, `\\u202e`, and for a file name's stray bytes `\\xff`."""
    if _NO_TEXT.search(text):
        text = _NO_TEXT.sub(_escaped, text)
    if "::" in text or "##" in text:
        text = _COMMAND.sub(lambda found: rf"{found[1]}\x3a" if found[2] is None else r"#\x23", text)
    return text


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is no text
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def markdown(text: str) -> str:
    """The text in a table of Markdown: no markup, link, mention or HTML of its own."""
    text = printable(text)
    if _LIVE.search(text):
        return markdown_code(text)
    for sign, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(sign, name)
    return re.sub(r"([\\|\[\]*~])", r"\\\1", text)


def markdown_code(text: str) -> str:
    """The text as code in a table of Markdown: its quotes are longer than any in it."""
    text = printable(text).replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence, gap = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{gap}{text}{gap}{fence}"


def json_text(document: Any, indent: int | None = 2) -> str:
    """A document as JSON in which no runner finds a command: what it holds stays as it is."""
    import json  # every commit's hook imports this module, and prints none

    return json.dumps(document, indent=indent).replace("##", "#\\u0023")
