"""Where in the user's code a call is made: the nearest frame of the project, else the first that is not passed on."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from types import FrameType

_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_LIBRARY = os.path.dirname(os.__file__) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_MOST_FRAMES = 200
#: (root, passing) -> file name -> path below the root; "" for code that is not the project's, None for what passes on.
_verdicts: dict[tuple[str, tuple[str, ...]], dict[str, str | None]] = {}


class Caller(NamedTuple):
    """A place in code, in OpenTelemetry's terms: `code.file.path` (below the root), `code.function.name`, line."""

    code_file: str
    code_function: str
    code_line: int


def caller(root: str, passing: tuple[str, ...] = ()) -> Caller | None:
    """The place that called into llmguard, None when there is none (an embedded interpreter, say).

    Args:
        root: absolute folder of the project, that the file is relative to.
        passing: beginnings of file names whose frames only pass calls on: the folder of an SDK.
    """
    outside: FrameType | None = None
    frame: FrameType | None = sys._getframe(1)
    verdicts = _verdicts.setdefault((root, passing), {})
    for _ in range(_MOST_FRAMES):
        if frame is None:
            break
        name = frame.f_code.co_filename
        try:
            path = verdicts[name]
        except KeyError:
            path = _judged(name, root, passing)
            if len(verdicts) < 10_000:
                verdicts[name] = path
        if path:
            return _place(frame, path)
        if path is not None and outside is None:
            outside = frame
        frame = frame.f_back
    return _place(outside, os.path.abspath(outside.f_code.co_filename)) if outside is not None else None


def _place(frame: FrameType, path: str) -> Caller:
    function = getattr(frame.f_code, "co_qualname", frame.f_code.co_name)  # qualified from Python 3.11 on
    return Caller(path, function.replace(".<locals>", ""), frame.f_lineno)


def _judged(name: str, root: str, passing: tuple[str, ...]) -> str | None:
    if name.startswith((_OWN, "<frozen")) or (passing and name.startswith(passing)):
        return None
    absolute = os.path.abspath(name)
    if absolute.startswith(_LIBRARY):
        return None
    is_below = absolute.startswith(root.rstrip(os.sep) + os.sep) and not name.startswith("<")
    if not is_below or any(part in absolute for part in _INSTALLED):
        return ""
    return os.path.relpath(absolute, root).replace(os.sep, "/")
