"""Who uses what a migration would take away, in the other files of the project."""

from __future__ import annotations

import ast
import os
import re
from typing import TYPE_CHECKING

from llmguard.migrate.guards import guarded_at
from llmguard.migrate.reads import Reads, reads_of, tree_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_LINE_END = re.compile(rb"\r\n|\r|\n")
_WORDS = re.compile(rb"[A-Za-z_]\w*")
_GROQ = re.compile(rb"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+\w*[Gg]roq\w*|^\w*groq_\w*[ \t]*=", re.MULTILINE)
_NAMES = re.compile(rb"^[ \t]*(?:class|def|async[ \t]+def)[ \t]+(\w+)|\bself\.(\w+)[^\n=]*=", re.MULTILINE)


#: Path as shown, absolute path, bytes.
File = tuple[str, str, bytes]


class Texts:
    """The bytes of all files of the project, to be searched for what speaks of the files that migrate.

    Args:
        files: (path as shown, absolute path, bytes).
        migrating: absolute paths of those that migrate; None for all.
    """

    def __init__(self, files: Iterable[File], migrating: frozenset[str] | None = None) -> None:
        self._files = list(files)
        self._held: dict[tuple[re.Pattern[bytes], ...], bool] = {}
        self._reads: dict[tuple[str, str], Reads | None] = {}
        self._candidate_files: dict[str, tuple[list[File], list[File]]] = {}
        self._by_stem: dict[str, list[File]] = {}
        for file in self._files:
            self._by_stem.setdefault(names_of(file[1])[0], []).append(file)
        self._holding: dict[str, list[File]] = {}
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

    def defines_groq(self) -> bool:
        """Whether some file defines a name after Groq."""
        return any(_GROQ.search(data) for _, _, data in self._with("roq"))

    def setting_callbacks(self) -> bool:
        """Whether some file sets LiteLLM's list of callbacks anew."""
        pattern = re.compile(rb"\b\w+\s*\.\s*callbacks\s*=[^=]")
        return any(b"litellm" in data and pattern.search(data) for _, _, data in self._with("callbacks"))

    def _about(self, *names: str) -> list[File]:
        """The files that mention one of these names."""
        numbers: set[int] = set()
        for name in map(str.encode, names):
            if name not in self._indexed:
                self._indexed.add(name)
                self._speaking[name] = [number for number, (_, _, data) in enumerate(self._files) if name in data]
            numbers.update(self._speaking.get(name, ()))
        return [self._files[number] for number in sorted(numbers)]

    def _with(self, text: str) -> list[File]:
        """The files that hold a text."""
        found = self._holding.get(text)
        if found is None:
            data = text.encode()
            found = self._holding[text] = [file for file in self._files if data in file[2]]
        return found

    def runs(self, module: str) -> bool:
        """Whether a module of the project of this name does something when it is imported, beside defining names."""
        for _, _, data in self._by_stem.get(module, ()):
            tree = tree_of(data)
            own = frozenset(getattr(node, "name", "") for node in tree.body) if tree is not None else frozenset()
            own -= frozenset(node.name for node in tree.body if isinstance(node, ast.ClassDef)) if tree else own
            if tree is None or any(_runs(statement, own) for statement in tree.body):
                return True
        return False

    def watched(self, name: str, receiver: str) -> bool:
        """Whether what a log of the project's own does may be noticed: it prints, or its keeper is asked elsewhere.

        Args:
            name: of the function that logs.
            receiver: name of the object whose method it is.
        """
        defined = re.compile(rf"\bdef\s+{re.escape(name)}\b".encode())
        own = [file for file in self._with(name) if defined.search(file[2]) and b"llmguard" not in file[2]]
        for _, _, data in own:
            tree = tree_of(data)
            if tree is None or any(_is_visible(node) for node in ast.walk(tree) if getattr(node, "name", "") == name):
                return True
        asked = re.compile(rf"\b{re.escape(receiver)}\s*\.\s*(?!log_|import\b)\w".encode())
        return bool(own) and bool(_places(asked, self._with(receiver)))

    def holds(self, *patterns: re.Pattern[bytes]) -> bool:
        """Whether some file holds one of some patterns; asked once."""
        known = self._held.get(patterns)
        if known is None:
            known = self._held[patterns] = any(
                pattern.search(data) for _, _, data in self._files for pattern in patterns
            )
        return known

    def mentioning(self, name: str) -> list[File]:
        """The files in which a word stands."""
        return self._about(name)

    # -- places: "path:line" in the files but for one ------------------------------------------------------------

    def reading(self, absolute: str, attribute: str, modules: tuple[str, ...], *beside: str) -> list[str]:
        """Where an attribute of an object from one of these modules may be read."""
        near = {path for _, path, _ in self._about(*modules, *beside)}
        stems = frozenset(names_of(path)[0] for path in near)
        found = []
        for file in self._about(attribute):
            shown, path, data = file
            reads = self._reads_of(file, attribute)
            if path != absolute and (reads is None or reads.may_be_of(modules, stems, about=path in near)):
                found += _places(_word(attribute), [(shown, path, data)])
        return found

    def replacing(self, absolute: str, name: str, package: str = "") -> list[str]:
        """Where a name of a module or object may be given another value, or is looked up by a text.

        Args:
            absolute: path of the module.
            name: the name in it, or an attribute of its objects.
            package: that the name is imported from, whose own may be replaced as well.
        """
        put, by_text = self._candidates(name)
        sure = [file for file in put if file[1] != absolute and self._puts(file, absolute, name)]
        near = {path for _, path, _ in self._about(*names_of(absolute))}
        said = [
            file
            for file in by_text
            if file[1] != absolute and (file[1] in near or package) and _says(file[2], absolute, name, package)
        ]
        return _places(_looks_like(name), sure) + _places(_named_by_text(name), said)

    def _candidates(self, name: str) -> tuple[list[File], list[File]]:
        """The files that may put something in a name's place, and those that have it in a text."""
        found = self._candidate_files.get(name)
        if found is None:
            files = self._with(name)
            patterns = (_looks_like(name), _named_by_text(name))
            put, by_text = ([file for file in files if pattern.search(file[2])] for pattern in patterns)
            found = self._candidate_files[name] = (put, by_text)
        return found

    def _puts(self, file: File, absolute: str, name: str) -> bool:
        reads = self._reads_of(file, name)
        own = names_of(absolute)
        near = frozenset(names_of(path)[0] for _, path, _ in self._about(*own))
        return reads is None or reads.may_be_put(own, near)

    def _reads_of(self, file: File, attribute: str) -> Reads | None:
        key = (file[1], attribute)
        if key not in self._reads:
            self._reads[key] = reads_of(file[2], attribute)
        return self._reads[key]

    def without(self, package: str) -> list[str]:
        """Where an imported package may be replaced in `sys.modules`, in any file."""
        quoted = re.compile(rf"""["']{re.escape(package)}["']""".encode())
        return _places(quoted, [file for file in self._with(package) if b"sys.modules" in file[2]])

    def starring(self, absolute: str) -> list[str]:
        """Where all names of a module are imported."""
        (name,) = names_of(absolute)
        return _places(re.compile(rf"\b{re.escape(name)}\s+import\s+\*".encode()), self._about(name), {absolute})

    def changing_environment(self, absolute: str, variables: Collection[str]) -> list[str]:
        """Where environment variables may change, or all of them are taken away, in other files."""
        files = [file for file in self._with("environ") if any(name.encode() in file[2] for name in variables)]
        return _places(CHANGES_ENVIRONMENT, files, {absolute}) + _places(
            re.compile(rb"environ\s*\.\s*clear\b|environ[^)]*clear\s*=\s*True"), self._with("environ"), {absolute}
        )

    def assigning(self, name: str) -> list[str]:
        """Where a setting may get another value, or is computed by more than a look into the environment."""
        files = self._with(name)
        given = re.compile(rf"\bglobal\s[^\n]*\b{re.escape(name)}\b".encode())
        computed = [f"{shown}:1" for shown, _, data in files if _computes(data, name)]
        return _places(_looks_like(name), files) + _places(given, files) + computed

    def below(self, absolute: str, name: str) -> list[str]:
        """Where a name stands in the files below the folder of a package."""
        folder = os.path.dirname(absolute) + os.sep
        near = [file for file in self._with(name) if file[1].startswith(folder)]
        return _places(_word(name), near, {absolute})

    def guarding(self, name: str) -> list[str]:
        """Where the error of making an object of a class is handled apart from its use, in any file."""
        found = []
        for shown, _, data in self._about(name):
            tree = tree_of(data) if b"try" in data else None
            line = guarded_at(tree, name) if tree is not None else 0
            found += [f"{shown}:{line}"] if line else []
        return found


