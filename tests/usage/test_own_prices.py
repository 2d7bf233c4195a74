"""Prices of one's own and discounts, in the configuration and in the database; lists that are adopted; pricing anew."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from llmguard import llm_usage_tracker
from llmguard.errors import ConfigError
from llmguard.usage import recorder
from llmguard.usage.ids import call_id
from llmguard.usage.prices import catalog, in_force, own
from llmguard.usage.prices.cost import Counts, cost_of
from llmguard.usage.prices.known import PriceListError, read_list, refresh, use_adopted_list
from llmguard.usage.prices.own import Book, OwnPrice
from llmguard.usage.recorder import Recorder
from llmguard.usage.rows import entry, row_of
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.pricing import end_price, own_prices, set_price
from llmguard.usage.store.query import Period, newest
from llmguard.usage.store.reprice import reprice
from llmguard.usage.store.rollup import differences
from tests.usage.recorded import rows_of

D = Decimal
NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
SNAPSHOT = Path(catalog.__file__).with_name("snapshot.json").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No prices of one's own, before and after."""
    monkeypatch.setenv("LLMGUARD_PRICE_LIST", str(tmp_path / "prices.json"))
    yield
    own.use(Book())
    catalog.adopt(None)


def cost(provider: str = "openai", model: str = "gpt-4o", at: datetime = NOW, **more: Any) -> Any:
    return cost_of(provider, model, at, Counts(1_000, 1_000, **more))


def test_a_price_of_ones_own_goes_before_the_list_while_it_holds() -> None:
    listed = cost()
    mine = OwnPrice(
        "OpenAI",
        "gpt-4o",
        (("i", D(1)), ("o", D(2)), ("r", D("0.1"))),
        None,
        NOW,
        NOW + timedelta(days=1),
        "contract 4711",
    )
    own.use(Book([mine]))
    found = cost()
    assert (found.input, found.output, found.total) == (D("0.001"), D("0.002"), D("0.003"))
    assert found.version == "own: contract 4711, from 2026-11-20"
    assert cost(cache_read=500).input == D("0.00055")
    assert cost(at=NOW - timedelta(seconds=1)) == cost(at=NOW + timedelta(days=1)) == listed
    assert cost(model="gpt-4o-mini").version == listed.version


def test_it_is_of_the_name_that_the_request_has() -> None:
    own.use(
        Book([OwnPrice("openai", "gpt-4o", (("i", D(1)), ("o", D(2)))), OwnPrice("azure", "house", discount=D(50))])
    )
    counts = {"prompt_tokens": 1000, "completion_tokens": 1000, "usage_source": "provider", "status": "ok"}
    named = {"model": "gpt-4o", "response_model": "gpt-4o-2024-08-06", "call_id": "1", "started_at": NOW.timestamp()}
    assert entry({**counts, **named, "provider": "openai"}, row_of)["total_cost"] == D("0.003")
    listed = cost("azure", "gpt-4o-2024-08-06").total
    row = entry({**counts, **named, "provider": "azure", "model": "house"}, row_of)
    assert row["total_cost"] == listed / 2


def test_a_discount_is_off_the_list_price_and_says_so() -> None:
    listed = cost()
    own.use(Book([OwnPrice("openai", "*", discount=D("12.5"), source="contract")]))
    found = cost()
    assert found.total == listed.total * D("0.875")
    assert found.version == f"{listed.version} less 12.5 % (own: contract)"
    assert not found.approximate
    assert cost("anthropic", "claude-sonnet-4-5").version == listed.version


def test_a_name_goes_before_a_glob_and_the_younger_before_the_older() -> None:
    def flat(model: str, price: int, since: datetime | None = None) -> OwnPrice:
        return OwnPrice("openai", model, (("i", D(price)), ("o", D(price))), since=since)

    own.use(Book([flat("gpt-4o", 1), flat("gpt-*", 2, NOW), flat("*", 3, NOW)]))
    assert (cost().total, cost(model="gpt-9").total, cost(model="o9").total) == (D("0.002"), D("0.004"), D("0.006"))
    own.use(Book([flat("gpt-4o", 5, NOW), flat("gpt-4o", 1)]))
    assert cost().total == D("0.010")
    own.use(Book([flat("house-model", 1)]))
    assert cost(model="openai/house-model").total == D("0.002")
    own.use(Book([OwnPrice("acme", "large", (("i", D(1)), ("o", D(1))))]))
    assert cost("acme", "large").total == D("0.002")


