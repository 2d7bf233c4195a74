"""`llmguard usage summary`."""

from __future__ import annotations

import csv
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from llmguard.cli.usage import asked
from llmguard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmguard.usage.store.totals import Key, Sums


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
    compare: Annotated[bool, typer.Option("--compare", help="Against the period before, as long as this one.")] = False,
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
    from llmguard.usage.prices.known import refresh
    from llmguard.usage.store.query import unpriced
    from llmguard.usage.store.savings import savings as saved_by
    from llmguard.usage.store.totals import before, dimensions, durations, totals

    dims = dimensions(by or ["service"])
    zone = asked.zone_of(time_zone)
    period = asked.period(since, until, zone)
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
    with asked.ledger(database_url) as engine:
        if savings:
            refresh(asked.settings(database_url), engine)
        found = totals(engine, dims, period, chosen, zone)
        figures = Figures(
            totals(engine, dims, earlier, chosen, zone) if earlier is not None else {},
            durations(engine, dims, period, chosen, zone) if latency else {},
            saved_by(engine, dims, period, chosen, zone) if savings else {},
        )
        models = unpriced(engine, period) if output_format is asked.Form.TABLE and not chosen else []
    asked_for = {"compare": compare, "latency": latency, "savings": savings}
    keys = list(found) + [key for key in figures.before if key not in found]
    shown, others = (keys[:top], keys[top:]) if top else (keys, [])
    lines = [_line(dims, _labels(dims, key), [key], found, figures, asked_for) for key in shown]
    if others:
        lines.append(_line(dims, ("(others)", *[""] * (len(dims) - 1)), others, found, figures, asked_for))
    whole = _line(dims, ("total", *[""] * (len(dims) - 1)), keys, found, figures, asked_for)
    if output_format is asked.Form.TABLE:
        _table(dims, lines, whole)
        if models:
            named = ", ".join(f"{provider or '?'} {model or '?'} ({number:,})" for provider, model, number in models)
            print(printable(f"No price is known of {named}."))
    elif output_format is asked.Form.CSV:
        writer = csv.DictWriter(sys.stdout, tuple(whole), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asked.cells(line) for line in lines)
    else:
        document = {
            "version": 1,
            "by": dims[0] if len(dims) == 1 else dims,
            "since": period.since,
            "until": period.until,
            "time_zone": time_zone,
            "filters": chosen,
            "rows": lines,
            "total": {name: value for name, value in whole.items() if name not in dims},
        }
        if earlier is not None:
            document["compared_with"] = earlier._asdict()
        print(asked.as_json(document))


def _labels(dims: Sequence[str], key: Key) -> tuple[str, ...]:
    return tuple(_label(name, part) for name, part in zip(dims, key, strict=True))


def _label(by: str, key: tuple[str, ...]) -> str:
    if by in ("site", "line"):
        return ("::" if by == "site" else ":").join(key) if any(part not in ("", "0") for part in key) else ""
    return "/".join(part for part in key if part)


def _line(
    dims: Sequence[str],
    labels: tuple[str, ...],
    keys: list[Key],
    found: dict[Key, Sums],
    figures: Figures,
    asked_for: dict[str, bool],
) -> dict[str, Any]:
    """One line of the answer: labels, sums, and what was asked for beside them."""
    from llmguard.usage.store.totals import Sums, percentile

    sums = sum((found[key] for key in keys if key in found), Sums())
    line: dict[str, Any] = {**dict(zip(dims, labels, strict=True)), **_amounts(sums)}
    if asked_for["compare"]:
        earlier = sum((figures.before[key] for key in keys if key in figures.before), Sums())
        line["calls_before"] = earlier.calls
        line["cost_before"] = _amounts(earlier)["cost"]
        line["cost_change_percent"] = (
            round((sums.cost - earlier.cost) * 100 / earlier.cost, 1) if earlier.cost else None
        )
    if asked_for["latency"]:
        given = [number for key in keys for number in figures.latency.get(key, ())]
        line |= {f"p{share}_ms": percentile(given, share) for share in (50, 95, 99)}
    if asked_for["savings"]:
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


def _table(dims: Sequence[str], lines: list[dict[str, Any]], whole: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    titles = {name: title for name, title in _TITLES.items() if name in whole}
    for name in dims:
        table.add_column(name)
    for title in titles.values():
        table.add_column(title, justify="right")
    for line in lines:
        labels = [Text(printable(line[name]) or "(none)") for name in dims]
        if line[dims[0]] == "(others)":
            labels = [Text(line[name]) for name in dims]
        table.add_row(*labels, *(_cell(name, line[name]) for name in titles))
    if len(lines) != 1:
        table.add_section()
        table.add_row(*(whole[name] for name in dims), *(_cell(name, whole[name]) for name in titles), style="bold")
    Console(highlight=False).print(table)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name == "cost_change_percent":
        return f"{value:+,}%"
    if isinstance(value, Decimal):
        return f"-{asked.money(-value)}" if value < 0 else asked.money(value)
    return f"{value:,}"
