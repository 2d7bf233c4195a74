"""Who a call is for: the expression at hand that surely holds the user's identifier.

In this order: what the request says itself (`user=`), the names that were asked for, other names that identifiers go
by, an attribute of the object, what the function reads anyway (`request.state.user_id`), and a field of an argument
whose class has one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from llmguard.check.scopes import How
from llmguard.check.values import Class, Here, Object
from llmguard.migrate import clients
from llmguard.migrate.statements import bodies

if TYPE_CHECKING:
    from llmguard.check.judge import Judge
    from llmguard.check.scopes import Binding, ClassScope, FunctionScope
    from llmguard.migrate.edit import Edit
    from llmguard.migrate.source import Found, Source

#: Names that identifiers of users go by, beside those that are asked for.
_NAMES = (
    *("user_id", "userId", "uid", "userid", "current_user_id", "requester_id", "author_id", "member_id"),
    *("x_user_id", "x_user", "sender_id", "customer_id", "account_id", "owner_id", "user_pk", "from_user_id"),
    *("telegram_id", "chat_user_id"),
)
#: What an object for a user is called, and how its identifier is.
_PEOPLE = frozenset(
    {
        *("user", "current_user", "author", "effective_user", "from_user", "member", "sender", "account", "customer"),
        *("owner", "principal", "identity", "requester", "me", "client_user", "auth_user", "actor"),
    }
)
_KEYS = ("id", "user_id", "pk", "uid", "sub")
#: Parameters of the frameworks' handlers -> what they have, and a part of the framework's name.
_IDIOMS = (
    ("message", "author.id", "discord"),
    ("ctx", "author.id", "discord"),
    ("interaction", "user.id", "discord"),
    ("update", "effective_user.id", "telegram"),
    ("message", "from_user.id", "aiogram"),
    ("message", "from_user.id", "telebot"),
)


class User(NamedTuple):
    """Who a call is for.

    Attributes:
        text: expression of the identifier, "" for none.
        is_read: it is read from an attribute that may not be there: a human should look.
        is_said: the request says it, and so does the row.
        edits: that bring it there, beside the call's own, each with the absolute path of its file.
        is_everywhere: False where some of those who pass it down have none.
    """

    text: str = ""
    is_read: bool = False
    is_said: bool = False
    edits: tuple[tuple[str, Edit], ...] = ()
    is_everywhere: bool = True

    @property
    def is_known(self) -> bool:
        """Whether the row will have a user."""
        return bool(self.text) or self.is_said


def user_of(judge: Judge, found: Found, names: tuple[str, ...], *, asks: bool = True) -> User:
    """Who a call is for, as far as its function and class tell.

    Args:
        judge: the resolution of its file.
        found: the call.
        names: names, or dotted names, that surely hold the identifier; the best first.
        asks: whether the call asks a model, whose request may say it.
    """
    if asks and _is_said(found):
        return User(is_said=True)
    for name in dict.fromkeys((*names, *_NAMES)):
        if _is_in_reach(found, name):
            return User(name, is_read="." in name and not _is_made_with(found, name))
    receiver = _receiver_of(found)
    for name in (*names, *_NAMES) if receiver else ():
        dotted = f"{receiver}.{name}"
        if _is_in_reach(found, dotted):
            return User(dotted, is_read=not _is_made_with(found, dotted))
    ways = (_read_in_function(found), _of_parameter(judge, found), _read_in_file(found), _idiom(found))
    return next((user for user in ways if user is not None), User())


def _is_said(found: Found) -> bool:
    """Whether the request says who it is for: OpenAI's `user=`, Anthropic's `metadata={"user_id": ...}`."""
    for keyword in found.call.keywords if found.call is not None else ():
        value = keyword.value
        if keyword.arg in ("user", "safety_identifier"):
            return not (isinstance(value, ast.Constant) and not value.value)
        if keyword.arg == "metadata" and isinstance(value, ast.Dict):
            if any(isinstance(key, ast.Constant) and key.value == "user_id" for key in value.keys):
                return True
    return False


# -- names ------------------------------------------------------------------------------------------------------------


def _is_in_reach(found: Found, name: str) -> bool:
    """Whether a name, or dotted name, is surely bound where a call stands.

    A parameter of a function around the call is; so is a variable that the same function (or the module, for a call
    outside of functions) has set before, in the block of the call or one around it, and the variable of a loop in it.
    `self.x` is when the class sets it.
    """
    root, _, attribute = name.partition(".")
    owner = clients.owner_of(found.site.scope, root)
    if owner is None or owner.is_class or root in found.source.deleted:
        return False
    bindings = owner.bindings[root]
    if any(binding.how is How.PARAMETER for binding in bindings):
        return not _is_receiver(found, root) or _is_set(found, root, attribute)
    return owner is found.site.scope and any(_is_sure(found, root, binding) for binding in bindings)


def _is_sure(found: Found, name: str, binding: Binding) -> bool:
    """Whether a binding has surely happened when the call is reached."""
    call = found.site.node
    if binding.how is How.VALUE and binding.node is not None:
        if isinstance(binding.node, ast.Constant):
            return False  # `user_id = None`, to be set later
        ended = binding.node.end_lineno or binding.line
        return ended < call.lineno and binding.block.holds(found.site.block)
    if binding.how is How.ELEMENT:
        return any(
            isinstance(loop, (ast.For, ast.AsyncFor))
            and name in {node.id for node in ast.walk(loop.target) if isinstance(node, ast.Name)}
            and loop.body[0].lineno <= call.lineno <= (loop.body[-1].end_lineno or 0)
            for loop in found.source.ancestors(call)
        )
    return False


def _receiver_of(found: Found) -> str:
    """The name of the object whose method holds a call, "" outside of methods."""
    scope = found.site.scope
    while scope is not None:
        receiver = getattr(scope, "receiver", "")
        if receiver:
            return str(receiver)
        scope = scope.parent  # type: ignore[assignment]
    return ""


def _is_receiver(found: Found, name: str) -> bool:
    return clients.class_of_self(found.site.scope, name) is not None


def _is_set(found: Found, receiver: str, attribute: str) -> bool:
    """Whether the class round a call sets an attribute of its instances itself."""
    owner = clients.class_of_self(found.site.scope, receiver)
    first = attribute.partition(".")[0]
    return owner is not None and bool(first) and (first in owner.attributes or first in owner.bindings)


def _is_made_with(found: Found, dotted: str) -> bool:
    """Whether each object of the class round a call is made with an attribute: a field, or set first thing."""
    receiver, _, attribute = dotted.partition(".")
    owner = clients.class_of_self(found.site.scope, receiver)
    if owner is None or "." in attribute:
        return False
    for statement in owner.node.body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)) and statement.name == "__init__":
            return any(
                isinstance(target, ast.Attribute) and target.attr == attribute
                for inner in statement.body
                if isinstance(inner, (ast.Assign, ast.AnnAssign))
                for target in (inner.targets if isinstance(inner, ast.Assign) else [inner.target])
            )
    return attribute in owner.bindings


# -- what the function reads anyway -----------------------------------------------------------------------------------


def _read_in_function(found: Found) -> User | None:
    """An identifier that the function round a call reads: surely before the call, else anywhere in it."""
    around = _functions_of(found)
    if not around:
        return None
    surely = {id(node) for part in _before(found.source, found.site.node) for node in _unconditional(part)}
    perhaps: User | None = None
    for function in around:
        for node in ast.walk(function):
            if not _is_one(node, found):
                continue
            text = ast.unparse(node)
            if id(node) in surely:
                return User(text)
            if perhaps is None and node.lineno != found.site.node.lineno:
                perhaps = User(text, is_read=True)
    return perhaps


def _read_in_file(found: Found) -> User | None:
    """An identifier that other functions of the file read of what they are given by the same name, or of what the file
    imports (`g.user_id`): it is likely to be there."""
    names = {parameter.arg for _, parameter in _parameters(found)}
    for node in found.source.nodes:
        if not _is_one(node, found):
            continue
        root = _root(node)
        owner = clients.owner_of(found.site.scope, root)
        if root in names or owner is found.source.facts.scope:
            return User(ast.unparse(node), is_read=True)
    return None


def _functions_of(found: Found) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in found.source.ancestors(found.site.node) if isinstance(node, kinds)]


def _before(source: Source, call: ast.AST) -> Iterator[ast.AST]:
    """What is evaluated before a call is made, or with it: its arguments, the statements in front of it in its blocks,
    and what the blocks depend on."""
    yield from getattr(call, "keywords", ())
    line = getattr(call, "lineno", 0)
    for parent, body in bodies(source, call):
        for other in body:
            if isinstance(other, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr)) and other.lineno < line:
                yield other
        for name in ("test", "iter"):
            tested = getattr(parent, name, None)
            if isinstance(tested, ast.AST):
                yield tested


def _unconditional(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that are surely evaluated with a node."""
    yield node
    if isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        return
    children = [node.test] if isinstance(node, ast.IfExp) else list(ast.iter_child_nodes(node))
    if isinstance(node, ast.BoolOp):
        children = [node.values[0]]
    for child in children:
        yield from _unconditional(child)


