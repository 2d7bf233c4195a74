"""`llmguard limits`: how many calls, tokens and dollars may go out; and stopping calls."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmguard.cli.usage import asked
from llmguard.printable import printable

if TYPE_CHECKING:
    from llmguard.usage.limits.rules import Rules

app = typer.Typer(
    help="How many calls, tokens and dollars may go out, and stopping calls.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Window(str, Enum):
    """Windows of the calendar."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class Kind(str, Enum):
    """What is limited."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    COST = "cost"


class OnOutage(str, Enum):
    """What becomes of calls when the database is gone."""

    OPEN = "open"
    CLOSED = "closed"


class Unpriced(str, Enum):
    """What becomes of calls without a known price."""

    REFUSE = "refuse"
    COUNT = "count"
    ALLOW = "allow"


_EACH = "'*': each by itself"
User = Annotated[str, typer.Option("--user", help=f"Of this user ({_EACH}).")]
Tenant = Annotated[str, typer.Option("--tenant", help=f"Of this tenant ({_EACH}).")]
Service = Annotated[str, typer.Option("--service", help=f"Of this service ({_EACH}).")]
Model = Annotated[str, typer.Option("--model", help=f"Of this model, as calls name it ({_EACH}).")]
Provider = Annotated[
    str, typer.Option("--provider", help=f"Of this provider, as `llmguard usage logs` has it ({_EACH}).")
]
PerWindow = Annotated[Window, typer.Option("--window", help="Of the calendar.")]
OfKind = Annotated[Kind, typer.Option("--kind", help="What is limited; cost is in US dollars.")]
Format = Annotated[asked.Form, typer.Option("--output-format", help="How to print.")]


@app.command()
def show(output_format: Format = asked.Form.TABLE, database_url: asked.Database = "") -> None:
    """List the limits that are enforced, what is used of them in the window at hand, and what is stopped.

    Exit code: 0, 2 a ledger that cannot be used.
    """
    from llmguard.usage.store.limits import described, load, used_now

    with asked.ledger(database_url) as engine:
        rules = load(engine)
        rows = [described(limit, used) for limit in rules.limits for used in [used_now(engine, limit)]]
    stopped = [{"stopped": stop.says(), "reason": stop.reason, "id": stop.identity} for stop in rules.stops]
    if output_format is asked.Form.JSON:
        typer.echo(asked.as_json({"version": 1, "limits": rows, "stops": stopped, "problems": rules.problems}))
        return
    if output_format is asked.Form.CSV:
        _csv(rows)
        return
    _print(rules, rows)


@app.command("set")
def set_(
    value: Annotated[str, typer.Argument(help="How many calls or tokens, or US dollars.")],
    window: PerWindow = Window.MINUTE,
    kind: OfKind = Kind.REQUESTS,
    user: User = "",
    tenant: Tenant = "",
    service: Service = "",
    model: Model = "",
    provider: Provider = "",
    time_zone: Annotated[str, typer.Option("--time-zone", help="Whose calendar, such as Europe/Berlin.")] = "UTC",
    on_outage: Annotated[
        OnOutage, typer.Option("--on-outage", help="Whether calls go out when the database does not answer.")
    ] = OnOutage.OPEN,
    unpriced: Annotated[
        Unpriced,
        typer.Option("--unpriced", help="Calls of models without a known price, under a limit of cost."),
    ] = Unpriced.COUNT,
    warn_at: Annotated[float, typer.Option("--warn-at", help="Share from which on is warned; 0 for never.")] = 0.8,
    database_url: asked.Database = "",
) -> None:
    """Set a limit, in the place of the one for the same thing. Without a scope it is of all calls together.

    `llmguard limits set 100 --user '*'` is the default of each user; one of a user alone goes before it. Running
    programs see it within two seconds.

    Exit code: 0, 2 wrong usage, or a ledger that cannot be used.
    """
    from llmguard.usage.limits.control import limit_of
    from llmguard.usage.store.limits import set_limit

    scope = _scope(user, tenant, service, model, provider)
    limit = limit_of(
        value,
        window.value,
        kind.value,
        **scope,
        time_zone=time_zone,
        on_outage=on_outage.value,
        unpriced=unpriced.value,
        warn_at=warn_at if warn_at != 0 else None,
    )
    with asked.ledger(database_url) as engine:
        made = set_limit(engine, limit)
    typer.echo(f"Set: {printable(made.says())}.")


@app.command()
def remove(
    identity: Annotated[
        str, typer.Argument(metavar="[ID]", help="Of a limit, as `show --output-format json` has it.")
    ] = "",
    window: PerWindow = Window.MINUTE,
    kind: OfKind = Kind.REQUESTS,
    user: User = "",
    tenant: Tenant = "",
    service: Service = "",
    model: Model = "",
    provider: Provider = "",
    database_url: asked.Database = "",
) -> None:
    """Remove a limit: by its identifier, or by what it was set for. A default goes back to what was shipped.

    Exit code: 0, 1 there is none, 2 wrong usage, or a ledger that cannot be used.
    """
    from llmguard.usage.limits.control import limit_of
    from llmguard.usage.store.limits import remove_by_identity, remove_limit

    limit = limit_of(0, window.value, kind.value, **_scope(user, tenant, service, model, provider))
    with asked.ledger(database_url) as engine:
        number = remove_by_identity(engine, identity) if identity else remove_limit(engine, limit)
    typer.echo(f"Removed: {number}." if number else "There is no such limit.")
    if not number:
        raise typer.Exit(1)


@app.command("test")
def try_(
    user: Annotated[str, typer.Option("--user", help="Who asks.")] = "",
    tenant: Annotated[str, typer.Option("--tenant", help="For which tenant.")] = "",
    service: Annotated[str, typer.Option("--service", help="Which service asks.")] = "",
    model: Annotated[str, typer.Option("--model", help="Which model is asked.")] = "",
    provider: Annotated[str, typer.Option("--provider", help="Which provider is asked.")] = "",
    prompt_tokens: Annotated[int, typer.Option("--prompt-tokens", min=0, help="Of the request.")] = 0,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=0, help="Of the answer at most.")] = 0,
    database_url: asked.Database = "",
) -> None:
    """Say which limits hold for a call, and whether it would be admitted now. Nothing is taken from any.

    Exit code: 0 it would, 1 it would be refused, 2 wrong usage, or a ledger that cannot be used.
    """
    from llmguard.errors import RateLimitExceeded
    from llmguard.usage.limits.charged import charges_of
    from llmguard.usage.limits.counting import has_room
    from llmguard.usage.store.limits import load, used_now

    fields = {"user_id": user, "tenant": tenant, "service_name": service, "model": model, "provider": provider}
    with asked.ledger(database_url) as engine:
        rules = load(engine)
        try:
            rules.refuse_stopped(fields)
            held = charges_of(rules, fields, {"max_tokens": max_tokens} if max_tokens else {}, prompt_tokens)
        except RateLimitExceeded as error:
            typer.echo(f"refused: {error}")
            raise typer.Exit(1) from None
        refused = False
        for each in held:
            assert each.limit is not None
            used = used_now(engine, each.limit, each.scope)
            fits = has_room(each.charge, used, 0)
            refused = refused or not fits
            kind = each.charge.kind
            told = f"{_shown(kind, used)} used, this call takes {_shown(kind, each.charge.amount)}"
            typer.echo(f"{'admitted' if fits else 'refused'}: {printable(each.says)}: {told}")
    if not held:
        typer.echo("admitted: no limit holds for this call")
    if refused:
        raise typer.Exit(1)


@app.command()
def stop(
    user: Annotated[str, typer.Option("--user", help="Calls of this user.")] = "",
    tenant: Annotated[str, typer.Option("--tenant", help="Calls for this tenant.")] = "",
    service: Annotated[str, typer.Option("--service", help="Calls of this service.")] = "",
    model: Annotated[str, typer.Option("--model", help="Calls of this model.")] = "",
    provider: Annotated[str, typer.Option("--provider", help="Calls to this provider.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All calls.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="What refused calls say.")] = "",
    database_url: asked.Database = "",
) -> None:
    """Stop calls, in every process within two seconds. Those that have been sent go on.

    Exit code: 0, 2 wrong usage, or a ledger that cannot be used.
    """
    from llmguard.usage.limits.limit import scope_of
    from llmguard.usage.limits.rules import Stop
    from llmguard.usage.store.limits import stop as stop_calls

    scope = _scope_or_all("stop", everything, user, tenant, service, model, provider)
    with asked.ledger(database_url) as engine:
        stop_calls(engine, scope, reason)
    typer.echo(f"Stopped: {printable(Stop(scope_of(scope)).says())}.")


@app.command()
def resume(
    user: Annotated[str, typer.Option("--user", help="Calls of this user.")] = "",
    tenant: Annotated[str, typer.Option("--tenant", help="Calls for this tenant.")] = "",
    service: Annotated[str, typer.Option("--service", help="Calls of this service.")] = "",
    model: Annotated[str, typer.Option("--model", help="Calls of this model.")] = "",
    provider: Annotated[str, typer.Option("--provider", help="Calls to this provider.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Whatever is stopped.")] = False,
    database_url: asked.Database = "",
) -> None:
    """End the stop of exactly these calls; `--all` ends every one.

    Exit code: 0, 1 they were not stopped, 2 wrong usage, or a ledger that cannot be used.
    """
    from llmguard.usage.store.limits import resume as resume_calls

    scope = _scope_or_all("resume", everything, user, tenant, service, model, provider)
    with asked.ledger(database_url) as engine:
        number = resume_calls(engine, None if everything else scope)
    typer.echo(f"Resumed: {number}." if number else "They were not stopped.")
    if not number:
        raise typer.Exit(1)


def _scope(user: str, tenant: str, service: str, model: str, provider: str) -> dict[str, Any]:
    given = {"user_id": user, "tenant": tenant, "service_name": service, "model": model, "provider": provider}
    return {name: value for name, value in given.items() if value}


def _scope_or_all(command: str, everything: bool, *given: str) -> dict[str, Any]:
    from llmguard.errors import UsageError

    scope = _scope(*given)
    if bool(scope) == everything:
        raise UsageError(f"limits {command}: say which calls (--user, --service, ...), or --all")
    return scope


def _shown(kind: str, number: int) -> str:
    from llmguard.usage.limits.limit import amount, shown

    return shown(kind, amount(kind, number))


def _print(rules: Rules, rows: list[dict[str, Any]]) -> None:
    from decimal import Decimal

    from llmguard.usage.limits.limit import DIMENSIONS, EACH, shown

    if not rows:
        typer.echo("No limit is enforced. (The shipped defaults are only shown: 30 requests a minute, 14,400 a day.)")
    for row in rows:
        most = " by the fullest of them" if EACH in (row[name] for name in DIMENSIONS) else ""
        used = shown(row["kind"], Decimal(row["used"]))
        notes = [row["origin"], f"{row['on_outage']} in an outage"]
        if row["kind"] == "cost":
            notes.append(f"unpriced models: {row['unpriced']}")
        typer.echo(f"{printable(row['limit'])}: {used} used{most}, until {row['resets_at']} ({', '.join(notes)})")
    for stop in rules.stops:
        reason = f" ({stop.reason})" if stop.reason else ""
        typer.echo(printable(f"Stopped: {stop.says()}{reason}"))
    for problem in rules.problems:
        typer.echo(printable(f"Not enforced: {problem}"), err=True)


def _csv(rows: list[dict[str, Any]]) -> None:
    import csv
    import sys

    if rows:
        writer = csv.DictWriter(sys.stdout, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asked.cells(row) for row in rows)
