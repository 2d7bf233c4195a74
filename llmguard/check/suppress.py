"""Suppression comments: `# llmguard: ignore[CODE] reason`, `# noqa: CODE`, and `# llmguard: ignore-file`.

A comment counts on any line of the statement that holds the call, or alone on the line (or lines) above it.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from typing import TYPE_CHECKING

from llmguard.check.finding import Region
from llmguard.check.reading import lines_of
from llmguard.check.rules import find_rule

if TYPE_CHECKING:
    from collections.abc import Iterable

_OURS = re.compile(
    r"#\s*llmguard:\s*ignore(?P<file>-file)?\b(?:\[(?P<codes>[^\]]*)\])?(?P<reason>[^#]*)", re.IGNORECASE
)
_NOQA = re.compile(r"#\s*noqa\b(?:\s*:\s*(?P<codes>[A-Z]+[0-9]+(?:[\s,]+[A-Z]+[0-9]+)*))?", re.IGNORECASE)


class Suppression:
    """One comment.

    Attributes:
        region: of the comment.
        codes: codes it names, upper case; empty means all.
        unknown: names in it that are no rule.
        reason: text after the codes.
        whole_file: it stands for the file.
        own_line: nothing else stands on its line.
        ours: it is addressed to llmguard alone, so that an unused one is worth a report.
        used: it suppressed something.
    """

    __slots__ = ("codes", "ours", "own_line", "reason", "region", "unknown", "used", "whole_file")

    def __init__(
        self, region: Region, codes: tuple[str, ...], reason: str, *, whole_file: bool, own_line: bool, ours: bool
    ) -> None:
        rules = [(name, find_rule(name)) for name in codes]
        self.region = region
        self.codes = tuple(rule.code for _, rule in rules if rule is not None)
        self.unknown = tuple(name for name, rule in rules if rule is None)
        self.reason = reason
        self.whole_file = whole_file
        self.own_line = own_line
        self.ours = ours
        self.used = False

    def covers(self, code: str) -> bool:
        return code in self.codes or not (self.codes or self.unknown)


class Suppressions:
    """The suppression comments of one file."""

    def __init__(self, text: str) -> None:
        self.found = list(_read(text))
        self._by_line: dict[int, list[Suppression]] = {}
        for suppression in self.found:
            if not suppression.whole_file:
                self._by_line.setdefault(suppression.region.line, []).append(suppression)

    def suppresses(self, code: str, statement: ast.stmt | None, line: int) -> bool:
        """Whether a comment suppresses `code` at a call in `statement` (at `line` when there is none)."""
        for suppression in self.found:
            if suppression.whole_file and suppression.covers(code):
                suppression.used = True
                return True
        first, last = extent(statement) if statement is not None else (line, line)
        lines = list(range(first, last + 1))
        above = first - 1
        while above in self._by_line and self._by_line[above][0].own_line:
            lines.append(above)
            above -= 1
        covering = [s for number in lines for s in self._by_line.get(number, ()) if s.covers(code)]
        for suppression in covering:
            suppression.used = True
        return bool(covering)

    def unused(self) -> list[Suppression]:
        """Comments that suppressed nothing (asked after every call has been looked at)."""
        return [s for s in self.found if s.ours and not s.used]


def extent(statement: ast.stmt) -> tuple[int, int]:
    """First and last line of a statement; of a compound one, of its header."""
    decorators = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(d.lineno for d in decorators)])
    body = getattr(statement, "body", None) or getattr(statement, "cases", None)
    if isinstance(body, list) and body:
        inner = body[0].lineno if hasattr(body[0], "lineno") else body[0].pattern.lineno
        return first, max(statement.lineno, inner - 1)
    return first, statement.end_lineno or statement.lineno


def _read(text: str) -> Iterable[Suppression]:
    for line, column, comment, own_line in _comments(text):
        for match in _OURS.finditer(comment):
            codes = tuple(part.strip() for part in (match["codes"] or "").split(",") if part.strip())
            if match["codes"] is None:
                # `ignore LLG101` without brackets means that code, not everything.
                codes = tuple(re.findall(r"\bLLG\d+\b", match["reason"]))
            elif not codes:
                codes = ("[]",)  # names no rule, so it suppresses none, and says so
            region = Region(line, column + match.start(), line, column + match.end())
            yield Suppression(
                region,
                codes,
                match["reason"].strip(" -:"),
                whole_file=bool(match["file"]),
                own_line=own_line,
                ours=True,
            )
        for match in _NOQA.finditer(comment):
            named = re.split(r"[\s,]+", match["codes"].upper()) if match["codes"] else []
            codes = tuple(code for code in named if code.startswith("LLG"))
            if named and not codes:
                continue  # for other tools
            region = Region(line, column + match.start(), line, column + match.end())
            yield Suppression(region, codes, "", whole_file=False, own_line=own_line, ours=bool(codes))


def _comments(text: str) -> Iterable[tuple[int, int, str, bool]]:
    """(line, column, text, alone on its line) of every comment that may matter."""
    lines = lines_of(text)
    try:
        tokens = [
            t
            for t in tokenize.generate_tokens(io.StringIO("\n".join(lines) + "\n").readline)
            if t.type == tokenize.COMMENT
        ]
        found = [(t.start[0], t.start[1], t.string) for t in tokens]
    except (tokenize.TokenError, SyntaxError, RecursionError):
        # Lines that no tokenizer reads: a comment is then what looks like one.
        found = [(n, line.index("#"), line[line.index("#") :]) for n, line in enumerate(lines, 1) if "#" in line]
    for number, column, comment in found:
        if "llmguard" in comment.lower() or "noqa" in comment.lower():
            yield number, column + 1, comment, not lines[number - 1][:column].strip()
