"""`llmguard prices`: the price list, and what you really pay."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmguard.cli.usage import asked
from llmguard.printable import printable

if TYPE_CHECKING:
    from llmguard.usage.prices.catalog import Catalog
    from llmguard.usage.prices.own import OwnPrice

app = typer.Typer(
    help="The price list, and what you really pay.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Where = Annotated[str, typer.Argument(metavar="FILE|URL", help="A price list: a file, or a URL that is fetched.")]
Provider = Annotated[str, typer.Argument(help="As the ledger names it.")]
Model = Annotated[str, typer.Argument(help="As requests name it; '*' for all of the provider, or a glob.")]
Source = Annotated[str, typer.Option("--source", help="Where it is from: a contract, say.")]
_TIMEOUT = 30.0
_LARGEST = 20_000_000  # bytes of a list that is fetched
_SHOWN = 50


@app.command()
def show(
    provider: Annotated[str, typer.Argument(help="Only of this provider.")] = "",
    model: Annotated[str, typer.Argument(help="Only models whose names contain this.")] = "",
    output_format: Annotated[asked.Form, typer.Option("--output-format", help="How to print.")] = asked.Form.TABLE,
    database_url: asked.Database = "",
) -> None:
    """Show prices in dollars per million tokens: those of your own that hold today, and the list.

    Exit code: 0, 1 there is none, 2 wrong usage, or a ledger that cannot be used.
    """
    from llmguard.usage.prices import in_force
    from llmguard.usage.prices.changes import today, words
    from llmguard.usage.prices.own import same_provider

    mine = [each for each in _own(database_url) if not provider or same_provider(each.provider, provider)]
    catalog = in_force()
    name = catalog.provider(provider) if provider else None
    rows = [
        {
            "provider": price.provider,
            "model": price.model,
            "price": words(dict(price.rates))
            if price.rates
            else f"{(price.discount or Decimal(0)).normalize():f} % less",
            "source": price.version,
        }
        for price in mine
        if model.lower() in price.model.lower() or fnmatchcase(model.lower(), price.model.lower())
    ]
    for place in [name] if name else ([] if provider else sorted(catalog.providers)):
        for each in catalog.providers.get(place, {}).get("models", {}):
            if model.lower() in each.lower():
                price = words(today(catalog, place, each))
                rows.append(
                    {"provider": place, "model": each, "price": price, "source": catalog.version_of(place, each)}
                )
    _print(rows, ("provider", "model", "price", "source"), output_format)
    if not rows:
        raise typer.Exit(1)


@app.command()
def diff(
    where: Where,
    output_format: Annotated[asked.Form, typer.Option("--output-format", help="How to print.")] = asked.Form.TABLE,
) -> None:
    """Show what another price list says differently from the one that counts.

    Exit code: 0 nothing, 1 something, 2 it cannot be read, or is none.
    """
    from llmguard.usage.prices import in_force
    from llmguard.usage.prices.changes import changes

    _know()
    found = list(changes(in_force(), _read(where)[1]))
    rows = [
        {
            "provider": each.provider,
            "model": each.model,
            "before": each.before or "none",
            "after": each.after or "none",
        }
        for each in found
    ]
    _print(rows, ("provider", "model", "before", "after"), output_format)
    if rows:
        raise typer.Exit(1)


@app.command()
def update(
    where: Where,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Let another price list count, after showing what it changes. Calls that are priced already keep their price.

    It is kept in your data directory, or where LLMGUARD_PRICE_LIST says: machines that write rows need it too.

    Exit code: 0, 1 you said no, 2 it cannot be read, is none, or cannot be kept.
    """
    from llmguard.cli.usage.files import written_whole
    from llmguard.errors import UsageError
    from llmguard.usage.prices import in_force
    from llmguard.usage.prices.changes import changes
    from llmguard.usage.prices.known import list_file

    _know()
    text, catalog = _read(where)
    found = list(changes(in_force(), catalog))
    typer.echo(printable(f"{in_force().version} -> {catalog.version}: {len(found):,} prices differ."))
    for each in found[:_SHOWN]:
        typer.echo(printable(f"{each.provider} {each.model}: {each.before or 'none'} -> {each.after or 'none'}"))
    if len(found) > _SHOWN:
        typer.echo(f"... and {len(found) - _SHOWN:,} more: llmguard prices diff")
    if not yes and not typer.confirm("Let this list count?"):
        raise typer.Exit(1)
    path = list_file()
    try:
        os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path}: its folder cannot be made: {error.strerror}") from None
    with written_whole(path) as out:
        out.write(text)
    typer.echo(printable(f"Kept in {path}. To price calls of before anew: llmguard usage reprice."))


