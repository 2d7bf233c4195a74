"""`llmguard usage summary`."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from llmguard.cli.usage import asked
from llmguard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from sqlalchemy import Engine

    from llmguard.usage.store.query import Period
    from llmguard.usage.store.totals import Key, Sums


_OTHERS = "(others)"


class Question(NamedTuple):
    """What is asked: `extras` says which figures beside the sums."""

    dims: tuple[str, ...]
    zone: tzinfo
    time_zone: str
    period: Period
    earlier: Period | None
    chosen: dict[str, str]
    extras: dict[str, bool]


class Figures(NamedTuple):
    """What is known of each key beside its sums; empty where nobody asked."""

    before: dict[Key, Sums]
    latency: dict[Key, list[int]]
    saved: dict[Key, Decimal]


def summary(
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="DIMENSION",
            help="What to add up by, service by default; two at most (--by model --by day, or model,day): service, "
            "user, model, provider, feature, site, line, tenant, environment, repository, run, tag:NAME, hour, day, "
            "week, month.",
        ),
    ] = None,
    since: asked.Since = "30d",
    until: asked.Until = "",
    time_zone: asked.Zone = "UTC",
    user: asked.User = "",
    service: asked.Service = "",
    feature: asked.Feature = "",
    provider: asked.Provider = "",
    model: asked.Model = "",
    tenant: asked.Tenant = "",
    environment: asked.Environment = "",
    top: Annotated[int, typer.Option("--top", min=0, help="Only the first so many, and the others as one.")] = 0,
    compare: Annotated[
        bool, typer.Option("--compare", help="Against the period before, as long as this one; not by a time.")
    ] = False,
    latency: Annotated[bool, typer.Option("--latency", help="How long calls took: half, 95 %, 99 % at most.")] = False,
    savings: Annotated[bool, typer.Option("--savings", help="What caching saved.")] = False,
    output_format: Annotated[asked.Form, typer.Option("--output-format", help="How to print.")] = asked.Form.TABLE,
    database_url: asked.Database = "",
) -> None:
    """Add up calls, tokens and cost by one dimension or two.

    A cost is that of the calls whose price is known; the others are counted as unpriced. Counts of the provider and
    estimates are added up alike. Latency, savings, tags and repositories are reckoned from the calls themselves, which
    takes longer, and know nothing of calls that have been deleted.

    Exit code: 0, 2 wrong usage, or a ledger that cannot be used.
    """
    from llmguard.errors import UsageError
    from llmguard.usage.store.query import unpriced
    from llmguard.usage.store.totals import TIMES, before, dimensions

    dims = dimensions(by or ["service"])
    zone = asked.zone_of(time_zone)
    period = asked.period(since, until, zone)
    if compare and any(name in TIMES for name in dims):
        raise UsageError("--compare: a time has no twin in the period before; leave it out of --by")
    earlier = before(period) if compare else None
    chosen = asked.filters(
        user=user,
        service=service,
        feature=feature,
        provider=provider,
        model=model,
        tenant=tenant,
        environment=environment,
    )
    extras = {"compare": compare, "latency": latency, "savings": savings}
    question = Question(dims, zone, time_zone, period, earlier, chosen, extras)
    with asked.ledger(database_url) as engine:
        if savings:
            asked.know_prices(engine, database_url)
        found, figures = _asked_of(engine, question)
        models = unpriced(engine, period) if output_format is asked.Form.TABLE and not chosen else []
        _warn_of_deleted(engine, question)
    lines, whole = _lines(question, found, figures, top)
    _print(question, lines, whole, models, output_format)


def _print(
    question: Question,
    lines: list[dict[str, Any]],
    whole: dict[str, Any],
    models: list[tuple[str, str, int]],
    form: asked.Form,
) -> None:
    if form is asked.Form.TABLE:
        _table(question.dims, lines, whole)
        if models:
            named = ", ".join(f"{provider or '?'} {model or '?'} ({number:,})" for provider, model, number in models)
            print(printable(f"No price is known of {named}."))
    elif form is asked.Form.CSV:
        asked.write_csv(sys.stdout, tuple(whole), lines)
    else:
        print(asked.as_json(_document(question, lines, whole)))


def _asked_of(engine: Engine, question: Question) -> tuple[dict[Key, Sums], Figures]:
    from llmguard.usage.store.savings import savings
    from llmguard.usage.store.totals import durations, totals

    dims, zone, chosen = question.dims, question.zone, question.chosen
    return totals(engine, dims, question.period, chosen, zone), Figures(
        totals(engine, dims, question.earlier, chosen, zone) if question.earlier is not None else {},
        durations(engine, dims, question.period, chosen, zone) if question.extras["latency"] else {},
        savings(engine, dims, question.period, chosen, zone) if question.extras["savings"] else {},
    )


def _warn_of_deleted(engine: Engine, question: Question) -> None:
    """Figures that come from the calls themselves know nothing of deleted ones: say so where that matters."""
    from llmguard.usage.store.totals import of_rows

    periods = [question.period, *([question.earlier] if question.earlier is not None else [])]
    if not (question.extras["latency"] or question.extras["savings"]):
        periods = [part for each in periods for part in of_rows(question.dims, each, question.chosen, question.zone)]
    asked.warn_of_deleted(engine, periods)


def _lines(
    question: Question, found: dict[Key, Sums], figures: Figures, top: int
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The lines of the answer, and that of all together."""
    dims = question.dims
    empty = [""] * (len(dims) - 1)
    keys = list(found) + [key for key in figures.before if key not in found]
    largest = sorted(found, key=lambda key: (-found[key].cost, -found[key].tokens, key))[:top] if top else keys
    shown = [key for key in keys if key in largest]
    others = [key for key in keys if key not in largest] if top else []
    lines = [_line(question, _labels(dims, key), [key], found, figures) for key in shown]
    if others:
        lines.append(_line(question, (_OTHERS, *empty), others, found, figures))
        lines[-1] = _Others(lines[-1])
    return lines, _line(question, ("total", *empty), keys, found, figures)


