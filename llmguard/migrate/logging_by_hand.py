"""Usage logging by hand beside a call: once the wrapper has the call on the books, it would be counted twice.

It goes only when it is surely about that one call: an expression statement of a known tracker, behind the only call of
the function or in an `except` of its `try`, whose arguments name nothing but the response, what was there before the
call, and timings.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from llmguard.migrate.source import Found, Source
    from llmguard.migrate.uses import Texts

#: Method of a tracker -> it logs one call.
_METHODS = frozenset({"log_llm_call", "log_groq_call", "log_llm_usage", "log_groq_usage", "log_openai_call"})
_TRACKERS = ("usage_tracker", "llm_tracker", "groq_tracker")
#: Arguments of a log that the ledger has anyway, or that move to the call.
_KEYWORDS = frozenset(
    {
        *("user_id", "model", "endpoint", "status_code", "tokens_used", "prompt_tokens", "completion_tokens"),
        *("duration_ms", "response_time_ms", "error_message", "error_type", "metadata", "provider", "input_tokens"),
        *("output_tokens", "success", "service", "service_name", "response"),
    }
)
_CLOCKS = frozenset({"time", "perf_counter", "monotonic", "time_ns", "perf_counter_ns", "now", "utcnow"})
_CLOCK_MODULES = frozenset({"", "time", "datetime", "datetime.datetime", "dt", "dt.datetime", "timeit"})
_PURE = _CLOCKS | {"len", "int", "round", "float", "str", "getattr", "bool", "sum", "total_seconds", "type"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


class ByHand(NamedTuple):
    """What goes with a call that moves to the wrapper.

    Attributes:
        statements: that are taken out, the outer ones only.
        metadata: expression that the log had, for the wrapper; "" for none.
        user: expression of the user's identifier, "" for none.
        kept: whether there is logging that stays, and counts the call a second time.
    """

    statements: tuple[ast.stmt, ...] = ()
    metadata: str = ""
    user: str = ""
    kept: bool = False


def beside(found: Found, others: list[Found], texts: Texts, known: tuple[str, ...] = ()) -> ByHand:
    """The logging by hand of one call.

    Args:
        found: the call.
        others: all calls of the file that are to move.
        texts: the bytes of the project's files.
        known: dotted endings of more functions that log usage: `token_tracker.add`.
    """
    source = found.source
    function = _function_of(source, found.site.node)
    if function is None:
        return ByHand()
    logs = [node for node in ast.walk(function) if isinstance(node, ast.Expr) and _is_log(node, known)]
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and _is_log_call(node, known)]
    if not calls:
        return ByHand()
    if len(calls) != len(logs) or any(_is_watched(source, texts, call) for call in calls):
        return ByHand(kept=True)  # in another form (a task, a value), or with another use
    inside = [other for other in others if _function_of(source, other.site.node) is function]
    statement = found.site.statement
    response = _target(statement)
    good = [log for log in logs if _follows(source, statement, log) or _in_except(source, statement, log)]
    success = [log for log in good if _follows(source, statement, log)]
    if len(inside) != 1 or len(good) != len(logs) or len(success) > 1:
        return ByHand(kept=True)
    if not all(_has_lines(source, log) for log in logs):
        return ByHand(kept=True)
    timings = _timings(function)
    if not all(_speaks_of(log, function, statement, response, timings, known) for log in logs):
        return ByHand(kept=True)
    metadata = user = ""
    if success:
        metadata = _carried(source, success[0], "metadata", function, statement)
        if not metadata and _has(success[0], "metadata"):
            return ByHand(kept=True)  # what it says of the call would be lost
        user = _carried(source, success[0], "user_id", function, statement)
    gone: list[ast.stmt] = [_with_guard(source, log, function, timings) for log in logs]
    gone += [timing for timing in _unread_timings(function, logs, gone, timings) if _has_lines(source, timing)]
    return ByHand(tuple(gone), metadata, user)


def _has_lines(source: Source, statement: ast.stmt) -> bool:
    """Whether a statement has its lines for itself."""
    return source.begins_line(statement) and source.ends_line(statement)


def _function_of(source: Source, node: ast.AST) -> Function | None:
    return next((p for p in source.ancestors(node) if isinstance(p, (ast.FunctionDef, ast.AsyncFunctionDef))), None)


def _call_of(statement: ast.stmt) -> ast.Call | None:
    value = getattr(statement, "value", None)
    value = value.value if isinstance(value, ast.Await) else value
    return value if isinstance(value, ast.Call) else None


def _is_log(statement: ast.stmt, known: tuple[str, ...]) -> bool:
    call = _call_of(statement)
    return call is not None and _is_log_call(call, known)


def _is_log_call(call: ast.Call, known: tuple[str, ...]) -> bool:
    if _is_known(call, known):
        return True
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in _METHODS:
        return False
    receiver = call.func.value
    name = receiver.attr if isinstance(receiver, ast.Attribute) else getattr(receiver, "id", "")
    return name.endswith(_TRACKERS)


def _is_known(call: ast.Call, known: tuple[str, ...]) -> bool:
    return bool(known) and f".{ast.unparse(call.func)}".endswith(tuple(f".{name}" for name in known))


def _is_watched(source: Source, texts: Texts, call: ast.Call) -> bool:
    """Whether a log may be noticed beside its books: its tracker is made, or looked at, in this file, or it prints."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    receiver = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
            return True
        if (
            isinstance(node, ast.Attribute)
            and node.attr not in (*_METHODS, name)
            and ast.unparse(node.value) == receiver
        ):
            return True
    return texts.watched(name, receiver.rpartition(".")[2])


