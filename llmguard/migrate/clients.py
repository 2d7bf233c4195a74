"""The client behind a call: where it is made, by what name it goes, and what its options are."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from typing import TYPE_CHECKING, NamedTuple

from llmguard.check.scopes import How, Scope
from llmguard.check.values import UNKNOWN, External, Here, Instance
from llmguard.doors import WRAPPED
from llmguard.migrate.uses import CHANGES_ENVIRONMENT
from llmguard.providers import index

if TYPE_CHECKING:
    from llmguard.check.judge import Judge
    from llmguard.check.scopes import Binding, ClassScope
    from llmguard.migrate.source import Found, Source
    from llmguard.migrate.uses import Texts


def shape_of(cls: str) -> str:
    """The shape in which the wrapper stands for clients of a class: "chat", "messages", or "" for none."""
    return WRAPPED[cls][1] if cls in WRAPPED else ""


#: Variables that the SDK of a provider reads by itself: option of the client -> variable.
_READ = {
    "groq": {"api_key": "GROQ_API_KEY", "base_url": "GROQ_BASE_URL"},
    "openai": {
        "api_key": "OPENAI_API_KEY",
        "base_url": "OPENAI_BASE_URL",
        "organization": "OPENAI_ORG_ID",
        "project": "OPENAI_PROJECT_ID",
    },
    "anthropic": {"api_key": "ANTHROPIC_API_KEY", "base_url": "ANTHROPIC_BASE_URL"},
    "azure_openai": {
        "api_key": "AZURE_OPENAI_API_KEY",
        "azure_endpoint": "AZURE_OPENAI_ENDPOINT",
        "api_version": "OPENAI_API_VERSION",
    },
}


class Maker(NamedTuple):
    """The one place where a client is made, and the name that it is kept by.

    Attributes:
        call: the constructor's call.
        cls: dotted path of the class.
        kind: "name", "attribute" or "inline".
        name: variable or attribute, "" for inline.
        binding: that gives the name its value, None for inline.
        owner: scope of the name: module, function or class.
    """

    call: ast.Call
    cls: str
    kind: str
    name: str = ""
    binding: Binding | None = None
    owner: Scope | None = None


def root_of(expression: ast.expr, path: tuple[str, ...]) -> ast.expr | None:
    """The client in `client.chat.completions.create`; None when the expression does not end in this path."""
    node: ast.expr = expression
    for name in reversed(path):
        if not isinstance(node, ast.Attribute) or node.attr != name:
            return None
        node = node.value
    return node


def maker_of(judge: Judge, found: Found, root: ast.expr) -> Maker | None:
    """Where the client in front of a call is made, when there is one such place and it is in this file."""
    here = Here(found.site.scope, found.site.block)
    if isinstance(root, ast.Call):
        cls = class_made(judge, root, here)
        return Maker(root, cls, "inline") if cls else None
    if isinstance(root, ast.Name):
        scope = owner_of(found.site.scope, root.id)
        if scope is None:
            return None
        return single(judge, scope.bindings[root.id], "name", root.id, scope)
    if isinstance(root, ast.Attribute) and isinstance(root.value, ast.Name):
        owner = class_of_self(found.site.scope, root.value.id)
        if owner is not None and root.attr not in owner.bindings:
            return single(judge, owner.attributes.get(root.attr, []), "attribute", root.attr, owner)
    return None


def owner_of(scope: Scope | None, name: str) -> Scope | None:
    """The scope whose variable a name is, seen from a scope."""
    here = scope
    while scope is not None:
        target = scope.elsewhere.get(name, scope)
        if name in target.bindings and (target is here or not target.is_class):
            return target
        scope = scope.parent
    return None


def class_of_self(scope: Scope | None, name: str) -> ClassScope | None:
    while scope is not None:
        if getattr(scope, "receiver", "") == name:
            return scope.enclosing_class()
        scope = scope.parent
    return None


def single(judge: Judge, bindings: list[Binding], kind: str, name: str, owner: Scope) -> Maker | None:
    """What makes the client behind a name that gets its value once, by the call of a client's class."""
    values = [binding for binding in bindings if binding.how is not How.ANNOTATION]
    if len(values) != 1 or values[0].how is not How.VALUE or values[0].path:
        return None
    (binding,) = values
    if not isinstance(binding.node, ast.Call):
        return None
    cls = class_made(judge, binding.node, Here(binding.scope, binding.block))
    return Maker(binding.node, cls, kind, name, binding, owner) if cls else None


def class_made(judge: Judge, call: ast.Call, here: Here) -> str:
    """The dotted path of the SDK's client class that a call makes, "" when it makes none."""
    judge.infer.refill()
    paths = {value.path if isinstance(value, External) else "" for value in judge.infer.values(call.func, here)}
    if len(paths) == 1:
        path = paths.pop()
        if path and index.client_class(path) is not None:
            return path
    return ""


def client_in(judge: Judge, found: Found) -> tuple[ast.expr, frozenset[str], bool] | None:
    """The expression in front of a call's path that is a client, the classes it may be of, and whether that is all
    that it may be; None when no part of the callee is known to be a client."""
    here = Here(found.site.scope, found.site.block)
    node = found.expression
    while True:
        kept = _part_kept_in(node, here)  # `create = client.messages.create`, `self.chat = client.chat`
        if kept is not None and isinstance(kept.node, ast.Attribute):
            node, here = kept.node, Here(kept.scope, kept.block)
        if not isinstance(node, ast.Attribute):
            return None
        node = node.value
        judge.infer.refill()
        values = judge.infer.values(node, here)
        clients = {value.cls for value in values if isinstance(value, Instance) and not value.path}
        known = frozenset(cls for cls in clients if index.client_class(cls) is not None)
        if known:
            return node, known, UNKNOWN not in values


