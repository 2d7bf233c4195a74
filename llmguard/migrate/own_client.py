"""Calls whose client stays: it is given to the wrapper with the call (`client=`), or the call is made on a view of it
(`using`), which takes any method and any arguments.

Whoever else uses the client, makes it or puts another in its place does not matter: the call asks the very object that
it has asked before.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

from llmguard import doors
from llmguard.check.values import UNKNOWN, Here, Instance
from llmguard.migrate import clients, groups, places
from llmguard.migrate.codemods import to_wrapper, using
from llmguard.migrate.verdict import Target
from llmguard.providers import Family

if TYPE_CHECKING:
    from llmguard.migrate.file import FileMigration
    from llmguard.migrate.outcome import Outcome
    from llmguard.migrate.source import Found, Source

#: What may stand between a client and its generating method.
ON_THE_WAY = frozenset(
    {
        *("chat", "completions", "create", "parse", "stream", "messages", "responses", "embeddings", "beta", "batches"),
        *("with_raw_response", "with_streaming_response", "images", "generate", "edit", "audio", "speech"),
        *("transcriptions", "translations", "create_and_poll", "create_and_run", "threads", "runs", "count"),
    }
)
#: Providers of whose SDKs there are views, for calls on a client that nobody knows by its class.
_VIEWED = frozenset({"openai", "azure_openai", "groq", "anthropic"})


class Receiver(NamedTuple):
    """What a call is made on.

    Attributes:
        node: the expression.
        classes: of clients that it may be of, as far as they are known.
        sure: whether it can be nothing else.
    """

    node: ast.expr
    classes: frozenset[str]
    sure: bool


def move(migration: FileMigration, outcome: Outcome, reason: str) -> bool:
    """Move a call whose client stays; whether it has moved.

    Args:
        migration: of its file.
        outcome: of the call.
        reason: why the client stays, as far as that is known.
    """
    targets = migration.options.targets
    if Target.WRAPPER in targets and _to_wrapper(migration, outcome, reason):
        return True
    return Target.USING in targets and _using(migration, outcome, reason)


def _to_wrapper(migration: FileMigration, outcome: Outcome, reason: str) -> bool:
    found = outcome.found
    if found.call is None:
        return False
    for shape, root in groups.roots_of(outcome):
        receiver = _receiver(migration, found, root)
        if receiver is None or not all(clients.shape_of(cls) == shape for cls in receiver.classes):
            continue
        asynchronous = _is_asynchronous(found, found.call, receiver)
        if asynchronous is None or to_wrapper.obstacle(found, asynchronous):
            continue
        return migration.rewrite_with(outcome, shape, root, asynchronous, reason or _why(receiver))
    return False


def _receiver(migration: FileMigration, found: Found, root: ast.expr) -> Receiver | None:
    """What a call is made on; None for what is no client, or only a part of one."""
    judge = migration.judge
    judge.infer.refill()
    values = judge.infer.values(root, Here(found.site.scope, found.site.block))
    if any(isinstance(value, Instance) and value.path for value in values):
        return None
    if places.is_module(found, root) or _is_self(found, root):
        return None
    if getattr(root, "attr", "") in ON_THE_WAY:
        return None  # the part of something that nobody knows
    classes = frozenset(value.cls for value in values if isinstance(value, Instance))
    return Receiver(root, classes, bool(classes) and UNKNOWN not in values)


def _is_self(found: Found, root: ast.expr) -> bool:
    return isinstance(root, ast.Name) and clients.class_of_self(found.site.scope, root.id) is not None


def _is_asynchronous(found: Found, call: ast.Call, receiver: Receiver) -> bool | None:
    """Whether a call gives a coroutine; None when nobody knows, or when what gives one is not awaited at once."""
    awaited = isinstance(found.source.parents.get(call), ast.Await)
    known = {doors.WRAPPED[cls][2] for cls in receiver.classes}
    if awaited:
        return None if known == {False} else True
    if known == {False} or (not known - {False} and _is_used_at_once(found.source, call)):
        return False
    return None


def _is_used_at_once(source: Source, call: ast.Call) -> bool:
    """Whether what a call gives is read where it stands, or from the variable that holds it: it is no coroutine."""
    parent = source.parents.get(call)
    if isinstance(parent, (ast.Attribute, ast.Subscript)) and parent.value is call:
        return True
    if isinstance(parent, (ast.For, ast.comprehension)) and parent.iter is call:
        return not getattr(parent, "is_async", 0)
    if isinstance(parent, ast.Expr):
        return True
    if isinstance(parent, ast.Assign) and len(parent.targets) == 1:
        target = parent.targets[0]
    elif isinstance(parent, (ast.AnnAssign, ast.NamedExpr)):
        target = parent.target
    else:
        return False
    return isinstance(target, ast.Name) and _is_read(source, parent, target.id)


def _is_read(source: Source, statement: ast.AST, name: str) -> bool:
    """Whether an attribute of a variable is read, or its elements are, in the function of a statement."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Module)
    around = next(node for node in source.ancestors(statement) if isinstance(node, kinds))
    read = False
    for node in ast.walk(around):
        if not isinstance(node, ast.Name) or node.id != name or not isinstance(node.ctx, ast.Load):
            continue
        parent = source.parents.get(node)
        if isinstance(parent, ast.Await):
            return False
        read |= isinstance(parent, (ast.Attribute, ast.Subscript)) and parent.value is node
        read |= isinstance(parent, ast.For) and parent.iter is node
    return read


