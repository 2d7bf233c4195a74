"""One file: what becomes of each of its sites, and the edits that it takes."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from llmguard import doors
from llmguard.migrate import awaiting, clients, groups, imports, lesser, logging_by_hand, shared, uses
from llmguard.migrate.callers import Callers, Looked
from llmguard.migrate.cleanup import Cleanup
from llmguard.migrate.codemods import to_wrapper
from llmguard.migrate.importers import Importers
from llmguard.migrate.logging_by_hand import NO_LOG
from llmguard.migrate.outcome import Outcome, Why
from llmguard.migrate.passing import Passing
from llmguard.migrate.services import service_of
from llmguard.migrate.source import Found, Source, Span
from llmguard.migrate.tidy import tidied
from llmguard.migrate.users import User, user_of
from llmguard.migrate.verdict import Target

if TYPE_CHECKING:
    from llmguard.check.judge import Judge
    from llmguard.migrate.edit import Edit
    from llmguard.migrate.groups import Call, Group
    from llmguard.migrate.logging_by_hand import ByHand
    from llmguard.migrate.options import Options
    from llmguard.migrate.shared import Borrowed, Shared, Use, Way


class FileMigration:
    """The sites of one file, decided together: a client goes only when all its calls have moved.

    Args:
        source: the file.
        judge: its resolution.
        sites: those that are to move.
        texts: the bytes of the project's files.
        options: what is asked for.
        moving: clients that several files share, and that move to the wrapper in all of them.
        asked: edits that other files have asked for: arguments that they want to be given.

    Attributes:
        edits: what `decide` does to the file.
        elsewhere: edits of other files, with their absolute paths, that the calls of this one depend on.
        borrowed: the file's uses of clients that other files make.
        stuck: of the clients in `moving`, those whose calls could not move here after all.
    """

    def __init__(
        self,
        source: Source,
        judge: Judge,
        sites: list[Found],
        texts: uses.Texts,
        options: Options,
        moving: Mapping[Shared, Way] | None = None,
        asked: Iterable[Edit] = (),
    ) -> None:
        self.source = source
        self.judge = judge
        self.texts = texts
        self.options = options
        self.outcomes = {id(found.expression): Outcome(found) for found in sites}
        self.edits: list[Edit] = list(dict.fromkeys(asked))
        self.elsewhere: dict[tuple[str, Edit], None] = {}
        self.borrowed: list[Use] = []
        self.stuck: set[Shared] = set()
        self._importers = Importers(judge.infer.project, texts)
        self.cleanup = Cleanup(source, texts, self._importers)
        source.is_starred = bool(texts.starring(source.absolute))
        home = Looked(source, judge)
        self._passing = Passing(home, Callers(judge.infer.project, texts), options.user_names)
        self.tracked: dict[int, Edit] = {}
        self._moving = moving or {}
        self._wanted: dict[str, dict[str, str]] = {}
        self._anchor: ast.stmt | None = None

    def decide(self) -> list[Outcome]:
        """Decide for every site; the edits are in `edits`."""
        if Target.WRAPPER in self.options.targets:
            for group in groups.groups_of(self.judge, self.outcomes.values()):
                self._own(group)
            for borrowed in shared.borrowed_in(self.judge, self.source, self.outcomes.values()):
                self._borrowed(borrowed)
            for key in self._moving:
                self._give_up(key)
        for outcome in self.outcomes.values():
            if outcome.target is None:
                lesser.move(self, outcome)
        self.cleanup.remove_unused_settings()
        self.edits += [*self.cleanup.edits, *self.cleanup.unused_imports()]
        self._anchor = self._early(self._anchor)
        # In front of the others: what is put in at the same place uses the names.
        self.edits = [*imports.added(self.source, self._wanted, self._anchor), *self.edits]
        self.edits += tidied(self.source, self.edits)
        return list(self.outcomes.values())

    # -- to the wrapper ------------------------------------------------------------------------------------------

    def _own(self, group: Group) -> None:
        """Move the calls on a client that this file makes, and take the client out."""
        maker = group.maker
        if shared.key_of(self.source, maker) in self._moving:
            why = Why()
        else:
            why = groups.obstacle_here(self.source, self.texts, self._importers, group, doors.WRAPPED[maker.cls][2])
        options = clients.options_of(self.source, self.texts, maker, doors.WRAPPED[maker.cls][0])
        if isinstance(options, str):
            why, options = Why(options), {}
        statement = groups.statement_of(self.source, maker)
        if not why.code and maker.kind != "inline" and statement is None:
            why = Why("client-conditional")
        if why.code or not self._rewrite(group.calls, maker.cls, options):
            for outcome, _ in group.calls:
                outcome.refused(why if why.code else Why("client-escapes"))
            return
        self._anchor = self._anchor or self._import_of(ast.unparse(maker.call.func).partition(".")[0])
        if statement is not None:
            self.cleanup.remove(statement)
        else:
            self.cleanup.replaced.append(self.source.span(maker.call))

    def _borrowed(self, borrowed: Borrowed) -> None:
        """Move the calls on a client that another file makes, when it moves there too."""
        way = self._moving.get(borrowed.key)
        if way is None:
            use = shared.use_of(self.source, self.texts, self._importers, borrowed)
            self.borrowed.append(use)
            for outcome, _ in borrowed.calls:
                outcome.refused(use.why)
        elif self._rewrite(borrowed.calls, way.cls, way.options) and (
            not shared.is_read_up(self.source, borrowed) or self.cleanup.forget(borrowed.statement, borrowed.local)
        ):
            self._anchor = self._anchor or borrowed.statement
        else:
            self.stuck.add(borrowed.key)

    def _give_up(self, key: Shared) -> None:
        """Take out a client of this file that only others called."""
        if key.home != self.source.absolute:
            return
        maker = shared.maker_at(self.judge, self.source, key.name)
        statement = groups.statement_of(self.source, maker) if maker is not None else None
        if statement is None:
            self.stuck.add(key)
        elif self.source.span(statement) not in self.cleanup.removed:
            self.cleanup.remove(statement)

    def _asked(self, ask: to_wrapper.Ask, found: Found) -> to_wrapper.Ask:
        """What one call says, of what all on a client do."""
        call, project = found.call, self.judge.infer.project
        assert call is not None
        awaits = awaiting.awaits(self.source, self.texts, project, call, asked=self.options.awaits)
        return ask._replace(service=self.service_of(found), awaits=awaits)

    def rewrite_with(self, outcome: Outcome, shape: str, client: ast.expr, asynchronous: bool, reason: str) -> bool:
        """Move one call to the wrapper, and give its client with it; False when it stands in the way of others.

        Args:
            outcome: of the call.
            shape: the wrapper's method for it.
            client: expression of the client.
            asynchronous: whether the call is awaited.
            reason: why the client stays.
        """
        text = self.source.operand(client)
        ask = to_wrapper.Ask(shape, "", self.service_of(outcome.found), {}, self.wrapper, client=text)
        log = self.log_of(outcome)
        user = self.user_of(outcome, log)
        edits, notes = to_wrapper.rewritten(outcome.found, ask, asynchronous, user, log)
        if any(self.overlaps(edit.span) for edit in edits):
            return False
        self._moved(outcome, edits, user)
        outcome.moved(Target.WRAPPER, *notes, reason, review=bool(notes))
        self.remove_logs(log)
        return True

    def _rewrite(self, calls: list[Call], cls: str, options: dict[str, str]) -> bool:
        """Rewrite all calls on one client; False, and nothing is done, when they stand in each other's way."""
        provider, shape, asynchronous = doors.WRAPPED[cls]
        # A key, or a place, must not go to whatever provider the environment makes the default.
        is_default = provider == self.options.default_provider and not {"api_key", "base_url"} & options.keys()
        named = "" if is_default or shape == "messages" else provider
        ask = to_wrapper.Ask(shape, named, "", options, self.wrapper)
        by_hand = [self.log_of(outcome) for outcome, _ in calls]
        users = [self.user_of(outcome, log) for (outcome, _), log in zip(calls, by_hand, strict=True)]
        rewritten = [
            to_wrapper.rewritten(outcome.found, self._asked(ask, outcome.found), asynchronous, user, log)
            for (outcome, _), user, log in zip(calls, users, by_hand, strict=True)
        ]
        spans = [edit.span for edits, _ in rewritten for edit in edits]
        if any(self.overlaps(span) for span in spans) or _cross(spans):
            return False
        for (outcome, _), user, (edits, notes) in zip(calls, users, rewritten, strict=True):
            self._moved(outcome, edits, user)
            outcome.moved(Target.WRAPPER, *notes, review=bool(notes))
        for text in options.values():
            self.cleanup.said |= {
                node.id for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name)
            }
        for log in by_hand:
            self.remove_logs(log)
        return True

    @cached_property
    def wrapper(self) -> str:
        """The name of the wrapper in this file."""
        return imports.name_for(self.source, "llm_wrapper", self.options.module)

    def _moved(self, outcome: Outcome, edits: list[Edit], user: User) -> None:
        for edit in edits:
            self.add(outcome, edit)
        self.bring(outcome, user)
        self.want("llm_wrapper", self.wrapper)

    # -- whose call it is ----------------------------------------------------------------------------------------

    def service_of(self, found: Found | None = None) -> str:
        """The name of a call's service, as it stands between quotes."""
        return _literal(
            self.options.service.replace("{stem}", service_of(self.source, self.judge.infer.project.root, found))
        )

    def user_of(self, outcome: Outcome, log: ByHand = NO_LOG) -> User:
        """Who a call is for; what logs it by hand knows best."""
        if log.user:
            return User(log.user)
        found = outcome.found
        user = user_of(self.judge, found, self.options.user_names)
        if user.is_known or found.call is None or not self.options.passes_users:
            return user
        passed = self._passing.down_to(found)
        own = [edit.span for path, edit in passed.edits if path == self.source.absolute and edit not in self.edits]
        calls = [self.source.span(each.found.call) for each in self.outcomes.values() if each.found.call is not None]
        inside = any(call.start <= span.start < call.end for span in own for call in calls)
        return User() if inside or any(map(self.overlaps, own)) else passed

    def bring(self, outcome: Outcome, user: User) -> None:
        """Have a user passed down to the call that is for it."""
        for path, edit in user.edits:
            if path == self.source.absolute:
                self.add(outcome, edit)
            else:
                self.elsewhere[path, edit] = None

    # -- usage logging by hand -----------------------------------------------------------------------------------

    def log_of(self, outcome: Outcome) -> ByHand:
        """The logging by hand beside a call."""
        wanted = [each.found for each in self.outcomes.values()]
        return logging_by_hand.beside(outcome.found, wanted, self.texts, self.options.log_calls)

    def remove_logs(self, log: ByHand) -> None:
        """Take out what logs a call that is on the books now."""
        for gone in log.statements:
            if not self.overlaps(self.source.span(gone)):
                self.cleanup.remove(gone, with_comment=True)

    # -- edits ---------------------------------------------------------------------------------------------------

    def want(self, name: str, called: str) -> None:
        """Have one of ours imported under a name."""
        module = self.options.module if name == "llm_wrapper" else "llmguard"
        self._wanted.setdefault(module, {})[name] = called

    def add(self, outcome: Outcome, edit: Edit) -> None:
        """Have an edit done for a site; one that another site has asked for already is done once."""
        outcome.edits.append(edit)
        if edit not in self.edits:
            self.edits.append(edit)

    def overlaps(self, span: Span) -> bool:
        """Whether something is to be done to a part of a span."""
        return any(span.start < edit.span.end and edit.span.start < span.end for edit in self.edits) or any(
            span.start < other.end and other.start < span.end for other in self.cleanup.removed
        )

    def holds_others(self, span: Span, found: Found) -> bool:
        """Whether a span holds another site."""
        return any(
            outcome.found is not found and span.start <= self.source.span(outcome.found.expression).start < span.end
            for outcome in self.outcomes.values()
        )

    def _import_of(self, root: str) -> ast.stmt | None:
        """The top-level import that binds a name."""
        for statement in self.source.tree.body:
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                if any((alias.asname or alias.name).partition(".")[0] == root for alias in statement.names):
                    return statement
        return None

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


def _literal(text: str) -> str:
    """A text as it stands between double quotes."""
    quoted = json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False)[1:-1]
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in quoted)


def _cross(spans: list[Span]) -> bool:
    ordered = sorted(spans)
    return any(second.start < first.end for first, second in pairwise(ordered))
