"""What can be read of a module that cannot be parsed as a whole: statement by statement, by indentation alone.

The parts that fail are blanked, so that every line keeps its number. A block whose header parses nowhere (the
`elif` of a chain that is too long) is read under `if 1:`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from llmguard.check.screen import may_hold_call
from llmguard.errors import UncheckableError

_DEEPEST = 8  # levels of blocks that are opened before a part is given up
_LARGE_PART = 200_000  # characters; a larger statement is read only when it may hold a call
_HUGE_PART = 6_000_000  # characters; parsing more would take many seconds

_Failed = list[tuple[int, int, str]]

_CLOSES = re.compile(r"[)\]}]")
_CONTINUES = re.compile(r"(?:else|elif|except|finally)\b")
_OPENS = re.compile(r"(?:async\s+)?(?:def|class|if|elif|else|for|while|with|try|except|finally|match|case)\b")
_QUOTES = re.compile(r"\"\"\"|'''|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|#.*")


def salvage(
    lines: list[str],
    parse: Callable[[str], object],
    *,
    large: bool = False,
    offset: int = 0,
    depth: int = 0,
    split: bool = False,
) -> tuple[list[str], _Failed]:
    """`lines` with the parts that cannot be parsed blanked, and (first line, last line, reason) of those.

    Args:
        lines: consecutive lines of a module.
        parse: raises UncheckableError for text that cannot be parsed.
        large: leave out large statements that cannot hold a call.
        offset: number of lines before these in the module.
        depth: how many blocks were opened to get here.
        split: take `elif`, `except` and their kin as statements of their own.
    """
    kept = [""] * len(lines)
    failed: _Failed = []
    for first, last in _parts(lines, split):
        part = lines[first:last]
        size = sum(map(len, part))
        if large and size > _LARGE_PART and not may_hold_call("\n".join(part).encode("utf-8", "replace")):
            kept[first] = " " * _indent(part) + "pass"
            continue
        if size > _HUGE_PART:
            failed.append(
                (offset + first + 1, offset + first + _filled(part), f"a statement of {size // 1_000_000} MB")
            )
            continue
        reason = _problem(part, parse)
        if not reason:
            kept[first:last] = part
            continue
        if not split and any(_CONTINUES.match(line.strip()) for line in part[1:]):
            inner, below = salvage(part, parse, offset=offset + first, depth=depth, split=True)
            kept[first:last] = inner
            failed.extend(below)
            continue
        body = _body(part)
        if depth >= _DEEPEST or body is None:
            failed.append((offset + first + 1, offset + first + _filled(part), reason))
            continue
        inner, below = salvage(part[body:], parse, offset=offset + first + body, depth=depth + 1)
        failed.extend(below)
        header = part[:body]
        if _problem([*header, " " * (_indent(header) + 1) + "pass"], parse):
            if not _continues_well(header, parse):
                failed.append((offset + first + 1, offset + first + body, reason))
            header = [" " * _indent(header) + "if 1:", *[""] * (body - 1)]
        kept[first : first + body] = header
        kept[first + body : last] = inner
        if not any(line.strip() for line in inner):
            kept[first + body] = " " * (_indent(part) + 1) + "pass"
    return kept, failed


def _problem(part: list[str], parse: Callable[[str], object]) -> str:
    """Why a part does not parse on its own, "" when it does."""
    if not any(line.strip() for line in part):
        return ""
    try:
        parse("\n".join(["if 1:", *part] if _indent(part) else part))
    except UncheckableError as error:
        return error.problem
    return ""


def _continues_well(header: list[str], parse: Callable[[str], object]) -> bool:
    """Whether a header that cannot stand alone would be right behind its `if` or `try`."""
    lead = " " * _indent(header)
    body = lead + " pass"
    text = "\n".join(header).lstrip()
    before = "try:" if text.startswith(("except", "finally")) else "if 1:"
    if text.startswith("try"):
        return not _problem([*header, body, lead + "finally:", body], parse)
    return not _problem([lead + before, body, *header, body], parse)


def _filled(lines: list[str]) -> int:
    """The number of lines without the empty ones and comments at the end."""
    code = (number for number, line in enumerate(lines, 1) if line.strip() and not line.lstrip().startswith("#"))
    return max(code, default=len(lines))


def _indent(lines: list[str]) -> int:
    for line in lines:
        stripped = line.lstrip(" \t\f")
        if stripped and not stripped.startswith("#"):
            return len(line) - len(stripped)
    return 0


def _parts(lines: list[str], split: bool) -> list[tuple[int, int]]:
    """The statements of a block: (first line, last line exclusive). Lines inside a long string start none."""
    margin = _indent(lines)
    starts: list[int] = []
    quote = ""
    decorated = False
    for number, line in enumerate(lines):
        inside = quote
        quote = _open_quote(line, quote)
        stripped = line.lstrip(" \t\f")
        if inside or not stripped or stripped.startswith("#") or len(line) - len(stripped) > margin:
            continue
        continues = _CLOSES.match(stripped) or (not split and _CONTINUES.match(stripped))
        if not decorated and not (continues and starts):
            starts.append(number)
        decorated = stripped.startswith("@")
    if not starts:
        return [(0, len(lines))] if lines else []
    return list(zip(starts, [*starts[1:], len(lines)], strict=True))


def _open_quote(line: str, quote: str) -> str:
    """The triple quote that is open at the end of a line."""
    at = 0
    while True:
        if quote:
            at = line.find(quote, at)
            if at < 0:
                return quote
            at, quote = at + 3, ""
        if "'" not in line and '"' not in line:
            return ""
        match = _QUOTES.search(line, at)
        if match is None:
            return ""
        at = match.end()
        if match.group() in ('"""', "'''"):
            quote = match.group()


def _body(lines: list[str]) -> int | None:
    """The index of the first line of the body when a part opens a block, else None."""
    margin = _indent(lines)
    start = next((n for n, line in enumerate(lines) if line.strip() and not line.lstrip().startswith(("#", "@"))), 0)
    if not _OPENS.match(lines[start].lstrip()):
        return None
    for number in range(start, len(lines) - 1):
        if lines[number].split("#")[0].rstrip().endswith(":"):
            deeper = next((line for line in lines[number + 1 :] if line.strip()), "")
            return number + 1 if _indent([deeper]) > margin else None
    return None
