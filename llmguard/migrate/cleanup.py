"""What goes with a call that has moved: statements that kept its client or logged it, and imports nobody reads."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from llmguard.migrate import clients
from llmguard.migrate.edit import Edit
from llmguard.migrate.mentions import is_named_by_text
from llmguard.migrate.source import Source, Span

if TYPE_CHECKING:
    from llmguard.migrate.importers import Importers
    from llmguard.migrate.uses import Texts

_LOGGING = re.compile(r"\s*#.*\b(log|logs|logging|track|tracking|usage)\b", re.IGNORECASE)


def _comment_behind(source: Source, statement: ast.stmt) -> int:
    """The width of the blank space before a comment behind a statement that says something; 0 when there is none."""
    number = (statement.end_lineno or statement.lineno) - 1
    rest = source.lines[number][source.span(statement).end - source.starts[number] :]
    said = rest.strip()
    if not said.startswith("#") or re.match(r"#\s*(noqa|type:|pylint:|pragma|isort:|nosec)", said):
        return 0
    return len(rest) - len(rest.lstrip())


class Cleanup:
    """What is taken out of a file.

    Attributes:
        edits: that take it out.
        removed: where the statements stood.
        replaced: where expressions stand whose names new code does not read.
        said: names that new code reads.
    """

    def __init__(self, source: Source, texts: Texts, importers: Importers) -> None:
        self.source = source
        self.texts = texts
        self.importers = importers
        self.edits: list[Edit] = []
        self.removed: list[Span] = []
        self.replaced: list[Span] = []
        self.said: set[str] = set()
        self._forgotten: dict[str, ast.stmt] = {}

    def remove(self, statement: ast.stmt, *, with_comment: bool = False) -> None:
        """Take a statement out with its lines; a block that would be empty gets `pass`.

        Args:
            statement: begins and ends its lines.
            with_comment: a comment right above it that is about logging goes too.
        """
        source = self.source
        parent = source.parents[statement]
        body = next(value for _, value in ast.iter_fields(parent) if isinstance(value, list) and statement in value)
        first = statement.lineno
        while with_comment and first > 1 and _LOGGING.match(source.lines[first - 2]):
            first -= 1
        start = source.starts[first - 1]
        end = source.line_after(statement)
        others = [other for other in body if other is not statement and not self._is_removed(other)]
        self.removed.append(source.span(statement))
        is_alone = not others and not isinstance(parent, ast.Module)
        comment = _comment_behind(source, statement)
        if comment and not with_comment:
            self.edits.append(Edit(source.span(statement), "pass  " if is_alone else ""))
            gap = source.span(statement).end
            self.edits.append(Edit(Span(gap, gap + comment), ""))
        elif is_alone:
            self.edits.append(Edit(source.span(statement), "pass"))
        else:
            self.edits.append(Edit(Span(start, end), ""))

    def forget(self, statement: ast.stmt, name: str) -> bool:
        """Take a name that nothing reads any more out of its import; False, and nothing is done, when that is beyond
        this."""
        self._forgotten[name] = statement
        if self._without(statement, {name}) is None:
            del self._forgotten[name]
            return False
        return True

    def _is_removed(self, statement: ast.stmt) -> bool:
        return self.source.span(statement) in self.removed

    def remove_unused_settings(self) -> None:
        """Take out settings of the module whose last reader went with a client: `KEY = os.getenv("GROQ_API_KEY")`."""
        gone = self._names_in_removed()
        for statement in self.source.tree.body:
            target = statement.targets[0] if isinstance(statement, ast.Assign) else None
            if not isinstance(statement, ast.Assign) or len(statement.targets) > 1 or not isinstance(target, ast.Name):
                continue
            asked = isinstance(statement.value, ast.Call) and clients.environment_variable(statement.value)
            lines = self.source.begins_line(statement) and self.source.ends_line(statement)
            if target.id in gone and asked and lines and self._is_unread(target.id, statement):
                self.remove(statement)

    def _is_unread(self, name: str, statement: ast.stmt) -> bool:
        """Whether nothing reads a variable of the module that its statement sets."""
        if name in self.said or is_named_by_text(self.source, name) or name in self.source.declared:
            return False
        for node in self.source.nodes:
            if isinstance(node, ast.Name) and node.id == name and not self._inside_removed(node):
                if self.source.parents.get(node) is not statement:
                    return False
        absolute = self.source.absolute
        return not (self.importers.reading(absolute, name) or self.texts.replacing(absolute, name))

    def unused_imports(self) -> list[Edit]:
        """Imports whose last reader went with a client."""
        gone = {*self._forgotten, *self._names_in_removed()}
        found = []
        for name in sorted(gone):
            statement = self._removable_import(name)
            if statement is not None:
                found.append(statement)
        return [edit for statement in dict.fromkeys(found) if (edit := self._without(statement, gone)) is not None]

    def _names_in_removed(self) -> set[str]:
        return {node.id for node in self.source.nodes if isinstance(node, ast.Name) and self._inside_removed(node)}

    def _inside_removed(self, node: ast.expr) -> bool:
        span = self.source.span(node)
        gone = (*self.removed, *self.replaced)
        return any(other.start <= span.start and span.end <= other.end for other in gone)

    def _removable_import(self, name: str) -> ast.stmt | None:
        if name in self._forgotten:
            return self._forgotten[name]
        if name in self.said:
            return None
        for node in self.source.nodes:
            if isinstance(node, ast.Name) and node.id == name and not self._inside_removed(node):
                return None
        if is_named_by_text(self.source, name) or self.importers.reading(self.source.absolute, name):
            return None
        found = [
            statement
            for statement in self.source.nodes
            if isinstance(statement, (ast.Import, ast.ImportFrom))
            and getattr(statement, "module", "") != "__future__"
            and any((alias.asname or alias.name).partition(".")[0] == name for alias in statement.names)
        ]
        places = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef)
        if len(found) != 1 or not isinstance(self.source.parents.get(found[0]), places):
            return None  # several, or guarded: whoever reads it meets the one that has run
        return None if self._does_more(found[0]) else found[0]

    def _does_more(self, statement: ast.Import | ast.ImportFrom) -> bool:
        """Whether a module of the project does something when it is imported, beside defining names."""
        names = [alias.name for alias in statement.names] if isinstance(statement, ast.Import) else []
        if isinstance(statement, ast.ImportFrom):
            names = [statement.module or "", *(alias.name for alias in statement.names)]
        return any(self.texts.runs(name.rpartition(".")[2]) for name in names if name)

    def _without(self, statement: ast.stmt, gone: set[str]) -> Edit | None:
        """The edit that takes names out of an import."""
        assert isinstance(statement, (ast.Import, ast.ImportFrom))
        source = self.source
        if not source.begins_line(statement) or not source.ends_line(statement):
            return None
        kept = []
        for alias in statement.names:
            name = (alias.asname or alias.name).partition(".")[0]
            if name not in gone or self._removable_import(name) is not statement:
                kept.append(alias)
        if len(kept) == len(statement.names):
            return None
        end = source.line_after(statement)
        if not kept:
            span, gap = source.span(statement), _comment_behind(source, statement)
            if gap:
                return Edit(Span(span.start, span.end + gap), "")
            return Edit(Span(source.starts[statement.lineno - 1], end), "")
        if statement.end_lineno != statement.lineno:
            return self._without_lines([alias for alias in statement.names if alias not in kept])
        parts = ", ".join(alias.name + (f" as {alias.asname}" if alias.asname else "") for alias in kept)
        if isinstance(statement, ast.Import):
            return Edit(source.span(statement), f"import {parts}")
        return Edit(source.span(statement), f"from {'.' * statement.level}{statement.module or ''} import {parts}")

    def _without_lines(self, aliases: list[ast.alias]) -> Edit | None:
        """The edit that takes names out of an import of several lines; None when they do not have lines of their own,
        next to each other: an unused name does no harm."""
        numbers = [alias.lineno - 1 for alias in aliases]
        for alias, number in zip(aliases, numbers, strict=True):
            said = alias.name + (f" as {alias.asname}" if alias.asname else "")
            if self.source.lines[number].strip().rstrip(",").rstrip() != said:
                return None
        if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            return None
        return Edit(Span(self.source.starts[numbers[0]], self.source.starts[numbers[-1] + 1]), "")
