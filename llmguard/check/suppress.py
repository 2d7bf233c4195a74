"""Suppression comments: `# llmguard: ignore[CODE] reason`, `# noqa: CODE`, and `# llmguard: ignore-file`.

A comment counts on any line of the statement that holds the call, or alone on the line (or lines) above it.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from typing import TYPE_CHECKING, NamedTuple

from llmguard.check.finding import Region
from llmguard.check.reading import lines_of
from llmguard.check.rules import code_named

if TYPE_CHECKING:
    from collections.abc import Iterable

_OURS = re.compile(
    r"#\s*llmguard:\s*ignore(?P<file>-file)?\b(?:\[(?P<codes>[^\]]*)\])?(?P<reason>[^#]*)", re.IGNORECASE
)
_NOQA = re.compile(r"#\s*noqa\b(?:\s*:\s*(?P<codes>[A-Z]+[0-9]+(?:[\s,]+[A-Z]+[0-9]+)*))?", re.IGNORECASE)


class Place(NamedTuple):
    """A comment: where, and what."""

    region: Region
    text: str


class Suppression:
    """One comment.

    Attributes:
        region: of the comment, up to the next `#` behind it.
        text: what stands there.
        names: (as written, code or prefix) of the rules it names, "" for what is none. Empty means all rules.
        reason: text after the codes.
        whole_file: it stands for the file.
        own_line: nothing else stands on its line.
        ours: it is addressed to llmguard alone, so that an unused one is worth a report.
        used: the codes that it suppressed.
    """

    __slots__ = ("names", "ours", "own_line", "reason", "region", "text", "used", "whole_file")

    def __init__(
        self,
        region: Region,
        text: str,
        names: tuple[str, ...],
        reason: str,
        *,
        whole_file: bool,
        own_line: bool,
        ours: bool,
    ) -> None:
        self.names = tuple((name, code_named(name)) for name in names)
        self.region = region
        self.text = text
        self.reason = reason
        self.whole_file = whole_file
        self.own_line = own_line
        self.ours = ours
        self.used: set[str] = set()

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of the rules that it names."""
        return tuple(code for _, code in self.names if code)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names in it that are no rule."""
        return tuple(name for name, code in self.names if not code)

    def covers(self, code: str) -> bool:
        return any(code.startswith(named) for named in self.codes) or not self.names

    def without(self, codes: tuple[str, ...]) -> str:
        """The comment without some of its codes, and without what is no rule; "" when nothing is left to say."""
        kept = [name for name, code in self.names if code and code not in codes]
        foreign = [name for name in _noqa_names(self.text) if not name.startswith("LLG")]
        if not kept and not foreign:
            return ""
        if "[" in self.text and not foreign:
            return re.sub(r"\[[^\]]*\]", f"[{', '.join(kept)}]", self.text, count=1)
        if self.text and _OURS.match(self.text):
            # Without brackets: put them there, for the words between the codes are the reason.
            head, keyword, rest = re.split(r"(ignore(?:-file)?)", self.text, maxsplit=1, flags=re.IGNORECASE)
            reason = re.sub(r"\bLLG\d+\b[\s,]*(?:and\s+)?", "", rest).strip()
            return f"{head}{keyword}[{', '.join(kept)}] {reason}".rstrip()
        names = re.compile(r"[A-Z]+[0-9]+(?:[\s,]+[A-Z]+[0-9]+)*", re.IGNORECASE)
        return names.sub(", ".join([*foreign, *kept]), self.text, count=1)


def _noqa_names(text: str) -> list[str]:
    match = _NOQA.match(text)
    return re.split(r"[\s,]+", match["codes"].upper()) if match is not None and match["codes"] else []


class Suppressions:
    """The suppression comments of one file."""

    def __init__(self, text: str) -> None:
        self.found = list(_read(text))
        self._by_line: dict[int, list[Suppression]] = {}
        self._whole_file = [suppression for suppression in self.found if suppression.whole_file]
        self._known: dict[tuple[str, int, int, int], Suppression | None] = {}
        for suppression in self.found:
            if not suppression.whole_file:
                self._by_line.setdefault(suppression.region.line, []).append(suppression)

    def suppressing(self, code: str, statement: ast.stmt | None, line: int) -> Suppression | None:
        """The comment that suppresses `code` at a call in `statement` (at `line` when there is none)."""
        for suppression in self._whole_file:
            if suppression.covers(code):
                suppression.used.add(code)
                return suppression
        first, last = extent(statement) if statement is not None else (line, line)
        # One answer for all calls of a statement, which may be many, with many comments in it.
        key = (code, first, last, 0 if first <= line <= last else line)
        if key not in self._known:
            self._known[key] = self._found_at(code, first, last, line)
        return self._known[key]

    def _found_at(self, code: str, first: int, last: int, line: int) -> Suppression | None:
        lines = [*range(first, last + 1)]
        if not first <= line <= last:
            lines.append(line)  # the clause of an `except`, which is no statement of its own
        for start in {first, line} - set(range(first + 1, last + 1)):
            above = start - 1
            while above in self._by_line and self._by_line[above][0].own_line:
                lines.append(above)
                above -= 1
        covering = [s for number in lines for s in self._by_line.get(number, ()) if s.covers(code)]
        for suppression in covering:
            suppression.used.add(code)
        return max(covering, key=lambda suppression: bool(suppression.reason), default=None)

    def unused(self) -> list[tuple[Suppression, tuple[str, ...]]]:
        """Comments that suppressed nothing, or not by all of their codes, with the codes that were of no use.

        Asked after every call has been looked at.
        """
        found = []
        for suppression in self.found:
            idle = tuple(
                named for named in suppression.codes if not any(code.startswith(named) for code in suppression.used)
            )
            if suppression.ours and (idle or suppression.unknown or not suppression.used):
                found.append((suppression, idle))
        return found


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

        def part(match: re.Match[str], line: int = line, column: int = column, comment: str = comment) -> Place:
            """The comment from its `#` to the next one."""
            following = comment.find("#", match.start() + 1)
            end = len(comment) if following < 0 else following
            region = Region(line, column + match.start(), line, column + end)
            return Place(region, comment[match.start() : end])

        for match in _OURS.finditer(comment):
            codes = tuple(part.strip() for part in (match["codes"] or "").split(",") if part.strip())
            if match["codes"] is None:
                # `ignore LLG101` without brackets means that code, not everything.
                codes = tuple(re.findall(r"\bLLG\d+\b", match["reason"]))
            elif not codes:
                codes = ("[]",)  # names no rule, so it suppresses none, and says so
            reason = match["reason"].strip(" -:")
            yield Suppression(*part(match), codes, reason, whole_file=bool(match["file"]), own_line=own_line, ours=True)
        for match in _NOQA.finditer(comment):
            named = re.split(r"[\s,]+", match["codes"].upper()) if match["codes"] else []
            codes = tuple(code for code in named if code.startswith("LLG"))
            if named and not codes:
                continue  # for other tools
            reason = comment[match.end() :].partition("#")[0].strip(" -:") if codes else ""
            yield Suppression(*part(match), codes, reason, whole_file=False, own_line=own_line, ours=bool(codes))


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
    except (tokenize.TokenError, SyntaxError, RecursionError, SystemError):
        # Lines that no tokenizer reads (that of 3.13.0 fails in its own way): a comment is then what looks like one.
        found = [(n, line.index("#"), line[line.index("#") :]) for n, line in enumerate(lines, 1) if "#" in line]
    for number, column, comment in found:
        if "llmguard" in comment.lower() or "noqa" in comment.lower():
            yield number, column + 1, comment, not lines[number - 1][:column].strip()
