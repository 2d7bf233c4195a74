"""Where in the user's code a call is made: the first frame outside of llmguard and of what only passes calls on."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_PASSING = ("contextlib.py", "functools.py")
_relative: dict[tuple[str, str], str] = {}


class Caller(NamedTuple):
    """A place in code, in OpenTelemetry's terms: `code.file.path` (below the root), `code.function.name`, line."""

    code_file: str
    code_function: str
    code_line: int


def caller(root: str) -> Caller | None:
    """The place that called into llmguard, None when there is none (an embedded interpreter, say).

    Args:
        root: absolute folder that the file is relative to.
    """
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(_OWN) and not name.endswith(_PASSING):
            function = getattr(frame.f_code, "co_qualname", frame.f_code.co_name)  # qualified from Python 3.11 on
            return Caller(_below(name, root), function.replace(".<locals>", ""), frame.f_lineno)
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return None


def _below(path: str, root: str) -> str:
    key = (path, root)
    known = _relative.get(key)
    if known is None:
        absolute = os.path.abspath(path)
        inside = absolute.startswith(root.rstrip(os.sep) + os.sep)
        known = os.path.relpath(absolute, root).replace(os.sep, "/") if inside else absolute
        if len(_relative) < 10_000:
            _relative[key] = known
    return known
