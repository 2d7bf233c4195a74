"""Where in the user's code a call is made.

That is the nearest frame of the project on the stack, else the first that does not only pass the call on. The stack of
a task or a thread ends where the event loop or the pool begins: nobody there has made the call. Then it is the place
where the coroutine was made (`remember`), or where the method was taken from its object, or the work submitted
(`context.carry_into_threads`).
"""

from __future__ import annotations

import inspect
import os
import sys
import weakref
from contextvars import ContextVar
from itertools import islice
from types import CodeType, CoroutineType
from typing import TYPE_CHECKING, Any, NamedTuple

from llmguard.usage.blob import File, file_of

if TYPE_CHECKING:
    from types import FrameType

_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_LIBRARY = os.path.dirname(os.__file__) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_MOST_FRAMES = 200
_MOST_KEPT = 10_000
_AWAITED = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE
#: (root, passing) -> file name -> path below the root; "" for code that is not the project's, None for what passes on.
_verdicts: dict[tuple[str, tuple[str, ...]], dict[str, str | None]] = {}
#: (identity of code, instruction) -> (code, path, columns); not to be changed in place.
_columns: dict[tuple[int, int], tuple[CodeType, str, dict[str, Any]]] = {}


class Spot(NamedTuple):
    """A place in running code.

    Attributes:
        code: that runs.
        instruction: offset of the instruction in it.
        line: of it.
        path: of the file below the project's root; absolute for code that is not the project's.
        is_own: whether it is the project's.
    """

    code: CodeType
    instruction: int
    line: int
    path: str
    is_own: bool


class _Made(weakref.ref[Any]):
    """A coroutine that is under way, and where it was made."""

    __slots__ = ("key", "spot")
    key: int
    spot: Spot


#: Identity of a coroutine's frame -> the coroutine.
_made: dict[int, _Made] = {}
#: Where the work was submitted that a thread is doing; set by who carries contexts into threads.
submitted: ContextVar[Spot | None] = ContextVar("llmguard_submitted", default=None)


def caller(root: str, passing: tuple[str, ...] = ()) -> dict[str, Any] | None:
    """The columns of a row that say who called into llmguard, None when nobody did (an embedded interpreter, say).

    Args:
        root: absolute folder of the project, that the file is relative to.
        passing: beginnings of file names whose frames only pass calls on: the folder of an SDK.
    """
    found = spot(root, passing, sys._getframe(1))
    return None if found is None else columns_of(found)


def spot(root: str, passing: tuple[str, ...], start: FrameType) -> Spot | None:
    """The place that a call was made at, seen from a frame below it."""
    outside: FrameType | None = None
    made: Spot | None = None
    frame: FrameType | None = start
    verdicts = _verdicts.setdefault((root, passing), {})
    for _ in range(_MOST_FRAMES):
        if frame is None:
            break
        name = frame.f_code.co_filename
        try:
            path = verdicts[name]
        except KeyError:
            path = _judged(name, root, passing)
            if len(verdicts) < _MOST_KEPT:
                verdicts[name] = path
        if path:
            return made or Spot(frame.f_code, frame.f_lasti, frame.f_lineno, path, True)
        if path is not None and outside is None:
            outside = frame
        above = frame.f_back
        if frame.f_code.co_flags & _AWAITED:
            made = _made_at(frame) or made
            if above is not None and not above.f_code.co_flags & _AWAITED:
                break  # a task: what is above drives it
        frame = above
    known = made or submitted.get() or _taken(start)
    if known is not None and (known.is_own or outside is None):
        return known
    if outside is None:
        return None
    path = os.path.abspath(outside.f_code.co_filename)
    return Spot(outside.f_code, outside.f_lasti, outside.f_lineno, path, False)


def remember(coroutine: CoroutineType[Any, Any, Any], place: Spot | None) -> None:
    """Know where a coroutine was made, for as long as it is there."""
    frame = coroutine.cr_frame
    if place is not None and frame is not None:
        made = _Made(coroutine, _forget)
        key = made.key = id(frame)
        made.spot = place
        _made[key] = made


def _forget(made: Any) -> None:
    key: int = made.key
    if _made.get(key) is made:
        del _made[key]


def _made_at(frame: FrameType) -> Spot | None:
    """Where the coroutine that runs in a frame was made, if that is the project's and known."""
    made = _made.get(id(frame))
    if made is None:
        return None
    coroutine = made()
    return made.spot if coroutine is not None and coroutine.cr_frame is frame and made.spot.is_own else None


def _taken(start: FrameType) -> Spot | None:
    """Where the outermost method on the stack was taken from its object, if that is known."""
    found: Spot | None = None
    frame: FrameType | None = start
    for _ in range(_MOST_FRAMES):
        if frame is None:
            break
        if frame.f_code.co_name == "__call__" and frame.f_code.co_filename.startswith(_OWN):
            found = getattr(frame.f_locals.get("self"), "spot", None) or found
        frame = frame.f_back
    return found


def columns_of(found: Spot) -> dict[str, Any]:
    """A place as the columns of a row, in OpenTelemetry's terms: `code.file.path`, `code.function.name`, line, and from
    Python 3.11 on column and end, 1-based, in characters, the end exclusive; and git's hash of the file as it ran."""
    # By identity: to hash a code object is to look at all that is in it.
    key = (id(found.code), found.instruction)
    known = _columns.get(key)
    if known is None or known[0] is not found.code or known[1] != found.path:
        known = (found.code, found.path, _columns_of(found))
        if len(_columns) < _MOST_KEPT:
            _columns[key] = known
    return known[2]


def _columns_of(found: Spot) -> dict[str, Any]:
    code = found.code
    function = getattr(code, "co_qualname", code.co_name)  # qualified from Python 3.11 on
    columns: dict[str, Any] = {
        "code_file": found.path,
        "code_function": function.replace(".<locals>", ""),
        "code_line": found.line,
    }
    if not found.is_own:
        return columns
    file = file_of(code)
    if file.blob:
        columns["code_blob"] = file.blob
    if sys.version_info >= (3, 11):
        position = islice(code.co_positions(), found.instruction // 2, None)
        line, end_line, column, end_column = next(position, (None, None, None, None))
        if line is not None and column is not None:
            columns.update(code_line=line, code_column=_character(file, line, column))
        if end_line is not None and end_column is not None:
            columns.update(code_end_line=end_line, code_end_column=_character(file, end_line, end_column))
    return columns


def _character(file: File, line: int, offset: int) -> int:
    """The column in characters for an offset in bytes of UTF-8."""
    if file.lines is not None and line <= len(file.lines):
        return len(file.lines[line - 1][:offset].decode("utf-8", "replace")) + 1
    return offset + 1


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
