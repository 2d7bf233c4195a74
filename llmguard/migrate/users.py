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
from llmguard.migrate.fields import is_field
from llmguard.migrate.identifiers import KEYS, NAMES, PEOPLE, is_given_as_user, is_identifier, root_of
from llmguard.migrate.statements import bodies

if TYPE_CHECKING:
    from llmguard.check.judge import Judge
    from llmguard.check.scopes import Binding, ClassScope, FunctionScope
    from llmguard.migrate.edit import Edit
    from llmguard.migrate.source import Found, Source

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
    for name in dict.fromkeys((*names, *NAMES)):
        if _is_in_reach(found, name):
            return User(name, is_read="." in name and not _is_made_with(found, name))
    receiver = _receiver_of(found)
    for name in (*names, *NAMES) if receiver else ():
        dotted = f"{receiver}.{name}"
        if _is_in_reach(found, dotted):
            if _is_made_with(found, dotted):
                return User(dotted)
            return User(f'getattr({receiver}, "{name}", None)', is_read=True)
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
        return (
            ended < call.lineno and binding.block.holds(found.site.block) and _has_run(found.source, binding.node, call)
        )
    if binding.how is How.ELEMENT:
        return any(
            isinstance(loop, (ast.For, ast.AsyncFor))
            and name in {node.id for node in ast.walk(loop.target) if isinstance(node, ast.Name)}
            and loop.body[0].lineno <= call.lineno <= (loop.body[-1].end_lineno or 0)
            for loop in found.source.ancestors(call)
        )
    return False


def _has_run(source: Source, node: ast.AST, call: ast.AST) -> bool:
    """Whether what stands before a call in a `try`, or in a `with` that may swallow an error, has run when the call is
    reached: the call stands behind it in the same block."""
    around = source.ancestors(call)
    for parent in source.ancestors(node):
        if isinstance(parent, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            break
        guards = isinstance(parent, ast.With) and any("suppress" in ast.unparse(i.context_expr) for i in parent.items)
        if isinstance(parent, ast.Try) or guards:
            body = {id(statement) for statement in parent.body}  # type: ignore[attr-defined]
            mine = any(id(each) in body for each in (node, *source.ancestors(node)))
            if mine and not any(id(each) in body for each in around):
                return False
    return True


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
    derived = (node for node in found.source.nodes if isinstance(node, ast.ClassDef) and node is not owner.node)
    if any(owner.node.name in ast.unparse(base) for node in derived for base in node.bases):
        return False  # its `__init__` may be another one
    return is_field(owner.node, attribute)


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
            kept = _kept_in(found, node)
            if kept:
                return User(kept)
            if _may_have_changed(found, function, node):
                continue
            if id(node) in surely:
                return User(text, is_read=isinstance(node, ast.Call))
            if perhaps is None and node.lineno != found.site.node.lineno:
                perhaps = User(text, is_read=True)
    return perhaps


def _kept_in(found: Found, node: ast.expr) -> str:
    """The variable that holds what an expression gives, when it is there at the call; "" for none."""
    statement = found.source.parents.get(node)
    if not isinstance(statement, ast.Assign) or statement.value is not node or len(statement.targets) != 1:
        return ""
    name = getattr(statement.targets[0], "id", "")
    return name if name and _is_in_reach(found, name) else ""


def _may_have_changed(found: Found, function: ast.AST, read: ast.expr) -> bool:
    """Whether something is done to what an identifier was read of, between the reading and the call."""
    root, call = root_of(read), found.site.node
    for node in ast.walk(function):
        if not read.lineno < getattr(node, "lineno", 0) < call.lineno:
            continue
        if isinstance(node, ast.Call):
            owner = root_of(node.func.value) if isinstance(node.func, ast.Attribute) else ""
            if owner == root or any(isinstance(arg, ast.Name) and arg.id == root for arg in node.args):
                return True
        elif isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
            if root_of(node) == root:
                return True
    return False


def _read_in_file(found: Found) -> User | None:
    """An identifier that other functions of the file read of what they are given by the same name, or of what the file
    imports (`g.user_id`): it is likely to be there."""
    names = {parameter.arg for _, parameter in _parameters(found)}
    own = {inner for function in _functions_of(found) for inner in ast.walk(function)}
    for node in found.source.nodes:
        if node in own or not _is_one(node, found):
            continue
        root = root_of(node)
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
        and not isinstance(found.source.parents.get(node), ast.Await)
        and (is_identifier(node) or is_given_as_user(found.source, node))
        and _is_rooted(found, node)
    )


def _is_rooted(found: Found, node: ast.expr) -> bool:
    """Whether a chain of attributes and keys begins with a name that means the same where the call stands."""
    root = root_of(node)
    owner = clients.owner_of(found.site.scope, root) if root and root not in found.source.deleted else None
    if owner is None or owner.is_class or _is_receiver(found, root):
        return False
    bindings = _values(owner.bindings[root])
    if any(binding.how in (How.PARAMETER, How.IMPORT, How.FROM) for binding in bindings):
        return len(bindings) == 1
    return owner is found.site.scope and any(_is_sure(found, root, binding) for binding in bindings)


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
        annotation = ast.unparse(parameter.annotation)
        if parameter.arg in PEOPLE and annotation in ("str", "int", "UUID", "uuid.UUID"):
            return User(parameter.arg)
        may_be_none = "None" in annotation or "Optional" in annotation or _has_none(function, parameter)
        if function.parent is None or may_be_none:
            continue
        judge.infer.refill()
        values = judge.infer.values(parameter.annotation, Here(function.parent, function.parent.block))
        for value in values:
            if isinstance(value, (Class, Object)):
                field = _field_of(value.scope, parameter.arg)
                if field:
                    return User(f"{parameter.arg}.{field}")
    return None


def _has_none(function: FunctionScope, parameter: ast.arg) -> bool:
    """Whether None is a parameter's default."""
    return any(
        binding.how is How.VALUE and isinstance(binding.node, ast.Constant) and binding.node.value is None
        for binding in function.bindings.get(parameter.arg, ())
    )


def _field_of(cls: ClassScope, parameter: str) -> str:
    """The field of a class that holds the identifier of a user, "" for none."""
    is_person = parameter.lower() in PEOPLE or cls.name.lower() in PEOPLE
    names: tuple[str, ...] = (*NAMES, *KEYS, "user") if is_person else (*NAMES, "user")
    return next((name for name in names if is_field(cls.node, name) and (name != "user" or _is_text(cls, name))), "")


def _is_text(cls: ClassScope, name: str) -> bool:
    return any(
        isinstance(each, ast.AnnAssign)
        and ast.unparse(each.target) == name
        and ast.unparse(each.annotation) in ("str", "int")
        for each in cls.node.body
    )


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
