"""One file under migration: its text with the place of every node, and its facts."""

from __future__ import annotations

import ast
import os
import re
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from llmguard.check.edit import decoded, encoded
from llmguard.check.finder import region_of
from llmguard.check.judge import Judge
from llmguard.check.module import ModuleFacts
from llmguard.check.reading import lines_of, parse_strictly
from llmguard.errors import UncheckableError
from llmguard.migrate.families import Families

if TYPE_CHECKING:
    from llmguard.check.finding import Callee, Region
    from llmguard.check.module import Site
    from llmguard.check.project import Project

_LINE_END = re.compile("\r\n|\r|\n")


class Span(NamedTuple):
    """A piece of the text: characters from `start` to before `end`."""

    start: int
    end: int


class Source:
    """A Python file.

    Args:
        shown: its path as findings show it.
        absolute: where it is.
        data: its bytes.

    Raises:
        UncheckableError: it is not valid in its encoding, does not survive decoding and encoding, or does not parse.
    """

    def __init__(self, shown: str, absolute: str, data: bytes) -> None:
        self.shown = shown
        self.absolute = absolute
        self.data = data
        self.encoding, text = decoded(data)
        self.bom = "\ufeff" if text.startswith("\ufeff") else ""
        self.text = text.removeprefix("\ufeff")
        if "\x00" in self.text:
            raise UncheckableError("holds a zero byte")
        self.tree = parse_strictly(self.text)
        self.lines = lines_of(self.text)
        self.starts = [0, *(match.end() for match in _LINE_END.finditer(self.text))]
        package = os.path.basename(absolute) == "__init__.py"
        self.facts = ModuleFacts.of(self.tree, absolute, is_package=package)
        #: Another file imports all names of this one: a new one may take the place of one there.
        self.is_starred = False

    @property
    def stem(self) -> str:
        """The name that services go by: of the module, or of its package for `__init__` and `__main__`."""
        name = os.path.splitext(os.path.basename(self.absolute))[0]
        if name in ("__init__", "__main__", "main"):
            return os.path.basename(os.path.dirname(self.absolute)) or name
        return name

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """Node -> the node around it."""
        found: dict[ast.AST, ast.AST] = {}
        for node in ast.walk(self.tree):
            for child in ast.iter_child_nodes(node):
                found[child] = node
        return found

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All nodes, as `ast.walk` gives them."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def attributes(self) -> dict[str, list[ast.Attribute]]:
        """Name of an attribute -> where it is read or set."""
        found: dict[str, list[ast.Attribute]] = {}
        for node in self.nodes:
            if isinstance(node, ast.Attribute):
                found.setdefault(node.attr, []).append(node)
        return found

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The strings of the file, each once."""
        strings = (node.value for node in self.nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
        return tuple(dict.fromkeys(strings))

    @cached_property
    def families(self) -> Families:
        """The classes of the file."""
        return Families(self.nodes)

    @cached_property
    def names(self) -> frozenset[str]:
        """The names that mean something in the file; "*" when nobody knows them all."""
        found = {node.id for node in self.nodes if isinstance(node, ast.Name)}
        for node in self.nodes:
            if isinstance(node, ast.arg):
                found.add(node.arg)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                found.add(node.name)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
            elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
                found.add(node.name)
            elif isinstance(node, ast.MatchMapping) and node.rest:
                found.add(node.rest)
        return frozenset(found)

    @cached_property
    def declared(self) -> frozenset[str]:
        """The variables that a scope declares global or nonlocal."""
        return frozenset(n for node in self.nodes if isinstance(node, (ast.Global, ast.Nonlocal)) for n in node.names)

    @cached_property
    def deleted(self) -> frozenset[str]:
        """The variables that are deleted somewhere."""
        return frozenset(n.id for n in self.nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Del))

    @cached_property
    def width(self) -> int:
        """Columns of the longest line."""
        return max(len(line) for line in self.lines)

    @property
    def newline(self) -> str:
        """The line end that the file uses."""
        match = _LINE_END.search(self.text)
        return match.group() if match else "\n"

    def encoded(self, text: str) -> bytes:
        """The bytes of a changed text.

        Raises:
            UncheckableError: the file's encoding lacks a character of it.
        """
        return encoded(self.bom + text, self.encoding)

    def span(self, node: ast.expr | ast.stmt) -> Span:
        """Where a node stands."""
        return self.span_of(region_of(node, self.lines))  # type: ignore[arg-type]

    def span_of(self, region: Region) -> Span:
        """Where a region stands."""
        start = self.starts[region.line - 1] + region.column - 1
        return Span(start, self.starts[region.end_line - 1] + region.end_column - 1)

    def segment(self, node: ast.expr | ast.stmt) -> str:
        """The text of a node."""
        span = self.span(node)
        return self.text[span.start : span.end]

    def operand(self, node: ast.expr) -> str:
        """The text of an expression, in parentheses where it needs them to be an argument."""
        text = self.segment(node)
        return f"({text})" if isinstance(node, (ast.NamedExpr, ast.Yield, ast.YieldFrom)) else text

    def indent(self, node: ast.stmt | ast.expr) -> str:
        """The blank space at the beginning of the line where a node begins."""
        line = self.lines[node.lineno - 1]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def begins_line(self, statement: ast.stmt) -> bool:
        """Whether nothing but blank space stands before a statement on its line."""
        start = self.span(statement).start
        return not self.text[self.starts[statement.lineno - 1] : start].strip(" \t\f")

    def ends_line(self, statement: ast.stmt) -> bool:
        """Whether only a comment follows a statement on its last line."""
        number = statement.end_lineno or statement.lineno
        rest = self.lines[number - 1][self.span(statement).end - self.starts[number - 1] :].strip()
        return not rest or rest.startswith("#")

    def line_after(self, statement: ast.stmt) -> int:
        """Where the line behind a statement begins; the end of the text behind the last one."""
        number = statement.end_lineno or statement.lineno
        return self.starts[number] if number < len(self.starts) else len(self.text)

    def ancestors(self, node: ast.AST) -> list[ast.AST]:
        """The nodes around a node, the innermost first."""
        found = []
        parent = self.parents.get(node)
        while parent is not None:
            found.append(parent)
            parent = self.parents.get(parent)
        return found


class Found(NamedTuple):
    """A call site: what resolution says, with its nodes.

    Attributes:
        source: its file.
        expression: the callee, or what is mentioned.
        site: where it stands.
        callee: what it reaches.
    """

    source: Source
    expression: ast.expr
    site: Site
    callee: Callee

    @property
    def call(self) -> ast.Call | None:
        """The call, None for a mention."""
        node = self.site.node
        return node if isinstance(node, ast.Call) and node.func is self.expression else None


def found_in(source: Source, project: Project) -> tuple[Judge, list[Found]]:
    """The sites of a file, in reading order, and the resolution that found them."""
    judge = Judge(source.facts, project)
    sites = [Found(source, expression, site, callee) for expression, site, callee in judge.candidates()]
    return judge, sorted(sites, key=lambda found: source.span(found.expression))
