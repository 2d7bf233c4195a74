"""Calls that are on the books already: in a door's own module, and LiteLLM's where the callback is installed."""

from __future__ import annotations

import ast
import os
import re
from typing import TYPE_CHECKING

from llmguard.check import git
from llmguard.check.reading import decode, parse
from llmguard.check.scopes import ClassScope, last_name
from llmguard.check.values import External, Function, Instance, Partial
from llmguard.config import place
from llmguard.doors import DOORS, LITELLM_SETUP
from llmguard.errors import UncheckableError
from llmguard.providers import vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmguard.check.module import ModuleFacts
    from llmguard.check.scopes import FunctionScope
    from llmguard.check.values import Value, Values
    from llmguard.providers import Family

_SECONDS = 1.0  # how long git may look for the callback
_MOST_FILES = 50
_SPECIAL, _ESCAPED = re.compile(r"[*?\[\]\\]"), r"\\\g<0>"  # characters that mean something in a git pathspec


def door_of(facts: ModuleFacts) -> str:
    """The door that a module defines (its own calls are the tracked ones), "" for any other module."""
    for door in DOORS:
        defined = facts.scope.bindings.get(door.cls, [])
        if any(isinstance(b.defined, ClassScope) for b in defined) and any(
            _is_module(facts.path, module) for module in door.modules
        ):
            return door.name
    return ""


def own_door_around(facts: ModuleFacts, function: str) -> str:
    """The door of the project's own in which a function (a qualified name) of a module lies, "" for none."""
    for door in vocabulary.current.wrappers:
        for module, qualname in _readings(door.name):
            if _is_module(facts.path, module) and (not qualname or f"{function}.".startswith(qualname + ".")):
                return door.name
    return ""


def door_entry(scope: FunctionScope) -> tuple[str, str, Family, str] | None:
    """(module, qualified name, family, door) when a function of the project is one through which a door is used."""
    for entry in vocabulary.current.door_functions.get(scope.name, ()):
        if scope.qualname == entry[1] and _is_module(scope.module.path, entry[0]):
            return entry
    return None


def door_reached(value: Value) -> str:
    """The name of the door that a value is an entry of."""
    match value:
        case Function(scope):
            entry = door_entry(scope)
            return entry[3] if entry is not None else ""
        case Partial(target):
            return door_reached(target)
        case External(path):
            names = {door.name for door in DOORS} & set(path.split("."))
            return min(names) if names else path
        case Instance(cls):
            return cls.rpartition(".")[2]
    return ""


def clients_of(scope: FunctionScope, values: Values) -> Values:
    """What a function gives; tracked clients when it is a door of kind client."""
    for door in vocabulary.current.own_doors:
        if door.kind == "client" and any(
            scope.qualname == qualname and _is_module(scope.module.path, module)
            for module, qualname in _readings(door.name)
        ):
            clients = frozenset(v._replace(tracked=True) for v in values if isinstance(v, Instance))
            return clients or frozenset((Instance(door.name, tracked=True),))
    return values


def _readings(name: str) -> Iterator[tuple[str, str]]:
    """(module, qualified name) in every way in which a dotted name can be cut."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        yield ".".join(parts[:cut]), ".".join(parts[cut:])


def _is_module(path: str, module: str) -> bool:
    """Whether the file at a path may be a module of that dotted name."""
    below = path.replace(os.sep, "/").removesuffix(".py").removesuffix("/__init__")
    return f"/{below}".endswith("/" + module.replace(".", "/"))


#: Files of tests and examples: what they install holds for them only.
_TEST = re.compile(r"(^|/)(tests?/|fixtures/|docs?/|examples?/|test_[^/]*\.py$|[^/]*_test\.py$|conftest\.py$)")


def mentions_setup(data: bytes) -> bool:
    """Whether a file may install the LiteLLM callback."""
    return any(name.encode() in data for name in LITELLM_SETUP)


def installs_callback(data: bytes, path: str) -> bool:
    """Whether a file really calls what installs the LiteLLM callback, for the program.

    Defining or importing it is not enough, and neither is what the module that defines it does, nor what a test or an
    example does.
    """
    if not mentions_setup(data) or _TEST.search(path.replace(os.sep, "/")):
        return False
    from llmguard.check.module import ModuleFacts

    try:
        tree = parse(decode(data).text).tree
        facts = ModuleFacts.of(tree, "")
    except UncheckableError:
        return False
    if any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name in LITELLM_SETUP for node in tree.body):
        return False
    return any(last_name(site.node) in LITELLM_SETUP for site in facts.calls)


def callback_file(root: str) -> str:
    """The file of a project that installs the callback, "" when none is found in the time that a hook has.

    git's own index is searched; outside a repository (and without git) nothing is, and the answer is "".
    """
    patterns = [part for name in sorted(LITELLM_SETUP) for part in ("-e", name)]
    top = place.work_tree(root)
    inside = os.path.relpath(os.path.realpath(root), top) if top else "."
    where = "*.py" if inside == "." else f":(top,glob){_SPECIAL.sub(_ESCAPED, inside)}/**/*.py"
    asked = ("grep", "--no-textconv", "-l", "-z", "-F", *patterns, "--", where)
    listed = git.ask(top, *asked, seconds=_SECONDS, filters=False) if top else None
    if listed is None:
        return ""
    for found in listed.stdout.split(b"\0")[:_MOST_FILES]:
        path = os.path.join(top, os.fsdecode(found))
        name = os.path.relpath(path, os.path.realpath(root))
        if found:
            try:
                with open(path, "rb") as file:
                    if installs_callback(file.read(), name):
                        return name
            except OSError:
                continue  # gone since git listed it
    return ""
