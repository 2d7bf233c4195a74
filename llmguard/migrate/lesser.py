"""What becomes of a site whose client does not go: it is given to the wrapper, viewed or tracked; or a block tracks the
call."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from llmguard import doors
from llmguard.check.values import External, Here
from llmguard.migrate import clients, imports, own_client, places
from llmguard.migrate.codemods import litellm_metadata, litellm_setup, to_tracked_client, to_wrapper, wrap_in_tracker
from llmguard.migrate.edit import Edit
from llmguard.migrate.source import Found, Span
from llmguard.migrate.users import User
from llmguard.migrate.verdict import Target

if TYPE_CHECKING:
    from llmguard.migrate.file import FileMigration
    from llmguard.migrate.outcome import Outcome

#: Part of a callee -> why the wrapper does not stand for it.
_REASONS = {
    "with_raw_response": "raw-response",
    "with_streaming_response": "raw-response",
    "with_options": "client-headers",
    "parse": "parse-api",
    "beta": "parse-api",
    "responses": "parse-api",
}
#: Providers whose SDKs have OpenAI's or Anthropic's shape, for calls on a receiver that nobody knows.
_SHAPED = frozenset({"openai", "azure_openai", "groq", "anthropic", "together", "cerebras", "mistral", "cohere"})


def move(migration: FileMigration, outcome: Outcome) -> None:
    """Decide for a site whose client the wrapper does not stand for."""
    found = outcome.found
    targets = migration.options.targets
    reason = outcome.reason or _why_not(found)
    if own_client.move(migration, outcome, reason):
        return
    if Target.CLIENT in targets:
        if found.callee.provider == "litellm" and _to_callback(migration, outcome):
            return
        if _to_client(migration, outcome, reason):
            return
    if Target.TRACKER in targets:
        problem = _to_tracker(migration, outcome, reason)
        if not problem:
            return
        reason = problem
    if targets == frozenset(Target):
        outcome.stays(reason)
    else:
        outcome.left_out()


def _why_not(found: Found) -> str:
    if found.call is None:
        return "bound-method-reference"
    for node in ast.walk(found.expression):
        if isinstance(node, ast.Attribute) and node.attr in _REASONS:
            return _REASONS[node.attr]
    return ""


def _to_tracker(migration: FileMigration, outcome: Outcome, reason: str) -> str:
    """Put the statement into a block of the tracker's; the reason code when that cannot be."""
    found = outcome.found
    problem = wrap_in_tracker.obstacle(found)
    if problem:
        return problem
    tracker = imports.name_for(migration.source, "llm_tracker", "llmguard")
    log = migration.log_of(outcome)
    user = migration.user_of(outcome, log)
    columns = {"user_id": user.text, "service_name": f'"{migration.service_of(found)}"', "metadata": log.metadata}
    name = imports.name_for(migration.source, "usage_log", "")
    edit = wrap_in_tracker.rewritten(found, tracker, columns, name)
    if migration.overlaps(edit.span) or migration.holds_others(edit.span, found):
        return "foreign-statement"
    migration.add(outcome, edit)
    migration.bring(outcome, user)
    migration.want("llm_tracker", tracker)
    migration.remove_logs(log)
    notes = to_wrapper.said_of(user, log)
    said = "" if reason == "bound-method-reference" else reason  # its call is in the block
    outcome.moved(Target.TRACKER, *notes, said, review=bool(notes))
    return ""


def _to_callback(migration: FileMigration, outcome: Outcome) -> bool:
    """LiteLLM: its callback, set up where the file imports it."""
    source = migration.source
    statement = litellm_setup.import_of(outcome.found)
    if statement is None or not source.ends_line(statement) or not source.begins_line(statement):
        return False
    name = imports.name_for(source, "setup_litellm_tracking", "llmguard")
    done = any(isinstance(node, ast.Expr) and ast.unparse(node) == f"{name}()" for node in source.nodes)
    at = litellm_setup.behind(source, migration.texts, statement)
    if at is None:
        return False
    if id(statement) not in migration.tracked and not done:
        newline, indent = source.newline, source.indent(statement)
        lead = "" if at and source.text[at - 1] in "\r\n" else newline
        blank = "" if indent else newline
        edit = Edit(Span(at, at), f"{lead}{blank}{indent}{name}(){newline}")
        migration.tracked[id(statement)] = edit
        migration.add(outcome, edit)
        migration.want("setup_litellm_tracking", name)
    elif not done:
        outcome.edits.append(migration.tracked[id(statement)])
    if done:
        outcome.moved(Target.CLIENT)  # somebody has seen to it
    else:
        _tell_callback(migration, outcome)
    return True