def bindings_of(scope: Scope, node: ast.expr) -> list[Binding]:
    """What gives a variable, or an attribute of `self`, its values, seen from a scope; nothing for others."""
    if isinstance(node, ast.Name):
        owner = owner_of(scope, node.id)
        return owner.bindings[node.id] if owner is not None else []
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        cls = class_of_self(scope, node.value.id)
        return cls.attributes.get(node.attr, []) if cls is not None else []
    return []


def _part_kept_in(node: ast.expr, here: Here) -> Binding | None:
    """The one binding of a variable, or of an attribute of `self`."""
    bindings = bindings_of(here.scope, node)
    return bindings[0] if len(bindings) == 1 and bindings[0].how is How.VALUE and not bindings[0].path else None


def options_of(
    source: Source, texts: Texts, maker: Maker, provider: str, *, elsewhere: bool = False
) -> dict[str, str] | str:
    """The client's options as they have to be said at a call (name -> expression); a reason code when they cannot be.

    What the SDK reads from the environment by itself is left out.

    Args:
        source: the file that makes the client.
        texts: the bytes of the project's files.
        maker: the client.
        provider: whose it is.
        elsewhere: they are to be said in other files, which do not have this one's names.
    """
    if maker.call.args or has_comment(source, maker.call):
        return "client-headers" if maker.call.args else "comments"
    if _is_kept(source, maker) and changes_environment(source, texts, provider):
        return "provider-dynamic"  # what is read at the call may not be what was read when the client was made
    options = {}
    for keyword in maker.call.keywords:
        if keyword.arg is None:
            return "kwargs-opaque"
        variable = _READ[provider].get(keyword.arg)
        value = _behind_name(source, texts, keyword.value)
        if variable is not None and environment_variable(value) == variable:
            if isinstance(value, ast.Subscript) and keyword.arg != "api_key":
                return "client-headers"  # without the variable, no client is made
            continue
        value = value if elsewhere else keyword.value
        if not _is_constant(value) and (
            elsewhere or keyword.arg == "http_client" or not _is_setting(source, texts, value)
        ):
            return "custom-endpoint" if keyword.arg in ("base_url", "azure_endpoint") else "client-headers"
        options[keyword.arg] = source.segment(value)
    return options


def _behind_name(source: Source, texts: Texts, node: ast.expr) -> ast.expr:
    """The value of a variable of the module that gets one once, where its name stands."""
    if isinstance(node, ast.Name) and _is_setting(source, texts, node):
        (binding,) = source.facts.scope.bindings[node.id]
        return binding.node if binding.how is How.VALUE and binding.node is not None else node
    return node


def changes_environment(source: Source, texts: Texts, provider: str) -> bool:
    """Whether environment variables change, in a file or, those of a provider, in others: what is read at a call may
    not be what a client has read."""
    if CHANGES_ENVIRONMENT.search(source.data):
        return True
    return bool(texts.changing_environment(source.absolute, set(_READ[provider].values())))


def _is_kept(source: Source, maker: Maker) -> bool:
    """Whether a client lives on when what makes it is done; one of a function's own is made anew for its calls."""
    return maker.kind == "attribute" or maker.owner is source.facts.scope


def has_comment(source: Source, node: ast.expr) -> bool:
    """Whether a comment stands inside an expression."""
    text = source.segment(node)
    if "#" not in text:
        return False
    try:
        return any(
            token.type == tokenize.COMMENT for token in tokenize.generate_tokens(io.StringIO(f"({text})").readline)
        )
    except (tokenize.TokenError, SyntaxError):
        return True


def environment_variable(node: ast.expr) -> str:
    """The variable that `os.environ["X"]`, `os.environ.get("X")` or `os.getenv("X")` reads, "" for anything else."""
    argument: ast.expr | None = None
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) in ("os.environ", "environ"):
        argument = node.slice
    elif isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        if ast.unparse(node.func) in ("os.getenv", "getenv", "os.environ.get", "environ.get"):
            argument = node.args[0]
    return argument.value if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else ""


def _is_setting(source: Source, texts: Texts, node: ast.expr) -> bool:
    """Whether an expression is a dotted name that means the same everywhere in the file: `settings.GROQ_API_KEY`."""
    root = node
    while isinstance(root, ast.Attribute):
        root = root.value
    if not isinstance(root, ast.Name):
        return False
    bindings = source.facts.scope.bindings.get(root.id, [])
    if len(bindings) != 1:
        return False
    (binding,) = bindings
    if binding.how is How.VALUE:
        if isinstance(node, ast.Attribute) or binding.node is None:
            return False
        if not _is_constant(binding.node) and not environment_variable(binding.node):
            return False
    elif binding.how not in (How.FROM, How.IMPORT):
        return False
    last = node.attr if isinstance(node, ast.Attribute) else root.id
    if texts.assigning(last):
        return False
    if re.search(rf"\bdel\b[^\n]*\b{root.id}\b", source.text) or root.id in source.declared:
        return False
    if binding.how is not How.VALUE and re.search(rf"\b{re.escape(ast.unparse(node))}\s*=[^=]", source.text):
        return False
    return not any(isinstance(other, ast.arg) and other.arg == root.id for other in source.nodes) and not any(
        root.id in scope.bindings for scope in source.facts.scopes if scope is not source.facts.scope
    )


def _is_constant(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.UnaryOp):
        return _is_constant(node.operand)
    if isinstance(node, ast.BinOp):
        return _is_constant(node.left) and _is_constant(node.right)
    if isinstance(node, (ast.List, ast.Tuple)):
        return all(_is_constant(element) for element in node.elts)
    if isinstance(node, ast.Dict):
        return all(key is not None and _is_constant(key) for key in node.keys) and all(map(_is_constant, node.values))
    return False