def test_rows_are_priced_by_the_configuration_and_by_the_database(settings: UsageSettings, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[[tool.llmguard.prices]]\nprovider = "acme"\nmodel = "small"\ninput = 1\noutput = 2\n'
        '[[tool.llmguard.prices]]\nprovider = "openai"\ndiscount = "10%"\nfrom = 2026-01-01\n'
    )
    given = settings._replace(project_root=str(project))
    ledger = Ledger.open(given)
    set_price(ledger.engine, OwnPrice("acme", "large", (("i", D(3)), ("o", D(4))), since=NOW, source="contract"))
    ledger.close()
    mine = Recorder(given)
    before = recorder.replace(mine)
    try:

        async def calls() -> None:
            for provider, model in (("acme", "small"), ("acme", "large"), ("openai", "gpt-4o")):
                await llm_usage_tracker.log_llm_call(
                    "u", model, prompt_tokens=1000, completion_tokens=1000, provider=provider
                )

        asyncio.run(calls())
        rows = rows_of(mine)
    finally:
        recorder.replace(before)
        mine.close(5)
    assert [row["total_cost"] for row in rows] == [D("0.003"), D("0.007"), D("0.01125")]
    assert [row["price_version"] for row in rows][:2] == ["own: configuration", "own: contract, from 2026-11-20"]


def test_a_price_that_is_set_ends_the_one_before(settings: UsageSettings) -> None:
    ledger = Ledger.open(settings)
    assert set_price(ledger.engine, OwnPrice("openai", "gpt-4o", discount=D(10), since=NOW)) == 0
    assert set_price(ledger.engine, OwnPrice("openai", "gpt-4o", discount=D(20), since=NOW + timedelta(days=9))) == 1
    book = Book(own_prices(ledger.engine))
    days = [book.find("openai", "gpt-4o", NOW + timedelta(days=each)) for each in (-1, 1, 9)]
    assert [None if each is None else each.discount for each in days] == [None, D(10), D(20)]
    assert end_price(ledger.engine, "openai", "gpt-4o", NOW + timedelta(days=20)) == 1
    assert Book(own_prices(ledger.engine)).find("openai", "gpt-4o", NOW + timedelta(days=21)) is None
    ledger.close()


def test_default_pricing_is_shown_and_prices_nothing(settings: UsageSettings) -> None:
    mine = Recorder(settings)
    before = recorder.replace(mine)
    try:
        first = asyncio.run(llm_usage_tracker.initialize_default_pricing())
        again = asyncio.run(llm_usage_tracker.initialize_default_pricing())
    finally:
        recorder.replace(before)
        mine.close(5)
    ledger = Ledger.open(settings)
    with ledger.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT input_cost_per_1k_tokens FROM llm_model_pricing WHERE model_name = 'gpt-4o'")
        ).scalars()
        assert [D(str(each)) for each in rows] == [D("0.0025")]
    assert first > 100
    assert again == 0
    assert own_prices(ledger.engine) == []
    ledger.close()


def document(**changes: Any) -> str:
    return json.dumps({**json.loads(SNAPSHOT), **changes})


