"""Databases of older trackers that somebody has changed, and what else may lie there."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url, text

from llmguard.errors import LLMGuardError
from llmguard.usage.store import schema
from llmguard.usage.store.engine import connect
from llmguard.usage.store.rollup import differences
from tests.usage.older.conftest import fill, script
from tests.usage.older.test_adoption import rows


@pytest.mark.parametrize(
    ("there", "name"),
    [
        ("CREATE TABLE llm_usage_daily_summary (n integer)", "llm_usage_daily_summary"),
        ("CREATE TABLE other (user_id text); CREATE INDEX idx_llm_usage_user_id ON other (user_id)", "idx_llm_usage"),
        ("CREATE VIEW llm_usage_hourly AS SELECT 1 AS n", "llm_usage_hourly"),
    ],
)
@pytest.mark.parametrize("which", ["", "groq"])
def test_what_is_in_the_way_is_named_and_nothing_moves(
    which: str, there: str, name: str, database: Callable[..., Engine]
) -> None:
    engine = database()
    if which:
        fill(engine, which, 9)
    script(engine, there)
    for attempt in (schema.upgrade, schema.planned):
        with pytest.raises(LLMGuardError, match=rf"{name}.*in the way"):
            attempt(engine)
    assert rows(engine, "SELECT to_regclass('llm_usage_logs')") == [(None,)]


@pytest.mark.parametrize(
    "there",
    [
        "CREATE TABLE llm_usage_daily_summary (n integer)",
        "CREATE TABLE other (n integer); CREATE INDEX idx_llm_usage_model ON other (n)",
    ],
)
def test_what_is_in_the_way_in_sqlite(there: str, tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path}/usage.db")
    for each in there.split(";"):
        script(engine, each)
    with pytest.raises(LLMGuardError, match="in the way"):
        schema.upgrade(engine)


def test_a_role_that_may_not_is_told_what_to_grant(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "groq", 9)
    role = engine.url.database
    script(engine, f'CREATE ROLE "{role}" LOGIN')
    try:
        mine = connect(make_url(engine.url).set(username=role).render_as_string(hide_password=False))
        with pytest.raises(LLMGuardError, match=r"GRANT CREATE ON DATABASE .* own groq_usage_logs"):
            schema.upgrade(mine)
        mine.dispose()
        assert rows(engine, "SELECT count(*) FROM groq_usage_logs") == [(9,)]
    finally:
        script(engine, f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')


def test_views_over_the_daily_sums_are_named(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "groq", 9)
    script(engine, "CREATE VIEW monthly_bill AS SELECT sum(total_tokens) FROM groq_usage_daily_summary")
    notes = schema.upgrade(engine).notes
    assert any("monthly_bill" in note for note in notes), notes


def test_limits_of_other_shapes_come(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "groq", 9)
    script(
        engine,
        "UPDATE groq_rate_limits SET limit_value = 77 WHERE limit_type = 'minute' AND user_id = "
        "(SELECT user_id FROM groq_rate_limits ORDER BY user_id LIMIT 1);"
        "ALTER TABLE groq_rate_limits DROP COLUMN current_count, DROP COLUMN reset_at;"
        "CREATE TABLE llm_rate_limits (user_id text NOT NULL, limit_type text NOT NULL, limit_value bigint NOT NULL);"
        "INSERT INTO llm_rate_limits VALUES ('7', 'minute', 99), ('7', 'minute', 99), ('7', 'day', 5);",
    )
    schema.upgrade(engine)
    found = rows(engine, "SELECT limit_type, CAST(limit_value AS integer) FROM llm_rate_limits ORDER BY 2")
    assert found == [("day", 5), ("minute", 77), ("minute", 99), ("minute", 200)]


def test_metadata_that_were_a_text_stay_that_text(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "groq", 9)
    script(engine, "ALTER TABLE groq_usage_logs ALTER COLUMN metadata TYPE text USING metadata::text")
    script(engine, "UPDATE groq_usage_logs SET metadata = 'by hand' WHERE metadata IS NULL")
    statement = "SELECT id, metadata FROM groq_usage_logs ORDER BY id"
    before = rows(engine, statement)
    schema.upgrade(engine)
    assert rows(engine, statement) == before
    script(
        engine,
        """INSERT INTO groq_usage_logs (user_id, metadata) SELECT user_id, '{"a": 1}' FROM
                      groq_usage_logs LIMIT 1""",
    )
    assert rows(engine, "SELECT count(*) FROM groq_usage_logs WHERE metadata = '{\"a\": 1}'") == [(1,)]


def test_costs_in_another_currency_are_shown_and_not_added_up(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "migration", 20)
    script(engine, "UPDATE migration.llm_usage_logs SET cost_currency = 'EUR' WHERE user_id = 3")
    statement = "SELECT id, input_cost, output_cost, total_cost, cost_currency FROM migration.llm_usage_logs ORDER BY 1"
    before = rows(engine, statement)
    dollars = sum(row[3] or 0 for row in before if row[4] == "USD")
    schema.upgrade(engine)
    assert rows(engine, statement) == before
    assert rows(engine, "SELECT sum(total_cost) FROM llm_usage_hourly") == [(dollars,)]
    assert differences(engine) == []


def test_prices_and_limits_that_were_set_since_go_back(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "migration", 9)
    fill(engine, "llm", 9)
    schema.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO migration.llm_model_pricing (provider, model_name, input_cost_per_1k_tokens, "
                "output_cost_per_1k_tokens) VALUES ('openai', 'mine', 0.5, 0.6)"
            )
        )
        connection.execute(
            text("UPDATE llm_model_pricing SET effective_to = '2030-01-01 00:00:00+00' WHERE model_name = 'gpt-4'")
        )
        connection.execute(text("UPDATE llm_rate_limits SET limit_value = 321 WHERE limit_value = 200"))
        connection.execute(text("UPDATE llm_rate_limit_configs SET limit_value = 31 WHERE limit_type = 'minute'"))
    schema.downgrade(engine, "", "base")
    found = rows(
        engine,
        "SELECT model_name, input_cost_per_1k_tokens, effective_to IS NOT NULL FROM migration.llm_model_pricing "
        "ORDER BY 1",
    )
    assert found == [
        ("gpt-4", Decimal("0.03"), True),
        ("mine", Decimal("0.5"), False),
        ("model-1", Decimal("0.00007"), False),
    ]
    assert rows(engine, "SELECT count(*) FROM llm_rate_limits WHERE limit_value = 321") == [(1,)]
    assert rows(engine, "SELECT limit_value FROM llm_rate_limit_configs WHERE limit_type = 'minute'") == [(31,)]
