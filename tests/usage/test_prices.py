"""Costs of calls: exact, by the price of their day, and NULL where no price is known."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from importlib.metadata import version
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.usage.prices import Counts, bundled, cost_of, priced
from llmguard.usage.prices.catalog import Catalog
from tests.optional import optional

NOW = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)


def catalog(**models: Any) -> Catalog:
    def exact(value: Any) -> Any:
        if isinstance(value, (int, float)):
            return Decimal(str(value))
        if isinstance(value, dict):
            return {key: exact(inner) for key, inner in value.items()}
        return [exact(inner) for inner in value] if isinstance(value, list) else value

    rows = {name.replace("_", "-"): exact(row) for name, row in models.items()}
    provider = {"url": "", "models": rows}
    document = {"source": "test", "date": "2026-01-01", "aliases": {}, "batch": {"p": "0.5"}}
    return Catalog({**document, "providers": {"p": provider}})


def total(prices: Catalog, counts: Counts, moment: datetime = NOW, tier: str = "", model: str = "m") -> Decimal | None:
    cost = cost_of("p", model, moment, counts, tier, prices)
    return None if cost is None else cost.total


def test_input_and_output_have_their_prices() -> None:
    cost = cost_of("p", "m", NOW, Counts(1_000_000, 2_000_000), catalog=catalog(m={"i": 0.15, "o": 0.6}))
    assert cost is not None
    assert (cost.input, cost.output, cost.total) == (Decimal("0.15"), Decimal("1.2"), Decimal("1.35"))


def test_what_is_cached_has_its_own_price_and_else_that_of_the_input() -> None:
    counts = Counts(1_000_000, 0, cache_read=400_000, cache_write=100_000)
    assert total(catalog(m={"i": 1, "o": 1, "r": 0.1, "w": 1.25}), counts) == Decimal("0.665")
    assert total(catalog(m={"i": 1, "o": 1}), counts) == 1
    hour = counts._replace(cache_write_1h=100_000)
    assert total(catalog(m={"i": 1, "o": 1, "r": 0.1, "w": 1.25, "h": 2}), hour) == Decimal("0.74")


def test_a_tier_holds_for_the_whole_request() -> None:
    prices = catalog(m={"i": [1, [200_000, 2]], "o": [4, [200_000, 6]]})
    assert total(prices, Counts(200_000, 1000)) == Decimal("0.204")
    assert total(prices, Counts(200_001, 1000)) == Decimal("0.406002")


def test_a_batch_has_its_price_or_the_stated_discount() -> None:
    own = catalog(m={"p": {"i": 2, "o": 2}, "v": [[{"processing": "batch"}, "", {"i": 0.5, "o": 0.5}]]})
    assert total(own, Counts(1_000_000, 0), tier="batch") == Decimal("0.5")
    stated = cost_of("p", "m", NOW, Counts(1_000_000, 0), "batch", catalog(m={"i": 2, "o": 2}))
    assert stated is not None
    assert (stated.total, stated.approximate) == (1, True)


def test_the_price_is_that_of_the_day_and_of_the_hour() -> None:
    dated = catalog(m={"p": [["", {"i": 1, "o": 1}], ["2026-06-01", {"i": 2, "o": 2}]], "m": ["=m"]})
    assert total(dated, Counts(1_000_000, 0), NOW.replace(month=5, day=31)) == 1
    assert total(dated, Counts(1_000_000, 0), NOW.replace(month=6, day=1)) == 2
    night = catalog(m={"p": [["", {"i": 4, "o": 4}], ["16:30-00:30", {"i": 1, "o": 1}]], "m": ["=m"]})
    assert total(night, Counts(1_000_000, 0), NOW) == 4
    assert total(night, Counts(1_000_000, 0), NOW.replace(hour=23)) == 1
    assert total(night, Counts(1_000_000, 0), NOW.replace(hour=12, tzinfo=timezone(timedelta(hours=-8)))) == 1


def test_unknown_is_none_and_never_zero() -> None:
    assert total(catalog(m={"i": 1, "o": 1}), Counts(1, 1), model="other") is None
    assert cost_of("nobody", "gpt-4o", NOW, Counts(1, 1)) is None
    assert cost_of("openai", "whisper-1", NOW, Counts(1, 1)) is None  # priced by the hour


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o"),
        ("openai", "gpt-4o-2024-08-06"),
        ("azure_openai", "gpt-4o"),
        ("anthropic", "claude-sonnet-4-20250514"),
        ("bedrock", "anthropic.claude-3-haiku-20240307-v1:0"),
        ("groq", "openai/gpt-oss-20b"),
        ("google", "gemini-2.5-flash"),
        ("vertex_ai", "gemini-2.5-flash"),
        ("mistral", "mistral-large-latest"),
        ("cohere", "command-r-plus"),
        ("xai", "grok-3"),
        ("together_ai", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
        ("deepseek", "deepseek-chat"),
    ],
)
def test_everyday_models_have_a_price(provider: str, model: str) -> None:
    cost = cost_of(provider, model, NOW, Counts(1000, 1000))
    assert cost is not None
    assert cost.total > 0


@given(
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)
def test_the_parts_are_the_total(plain: int, read: int, write: int, out: int) -> None:
    """Where cached tokens cost the same, it does not matter how the input is split."""
    split = Counts(plain + read + write, out, cache_read=read, cache_write=write)
    same = catalog(m={"i": 3, "o": 5, "r": 3, "w": 3, "h": 3})
    assert total(same, split) == total(catalog(m={"i": 3, "o": 5}), Counts(plain + read + write, out))
    cost = cost_of("p", "m", NOW, split, catalog=catalog(m={"i": 3, "o": 5, "r": 1, "w": 4}))
    assert cost is not None
    assert cost.total == cost.input + cost.output


def test_it_agrees_with_its_source() -> None:
    genai_prices = optional("genai_prices")
    if version("genai-prices") not in bundled().version:
        pytest.skip(f"the snapshot is of {bundled().version}, installed is {version('genai-prices')}")
    from genai_prices.data import providers

    compared = 0
    for provider in providers:
        for model in provider.models:
            for counts in (Counts(1000, 500), Counts(300_000, 20_000, cache_read=250_000, reasoning=5000)):
                usage = genai_prices.Usage(
                    input_tokens=counts.prompt, output_tokens=counts.completion, cache_read_tokens=counts.cache_read
                )
                try:
                    theirs = genai_prices.calc_price(
                        usage, model.id, provider_id=provider.id, genai_request_timestamp=NOW
                    )
                except LookupError:
                    continue  # an identifier that its own clauses do not match
                ours = cost_of(provider.id, model.id, NOW, counts._replace(reasoning=0))
                if ours is None:
                    assert theirs.total_price == 0, (provider.id, model.id)  # priced by other units than tokens
                    continue
                assert abs(ours.total - theirs.total_price) <= Decimal("2E-9"), (provider.id, model.id, counts)
                compared += 1
    assert compared > 4000


def row(**columns: Any) -> dict[str, Any]:
    known = {"provider": "openai", "model": "gpt-4o", "created_at": NOW, "operation": "chat"}
    return {**known, "prompt_tokens": 1000, "completion_tokens": 100, **columns}


def test_a_row_says_why_it_has_a_cost_or_none() -> None:
    done = priced(row(), {})
    assert (done["price_status"], done["cost_currency"]) == ("priced", "USD")
    assert done["total_cost"] == done["input_cost"] + done["output_cost"] > 0
    assert "genai-prices" in done["price_version"]
    assert priced(row(model="nothing-like-it"), {})["price_status"] == "unknown"
    assert priced(row(model="nothing-like-it"), {}).get("total_cost") is None
    assert priced(row(completion_tokens=None), {})["price_status"] == "no_usage"
    assert priced(row(provider=None), {})["price_status"] == "priced", "its name says who made it"
    assert priced(row(provider=None, model="llama-3.1-8b-instant"), {})["price_status"] == "unknown"
    deployment = priced(row(provider="azure_openai", model="my-deployment", response_model="gpt-4o-2024-08-06"), {})
    assert deployment["price_status"] == "priced"
    embedded = row(operation="embeddings", model="text-embedding-3-small", completion_tokens=None)
    assert priced(embedded, {})["price_status"] == "priced"


def test_a_cost_that_was_given_counts_where_the_snapshot_has_none() -> None:
    given_cost = priced(row(model="nothing-like-it"), {"given_cost": 0.125})
    assert (given_cost["total_cost"], given_cost["price_status"]) == (Decimal("0.125"), "given")
    cached = priced(row(), {"given_cost": 0.0, "metadata": {"cache_hit": True}})
    assert cached["total_cost"] == 0