def test_prices_follow_the_names_of_a_list_that_is_adopted_later() -> None:
    document = catalog.parsed(SNAPSHOT)
    document["aliases"]["acme"] = "openai"
    own.use(Book([OwnPrice("acme", "gpt-4o", rates=(("i", D(7)), ("o", D(7))))]))
    assert not cost().version.startswith("own")
    catalog.adopt(catalog.Catalog(document))
    try:
        assert cost().version.startswith("own")
    finally:
        catalog.adopt(None)
    assert not cost().version.startswith("own")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Expecting value"),
        ("[]", "it is no JSON object"),
        ("{}", "date is missing"),
        (document(format=2), "its format is 2, not 1"),
        (document(providers={"openai": {}}), "the provider openai has no models"),
        (document(providers={"openai": {"models": {"gpt": None}}}), "openai/gpt has no prices"),
        (
            document(providers={"openai": {"models": {"gpt": {"i": "x", "o": 1}}}}),
            "openai/gpt has a price that is none: 'x'",
        ),
        (document(providers={"openai": {"models": {"gpt": {"i": -1, "o": 1}}}}), "openai/gpt has a price that is none"),
        (
            document(providers={"openai": {"models": {"gpt": {"i": None, "o": 1}}}}),
            "openai/gpt has a price that is none",
        ),
        (
            document(providers={"openai": {"models": {"gpt": {"i": [1, [5]], "o": 1}}}}),
            "openai/gpt has a price that is none",
        ),
        (
            document(providers={"openai": {"models": {"gpt": {"p": [["", None], 3]}}}}),
            "openai/gpt has a price that is none",
        ),
        ("[" * 100_000, "is no price list of llmguard"),
        *(
            (document(**{name: value}), "is no price list of llmguard")
            for name, value in (
                ("providers", {"acme": {"models": {"m": {"p": []}}}}),
                ("providers", {"acme": {"models": {"m": {"m": ["~("], "p": {"i": 1, "o": 1}}}}}),
                ("providers", {"acme": {"models": {"m": {"m": 5, "p": {"i": 1, "o": 1}}}}}),
                ("providers", {"acme": {"models": {"m": {"p": {"i": 1, "o": 1}, "v": 5}}}}),
                ("providers", {"acme": {"models": {"m": {"i": 1e30, "o": 1}}}}),
                ("providers", {}),
                ("providers", {"acme": {"models": {"m": {"p": {"i": 1}, "v": [[{"speed": "x"}, "", {"i": -1}]]}}}}),
                ("providers", {"acme": {"models": {"m": {"p": [["", {"i": 1}], ["2027-13-01", {"i": 2}]]}}}}),
                ("providers", {"acme": {"models": {"m": {"p": [["", {"i": 1}], ["2027-01-01", {"i": 1e20}]]}}}}),
                ("providers", {"acme": {"models": {"a": {"i": 1}, "m": {"m": ["=m", "~("], "p": {"i": 1}}}}}),
                ("providers", {"acme": {"names": ["~("], "models": {"m": {"i": 1, "o": 1}}}}),
                ("aliases", {"openai": "nope"}),
                ("batch", {"openai": "-3"}),
                ("aliases", {"openai": ["x"]}),
            )
        ),
    ],
)
def test_a_list_with_holes_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(PriceListError) as raised:
        read_list(text, "prices.json")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_adopted_list_counts_and_a_broken_one_does_not(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    changed = json.loads(SNAPSHOT)
    changed["date"] = "2027-01-01"
    changed["providers"]["openai"]["models"] = {"gpt-4o": {"i": 100, "o": 100}}
    path.write_text(json.dumps(changed))
    assert use_adopted_list() == ""
    assert cost().total == D("0.2")
    assert in_force().version.endswith("2027-01-01")
    path.write_text("{")
    assert "is no price list of llmguard" in use_adopted_list()
    assert refresh(UsageSettings("sqlite:///x"), None)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('model = "x"', r"prices\[1\].provider: is missing"),
        ('provider = "x"', "needs either prices"),
        ('provider = "x"\ninput = 1\ndiscount = 3', "needs either prices"),
        ('provider = "x"\noutput = 1', r"prices\[1\].input: is missing"),
        ('provider = "x"\ninput = 1', r"prices\[1\].output: is missing"),
        ('provider = "x"\ninput = "nan"', r"prices\[1\].input: must be a number"),
        ('provider = "x"\ndiscount = 101', r"prices\[1\].discount: must be a number from 0 to 100"),
        ('provider = "x"\ninput = true', r"prices\[1\].input: must be a number"),
        ('provider = "x"\ninput = 1\noutput = 1\nfrom = "soon"', r"prices\[1\].from: must be a day"),
        ('provider = "x"\ninput = 1\noutput = 1\nfrom = 2026-11-01T12:00:00', r"prices\[1\].from: must be a day"),
        (
            'provider = "x"\ninput = 1\noutput = 1\nfrom = 2026-01-02\nto = 2026-01-01',
            r"prices\[1\].to: 2026-01-01 is not after",
        ),
        ('provider = "x"\nprice = 1', r"prices\[1\].price: unknown key"),
    ],
)
def test_a_row_of_the_configuration_that_is_of_no_use_is_named(row: str, said: str, tmp_path: Path) -> None:
    from llmguard.config.files import settings_of

    path = tmp_path / "pyproject.toml"
    path.write_text(f"[[tool.llmguard.prices]]\n{row}\n")
    with pytest.raises(ConfigError, match=said):
        settings_of(str(path))