def _tell_callback(migration: FileMigration, outcome: Outcome) -> None:
    """Tell LiteLLM's callback whose a call is."""
    found = outcome.found
    log = migration.log_of(outcome)
    user = migration.user_of(outcome, log)
    service = f'"{migration.service_of(found)}"'
    edit = litellm_metadata.rewritten(migration.judge, found, {"user_id": user.text, "service_name": service})
    if edit is None or migration.overlaps(edit.span) or migration.texts.holds(litellm_metadata.PATCHED):
        edit, user = None, User(is_said=user.is_said)
    if edit is not None:
        migration.add(outcome, edit)
        migration.bring(outcome, user)
    kept = log._replace(kept=log.kept or bool(log.statements))
    notes = to_wrapper.said_of(user, kept)
    outcome.moved(Target.CLIENT, *notes, review=bool(notes))


def _to_client(migration: FileMigration, outcome: Outcome, reason: str) -> bool:
    """Track the client where it is made in this file, else where it is used."""
    found, source, judge = outcome.found, migration.source, migration.judge
    known = clients.client_in(judge, found)
    if known is not None:
        node, classes, sure = known
        if not all(map(doors.is_trackable, classes)) and not _is_round_another(migration, found, node):
            return False
        review = not sure
        reason = reason or ("" if sure else "injected-client")
    else:
        unknown = own_client.unknown_client(migration, found, _SHAPED)
        if unknown is None:
            return False
        node, review, reason = unknown, True, reason or "unresolved-client"
    tracked = places.makers(judge, found, node) or [node]
    if tracked == [node] and not isinstance(node, ast.Call):
        reason = reason or "client-elsewhere"
    fresh = [place for place in tracked if id(place) not in migration.tracked]
    if any(migration.overlaps(source.span(place)) for place in fresh):
        return False
    if any(_is_tracked(migration, found, place) for place in fresh):
        outcome.was_tracked()  # in something that nobody can look into: `wrap(track(OpenAI()))`
        return True
    if any(isinstance(parent, ast.JoinedStr) for place in fresh for parent in source.ancestors(place)):
        return False
    track = imports.name_for(source, "track", "llmguard")
    for place in fresh:
        edit = to_tracked_client.tracked(source, place, track, migration.service_of())
        migration.tracked[id(place)] = edit
        migration.add(outcome, edit)
    outcome.edits += [migration.tracked[id(place)] for place in tracked if place not in fresh]
    migration.want("track", track)
    log = migration.log_of(outcome)
    notes = ["logged-by-hand"] if log.kept or log.statements else []
    outcome.moved(Target.CLIENT, *notes, *_without_user(migration, outcome), reason, review=review or bool(notes))
    return True


def _without_user(migration: FileMigration, outcome: Outcome) -> list[str]:
    """The reason code of a tracked client whose calls are for nobody known: what the request says, its rows say."""
    return [] if outcome.found.call is None or migration.user_of(outcome).is_said else ["no-user-id"]


def _is_tracked(migration: FileMigration, found: Found, node: ast.expr) -> bool:
    """Whether an expression is given to `track` where it stands."""
    call = migration.source.parents.get(node)
    if not isinstance(call, ast.Call) or call.args[:1] != [node]:
        return False
    values = migration.judge.infer.values(call.func, Here(found.site.scope, found.site.block))
    return any(isinstance(value, External) and value.path in doors.TRACK_CLIENT for value in values)


def _is_round_another(migration: FileMigration, found: Found, node: ast.expr) -> bool:
    """Whether what a call is made on holds a client that is made with it: `instructor.from_openai(OpenAI())`."""
    judge = migration.judge
    here = Here(found.site.scope, found.site.block)
    made = places.makers(judge, found, node)
    return bool(made) and all(
        isinstance(call, ast.Call) and doors.is_trackable(clients.class_made(judge, call, here)) for call in made
    )
