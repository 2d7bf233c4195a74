"""Locals that hold times, and those that only a log has read."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from llmguard.migrate.statements import Function, target

#: Functions that read a clock.
CLOCKS = frozenset({"time", "perf_counter", "monotonic", "time_ns", "perf_counter_ns", "now", "utcnow"})
_CLOCK_MODULES = frozenset({"", "time", "datetime", "datetime.datetime", "dt", "dt.datetime", "timeit"})


def timings_of(function: Function) -> dict[str, list[ast.stmt]]:
    """Locals that hold times -> the statements that set them."""
    names: set[str] = set()
    elsewhere = {
        name for node in ast.walk(function) if isinstance(node, (ast.Global, ast.Nonlocal)) for name in node.names
    }
    found: dict[str, list[ast.stmt]] = {}
    for _ in range(3):  # a duration is made of a start
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and is_timing(node, names):
                name = target(node)
                if name and name not in elsewhere and node not in found.setdefault(name, []):
                    found[name].append(node)
                    names.add(name)
    assigned = [n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    return {name: statements for name, statements in found.items() if assigned.count(name) == len(statements)}


def is_timing(statement: ast.stmt, names: set[str]) -> bool:
    """Whether a statement sets a local from a clock, or from locals that were."""
    if not isinstance(statement, ast.Assign) or not target(statement):
        return False
    clock = False
    for node in ast.walk(statement.value):
        if isinstance(node, ast.Call):
            last = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            asked = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
            if last in CLOCKS and asked in _CLOCK_MODULES:
                clock = True
            elif last not in ("int", "round", "float", "total_seconds"):
                return False
        elif isinstance(node, ast.Name) and node.id in names:
            clock = True
    return clock


def unread(
    function: Function, logs: Sequence[ast.stmt], gone: list[ast.stmt], timings: dict[str, list[ast.stmt]]
) -> list[ast.stmt]:
    """Statements that set times which the logs have read, and nobody reads any more."""
    removed = list(gone)
    read: set[str] = set()
    pending: list[ast.stmt] = list(logs)
    while pending:
        names = {node.id for node in ast.walk(pending.pop()) if isinstance(node, ast.Name)} & set(timings) - read
        read |= names
        pending += [statement for name in names for statement in timings[name]]
    timings = {name: statements for name, statements in timings.items() if name in read}
    found: list[ast.stmt] = []
    for _ in range(len(timings) + 1):
        inside = {id(node) for statement in removed for node in ast.walk(statement)}
        for name, statements in timings.items():
            reads = [
                node
                for node in ast.walk(function)
                if isinstance(node, ast.Name)
                and node.id == name
                and isinstance(node.ctx, ast.Load)
                and id(node) not in inside
            ]
            if not reads:
                for statement in statements:
                    if id(statement) not in inside and statement not in found:
                        found.append(statement)
                        removed.append(statement)
    return found
