"""The ledger as FOCUS 1.2 has costs (https://focus.finops.org): a row for each kind of token, day and what it is of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Engine, func, select

from llmguard.usage.prices import in_force, priced_again
from llmguard.usage.prices.catalog import Catalog
from llmguard.usage.prices.cost import Counts, cost_of
from llmguard.usage.store.query import Period, conditions_of
from llmguard.usage.store.tables import usage_logs

#: Kind of token -> what its rows are called.
KINDS = {
    "input": "Input tokens",
    "cache_read": "Cached input tokens",
    "cache_write": "Input tokens written to the cache",
    "output": "Output tokens",
    "request": "Requests with a price of their own",
}
#: Columns of the ledger that rows are told apart by, beside the day and the kind.
_GRAIN = ("provider", "model", "tenant", "environment", "service_name", "feature_context", "service_tier")
_PLACES = Decimal("1E-9")
_ZERO = Decimal(0)


class Part(NamedTuple):
    """What one kind of token of calls comes to."""

    quantity: int
    billed: Decimal
    listed: Decimal

    def plus(self, other: Part) -> Part:
        """Both together."""
        return Part(self.quantity + other.quantity, self.billed + other.billed, self.listed + other.listed)


def without_cost(engine: Engine, period: Period, filters: dict[str, str]) -> int:
    """How many calls have no known cost: FOCUS has no word for that, so they are left out.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    statement = select(func.count()).where(*conditions_of(period, filters), usage_logs.c.total_cost.is_(None))
    with engine.connect() as connection:
        return int(connection.execute(statement).scalar_one())


def charges(engine: Engine, period: Period, filters: dict[str, str], account: str) -> Iterator[dict[str, str]]:
    """The rows, by day (UTC).

    Args:
        engine: of the ledger.
        period: which calls.
        filters: see `llmguard.usage.store.query.FILTERS`.
        account: what the billing account is called.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    statement = select(usage_logs).where(*conditions_of(period, filters), usage_logs.c.total_cost.is_not(None))
    statement = statement.order_by(usage_logs.c.created_at, usage_logs.c.id)
    day: date | None = None
    sums: dict[tuple[str, ...], tuple[Part, int]] = {}
    with engine.connect() as connection:
        for each in connection.execute(statement, execution_options={"yield_per": 1000}).mappings():
            row = dict(each)
            this = row["created_at"].astimezone(timezone.utc).date()
            if day is not None and this != day:
                yield from _rows(day, sums, account)
                sums = {}
            day = this
            for kind, part in _parts(row).items():
                key = (*(row[name] or "" for name in _GRAIN), kind)
                before, calls = sums.get(key, (Part(0, _ZERO, _ZERO), 0))
                sums[key] = (before.plus(part), calls + 1)
    if day is not None:
        yield from _rows(day, sums, account)


def _parts(row: dict[str, Any]) -> dict[str, Part]:
    """The kinds of tokens of a call, which add up to its cost to the nano-dollar. By the list it costs the same, unless
    it has a price of one's own."""
    billed = _split(row, None)
    listed = None
    if "own: " in (row["price_version"] or ""):
        again = priced_again(row, in_force())
        listed = _split(again, in_force()) if again is not None and again["total_cost"] is not None else None
    if listed is None:
        return {kind: Part(number, amount, amount) for kind, (number, amount) in billed.items()}
    nothing = (0, _ZERO)
    found = {}
    for kind in dict.fromkeys((*billed, *listed)):
        number, amount = billed.get(kind, nothing)
        found[kind] = Part(number or listed.get(kind, nothing)[0], amount, listed.get(kind, nothing)[1])
    return found


def _split(row: dict[str, Any], catalog: Catalog | None) -> dict[str, tuple[int, Decimal]]:
    """Kind -> (how many, what they cost)."""
    if row["input_cost"] is None or row["output_cost"] is None:
        return {"request": (1, row["total_cost"])}
    prompt = row["prompt_tokens"] or 0
    read = min(row["cache_read_tokens"] or 0, prompt)
    write = min(row["cache_write_tokens"] or 0, prompt - read)
    tokens = {"input": prompt - read - write, "cache_read": read, "cache_write": write}
    weights = {kind: _weight(row, kind, number, prompt, catalog) for kind, number in tokens.items() if number}
    found = {kind: (tokens[kind], share) for kind, share in _shared(row["input_cost"], weights, tokens).items()}
    if row["completion_tokens"] or row["output_cost"]:
        found["output"] = (row["completion_tokens"] or 0, row["output_cost"])
    rest = row["total_cost"] - row["input_cost"] - row["output_cost"]
    if rest:
        found["request"] = (1, rest)
    return found