def _is_one(node: ast.AST, found: Found) -> TypeGuard[ast.expr]:
    """Whether a node reads the identifier of a user from what a call can reach."""
    return (
        isinstance(node, ast.expr)
        and (_is_identifier(node) or _is_given_as_user(found.source, node))
        and _is_rooted(found, node)
    )


def _is_identifier(node: ast.expr) -> bool:
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


def _is_given_as_user(source: Source, node: ast.expr) -> bool:
    """Whether a chain is given to something as its user: `user=config.user`."""
    parent = source.parents.get(node)
    return (
        isinstance(node, (ast.Attribute, ast.Subscript))
        and isinstance(parent, ast.keyword)
        and (parent.arg == "user" or parent.arg in _NAMES)
    )


def _is_key(name: object, holder: str) -> bool:
    return name in _NAMES or (name in _KEYS and holder.lower() in _PEOPLE)


def _last(node: ast.expr) -> str:
    """The last name of a dotted one."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)
    return node.id if isinstance(node, ast.Name) else ""


def _is_rooted(found: Found, node: ast.expr) -> bool:
    """Whether a chain of attributes and keys begins with a name that means the same where the call stands."""
    root = _root(node)
    owner = clients.owner_of(found.site.scope, root) if root and root not in found.source.deleted else None
    if owner is None or owner.is_class or _is_receiver(found, root):
        return False
    bindings = _values(owner.bindings[root])
    if any(binding.how in (How.PARAMETER, How.IMPORT, How.FROM) for binding in bindings):
        return len(bindings) == 1
    return owner is found.site.scope and any(_is_sure(found, root, binding) for binding in bindings)


def _root(node: ast.expr) -> str:
    """The name that a chain of attributes, keys and calls begins with, "" for none."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _values(bindings: list[Binding]) -> list[Binding]:
    """What gives a name a value; an annotation gives none, and a default is a part of its parameter."""
    taken = {binding.line for binding in bindings if binding.how is How.PARAMETER}
    return [
        binding
        for binding in bindings
        if binding.how is not How.ANNOTATION and not (binding.how is How.VALUE and binding.line in taken)
    ]


