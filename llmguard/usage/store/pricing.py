"""Prices of one's own in the database: `llm_model_pricing`."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, func, insert, select, update

from llmguard.usage.prices.catalog import Catalog
from llmguard.usage.prices.own import OwnPrice
from llmguard.usage.store.tables import model_pricing

#: Rows that only show what the list says: they are no price of one's own.
LISTED = "llmguard price list"
_RATES = {"i": "input", "o": "output", "r": "cache_read", "w": "cache_write"}
_THOUSAND = Decimal(1000)


def own_prices(engine: Engine) -> list[OwnPrice]:
    """The prices that hold at some time, oldest first; those that are not active, not in dollars, or copies of the list
    are none.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    statement = select(model_pricing).where(model_pricing.c.is_active, model_pricing.c.currency == "USD")
    with engine.connect() as connection:
        rows = (
            connection.execute(statement.order_by(model_pricing.c.effective_from, model_pricing.c.id)).mappings().all()
        )
    return [_price(row) for row in rows if not (row["source"] or "").startswith(LISTED)]


def _price(row: Any) -> OwnPrice:
    given = {key: row[f"{name}_cost_per_1k_tokens"] for key, name in _RATES.items()}
    rates = tuple((key, Decimal(value) * _THOUSAND) for key, value in given.items() if value is not None)
    is_discount = row["discount_percent"] is not None
    return OwnPrice(
        row["provider"],
        row["model_name"],
        () if is_discount else rates,
        Decimal(row["discount_percent"]) if is_discount else None,
        row["effective_from"],
        row["effective_to"],
        row["source"] or "llm_model_pricing",
    )


def set_price(engine: Engine, price: OwnPrice) -> int:
    """Let a price hold from its first moment on; what held for the same model until then ends there, unless the new one
    ends: then it holds again.

    Returns:
        How many prices end.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    since = price.since or datetime.now(timezone.utc)
    same = (model_pricing.c.provider == price.provider) & (model_pricing.c.model_name == price.model)
    same &= func.coalesce(model_pricing.c.source, "").not_like(f"{LISTED}%")
    held = same & model_pricing.c.is_active & (model_pricing.c.effective_from < since)
    held &= model_pricing.c.effective_to.is_(None) | (model_pricing.c.effective_to > since)
    rates = {f"{_RATES[key]}_cost_per_1k_tokens": value / _THOUSAND for key, value in price.rates}
    now = datetime.now(timezone.utc)
    with engine.execution_options(llmguard_write=True).begin() as connection:
        replaced = same & (model_pricing.c.effective_from == since)
        connection.execute(update(model_pricing).where(replaced).values(is_active=False, effective_to=since))
        ending = update(model_pricing).where(held).values(effective_to=since, updated_at=now)
        ended = connection.execute(ending).rowcount if price.until is None else 0
        connection.execute(
            insert(model_pricing).values(
                id=uuid.uuid4().hex,
                provider=price.provider,
                model_name=price.model,
                discount_percent=price.discount,
                currency="USD",
                effective_from=since,
                effective_to=price.until,
                is_active=True,
                source=price.source or None,
                created_at=now,
                updated_at=now,
                **rates,
            )
        )
    return int(ended)


def end_price(engine: Engine, provider: str, model: str, at: datetime) -> int:
    """Let the prices of one's own of a model end at a moment; how many.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    same = (model_pricing.c.provider == provider) & (model_pricing.c.model_name == model) & model_pricing.c.is_active
    same &= func.coalesce(model_pricing.c.source, "").not_like(f"{LISTED}%")
    open_ = model_pricing.c.effective_to.is_(None) | (model_pricing.c.effective_to > at)
    with engine.execution_options(llmguard_write=True).begin() as connection:
        changed = (
            update(model_pricing).where(same, open_).values(effective_to=at, updated_at=datetime.now(timezone.utc))
        )
        return int(connection.execute(changed).rowcount)


def priced_models(engine: Engine, provider: str = "", *, active_only: bool = True) -> list[dict[str, Any]]:
    """The rows of the table, those of one provider or of all: prices of one's own, and copies of the list.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    statement = select(model_pricing).order_by(model_pricing.c.provider, model_pricing.c.model_name, model_pricing.c.id)
    if provider:
        statement = statement.where(model_pricing.c.provider == provider)
    if active_only:
        statement = statement.where(model_pricing.c.is_active)
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(statement).mappings()]


def write_list(engine: Engine, catalog: Catalog, providers: Iterable[str]) -> int:
    """Show the list prices of providers as rows, for those who read the table, where it has none of a model; how many.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    now = datetime.now(timezone.utc)
    day = now.date().isoformat()
    with engine.execution_options(llmguard_write=True).begin() as connection:
        there = {
            tuple(row) for row in connection.execute(select(model_pricing.c.provider, model_pricing.c.model_name)).all()
        }
        rows = []
        for provider in providers:
            for model in catalog.providers.get(provider, {}).get("models", {}):
                found = catalog.rates(provider, model, day, "", "")
                if found is None or (provider, model) in there:
                    continue
                rates = {name: _plain(found.prices.get(key)) for key, name in _RATES.items()}
                if rates["input"] is None or rates["output"] is None:
                    continue
                rows.append(
                    {
                        "id": uuid.uuid4().hex,
                        "provider": provider,
                        "model_name": model,
                        **{f"{name}_cost_per_1k_tokens": rate for name, rate in rates.items()},
                        "currency": "USD",
                        "effective_from": now,
                        "is_active": True,
                        "source": f"{LISTED} ({catalog.version_of(provider, model)})",
                        "created_at": now,
                        "updated_at": now,
                    }
                )
        if rows:
            connection.execute(insert(model_pricing), rows)
    return len(rows)


def _plain(price: Any) -> Decimal | None:
    """A price per thousand; of one that depends on the size of the input, the first."""
    first = price[0] if isinstance(price, list) else price
    return None if first is None else Decimal(first) / _THOUSAND
