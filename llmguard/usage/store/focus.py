"""The ledger as FOCUS 1.2 has costs (https://focus.finops.org): a row for each kind of token, day and what it is of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Engine, func, select

from llmguard.usage.prices import in_force
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
    """The kinds of tokens of a call, which add up to its cost to the nano-dollar."""
    if row["input_cost"] is None or row["output_cost"] is None:
        return {"request": Part(1, row["total_cost"], row["total_cost"])}
    prompt = row["prompt_tokens"] or 0
    read = min(row["cache_read_tokens"] or 0, prompt)
    write = min(row["cache_write_tokens"] or 0, prompt - read)
    tokens = {"input": prompt - read - write, "cache_read": read, "cache_write": write}
    weights = {kind: _price(row, kind, number, prompt) for kind, number in tokens.items()}
    listed = _price(row, "output", row["completion_tokens"] or 0, prompt)
    shares = _shared(row["input_cost"], {kind: weights[kind][0] for kind in tokens if tokens[kind]}, tokens)
    found = {kind: Part(tokens[kind], share, weights[kind][1] or share) for kind, share in shares.items()}
    if row["completion_tokens"] or row["output_cost"]:
        found["output"] = Part(row["completion_tokens"] or 0, row["output_cost"], listed[1] or row["output_cost"])
    rest = row["total_cost"] - row["input_cost"] - row["output_cost"]
    if rest:
        found["request"] = Part(1, rest, rest)
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


def _price(row: dict[str, Any], kind: str, number: int, size: int) -> tuple[Decimal, Decimal]:
    """(what so many tokens of a kind cost by what is known of prices, and by the list); 0 where nobody knows."""
    if not number:
        return _ZERO, _ZERO
    counts = {
        "input": Counts(number, 0, request=size),
        "cache_read": Counts(number, 0, number, request=size),
        "cache_write": Counts(number, 0, 0, number, request=size),
        "output": Counts(0, number, request=size),
    }[kind]
    found = []
    for catalog in (None, in_force()):
        tier = row["service_tier"] or ""
        name = row["response_model"] or row["model"] or ""
        asked = row["model"]
        cost = cost_of(row["provider"] or "", name, row["created_at"], counts, tier, catalog, asked=asked)
        if cost is None:
            cost = cost_of(row["provider"] or "", row["model"] or "", row["created_at"], counts, tier, catalog)
        found.append(_ZERO if cost is None else cost.output if kind == "output" else cost.input)
    return found[0], found[1]


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