# -- parameters -------------------------------------------------------------------------------------------------------


def _parameters(found: Found) -> Iterator[tuple[FunctionScope, ast.arg]]:
    scope = found.site.scope
    while scope is not None:
        if scope.is_function:
            function: FunctionScope = scope  # type: ignore[assignment]
            arguments = function.node.args
            for each in (*function.parameters, *arguments.kwonlyargs):
                yield function, each
        scope = scope.parent  # type: ignore[assignment]


def _of_parameter(judge: Judge, found: Found) -> User | None:
    """A field of a parameter whose class has one: `request.user_id`, `user.id`; a parameter `user` that is a text."""
    for function, parameter in _parameters(found):
        if parameter.annotation is None or len(_values(function.bindings.get(parameter.arg, []))) != 1:
            continue
        if parameter.arg in _PEOPLE and ast.unparse(parameter.annotation) in ("str", "int", "UUID", "uuid.UUID"):
            return User(parameter.arg)
        if function.parent is None:
            continue
        judge.infer.refill()
        values = judge.infer.values(parameter.annotation, Here(function.parent, function.parent.block))
        for value in values:
            if isinstance(value, (Class, Object)):
                field = _field_of(value.scope, parameter.arg)
                if field:
                    return User(f"{parameter.arg}.{field}")
    return None


def _field_of(cls: ClassScope, parameter: str) -> str:
    """The field of a class that holds the identifier of a user, "" for none."""
    is_person = parameter.lower() in _PEOPLE or cls.name.lower() in _PEOPLE
    names: tuple[str, ...] = (*_NAMES, *_KEYS) if is_person else _NAMES
    return next((name for name in names if name in cls.bindings or name in cls.attributes), "")


def _idiom(found: Found) -> User | None:
    """What a framework's handlers are given."""
    imported = " ".join(
        f"{getattr(node, 'module', '') or ''} {' '.join(alias.name for alias in node.names)}"
        for node in found.source.nodes
        if isinstance(node, (ast.Import, ast.ImportFrom))
    )
    for _, parameter in _parameters(found):
        for name, chain, framework in _IDIOMS:
            if parameter.arg == name and framework in imported:
                return User(f"{name}.{chain}", is_read=True)
    return None
