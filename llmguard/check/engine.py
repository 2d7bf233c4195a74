"""One file through all stages."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from llmguard.check import notebook, screen, tracked
from llmguard.check.filters import Filters, Place
from llmguard.check.finding import Call, Callee, FileReport, Unchecked
from llmguard.check.module import ModuleFacts, Site
from llmguard.check.reading import Decoded, decode, lines_of, parse
from llmguard.check.stores import function_of
from llmguard.errors import UncheckableError

if TYPE_CHECKING:
    from llmguard.check.project import Project

NOTHING = FileReport(())


def check_module(
    data: bytes, place: Place, project: Project, *, shortcut: bool = True, tracked_too: bool = True
) -> FileReport:
    """One file through all stages.

    Args:
        data: its bytes.
        place: what it is called, where it is, and what holds there.
        project: where imports are followed.
        shortcut: use the screen, and show LibCST only the callees (False is for the test that holds both together).
        tracked_too: look at files whose only calls are on the books (a hook has no use for them).
    """
    if shortcut and not screen.may_hold_call(data) and not screen.has_mark(data):
        return NOTHING
    cells = None
    try:
        if place.path.endswith(notebook.SUFFIX):
            cells = notebook.read(data)
            decoded, parsed = Decoded("\n".join(cells.lines), ""), cells.parsed()
        else:
            decoded = decode(data)
            parsed = parse(decoded.text)
    except UncheckableError as error:
        return FileReport((), (), (Unchecked(place.path, error.line, error.problem),))
    facts = ModuleFacts.of(parsed.tree, place.absolute, is_package=os.path.basename(place.path) == "__init__.py")
    try:
        needed = tracked_too or screen.has_mark(data)  # a comment may stand at a call that is on the books
        calls = _calls(decoded.text, facts, project, shortcut=shortcut, tracked_too=needed)
        if cells is None:
            return Filters(place, decoded, parsed).report(calls)
        readable = "\n".join(cells.readable)
        return cells.placed(Filters(place, decoded, parsed, readable).report(calls), place.path)
    finally:
        facts.dismantle()
        project.release()


def _calls(text: str, facts: ModuleFacts, project: Project, *, shortcut: bool, tracked_too: bool) -> list[Call]:
    """The calls of a module. LibCST is loaded only when there is one."""
    from llmguard.check.judge import Judge

    found = Judge(facts, project).candidates()
    door = tracked.door_of(facts) if found else ""
    placed = [(expression, site, _in_door(callee, facts, site, door)) for expression, site, callee in found]
    if not placed or not (tracked_too or any(not callee.tracked for _, _, callee in placed)):
        return []
    from llmguard.check.finder import Candidate, find_calls, region_of

    lines = lines_of(text.replace("\x00", " "))
    candidates = [
        Candidate(region_of(site.fstring or expression, lines), expression, site, callee)
        for expression, site, callee in placed
    ]
    return find_calls("\n".join(lines), candidates, shortcut=shortcut)


def _in_door(callee: Callee, facts: ModuleFacts, site: Site, door: str) -> Callee:
    """What a call reaches, tracked when it stands in a door."""
    if callee.tracked:
        return callee
    if door:
        return callee._replace(tracked=f"in the module of {door}")
    function = function_of(site.scope)
    own = tracked.own_door_around(facts, function.qualname if function is not None else "")
    return callee._replace(tracked=f"inside {own}") if own else callee
