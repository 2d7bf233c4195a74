"""One file: what becomes of each of its sites, and the edits that it takes."""

from __future__ import annotations

import ast
import os
from itertools import pairwise
from typing import TYPE_CHECKING

from llmguard.migrate import clients, imports, logging_by_hand, places, uses
from llmguard.migrate.cleanup import Cleanup
from llmguard.migrate.codemods import litellm_setup, to_tracked_client, to_wrapper, wrap_in_tracker
from llmguard.migrate.edit import Edit
from llmguard.migrate.mentions import mentions
from llmguard.migrate.source import Found, Source, Span
from llmguard.migrate.tidy import tidied
from llmguard.migrate.verdict import Target, Verdict

if TYPE_CHECKING:
    from llmguard.check.judge import Judge
    from llmguard.migrate.clients import Maker
    from llmguard.migrate.options import Options

#: What may stand between a client and its generating method.
_ON_THE_WAY = frozenset(
    {
        *("chat", "completions", "create", "parse", "stream", "messages", "responses", "embeddings", "beta", "batches"),
        *("with_raw_response", "with_streaming_response", "images", "generate", "edit", "audio", "speech"),
        *("transcriptions", "translations", "create_and_poll", "create_and_run", "threads", "runs", "count"),
    }
)
#: Round the statement that makes a client: it checks something, repeats it, or makes it a field.
_AROUND = (ast.Try, ast.If, ast.With, ast.AsyncWith, ast.ClassDef, ast.For, ast.AsyncFor, ast.While)
_LESSER = {
    "with_raw_response": "raw-response",
    "with_streaming_response": "raw-response",
    "with_options": "client-headers",
    "parse": "parse-api",
    "beta": "parse-api",
    "responses": "parse-api",
}


class Outcome:
    """What became of one site."""

    def __init__(self, found: Found) -> None:
        self.found = found
        self.verdict = Verdict.MANUAL
        self.target: Target | None = None
        self.reason = ""
        self.edits: list[Edit] = []

    def moved(self, target: Target, reason: str = "", *, review: bool = False) -> None:
        """It moved."""
        self.target, self.reason = target, reason
        self.verdict = Verdict.REVIEW if review else Verdict.MIGRATED

    def stays(self, reason: str) -> None:
        """It is for a human."""
        self.verdict, self.reason = Verdict.MANUAL, reason