def _runs(statement: ast.stmt, own: frozenset[str] = frozenset()) -> bool:
    value = getattr(statement, "value", None)
    if isinstance(value, ast.Call) and ast.unparse(value.func) in own:
        return True  # of a function of the module
    if isinstance(statement, ast.Expr):
        return not isinstance(statement.value, ast.Constant)
    return isinstance(statement, (ast.For, ast.While, ast.With, ast.Delete, ast.AugAssign))


def _computes(data: bytes, name: str) -> bool:
    """Whether a file defines a function of a name that does more than to return what it reads."""
    if not re.search(rf"\bdef\s+{re.escape(name)}\b".encode(), data):
        return False
    tree = tree_of(data)
    if tree is None:
        return True
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
            calls = [ast.unparse(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)]
            if not isinstance(node.body[-1], ast.Return) or len(node.body) > 2 or set(calls) - _READING:
                return True
    return False


_READING = frozenset({"os.getenv", "os.environ.get", "getenv", "environ.get", "str"})


def _is_visible(function: ast.AST) -> bool:
    """Whether what a function does is seen beside its books: it prints, raises, or sets what is not its object's."""
    for node in ast.walk(function):
        if isinstance(node, (ast.Raise, ast.Global, ast.Nonlocal)):
            return True
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.stdout.write", "rich.print"):
            return True
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load) and isinstance(node.value, ast.Name):
            return True
    return False