# -- pricing anew -----------------------------------------------------------------------------------------------------


def write(ledger: Ledger, number: int, **fields: Any) -> None:
    rows = [
        entry(
            {
                "call_id": call_id(),
                "started_at": (NOW + timedelta(minutes=each)).timestamp(),
                "status": "ok",
                "provider": "acme",
                "model": "large",
                "prompt_tokens": 1000,
                "completion_tokens": 1000,
                "usage_source": "provider",
                **fields,
            },
            row_of,
        )
        for each in range(number)
    ]
    ledger.write(rows)


def test_calls_are_priced_anew_and_what_they_cost_is_kept(
    settings: UsageSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmguard.usage.store.reprice._PIECE", 70)
    ledger = Ledger.open(settings)
    write(ledger, 150)
    write(ledger, 1, provider="openai", model="gpt-4o")
    write(ledger, 1, given_cost=0.5)
    with ledger.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO llm_usage_logs (user_id, model, prompt_tokens, completion_tokens, metadata) "
                "VALUES ('u', 'gpt-4o', 1000, 1000, '{\"provider\": \"openai\"}')"
            )
        )
    assert reprice(ledger.engine, Period()) == (151, 1, 150, 0, D(0), D("0.0125"))
    own.use(Book([OwnPrice("acme", "large", (("i", D(1)), ("o", D(1))))]))
    planned = reprice(ledger.engine, Period(), dry_run=True)
    assert planned[:3] == (150, 150, 0)
    assert reprice(ledger.engine, Period()) == planned
    own.use(Book([OwnPrice("acme", "large", (("i", D(2)), ("o", D(2)))), OwnPrice("openai", "*", discount=D(10))]))
    assert reprice(ledger.engine, Period()).changed == 0
    done = reprice(ledger.engine, Period(NOW + timedelta(minutes=100)), every=True)
    assert done[:4] == (50 + 1, 50 + 1, 0, 0)
    assert (done.before, done.after) == (50 * D("0.002") + D("0.0125"), 50 * D("0.004") + D("0.01125"))
    with ledger.engine.connect() as connection:
        kept = connection.execute(text("SELECT count(*) FROM llm_usage_repricings")).scalar_one()
    assert kept == 51
    assert differences(ledger.engine) == []
    given = [row for row in newest(ledger.engine, Period(), {}, 5000) if row["price_status"] == "given"]
    assert [row["total_cost"] for row in given] == [D("0.5")]
    ledger.close()


def test_what_only_a_price_depends_on_is_there_when_it_is_made_anew(settings: UsageSettings) -> None:
    ledger = Ledger.open(settings)
    facts = {"cache_write_tokens": 800, "cache_write_1h_tokens": 500, "inference_geo": "us", "service_tier": "batch"}
    write(ledger, 1, provider="anthropic", model="claude-sonnet-4-5", **facts)
    parts = [{"prompt_tokens": 500, "completion_tokens": 500}] * 2
    write(ledger, 1, provider="openai", model="gpt-4o", parts=parts)
    before = [row["total_cost"] for row in newest(ledger.engine, Period(), {}, 10)]
    assert reprice(ledger.engine, Period(), every=True) == (2, 0, 0, 1, 0, 0)
    assert [row["total_cost"] for row in newest(ledger.engine, Period(), {}, 10)] == before
    ledger.close()