class _Others(dict[str, Any]):
    """The line of all that are not shown by themselves, whatever others are called."""


def _document(question: Question, lines: list[dict[str, Any]], whole: dict[str, Any]) -> dict[str, Any]:
    dims = question.dims
    document = {
        "version": 1,
        "by": dims[0] if len(dims) == 1 else dims,
        "since": question.period.since,
        "until": question.period.until,
        "time_zone": question.time_zone,
        "filters": question.chosen,
        "rows": lines,
        "total": {name: value for name, value in whole.items() if name not in dims},
    }
    if question.earlier is not None:
        document["compared_with"] = question.earlier._asdict()
    return document


def _labels(dims: Sequence[str], key: Key) -> tuple[str, ...]:
    return tuple(_label(name, part) for name, part in zip(dims, key, strict=True))


def _label(by: str, key: tuple[str, ...]) -> str:
    if by in ("site", "line"):
        return ("::" if by == "site" else ":").join(key) if any(part not in ("", "0") for part in key) else ""
    return "/".join(part for part in key if part)


def _line(
    question: Question, labels: tuple[str, ...], keys: list[Key], found: dict[Key, Sums], figures: Figures
) -> dict[str, Any]:
    """One line of the answer: labels, sums, and what was asked for beside them."""
    from llmguard.usage.store.totals import Sums, percentile

    sums = sum((found[key] for key in keys if key in found), Sums())
    line: dict[str, Any] = {**dict(zip(question.dims, labels, strict=True)), **_amounts(sums)}
    if question.extras["compare"]:
        earlier = sum((figures.before[key] for key in keys if key in figures.before), Sums())
        line["calls_before"] = earlier.calls
        line["cost_before"] = _amounts(earlier)["cost"]
        line["cost_change_percent"] = (
            float(round((sums.cost - earlier.cost) * 100 / earlier.cost, 1))
            if earlier.cost and line["cost"] is not None
            else None
        )
    if question.extras["latency"]:
        given = [number for key in keys for number in figures.latency.get(key, ())]
        line |= {f"p{share}_ms": percentile(given, share) for share in (50, 95, 99)}
    if question.extras["savings"]:
        line["caching_saved"] = sum((figures.saved.get(key, Decimal(0)) for key in keys), Decimal(0))
    return line


def _amounts(sums: Sums) -> dict[str, Any]:
    found = sums._asdict()
    if sums.calls == sums.unpriced_calls:
        found["cost"] = None  # not 0: nobody knows
    return found


#: Column of a line -> its title in a table, in the order of the table.
_TITLES = {
    "calls": "calls",
    "errors": "errors",
    "prompt_tokens": "input",
    "completion_tokens": "output",
    "tokens": "tokens",
    "cost": "cost",
    "unpriced_calls": "unpriced",
    "calls_before": "calls before",
    "cost_before": "cost before",
    "cost_change_percent": "change",
    "p50_ms": "p50 ms",
    "p95_ms": "p95 ms",
    "p99_ms": "p99 ms",
    "caching_saved": "saved",
}


_LABEL = 10  # characters that a label has at least


def _table(dims: Sequence[str], lines: list[dict[str, Any]], whole: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    titles = {name: title for name, title in _TITLES.items() if name in whole}
    for name in dims:
        table.add_column(name, overflow="fold")
    for name, title in titles.items():  # a number is never cut, however narrow the terminal
        width = max(len(title), *(len(_cell(name, line[name])) for line in (*lines, whole)))
        table.add_column(title, justify="right", no_wrap=True, min_width=width)
    for line in lines:
        labels = [Text(printable(line[name]) or "(none)") for name in dims]
        if isinstance(line, _Others):
            labels = [Text(line[name]) for name in dims]
        table.add_row(*labels, *(_cell(name, line[name]) for name in titles))
    if len(lines) != 1:
        table.add_section()
        table.add_row(*(whole[name] for name in dims), *(_cell(name, whole[name]) for name in titles), style="bold")
    console = Console(highlight=False)
    least = sum((column.min_width or _LABEL) + 2 for column in table.columns)
    Console(highlight=False, width=max(console.width, least)).print(table)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name == "cost_change_percent":
        return f"{value:+,}%"
    if isinstance(value, Decimal):
        return f"-{asked.money(-value)}" if value < 0 else asked.money(value)
    return f"{value:,}"
