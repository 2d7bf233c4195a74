"""Usage logging by hand beside a call: once the wrapper has the call on the books, it would be counted twice.

It goes only when it is surely about that one call: an expression statement of a known tracker, behind the only call of
the function or in an `except` of its `try`, whose arguments name nothing but the response, what was there before the
call, and timings.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

from llmguard.migrate.carried import carried, says
from llmguard.migrate.statements import Function, bodies, call_of, target
from llmguard.migrate.timings import CLOCKS, is_timing, timings_of, unread

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
_PURE = CLOCKS | {"len", "int", "round", "float", "str", "getattr", "bool", "sum", "total_seconds", "type"}


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


NO_LOG = ByHand()


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
        return ByHand(kept=any(_may_log(node) for node in ast.walk(function)))
    if len(calls) != len(logs) or any(_is_watched(source, texts, call) for call in calls):
        return ByHand(kept=True)  # in another form (a task, a value), or with another use
    inside = [other for other in others if _function_of(source, other.site.node) is function]
    statement = found.site.statement
    response = target(statement)
    good = [log for log in logs if _follows(source, statement, log) or _in_except(source, statement, log)]
    success = [log for log in good if _follows(source, statement, log)]
    if len(inside) != 1 or len(good) != len(logs) or len(success) > 1:
        return ByHand(kept=True)
    if not all(_has_lines(source, log) for log in logs):
        return ByHand(kept=True)
    timings = timings_of(function)
    if not all(_speaks_of(log, function, statement, response, timings, known) for log in logs):
        return ByHand(kept=True)
    metadata = user = ""
    if success:
        metadata = carried(source, success[0], "metadata", function, statement)
        if not metadata and says(success[0], "metadata"):
            return ByHand(kept=True)  # what it says of the call would be lost
        user = carried(source, success[0], "user_id", function, statement)
    gone: list[ast.stmt] = [_with_guard(source, log, function, timings) for log in logs]
    gone += [timing for timing in unread(function, logs, gone, timings) if _has_lines(source, timing)]
    return ByHand(tuple(gone), metadata, user)


def _has_lines(source: Source, statement: ast.stmt) -> bool:
    """Whether a statement has its lines for itself."""
    return source.begins_line(statement) and source.ends_line(statement)


def _function_of(source: Source, node: ast.AST) -> Function | None:
    return next((p for p in source.ancestors(node) if isinstance(p, (ast.FunctionDef, ast.AsyncFunctionDef))), None)


def _is_log(statement: ast.stmt, known: tuple[str, ...]) -> bool:
    call = call_of(statement)
    return call is not None and _is_log_call(call, known)


def _is_log_call(call: ast.Call, known: tuple[str, ...]) -> bool:
    if _is_known(call, known):
        return True
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in _METHODS:
        return False
    receiver = call.func.value
    name = receiver.attr if isinstance(receiver, ast.Attribute) else getattr(receiver, "id", "")
    return name.endswith(_TRACKERS)


def _may_log(node: ast.AST) -> bool:
    """Whether a call logs usage by the name of its method, whoever's it is."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS


def _is_known(call: ast.Call, known: tuple[str, ...]) -> bool:
    return bool(known) and f".{ast.unparse(call.func)}".endswith(tuple(f".{name}" for name in known))


def _is_watched(source: Source, texts: Texts, call: ast.Call) -> bool:
    """Whether a log may be noticed beside its books: its tracker is made, or looked at, in this file, or it prints."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    receiver = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    for node in source.nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
            return True
        if (
            isinstance(node, ast.Attribute)
            and node.attr not in (*_METHODS, name)
            and ast.unparse(node.value) == receiver
        ):
            return True
    return texts.watched(name, receiver.rpartition(".")[2])


def _follows(source: Source, statement: ast.stmt, log: ast.stmt) -> bool:
    """Whether a log stands on the success path behind the call, which is on all ways to it: in the call's block or one
    that its block always goes on into, guarded at most."""
    if log.lineno <= statement.lineno:
        return False
    around = []
    for parent, body in bodies(source, statement):
        around.append(id(body))
        if not _goes_on(parent, body):
            break
    for parent, body in bodies(source, log):
        if id(body) in around:
            return True
        guards = isinstance(parent, ast.Try) and body is parent.body and not parent.orelse and not parent.finalbody
        if isinstance(parent, ast.If):
            guards = body is parent.body and not parent.orelse and _is_plain_test(parent.test)
        if not guards:
            return False
        if len(body) > 1 and any(not is_timing(other, set()) for other in body if other is not log):
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
        parent for parent, body in bodies(source, statement) if isinstance(parent, ast.Try) and body is parent.body
    ]
    handlers = [handler for outer in tries for handler in outer.handlers]
    return any(handler in source.ancestors(log) for handler in handlers)


def _is_plain_test(test: ast.expr) -> bool:
    return not any(isinstance(node, (ast.Call, ast.Await, ast.NamedExpr)) for node in ast.walk(test))


def _speaks_of(
    log: ast.stmt,
    function: Function,
    statement: ast.stmt,
    response: str,
    timings: dict[str, list[ast.stmt]],
    trackers: tuple[str, ...],
) -> bool:
    """Whether the arguments of a log name only the response, timings, and what was there before the call."""
    call = call_of(log)
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
        | {"str", "int", "len", "getattr", *CLOCKS, "round", "float", "datetime"}
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
        target(node)
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        and node.lineno > statement.lineno
        and isinstance(node.value, ast.Attribute)
        and response
        and ast.unparse(node.value).startswith(f"{response}.usage")
    }


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


def _with_guard(source: Source, log: ast.stmt, function: Function, timings: dict[str, list[ast.stmt]]) -> ast.stmt:
    """A log, or the `try` or `if` round it that guards nothing else."""
    node: ast.stmt = log
    own = {id(statement) for statements in timings.values() for statement in statements}
    for parent, body in bodies(source, log):
        others = [other for other in body if other is not node and id(other) not in own]
        guards = isinstance(parent, ast.Try) and body is parent.body and not parent.finalbody and not parent.orelse
        guards |= isinstance(parent, ast.If) and body is parent.body and not parent.orelse
        if others or not guards or not isinstance(parent, (ast.Try, ast.If)):
            break
        if isinstance(parent, ast.If) and not _is_plain_test(parent.test):
            break
        node = parent
    return node