def _why(receiver: Receiver) -> str:
    """Why the client stays, when nothing else is known to keep it."""
    if not receiver.sure:
        return "injected-client" if receiver.classes else "unresolved-client"
    return "client-elsewhere"


# -- a view of the client ---------------------------------------------------------------------------------------------


def _using(migration: FileMigration, outcome: Outcome, reason: str) -> bool:
    found, source = outcome.found, migration.source
    receiver = _viewed(migration, found)
    if receiver is None or any(isinstance(parent, ast.JoinedStr) for parent in source.ancestors(receiver.node)):
        return False
    log = migration.log_of(outcome)
    user = migration.user_of(outcome, log)
    if found.call is None and not user.text:
        return False  # a method that is kept: its client is tracked where it is made, once
    if migration.overlaps(source.span(receiver.node)):
        return False
    every = [("user_id", user.text), ("service_name", f'"{migration.service_of(found)}"'), ("metadata", log.metadata)]
    said = [pair for pair in every if pair[1]]
    migration.add(
        outcome, using.rewritten(source, receiver.node, migration.wrapper, [pair for pair in said if pair[1]])
    )
    migration.bring(outcome, user)
    migration.want("llm_wrapper", migration.wrapper)
    migration.remove_logs(log)
    notes = to_wrapper.said_of(user, log)
    outcome.moved(Target.USING, *notes, to_wrapper.unsayable(found) or reason or _why(receiver), review=bool(notes))
    return True


def _viewed(migration: FileMigration, found: Found) -> Receiver | None:
    """The client in a callee of which there are views; None when there may be none."""
    judge = migration.judge
    known = clients.client_in(judge, found)
    if known is not None:
        node, classes, sure = known
        return Receiver(node, classes, sure) if _stands_in(found, node) and all(map(doors.has_views, classes)) else None
    unknown = unknown_client(migration, found, _VIEWED)
    return None if unknown is None else Receiver(unknown, frozenset(), False)


def _stands_in(found: Found, node: ast.expr) -> bool:
    """Whether a client stands in the callee itself, not in what the callee is kept from."""
    return any(part is node for part in ast.walk(found.expression))


def unknown_client(migration: FileMigration, found: Found, providers: frozenset[str]) -> ast.expr | None:
    """The expression that is the client by the shape of a callee of one of these providers; None when it may be
    something else."""
    if (
        found.callee.provider not in providers
        or found.callee.family is Family.HTTP
        or not isinstance(found.expression, ast.Attribute)
    ):
        return None
    node: ast.expr = found.expression
    while isinstance(node, ast.Attribute) and node.attr in ON_THE_WAY:
        node = node.value
    if node is found.expression or places.is_module(found, node):
        return None
    part = places.is_resource(migration.judge, found, node) or getattr(node, "id", "") in ("self", "cls")
    if part and not places.makers(migration.judge, found, node):
        return None  # a part of a client: nobody can track that
    return node