class FileMigration:
    """The sites of one file, decided together: a client goes only when all its calls have moved.

    Args:
        source: the file.
        judge: its resolution.
        sites: those that are to move.
        texts: the bytes of the project's files.
        options: what is asked for.
    """

    def __init__(self, source: Source, judge: Judge, sites: list[Found], texts: uses.Texts, options: Options) -> None:
        self.source = source
        self.judge = judge
        self.texts = texts
        self.options = options
        self.outcomes = {id(found.expression): Outcome(found) for found in sites}
        self.edits: list[Edit] = []
        self.cleanup = Cleanup(source, texts)
        self.service = options.service.format(stem=source.stem)
        self._wanted: dict[str, dict[str, str]] = {}
        self._anchor: ast.stmt | None = None
        self._tracked: set[int] = set()

    def decide(self) -> list[Outcome]:
        """Decide for every site; the edits are in `edits`."""
        if Target.WRAPPER in self.options.targets:
            for maker, group in self._groups():
                self._to_wrapper(maker, group)
        for outcome in self.outcomes.values():
            if outcome.target is None:
                self._to_lesser(outcome)
        self.edits += [*self.cleanup.edits, *self.cleanup.unused_imports()]
        self._anchor = self._early(self._anchor)
        # In front of the others: what is put in at the same place uses the names.
        self.edits = [*imports.added(self.source, self._wanted, self._anchor), *self.edits]
        self.edits += tidied(self.source, self.edits)
        return list(self.outcomes.values())

    # -- to the wrapper ------------------------------------------------------------------------------------------

    def _early(self, anchor: ast.stmt | None) -> ast.stmt | None:
        """An import that stands before all that uses the new names: the one at hand, else the last one before."""
        places = [edit.span.start for edit in self.edits if edit.text not in ("", "pass")]
        if not places:
            return anchor
        first = min(places)
        if anchor is not None and self.source.span(anchor).end <= first:
            return anchor
        before = [
            statement
            for statement in self.source.tree.body
            if isinstance(statement, (ast.Import, ast.ImportFrom)) and self.source.span(statement).end <= first
        ]
        return before[-1] if before else None

    def _groups(self) -> list[tuple[Maker, list[tuple[Outcome, ast.expr]]]]:
        """Sites by the client that they are called on, where there is one such place."""
        groups: dict[tuple[str, str, int], tuple[Maker, list[tuple[Outcome, ast.expr]]]] = {}
        for outcome in self.outcomes.values():
            found = outcome.found
            for shape, path in to_wrapper.PATHS.items():
                root = clients.root_of(found.expression, path)
                maker = clients.maker_of(self.judge, found, root) if root is not None else None
                if maker is None or root is None or clients.WRAPPED.get(maker.cls, ("", "", False))[1] != shape:
                    continue
                key = (maker.kind, maker.name, id(maker.call))
                groups.setdefault(key, (maker, []))[1].append((outcome, root))
        return list(groups.values())

    def _to_wrapper(self, maker: Maker, group: list[tuple[Outcome, ast.expr]]) -> None:
        provider, shape, asynchronous = clients.WRAPPED[maker.cls]
        options = clients.options_of(self.source, maker, provider)
        reason = options if isinstance(options, str) else self._obstacle(maker, group, asynchronous)
        statement = self._statement(maker)
        if not reason and maker.kind != "inline" and statement is None:
            reason = "client-escapes"
        if reason or isinstance(options, str):
            for outcome, _ in group:
                outcome.reason = reason
            return
        wrapper = imports.name_for(self.source, "llm_wrapper", self.options.module)
        named = "" if provider == self.options.default_provider or shape == "messages" else provider
        ask = to_wrapper.Ask(shape, named, self.service, options, wrapper)
        wanted = [outcome.found for outcome in self.outcomes.values()]
        by_hand = [logging_by_hand.beside(self.source, outcome.found, wanted) for outcome, _ in group]
        rewritten = [
            (outcome, *to_wrapper.rewritten(outcome.found, ask, asynchronous, self.options.user_names, log))
            for (outcome, _), log in zip(group, by_hand, strict=True)
        ]
        spans = [edit.span for _, edits, _ in rewritten for edit in edits]
        if any(self._overlaps(span) for span in spans) or _cross(spans):
            for outcome, _ in group:
                outcome.reason = "client-escapes"
            return
        for outcome, edits, notes in rewritten:
            for edit in edits:
                self._add(outcome, edit)
            outcome.moved(Target.WRAPPER, notes[0] if notes else "", review=bool(notes))
        self._want("llm_wrapper", wrapper)
        for text in options.values():
            self.cleanup.said |= {
                node.id for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name)
            }
        self._anchor = self._anchor or self._import_of(maker)
        if statement is not None:
            self.cleanup.remove(statement)
        for log in by_hand:
            for gone in log.statements:
                if not self._overlaps(self.source.span(gone)):
                    self.cleanup.remove(gone, with_comment=True)

    def _obstacle(self, maker: Maker, group: list[tuple[Outcome, ast.expr]], asynchronous: bool) -> str:
        for outcome, _ in group:
            reason = to_wrapper.obstacle(outcome.found, asynchronous)
            if reason:
                return reason
        read = mentions(self.source, maker)
        if read is None:
            return "client-escapes"
        roots = {id(root) for _, root in group}
        others = [node for node in read if id(node) not in roots]
        if others:
            return "client-flag" if any(self._is_test(node) for node in others) else "client-escapes"
        return self._used_outside(maker)

    def _is_test(self, node: ast.expr) -> bool:
        parent = self.source.parents.get(node)
        return isinstance(parent, (ast.UnaryOp, ast.BoolOp, ast.Compare)) or (
            isinstance(parent, (ast.If, ast.IfExp, ast.While)) and parent.test is node
        )

    def _used_outside(self, maker: Maker) -> str:
        """The reason code when another file of the project uses the client, or replaces what makes it."""
        names = uses.names_of(self.source.absolute)
        made = ast.unparse(maker.call.func).rpartition(".")[2]
        if any(
            isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith((f".{made}", made))
            for node in ast.walk(self.source.tree)
        ):
            return "test-patches-target"
        where = self.texts.outside(self.source.absolute, f"{names[0]}.{made}", names[0])
        where += self.texts.replacing(self.source.absolute, made, names[0])
        owner = maker.owner
        if maker.kind == "name" and os.path.basename(self.source.absolute) == "__init__.py":
            where += self.texts.below(self.source.absolute, maker.name)
        if maker.kind == "attribute" and owner is not None:
            where += self.texts.reading(self.source.absolute, maker.name, names, owner.name)
        elif maker.kind == "name" and owner is not None and not owner.is_function:
            where += self.texts.outside(self.source.absolute, maker.name, *names)
        if not where:
            return ""
        return "test-patches-target" if any("test" in path.lower() for path in where) else "client-escapes"

    def _statement(self, maker: Maker) -> ast.stmt | None:
        """The statement that does nothing but keep the client; None when there is none that can go."""
        statement = self.source.parents.get(maker.call)
        if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or statement.value is not maker.call:
            return None
        if isinstance(statement, ast.Assign) and len(statement.targets) != 1:
            return None
        parent = self.source.parents.get(statement)
        if isinstance(parent, _AROUND):
            return None
        if not self.source.begins_line(statement) or not self.source.ends_line(statement):
            return None
        return statement

    # -- to the client, or a block -------------------------------------------------------------------------------

    def _to_lesser(self, outcome: Outcome) -> None:
        found = outcome.found
        reason = outcome.reason or self._why_not(found)
        if found.callee.provider == "litellm" and self._to_callback(outcome):
            return
        if Target.CLIENT in self.options.targets and self._to_client(outcome, reason):
            return
        if Target.TRACKER in self.options.targets:
            problem = wrap_in_tracker.obstacle(found)
            if not problem:
                tracker = imports.name_for(self.source, "llm_tracker", self.options.module)
                log = imports.name_for(self.source, "usage_log", "")
                edit = wrap_in_tracker.rewritten(found, tracker, self.service, log)
                if not self._overlaps(edit.span) and not self._sites_inside(edit.span, found):
                    self._add(outcome, edit)
                    self._want("llm_tracker", tracker)
                    outcome.moved(Target.TRACKER, reason)
                    return
                problem = "foreign-statement"
            reason = problem
        outcome.stays(reason if self.options.targets == frozenset(Target) else "deselected")

    def _why_not(self, found: Found) -> str:
        if found.call is None:
            return "bound-method-reference"
        for node in ast.walk(found.expression):
            if isinstance(node, ast.Attribute) and node.attr in _LESSER:
                return _LESSER[node.attr]
        return ""

    def _to_callback(self, outcome: Outcome) -> bool:
        """LiteLLM: its callback, set up where the file imports it."""
        if Target.CLIENT not in self.options.targets:
            return False
        statement = litellm_setup.import_of(outcome.found)
        if statement is None or not self.source.ends_line(statement) or not self.source.begins_line(statement):
            return False
        name = imports.name_for(self.source, "setup_litellm_tracking", "llmguard")
        done = any(
            isinstance(node, ast.Expr) and ast.unparse(node) == f"{name}()" for node in ast.walk(self.source.tree)
        )
        at = litellm_setup.behind(self.source, self.texts, statement)
        if at is None:
            return False
        if id(statement) not in self._tracked and not done:
            self._tracked.add(id(statement))
            newline = self.source.newline
            lead = "" if at and self.source.text[at - 1] in "\r\n" else newline
            blank = "" if self.source.indent(statement) else newline
            self._add(outcome, Edit(Span(at, at), f"{lead}{blank}{self.source.indent(statement)}{name}(){newline}"))
            self._wanted.setdefault("llmguard", {})["setup_litellm_tracking"] = name
        outcome.moved(Target.CLIENT)
        return True

    def _to_client(self, outcome: Outcome, reason: str) -> bool:
        found = outcome.found
        track = imports.name_for(self.source, "track", self.options.module)
        known = clients.client_in(self.judge, found)
        review = False
        if known is not None:
            node, classes, sure = known
            if not all(map(clients.is_trackable, classes)):
                return False
            review = not sure
            if not reason and review:
                reason = "injected-client"
        else:
            if found.callee.provider not in _SHAPED or not isinstance(found.expression, ast.Attribute):
                return False
            node, review, reason = found.expression, True, reason or "unresolved-client"
            while isinstance(node, ast.Attribute) and node.attr in _ON_THE_WAY:
                node = node.value
            if node is found.expression or places.is_module(found, node):
                return False
            part = places.is_resource(self.judge, found, node) or getattr(node, "id", "") in ("self", "cls")
            if part and not places.makers(self.judge, found, node):
                return False  # a part of a client: nobody can track that
        tracked = places.makers(self.judge, found, node) or [node]
        fresh = [place for place in tracked if id(place) not in self._tracked]
        if any(self._overlaps(self.source.span(place)) for place in fresh):
            return False
        if any(isinstance(parent, ast.JoinedStr) for place in fresh for parent in self.source.ancestors(place)):
            return False
        for place in fresh:
            self._tracked.add(id(place))
            self._add(outcome, to_tracked_client.tracked(self.source, place, track, self.service))
        self._want("track", track)
        outcome.moved(Target.CLIENT, reason, review=review)
        return True

    # -- edits ---------------------------------------------------------------------------------------------------

    def _want(self, name: str, called: str) -> None:
        self._wanted.setdefault(self.options.module if name == "llm_wrapper" else "llmguard", {})[name] = called

    def _add(self, outcome: Outcome, edit: Edit) -> None:
        outcome.edits.append(edit)
        self.edits.append(edit)

    def _overlaps(self, span: Span) -> bool:
        return any(span.start < edit.span.end and edit.span.start < span.end for edit in self.edits) or any(
            span.start < other.end and other.start < span.end for other in self.cleanup.removed
        )

    def _sites_inside(self, span: Span, found: Found) -> bool:
        return any(
            outcome.found is not found and span.start <= self.source.span(outcome.found.expression).start < span.end
            for outcome in self.outcomes.values()
        )

    def _import_of(self, maker: Maker) -> ast.stmt | None:
        """The top-level import of what makes a client."""
        root = ast.unparse(maker.call.func).partition(".")[0]
        for statement in self.source.tree.body:
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                if any((alias.asname or alias.name).partition(".")[0] == root for alias in statement.names):
                    return statement
        return None


#: Providers whose SDKs have OpenAI's or Anthropic's shape, for calls on a receiver that nobody knows.
_SHAPED = frozenset({"openai", "azure_openai", "groq", "anthropic", "together", "cerebras", "mistral", "cohere"})


def _cross(spans: list[Span]) -> bool:
    ordered = sorted(spans)
    return any(second.start < first.end for first, second in pairwise(ordered))
