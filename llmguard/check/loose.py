"""Calls in lines that could not be parsed, found by their text alone: strings and comments out, then the shapes."""

from __future__ import annotations

import re
from typing import NamedTuple

from llmguard.check.finding import Callee, Confidence, Region
from llmguard.providers import PROVIDERS, Provider, Shape

_NOT_CODE = re.compile(
    r"""\"\"\".*?(?:\"\"\"|\Z)|\'\'\'.*?(?:\'\'\'|\Z)|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|#[^\n]*""", re.DOTALL
)
_KEYWORD = re.compile(r"(\w+)\s*=(?!=)")
_REACH = 4000  # characters after the callee in which its keywords are looked for


class LooseCall(NamedTuple):
    """A call found by its text."""

    region: Region
    callee: Callee
    text: str


def _patterns() -> list[tuple[re.Pattern[str], Provider, Shape]]:
    found = []
    for provider in PROVIDERS:
        for shape in provider.shapes:
            if "." in shape.path or shape.path in ("completion", "acompletion"):
                path = r"\s{0,50}\.\s{0,50}".join(map(re.escape, shape.path.split(".")))
                found.append((re.compile(rf"(?<!\w)({path})\s{{0,50}}\("), provider, shape))
    return found


#: The last name of what a method is called on, and its dot. Bounded, so that no run of brackets is gone through twice.
_BEFORE = re.compile(r"[\w)\]]{1,200}\s{0,50}\.\s{0,50}\Z")
_LONGEST = 20  # names


def _receiver(code: str, start: int) -> int:
    """Where the dotted path begins whose last names begin at `start`."""
    for _ in range(_LONGEST):
        match = _BEFORE.search(code, max(0, start - 300), start)
        if match is None:
            break
        start = match.start()
    return start


def loose_calls(lines: list[str], first: int, last: int) -> list[LooseCall]:
    """The calls in the lines from `first` to `last` (1-based, inclusive)."""
    text = "\n".join(lines[first - 1 : last])
    code = _NOT_CODE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)
    taken: set[int] = set()
    found: list[LooseCall] = []
    for pattern, provider, shape in _patterns():
        for match in pattern.finditer(code):
            names = set(_KEYWORD.findall(code[match.end() : match.end() + _REACH]))
            if match.end() in taken or names & shape.refuses or not (shape.needs <= names):
                continue
            taken.add(match.end())
            start = _receiver(code, match.start(1))
            confidence = Confidence.LIKELY if shape.needs or shape.unseen == "likely" else Confidence.POSSIBLE
            callee = Callee(provider.name, provider.title, shape.family, confidence)
            found.append(
                LooseCall(
                    _region(code, start, match.end(1), first), callee, "".join(code[start : match.end(1)].split())
                )
            )
    return sorted(found, key=lambda call: call.region)


def _region(code: str, start: int, end: int, first: int) -> Region:
    def place(offset: int) -> tuple[int, int]:
        before = code.rfind("\n", 0, offset)
        return first + code.count("\n", 0, offset), offset - before

    return Region(*place(start), *place(end))
