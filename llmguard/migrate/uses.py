"""Who uses what a migration would take away, in the other files of the project."""

from __future__ import annotations

import ast
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from llmguard.check.reading import decode, parse_strictly
from llmguard.errors import UncheckableError
from llmguard.migrate.guards import guarded_at

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_LINE_END = re.compile(rb"\r\n|\r|\n")
_WORDS = re.compile(rb"[A-Za-z_]\w*")
_NAMES = re.compile(rb"^[ \t]*class[ \t]+(\w+)|\bself\.(\w+)[^\n=]*=", re.MULTILINE)


class Texts:
    """The bytes of all files of the project, to be searched for what speaks of the files that migrate.

    Args:
        files: (path as shown, absolute path, bytes).
        migrating: absolute paths of those that migrate; None for all.
    """

    def __init__(self, files: Iterable[tuple[str, str, bytes]], migrating: frozenset[str] | None = None) -> None:
        self._files = list(files)
        self._reads: dict[tuple[str, str], Reads | None] = {}
        names: set[bytes] = set()  # that are looked up without a search
        for _, path, data in self._files:
            if migrating is None or path in migrating:
                names.update(name.encode() for name in names_of(path))
                names.update(name for pair in _NAMES.findall(data) for name in pair if name)
        #: Name of a module, class or attribute that migrates -> numbers of the files that mention it.
        self._speaking: dict[bytes, list[int]] = {}
        for number, (_, _, data) in enumerate(self._files):
            for word in names.intersection(_WORDS.findall(data)) if names else ():
                self._speaking.setdefault(word, []).append(number)
        self._indexed = names

    def holds(self, text: bytes) -> bool:
        """Whether some file holds a text (with any blank space before its last sign)."""
        head, _, tail = text.rpartition(b" ")
        pattern = re.compile(re.escape(head) + rb"\s*" + re.escape(tail) + rb"[^=]")
        return any(head in data and pattern.search(data) for _, _, data in self._files)

    def _about(self, *names: str) -> list[tuple[str, str, bytes]]:
        """The files that mention one of these names."""
        numbers: set[int] = set()
        for name in map(str.encode, names):
            if name in self._indexed:
                numbers.update(self._speaking.get(name, ()))
            else:
                numbers.update(number for number, (_, _, data) in enumerate(self._files) if name in data)
        return [self._files[number] for number in sorted(numbers)]

    def prints(self, name: str) -> bool:
        """Whether a function of this name, of those that the project defines, prints."""
        defined = re.compile(rf"\bdef\s+{re.escape(name)}\b".encode())
        for _, _, data in self._files:
            if name.encode() in data and b"print" in data and defined.search(data):
                try:
                    tree = parse_strictly(decode(data).text)
                except UncheckableError:
                    return True
                if any(_is_printing(node) for node in ast.walk(tree) if getattr(node, "name", "") == name):
                    return True
        return False

    def imported_from(self, module: str, name: str) -> bool:
        """Whether some file imports a name from a module of this name."""
        return any(_imports(data, module, name) for _, _, data in self._about(module))

    # -- places: "path:line" in the files but for one ------------------------------------------------------------

    def reading(self, absolute: str, attribute: str, modules: tuple[str, ...], *beside: str) -> list[str]:
        """Where an attribute of an object from one of these modules may be read."""
        near = {path for _, path, _ in self._about(*modules, *beside)}
        found = []
        for shown, path, data in self._about(attribute):
            key = (path, attribute)
            if key not in self._reads:
                self._reads[key] = _reads(data, attribute)
            reads = self._reads[key]
            if path != absolute and (reads is None or reads.may_be_of(modules, about=path in near)):
                found += _places(_word(attribute), [(shown, path, data)])
        return found

    def replacing(self, absolute: str, name: str, module: str) -> list[str]:
        """Where a class is named as a text, in a file that speaks of a module: `patch.object(module, "Groq")`."""
        quoted = re.compile(rf"""["']{re.escape(name)}["']""".encode())
        return _places(quoted, self._about(module), {absolute})

    def below(self, absolute: str, name: str) -> list[str]:
        """Where a name stands in the files below the folder of a package."""
        folder = os.path.dirname(absolute) + os.sep
        near = [file for file in self._files if file[1].startswith(folder) and name.encode() in file[2]]
        return _places(_word(name), near, {absolute})

    def outside(self, absolute: str, name: str, *beside: str) -> list[str]:
        """Where a name stands, in files that speak of a module or class too."""
        return _places(_word(name), self._about(*beside), {absolute})

    def guarding(self, name: str) -> list[str]:
        """Where the error of making an object of a class is handled apart from its use, in any file."""
        found = []
        for shown, _, data in self._about(name):
            if b"try" in data:
                try:
                    line = guarded_at(parse_strictly(decode(data).text), name)
                except UncheckableError:
                    continue  # it does not run
                found += [f"{shown}:{line}"] if line else []
        return found

    def beyond(self, absolute: str, name: str, users: set[str]) -> list[str]:
        """Where a name of a module stands, in files that speak of the module and are none of its known users."""
        return _places(_word(name), self._about(*names_of(absolute)), {absolute, *users})


