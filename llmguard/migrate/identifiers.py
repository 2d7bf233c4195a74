"""Expressions that read the identifier of a user from something: `user.id`, `session["user_id"]`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmguard.migrate.source import Source

#: Names that identifiers of users go by, beside those that are asked for.
NAMES = (
    *("user_id", "userId", "uid", "userid", "current_user_id", "requester_id", "author_id", "member_id"),
    *("x_user_id", "x_user", "sender_id", "customer_id", "account_id", "owner_id", "user_pk", "from_user_id"),
    *("telegram_id", "chat_user_id"),
)
#: What an object for a user is called, and how its identifier is.
PEOPLE = frozenset(
    {
        *("user", "current_user", "author", "effective_user", "from_user", "member", "sender", "account", "customer"),
        *("owner", "principal", "identity", "requester", "me", "client_user", "auth_user", "actor"),
    }
)
KEYS = ("id", "user_id", "pk", "uid", "sub")


def is_identifier(node: ast.expr) -> bool:
    """Whether an expression reads the identifier of a user from something: `user.id`, `session["user_id"]`."""
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        return _is_key(node.attr, _last(node.value))
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and isinstance(node.slice, ast.Constant):
        return _is_key(node.slice.value, _last(node.value))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        first = node.args[0] if node.args else None
        plain = len(node.args) < 3 and not node.keywords and all(isinstance(arg, ast.Constant) for arg in node.args)
        return plain and isinstance(first, ast.Constant) and _is_key(first.value, _last(node.func.value))
    return False


def is_given_as_user(source: Source, node: ast.expr) -> bool:
    """Whether a chain is given to something as its user: `user=config.user`."""
    parent = source.parents.get(node)
    return (
        isinstance(node, (ast.Attribute, ast.Subscript))
        and isinstance(parent, ast.keyword)
        and (parent.arg == "user" or parent.arg in NAMES)
    )


def _is_key(name: object, holder: str) -> bool:
    return name in NAMES or (name in KEYS and holder.lower() in PEOPLE)


def _last(node: ast.expr) -> str:
    """The last name of a dotted one."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)
    return node.id if isinstance(node, ast.Name) else ""


def root_of(node: ast.expr) -> str:
    """The name that a chain of attributes and constant keys begins with, "" for none: a call in it may do something,
    and must not be made again. A `get` at its end only looks."""
    if isinstance(node, ast.Call) and is_identifier(node) and isinstance(node.func, ast.Attribute):
        node = node.func.value
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Constant):
            return ""
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