def _target(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return ""


def _bodies(source: Source, node: ast.AST) -> list[tuple[ast.AST, list[ast.stmt]]]:
    """(parent, list of statements) around a node, the innermost first, up to its function."""
    found = []
    child: ast.AST = node
    for parent in source.ancestors(node):
        for _, value in ast.iter_fields(parent):
            if isinstance(value, list) and child in value:
                found.append((parent, value))
        if isinstance(parent, (ast.FunctionDef, ast.AsyncFunctionDef)):
            break
        child = parent
    return found


def _follows(source: Source, statement: ast.stmt, log: ast.stmt) -> bool:
    """Whether a log stands on the success path behind the call, which is on all ways to it: in the call's block or one
    that its block always goes on into, guarded at most."""
    if log.lineno <= statement.lineno:
        return False
    around = []
    for parent, body in _bodies(source, statement):
        around.append(id(body))
        if not _goes_on(parent, body):
            break
    for parent, body in _bodies(source, log):
        if id(body) in around:
            return True
        guards = isinstance(parent, ast.Try) and body is parent.body and not parent.orelse and not parent.finalbody
        if isinstance(parent, ast.If):
            guards = body is parent.body and not parent.orelse and _is_plain_test(parent.test)
        if not guards:
            return False
        if len(body) > 1 and any(not _is_timing(other, set()) for other in body if other is not log):
            return False
    return False


def _goes_on(parent: ast.AST, body: list[ast.stmt]) -> bool:
    """Whether what follows a block is reached through the block alone: that of a `with`, and of a `try` whose handlers
    all leave."""
    if isinstance(parent, (ast.With, ast.AsyncWith)):
        return True
    leaves = (ast.Return, ast.Raise, ast.Continue, ast.Break)
    return (
        isinstance(parent, ast.Try)
        and body in (parent.body, parent.orelse)
        and all(isinstance(handler.body[-1], leaves) for handler in parent.handlers)
    )


def _in_except(source: Source, statement: ast.stmt, log: ast.stmt) -> bool:
    """Whether a log stands in an `except` of a `try` whose body holds the call."""
    tries = [
        parent for parent, body in _bodies(source, statement) if isinstance(parent, ast.Try) and body is parent.body
    ]
    handlers = [handler for outer in tries for handler in outer.handlers]
    return any(handler in source.ancestors(log) for handler in handlers)


def _is_plain_test(test: ast.expr) -> bool:
    return not any(isinstance(node, (ast.Call, ast.Await, ast.NamedExpr)) for node in ast.walk(test))


def _timings(function: Function) -> dict[str, list[ast.stmt]]:
    """Locals that hold times -> the statements that set them."""
    names: set[str] = set()
    elsewhere = {
        name for node in ast.walk(function) if isinstance(node, (ast.Global, ast.Nonlocal)) for name in node.names
    }
    found: dict[str, list[ast.stmt]] = {}
    for _ in range(3):  # a duration is made of a start
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and _is_timing(node, names):
                name = _target(node)
                if name and name not in elsewhere and node not in found.setdefault(name, []):
                    found[name].append(node)
                    names.add(name)
    assigned = [n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    return {name: statements for name, statements in found.items() if assigned.count(name) == len(statements)}


def _is_timing(statement: ast.stmt, names: set[str]) -> bool:
    """Whether a statement sets a local from a clock, or from locals that were."""
    if not isinstance(statement, ast.Assign) or not _target(statement):
        return False
    clock = False
    for node in ast.walk(statement.value):
        if isinstance(node, ast.Call):
            last = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            asked = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
            if last in _CLOCKS and asked in _CLOCK_MODULES:
                clock = True
            elif last not in ("int", "round", "float", "total_seconds"):
                return False
        elif isinstance(node, ast.Name) and node.id in names:
            clock = True
    return clock


def _speaks_of(
    log: ast.stmt,
    function: Function,
    statement: ast.stmt,
    response: str,
    timings: dict[str, list[ast.stmt]],
    trackers: tuple[str, ...],
) -> bool:
    """Whether the arguments of a log name only the response, timings, and what was there before the call."""
    call = _call_of(log)
    assert call is not None
    if not _is_known(call, trackers) and (call.args or any(key.arg not in _KEYWORDS for key in call.keywords)):
        return False
    for part in ast.walk(log):
        if isinstance(part, ast.Call) and part is not call and ast.unparse(part.func).rpartition(".")[2] not in _PURE:
            return False
    before = _bound_before(function, statement)
    handlers = {node.name for node in ast.walk(function) if isinstance(node, ast.ExceptHandler) and node.name}
    known = (
        before
        | set(timings)
        | handlers
        | ({response} if response else set())
        | {"str", "int", "len", "getattr", *_CLOCKS, "round", "float", "datetime"}
    )
    known |= _taken_from(function, response, statement)
    return all(
        node.id in known
        for part in (*call.args, *call.keywords)
        for node in ast.walk(part)
        if isinstance(node, ast.Name)
    )


def _taken_from(function: Function, response: str, statement: ast.stmt) -> set[str]:
    """Locals that are set from the response's usage: `usage = response.usage`."""
    return {
        _target(node)
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        and node.lineno > statement.lineno
        and isinstance(node.value, ast.Attribute)
        and response
        and ast.unparse(node.value).startswith(f"{response}.usage")
    }


def _surely_bound(source: Source, function: Function, statement: ast.stmt) -> set[str]:
    """Names that are bound when a call is reached: parameters, and what statements in front of it have set, in its
    block and those around it."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    names = {argument.arg for argument in every if argument is not None}
    for parent, body in _bodies(source, statement):
        targets: list[ast.AST] = [
            other
            for other in body
            if other.lineno < statement.lineno and isinstance(other, (ast.Assign, ast.AnnAssign, ast.AugAssign))
        ]
        if isinstance(parent, (ast.For, ast.AsyncFor)) and body is parent.body:
            targets.append(parent.target)
        if isinstance(parent, (ast.With, ast.AsyncWith)):
            targets += [item.optional_vars for item in parent.items if item.optional_vars is not None]
        names |= {
            node.id
            for target in targets
            for node in ast.walk(target)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
    return names


def _bound_before(function: Function, statement: ast.stmt) -> set[str]:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    names = {argument.arg for argument in every if argument is not None}
    inside = {
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.lineno < statement.lineno
    }
    return names | inside


def _carried(source: Source, log: ast.stmt, name: str, function: Function, statement: ast.stmt) -> str:
    """The text of an argument of a log, when all that it names is there before the call."""
    call = _call_of(log)
    assert call is not None
    value = next((keyword.value for keyword in call.keywords if keyword.arg == name), None)
    if value is None or (isinstance(value, ast.Constant) and value.value is None):
        return ""
    between = [node for node in ast.walk(function) if statement.lineno <= getattr(node, "lineno", 0) < log.lineno]
    changed = {_root(node) for node in between if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load)}
    changed |= {_changed_by(node) for node in between}
    before = _surely_bound(source, function, statement) - changed
    before |= {"len", "str", "int", "bool", "sum"}
    if _bodies(source, log)[0][1] is not _bodies(source, statement)[0][1] and not _is_safe(source, log, value):
        return ""  # what guards the log may guard this
    names = {node.id for node in ast.walk(value) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    if not names <= before or any(isinstance(node, ast.Await) for node in ast.walk(value)):
        return ""
    return source.segment(value)


def _is_safe(source: Source, log: ast.stmt, value: ast.expr) -> bool:
    """Whether an argument of a log can be evaluated without the `if` or `try` round it."""
    if isinstance(value, ast.Name):
        return True
    if any(isinstance(node, (ast.Attribute, ast.Subscript, ast.BinOp)) for node in ast.walk(value)):
        return False
    tests = [parent.test for parent, _ in _bodies(source, log) if isinstance(parent, ast.If)]
    tested = {node.id for test in tests for node in ast.walk(test) if isinstance(node, ast.Name)}
    return not any(isinstance(node, ast.Name) and node.id in tested for node in ast.walk(value))


def _root(node: ast.AST) -> str:
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
        node = node.value
    return getattr(node, "id", "")


def _changed_by(node: ast.AST) -> str:
    """The variable that a call of its method may change, "" for none."""
    return _root(node.func.value) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""


def _has(log: ast.stmt, name: str) -> bool:
    """Whether a log has an argument that says something."""
    call = _call_of(log)
    assert call is not None
    return any(
        keyword.arg == name and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is None)
        for keyword in call.keywords
    )


def _with_guard(source: Source, log: ast.stmt, function: Function, timings: dict[str, list[ast.stmt]]) -> ast.stmt:
    """A log, or the `try` or `if` round it that guards nothing else."""
    node: ast.stmt = log
    own = {id(statement) for statements in timings.values() for statement in statements}
    for parent, body in _bodies(source, log):
        others = [other for other in body if other is not node and id(other) not in own]
        guards = isinstance(parent, ast.Try) and body is parent.body and not parent.finalbody and not parent.orelse
        guards |= isinstance(parent, ast.If) and body is parent.body and not parent.orelse
        if others or not guards or not isinstance(parent, (ast.Try, ast.If)):
            break
        if isinstance(parent, ast.If) and not _is_plain_test(parent.test):
            break
        node = parent
    return node


def _unread_timings(
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