def _is_printing(function: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.stdout.write", "rich.print")
        for node in ast.walk(function)
    )


def _places(
    pattern: re.Pattern[bytes], files: Iterable[tuple[str, str, bytes]], but: Collection[str] = ()
) -> list[str]:
    """The first place of a pattern in each file that has it, but for some: "path:line"."""
    return [
        f"{shown}:{len(_LINE_END.findall(data, 0, match.start())) + 1}"
        for shown, path, data in files
        if path not in but and (match := pattern.search(data)) is not None
    ]


def _word(name: str) -> re.Pattern[bytes]:
    return re.compile(rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])".encode())


def names_of(absolute: str) -> tuple[str, ...]:
    """The names by which other files speak of a module."""
    stem = os.path.splitext(os.path.basename(absolute))[0]
    return (os.path.basename(os.path.dirname(absolute)) if stem == "__init__" else stem,)


#: What is read of a client.
_OF_CLIENTS = frozenset(
    {
        *("chat", "completions", "messages", "api_key", "base_url", "close", "with_options", "copy", "models", "beta"),
        *("embeddings", "audio", "files", "responses", "images", "batches", "with_raw_response", "organization"),
    }
)


class Reads(NamedTuple):
    """What a file reads of an attribute.

    Attributes:
        own: it is `self.x` in a class that does not set it: of a base or a mixin, perhaps.
        roots: for each other read: the name that it begins with ("" for none), whether nothing stands between, and
            whether something of a client is read of it.
        origin: name -> (last part of the module, name there) that it, or what makes it, is imported from.
        named: whether a text of the file names the attribute.
    """

    own: bool
    roots: tuple[tuple[str, bool, bool], ...]
    origin: dict[str, tuple[str, str]]
    named: bool

    def may_be_of(self, modules: tuple[str, ...], *, about: bool) -> bool:
        """Whether it may be an attribute of an object from one of these modules.

        Args:
            modules: their names.
            about: whether the file mentions one of them, or a class of theirs.
        """
        if self.own or (about and self.named):
            return True
        for name, direct, of_client in self.roots:
            module, original = self.origin.get(name, ("", ""))
            ours = name not in self.origin or module in modules or original in modules
            if about and ours:
                return True
            if of_client and module not in _KNOWN_ELSEWHERE and (ours or not direct):
                return True  # what a getter gives, or nobody knows what
        return False


def _reads(data: bytes, attribute: str) -> Reads | None:
    """What a file reads of an attribute; None for one that cannot be parsed."""
    try:
        tree = parse_strictly(decode(data).text)
    except UncheckableError:
        return None
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    own = named = False
    roots = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == attribute:
            root: ast.expr = node.value
            while isinstance(root, (ast.Attribute, ast.Call, ast.Subscript)):
                root = root.func if isinstance(root, ast.Call) else root.value
            name = root.id if isinstance(root, ast.Name) else ""
            if name in ("self", "cls"):
                own |= not _stored_beside(node, parents, attribute)
            else:
                of_client = getattr(parents.get(node), "attr", "") in _OF_CLIENTS
                roots.append((name, isinstance(node.value, ast.Name), of_client))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            named |= attribute in node.value.split(".")
    return Reads(own, tuple(dict.fromkeys(roots)), _origins(tree), named)


_KNOWN_ELSEWHERE = frozenset({"fastapi", "starlette", "flask", "django", "pytest"})


def _stored_beside(node: ast.AST, parents: dict[ast.AST, ast.AST], attribute: str) -> bool:
    """Whether the class round a node sets the attribute itself."""
    parent = parents.get(node)
    while parent is not None and not isinstance(parent, ast.ClassDef):
        parent = parents.get(parent)
    return parent is not None and any(
        isinstance(inner, ast.Attribute) and inner.attr == attribute and isinstance(inner.ctx, ast.Store)
        for inner in ast.walk(parent)
    )


def _origins(tree: ast.Module) -> dict[str, tuple[str, str]]:
    origin: dict[str, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                origin[alias.asname or alias.name] = ((node.module or "").rpartition(".")[2], alias.name)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            made = getattr(node.value.func, "id", "")
            for target in node.targets:
                if isinstance(target, ast.Name) and made in origin:
                    origin.setdefault(target.id, origin[made])
    return origin


def _imports(data: bytes, module: str, name: str) -> bool:
    """Whether a file imports a name, or everything, from a module of this name."""
    try:
        tree = parse_strictly(decode(data).text)
    except UncheckableError:
        return True
    return any(
        isinstance(node, ast.ImportFrom)
        and (node.module or "").rpartition(".")[2] in (module, "")
        and any(alias.name in (name, "*") for alias in node.names)
        for node in ast.walk(tree)
    )