@app.command("set")
def set_price(
    provider: Provider,
    model: Model,
    into: Annotated[str, typer.Option("--input", metavar="USD", help="Dollars per million input tokens.")] = "",
    out: Annotated[str, typer.Option("--output", metavar="USD", help="Dollars per million output tokens.")] = "",
    cache_read: Annotated[str, typer.Option("--cache-read", metavar="USD", help="... of input from the cache.")] = "",
    cache_write: Annotated[str, typer.Option("--cache-write", metavar="USD", help="... of input into the cache.")] = "",
    discount: Annotated[str, typer.Option("--discount", metavar="PERCENT", help="Off the list price, instead.")] = "",
    since: Annotated[str, typer.Option("--from", metavar="TIME", help="Since when it holds; now by default.")] = "",
    until: Annotated[str, typer.Option("--to", metavar="TIME", help="Until when it holds.")] = "",
    source: Source = "",
    database_url: asked.Database = "",
) -> None:
    """Set a price of your own, or a discount, in the database: every process that writes rows goes by it within a
    minute. What held for the same model until then ends where it begins; with --to, it holds again afterwards.

    Exit code: 0, 2 wrong usage, or a ledger that cannot be used.
    """
    from llmguard.errors import UsageError
    from llmguard.usage.prices import in_force
    from llmguard.usage.prices.own import OwnPrice
    from llmguard.usage.store.pricing import set_price as keep

    given = {"i": into, "o": out, "r": cache_read, "w": cache_write}
    rates = tuple((key, _amount(key, text, 1_000_000, 6)) for key, text in given.items() if text)
    off = _amount("discount", discount.removesuffix("%"), 100, 4) if discount else None
    if bool(rates) == (off is not None):
        raise UsageError("give --input and --output, or --discount")
    if rates and not (into and out):
        raise UsageError(f"{'--output' if into else '--input'} is missing: dollars per million tokens, 0 for none")
    for name, value in (("PROVIDER", provider), ("MODEL", model)):
        if not value.strip() or printable(value) != value:
            raise UsageError(f"{name}: {value!r} is no name")
    period = asked.period(since, until, timezone.utc, ("--from", "--to"))
    if period.until is not None and period.until <= (period.since or datetime.now(timezone.utc)):
        raise UsageError(f"--to {until} is not after the beginning")
    price = OwnPrice(provider.lower(), model.lower(), rates, off, period.since, period.until, source)
    with asked.ledger(database_url) as engine:
        ended = keep(engine, price)
    typer.echo(printable(f"{provider} {model}: set." + (f" {ended:,} of before ended." if ended else "")))
    if in_force().provider(provider) is None:
        typer.echo(printable(f"The price list knows no provider {provider}: is it spelled as in the ledger?"), err=True)


@app.command()
def end(
    provider: Provider,
    model: Model,
    at: Annotated[str, typer.Option("--at", metavar="TIME", help="When; now by default.")] = "",
    database_url: asked.Database = "",
) -> None:
    """End a price of your own: the list counts again.

    Exit code: 0, 1 there is none, 2 wrong usage, or a ledger that cannot be used.
    """
    from llmguard.usage.store.pricing import end_price

    moment = asked.period(at, "", timezone.utc).since or datetime.now(timezone.utc)
    with asked.ledger(database_url) as engine:
        ended = end_price(engine, provider.lower(), model.lower(), moment)
    if not ended:
        typer.echo(printable(f"{provider} {model} has no price of your own in the database."), err=True)
        raise typer.Exit(1)
    typer.echo(printable(f"{provider} {model}: ended."))


def _amount(name: str, text: str, most: int, places: int) -> Decimal:
    from llmguard.errors import UsageError

    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite() or not 0 <= amount <= most:
        raise UsageError(f"{text!r} is no number from 0 to {most:,}")
    if amount != round(amount, places):
        raise UsageError(f"{text!r} has more than the {places} decimal places that can be kept")
    return amount


def _own(database_url: str) -> list[OwnPrice]:
    from llmguard.usage.prices import own

    with asked.ledger(database_url) as engine:
        for problem in asked.price_problems(engine, database_url):
            typer.echo(printable(problem), err=True)
    now = datetime.now(timezone.utc)
    return [
        each
        for each in own.current().prices
        if (each.since is None or each.since <= now) and (each.until is None or now < each.until)
    ]


def _know() -> None:
    from llmguard.usage.prices.known import list_file, use_adopted_list

    problem = use_adopted_list() if os.path.exists(list_file()) else ""
    if problem:
        typer.echo(printable(problem), err=True)


def _read(where: str) -> tuple[str, Catalog]:
    """The text of a price list, and what it says."""
    from llmguard.errors import UsageError
    from llmguard.usage.prices.known import read_list

    if where.lower().startswith(("http://", "https://")):
        text, where = _fetched(where), _shown(where)
    else:
        try:
            with open(where, encoding="utf-8-sig") as file:
                text = file.read(_LARGEST + 1)
            if len(text) > _LARGEST:
                raise UsageError(f"{where}: is larger than {_LARGEST:,} characters")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"{where}: cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}"
            ) from None
    return text, read_list(text, where)


def _fetched(url: str) -> str:
    from llmguard.errors import UsageError

    where = _shown(url)
    try:
        import httpx
    except ModuleNotFoundError:
        from llmguard.config.source import how_to_install

        raise UsageError(f"fetching a URL needs httpx: {how_to_install('runtime')}") from None
    try:
        with httpx.stream("GET", url, timeout=_TIMEOUT, follow_redirects=True) as answer:
            answer.raise_for_status()
            content = bytearray()
            for piece in answer.iter_bytes():
                content += piece
                if len(content) > _LARGEST:
                    raise UsageError(f"{where}: is larger than {_LARGEST:,} bytes")
        return content.decode("utf-8")
    except httpx.HTTPStatusError as error:
        raise UsageError(f"{where}: answers {error.response.status_code}") from None
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeDecodeError) as error:
        what = "it is no text" if isinstance(error, UnicodeDecodeError) else " ".join(str(error).split())[:200]
        raise UsageError(f"{where}: cannot be fetched: {what}") from None


def _shown(url: str) -> str:
    """A URL that may be printed: without a name and a password, and without its query."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        return "the URL"


def _print(rows: list[dict[str, Any]], columns: tuple[str, ...], form: asked.Form) -> None:
    import sys

    if form is asked.Form.JSON:
        print(asked.as_json({"version": 1, "prices": rows}))
    elif form is asked.Form.CSV:
        asked.write_csv(sys.stdout, columns, rows)
    else:
        widths = [max((len(str(row[name])) for row in rows), default=0) for name in columns[:-1]]
        for row in rows:
            texts = [printable(str(row[name])) for name in columns]
            print("  ".join(text.ljust(width) for text, width in zip(texts, (*widths, 0), strict=True)).rstrip())
