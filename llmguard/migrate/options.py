"""What a migration is asked for."""

from __future__ import annotations

from typing import NamedTuple

from llmguard.migrate.verdict import Target


class Options(NamedTuple):
    """What a migration is asked for.

    Attributes:
        targets: where calls may move.
        providers: whose calls move; empty for all.
        module: where `llm_wrapper` is imported from.
        default_provider: of the wrapper, where the project makes it so: it is not named in calls; "" names all.
        user_names: names, or dotted names, that hold the user's identifier, the best first.
        awaits: a blocking call in an `async def` is awaited wherever it can be, though others may run in between.
        passes_users: functions get a parameter for the user whose callers know it.
        log_calls: dotted endings of functions that log usage by hand, beside the known ones.
        service: pattern of the service's name: `{stem}` is that of the module.
        rename: change the names that the project has after Groq, too.
        fresh: edit SQL migrations in place, instead of writing a new one.
        aliases: keep renamed routes under their old path as well.
    """

    targets: frozenset[Target] = frozenset(Target)
    providers: frozenset[str] = frozenset()
    module: str = "llmguard"
    default_provider: str = ""
    user_names: tuple[str, ...] = ("user_id",)
    awaits: bool = False
    passes_users: bool = True
    log_calls: tuple[str, ...] = ()
    service: str = "{stem}"
    rename: bool = False
    fresh: bool = False
    aliases: bool = True