def _shared(total: Decimal, weights: dict[str, Decimal], tokens: dict[str, int]) -> dict[str, Decimal]:
    """An amount shared out by weights, or by numbers where nothing has a weight; the first takes what is left."""
    if not weights:
        return {"input": total} if total else {}
    whole = sum(weights.values(), _ZERO)
    if not whole:
        weights = {kind: Decimal(tokens[kind]) for kind in weights}
        whole = sum(weights.values(), _ZERO)
    shares = {kind: (total * weight / whole).quantize(_PLACES) for kind, weight in weights.items()}
    first = next(iter(shares))
    shares[first] += total - sum(shares.values(), _ZERO)
    return shares


def _weight(row: dict[str, Any], kind: str, number: int, size: int, catalog: Catalog | None) -> Decimal:
    """What so many input tokens of a kind cost by what is known of prices now; 0 where nobody knows."""
    counts = {
        "input": Counts(number, 0, request=size),
        "cache_read": Counts(number, 0, number, request=size),
        "cache_write": Counts(number, 0, 0, number, request=size),
    }[kind]
    tier, asked = row["service_tier"] or "", row["model"]
    for name in filter(None, (row["response_model"], asked)):
        cost = cost_of(row["provider"] or "", name, row["created_at"], counts, tier, catalog, asked=asked)
        if cost is not None:
            return cost.input
    return _ZERO


def _rows(day: date, sums: dict[tuple[str, ...], tuple[Part, int]], account: str) -> Iterator[dict[str, str]]:
    start = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
    month = start.replace(day=1)
    periods = {
        "BillingPeriodStart": _time(month),
        "BillingPeriodEnd": _time((month + timedelta(days=32)).replace(day=1)),
        "ChargePeriodStart": _time(start),
        "ChargePeriodEnd": _time(start + timedelta(days=1)),
    }
    for key, (part, calls) in sorted(sums.items()):
        yield {**_row(key, part, account), **periods, "x_Calls": str(calls)}


def _row(key: tuple[str, ...], part: Part, account: str) -> dict[str, str]:
    provider, model, tenant, environment, service, feature, tier, kind = key
    unit = "Requests" if kind == "request" else "Tokens"
    quantity = part.quantity or 1
    sku = f"{provider}/{model}/{kind}" + (f"/{tier}" if tier else "")
    tags = {"service": service, "feature": feature, "environment": environment}
    issuer = provider or "unknown"
    return {
        "BilledCost": _number(part.billed),
        "BillingAccountId": account,
        "BillingAccountName": account,
        "BillingAccountType": "Account",
        "BillingCurrency": "USD",
        "ChargeCategory": "Usage",
        "ChargeClass": "",
        "ChargeDescription": f"{KINDS[kind]} of {model or 'an unknown model'}" + (f" ({tier})" if tier else ""),
        "ChargeFrequency": "Usage-Based",
        "ConsumedQuantity": f"{quantity}.0",  # a decimal, to those who read types off a file
        "ConsumedUnit": unit,
        "ContractedCost": _number(part.billed),
        "ContractedUnitPrice": _number(part.billed / quantity),
        "EffectiveCost": _number(part.billed),
        "CommitmentDiscountStatus": "",
        "InvoiceId": "",
        "InvoiceIssuerName": issuer,
        "ListCost": _number(part.listed),
        "ListUnitPrice": _number(part.listed / quantity),
        "PricingCategory": "Standard",
        "PricingCurrency": "USD",
        "PricingCurrencyContractedUnitPrice": _number(part.billed / quantity),
        "PricingCurrencyEffectiveCost": _number(part.billed),
        "PricingCurrencyListUnitPrice": _number(part.listed / quantity),
        "PricingQuantity": f"{quantity}.0",
        "PricingUnit": unit,
        "ProviderName": issuer,
        "PublisherName": issuer,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": f"{issuer} API",
        "ServiceSubcategory": "Generative AI",
        "SkuId": sku,
        "SkuMeter": KINDS[kind],
        "SkuPriceDetails": "",
        "SkuPriceId": sku,
        "SubAccountId": tenant,
        "SubAccountName": tenant,
        "SubAccountType": "Tenant" if tenant else "",
        "Tags": json.dumps({name: value for name, value in tags.items() if value}),
        "x_Model": model,
        "x_TokenType": kind,
        "x_ServiceTier": tier,
        "x_Service": service,
        "x_Feature": feature,
        "x_Environment": environment,
    }


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _number(amount: Decimal) -> str:
    return f"{amount:f}"


_EXAMPLE = _row(("", "", "", "", "", "", "", "input"), Part(1, _ZERO, _ZERO), "")
#: The columns, in their order.
COLUMNS = (
    *(name for name in _EXAMPLE if not name.startswith("x_")),
    *("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"),
    *(name for name in _EXAMPLE if name.startswith("x_")),
    "x_Calls",
)
