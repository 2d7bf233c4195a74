"""The finder: a LibCST visitor that finds the calls of models in a module, with the nodes that codemods rewrite.

LibCST is exact but slow, so for a check it sees no more than it must: each callee expression that resolution found,
by itself. On the whole module, which codemods need, the same visitor finds the same calls; a test holds the two
together.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, NamedTuple

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from llmguard.check.finding import Call, Callee, Region
from llmguard.check.reading import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmguard.check.module import Site

_LONGEST_TEXT = 120


class Candidate(NamedTuple):
    """An expression that reaches a model, where it stands, and what it reaches."""

    region: Region
    expression: ast.expr
    site: Site
    callee: Callee

    @property
    def called(self) -> bool:
        """Whether the expression is the callee of a call (else it is mentioned, or handed to what calls it)."""
        return isinstance(self.site.node, ast.Call) and self.site.node.func is self.expression


class Finder(cst.CSTVisitor):
    """Collects the LibCST nodes of candidates: of the whole call, or of the expression for a mention.

    Args:
        candidates: what to find.
        place: the region of a node, None for one that cannot be a candidate.
    """

    def __init__(self, candidates: Iterable[Candidate], place: Callable[[cst.CSTNode], Region | None]) -> None:
        super().__init__()
        self.found: list[tuple[Candidate, Region, cst.CSTNode]] = []
        self._place = place
        self._called: dict[Region, Candidate] = {}
        self._mentioned: dict[Region, Candidate] = {}
        self._loose: dict[tuple[bool, str], list[Candidate]] = {}
        for candidate in candidates:
            if candidate.site.fstring is not None:
                self._loose.setdefault((candidate.called, _text(candidate.expression)), []).append(candidate)
            elif candidate.called:
                self._called[candidate.region] = candidate
            else:
                self._mentioned[candidate.region] = candidate

    def visit_Call(self, node: cst.Call) -> None:
        region = self._place(node.func)
        candidate = self._called.pop(region, None) if region is not None else None
        if candidate is None and self._loose:
            candidate = self._in_fstring(node.func, called=True)
            region = candidate.region if candidate is not None else None
        if candidate is not None and region is not None:
            self.found.append((candidate, region, node))
        else:
            self._mention(node)

    def visit_Attribute(self, node: cst.Attribute) -> None:
        self._mention(node)

    def visit_Name(self, node: cst.Name) -> None:
        self._mention(node)

    def _mention(self, node: cst.BaseExpression) -> None:
        candidate: Candidate | None = None
        if self._mentioned:
            region = self._place(node)
            candidate = self._mentioned.pop(region, None) if region is not None else None
        if candidate is None and self._loose:
            candidate = self._in_fstring(node, called=False)
        if candidate is not None:
            self.found.append((candidate, candidate.region, node))

    def _in_fstring(self, node: cst.BaseExpression, *, called: bool) -> Candidate | None:
        """Before Python 3.12 `ast` does not know where an expression in an f-string stands: its text must do."""
        try:
            text = _text(ast.parse(cst.Module([]).code_for_node(node).strip(), mode="eval").body)
        except SyntaxError:
            return None
        waiting = self._loose.get((called, text))
        return waiting.pop(0) if waiting else None


class _ModuleFinder(Finder):
    """The finder on a whole module, where LibCST knows every node's position."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        super().__init__(candidates, self._position)

    def _position(self, node: cst.CSTNode) -> Region:
        position: Any = self.get_metadata(PositionProvider, node)
        start, end = position.start, position.end
        return Region(start.line, start.column + 1, end.line, end.column + 1)


def find_calls(text: str, candidates: list[Candidate], *, shortcut: bool = True) -> list[Call]:
    """The calls among the candidates, in reading order.

    Args:
        text: source of the module.
        candidates: what resolution found in it.
        shortcut: show LibCST only the callees; False parses the whole module (codemods need that).

    Raises:
        libcst.ParserSyntaxError: the whole module is no syntax that LibCST reads (never with the shortcut).
    """
    if shortcut:
        lines = lines_of(text)
        found = [_alone(lines, candidate) for candidate in candidates]
    else:
        finder = _ModuleFinder(candidates)
        MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True).visit(finder)
        found = list(finder.found)
    found.sort(key=lambda entry: entry[1])
    return _numbered(found)


def _alone(lines: list[str], candidate: Candidate) -> tuple[Candidate, Region, cst.CSTNode | None]:
    """A candidate found in its own text. Where LibCST cannot read that, `ast` did, and there is no node."""
    source = _slice(lines, candidate.region)
    called = candidate.called and candidate.site.fstring is None
    try:
        # The parentheses let the callee go over lines; the line end closes a comment.
        root = cst.parse_expression(f"({source}\n)()" if called else f"({source}\n)")
        target = root.func if called and isinstance(root, cst.Call) else root
        finder = Finder([candidate], lambda node: candidate.region if node is target else None)
        root.visit(finder)
    except (cst.ParserSyntaxError, RecursionError):
        return candidate, candidate.region, None
    return finder.found[0] if finder.found else (candidate, candidate.region, None)


def _numbered(found: list[tuple[Candidate, Region, cst.CSTNode | None]]) -> list[Call]:
    ordinals: dict[tuple[str, str], int] = {}
    calls = []
    for candidate, region, node in found:
        text = _text(candidate.expression)
        function = candidate.site.scope.qualname
        key = (function, text)
        ordinals[key] = ordinals.get(key, 0) + 1
        calls.append(Call(region, candidate.callee, text, function, ordinals[key], node, candidate.site))
    return calls


def _slice(lines: list[str], region: Region) -> str:
    if region.line == region.end_line:
        return lines[region.line - 1][region.column - 1 : region.end_column - 1]
    first = lines[region.line - 1][region.column - 1 :]
    middle = lines[region.line : region.end_line - 1]
    return "\n".join([first, *middle, lines[region.end_line - 1][: region.end_column - 1]])


def region_of(node: ast.expr, lines: list[str]) -> Region:
    """The region of an `ast` expression; `ast` counts columns in UTF-8 bytes, regions in characters."""
    end_line = node.end_lineno or node.lineno
    return Region(
        node.lineno,
        _characters(lines[node.lineno - 1], node.col_offset) + 1,
        end_line,
        _characters(lines[end_line - 1], node.end_col_offset or node.col_offset) + 1,
    )


def _characters(line: str, offset: int) -> int:
    return offset if line.isascii() else len(line.encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "ignore"))


def _text(node: ast.expr) -> str:
    """An expression on one line, as a site's identity holds it."""
    try:
        text = " ".join(ast.unparse(node).split())
    except RecursionError:
        text = getattr(node, "attr", "call")
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "..."