#: What changes environment variables.
CHANGES_ENVIRONMENT = re.compile(
    rb"environ\s*\[[^\]]*\]\s*=[^=]|environ\s*\.\s*(pop|update|setdefault|clear|popitem)\b|\bputenv\b|\bsetenv\b"
    rb"|\bdel\s+(os\.)?environ|\bdelenv\b|environ\s*\|=|patch\.dict\s*\([^)]*environ|override\s*=\s*True"
)


def _looks_like(name: str) -> re.Pattern[bytes]:
    """What may give a name of a module or object another value, or looks it up."""
    word = re.escape(name)
    return re.compile(
        rf"""(?<!\bself)(?<!\bcls)\.{word}[ ]*(?::[^=\n]*)?=(?!=)|\bdel\b.*\.{word}\b"""
        rf"""|\b(?:getattr|setattr|hasattr|delattr|object|setitem)\s*\([^"']{{0,200}}["']{word}["']""".encode()
    )


def _says(data: bytes, absolute: str, name: str, package: str) -> bool:
    """Whether a text of a file may mean a name of a module, or one of the package that it is imported from."""
    tree = tree_of(data)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and name in node.value:
            parts = node.value.split(".")
            if may_name(node.value, absolute, name) or (package and parts[0] == package and name in parts):
                return True
        elif isinstance(node, ast.Call):
            if ast.unparse(node.func).rpartition(".")[2] in _BY_TEXT:
                return True
    return tree is None


#: What reads attributes that a text names.
_BY_TEXT = frozenset({"attrgetter", "methodcaller", "format", "format_map"})


def may_mean(dotted: str, absolute: str) -> bool:
    """Whether a dotted path may be the name of the module at a path.

    >>> may_mean("app.llm", "/srv/billing/app/llm.py"), may_mean("support.app.llm", "/srv/billing/app/llm.py")
    (True, False)
    """
    parts = dotted.split(".")
    stem = os.path.splitext(absolute)[0].replace(os.sep, "/")
    own = [part for part in stem.removesuffix("/__init__").split("/") if part]
    return all(part.isidentifier() for part in parts) and own[-len(parts) :] == parts


def may_name(text: str, absolute: str, name: str) -> bool:
    """Whether a text is the dotted path of a name in the module at a path, or of something in it."""
    parts = text.replace(":", ".").split(".")
    return any(part == name and may_mean(".".join(parts[:at]), absolute) for at, part in enumerate(parts) if at)


_TESTS = re.compile(r"(^|/)(tests?|testing)/|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$")


def is_of_tests(path: str) -> bool:
    """Whether a file, by its path, is one of tests."""
    return _TESTS.search(path.replace(os.sep, "/")) is not None


def _named_by_text(name: str) -> re.Pattern[bytes]:
    """A dotted path with a name in a text, and a field of a format."""
    word = re.escape(name)
    return re.compile(
        rf"""["'][\w.]*\.{word}(?:\.[\w.]*)?["']|\{{[\w.]*\.{word}\b"""
        rf"""|\b(?:attrgetter|methodcaller)\s*\(\s*["']{word}[."']""".encode()
    )


def _places(pattern: re.Pattern[bytes], files: Iterable[File], but: Collection[str] = ()) -> list[str]:
    """The first place of a pattern in each file that has it, but for some: "path:line"."""
    return [
        f"{shown}:{len(_LINE_END.findall(data, 0, match.start())) + 1}"
        for shown, path, data in files
        if path not in but and (match := pattern.search(data)) is not None
    ]


def _word(name: str) -> re.Pattern[bytes]:
    return re.compile(rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])".encode())


def names_of(absolute: str) -> tuple[str, ...]:
    """The names by which other files speak of a module; what is no text in a file's name, none of them can write."""
    stem = os.path.splitext(os.path.basename(absolute))[0]
    name = os.path.basename(os.path.dirname(absolute)) if stem == "__init__" else stem
    return (name.encode("utf-8", "replace").decode(),)
