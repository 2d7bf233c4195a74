"""Databases of older trackers that somebody has changed, and what else may lie there."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from llmguard.errors import LLMGuardError
from llmguard.usage.store import schema
from llmguard.usage.store.engine import connect
from llmguard.usage.store.older.adopt import split
from llmguard.usage.store.older.mapping import quoted
from llmguard.usage.store.rollup import differences
from llmguard.usage.store.upkeep import erase, found_of
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


def one(engine: Engine, statement: str) -> object:
    return rows(engine, statement)[0][0]


def test_what_was_changed_and_deleted_since_is_so_after_a_downgrade(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "groq", 60)
    schema.upgrade(engine)
    gone = one(engine, "SELECT count(*) FROM groq_usage_logs WHERE model = 'model-1'")
    script(engine, "DELETE FROM groq_usage_logs WHERE model = 'model-1'")
    script(engine, "UPDATE groq_usage_logs SET tokens_used = 999999 WHERE model = 'model-2'")
    before = rows(engine, "SELECT * FROM groq_usage_logs ORDER BY id")
    assert schema.downgrade(engine, "", "base") == 0
    assert rows(engine, "SELECT * FROM groq_usage_logs ORDER BY id") == before
    assert len(before) == 60 - int(str(gone))


def test_costs_that_were_filled_in_since_go_back(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "migration", 40)
    schema.upgrade(engine)
    script(engine, "UPDATE migration.llm_usage_logs SET total_cost = 0.5 WHERE total_cost IS NULL")
    before = rows(engine, "SELECT id, total_cost FROM migration.llm_usage_logs ORDER BY id")
    schema.downgrade(engine, "", "base")
    assert rows(engine, "SELECT id, total_cost FROM migration.llm_usage_logs ORDER BY id") == before


def test_each_family_gets_its_own_calls_back(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "llm", 9)
    fill(engine, "migration", 9)
    schema.upgrade(engine)
    user = one(engine, "SELECT CAST(id AS text) FROM users LIMIT 1")
    script(engine, f"INSERT INTO llm_usage_logs (user_id, model, tokens_used) VALUES ('{user}', 'first', 7)")
    script(
        engine,
        "INSERT INTO migration.llm_usage_logs (llm_provider, model_name, user_id) "
        "VALUES ('deepinfra', 'second', -5), ('deepinfra', 'second', 2000000000)",
    )
    assert rows(engine, "SELECT user_id FROM migration.llm_usage_logs WHERE model_name = 'second' ORDER BY 1") == [
        (-5,),
        (2_000_000_000,),
    ]
    assert schema.downgrade(engine, "", "base") == 3
    assert one(engine, f"SELECT count(*) FROM llm_usage_logs WHERE user_id = '{user}' AND model = 'first'") == 1
    assert one(engine, "SELECT sum(user_id) FROM migration.llm_usage_logs WHERE model_name = 'second'") == 1_999_999_995


@pytest.mark.parametrize(
    ("which", "statement", "said"),
    [
        ("migration", "INSERT INTO llm_usage_logs (user_id, model, provider) VALUES ('anna', 'm', 'p')", "1 calls"),
        ("migration", "INSERT INTO llm_stops (id, created_at) VALUES ('x', now())", "1 stops"),
        (
            "llm",
            "INSERT INTO llm_model_pricing (id, provider, model_name, discount_percent, currency, effective_from, "
            "is_active, created_at, updated_at) VALUES ('x', 'p', 'm', 5, 'USD', now(), true, now(), now())",
            "1 prices of your own",
        ),
        (
            "migration",
            "UPDATE llm_model_pricing SET input_cost_per_1k_tokens = 0.0000004 WHERE model_name = 'gpt-4'",
            "1 prices of your own",
        ),
        (
            "migration",
            "UPDATE llm_model_pricing SET input_cost_per_1k_tokens = 20000 WHERE model_name = 'gpt-4'",
            "1 prices of your own",
        ),
        (
            "llm",
            "INSERT INTO llm_rate_limits (user_id, limit_type, limit_value, kind) VALUES ('x', 'day', 5, 'tokens')",
            "1 limits",
        ),
        ("groq", "CREATE VIEW rep AS SELECT count(*) FROM groq_usage_logs", "views read what would go: drop rep first"),
    ],
)
def test_what_would_be_lost_stops_a_downgrade(
    which: str, statement: str, said: str, database: Callable[..., Engine]
) -> None:
    engine = database()
    fill(engine, which, 9)
    schema.upgrade(engine)
    script(engine, statement)
    with pytest.raises(LLMGuardError, match=said):
        schema.downgrade(engine, "", "base")
    assert one(engine, "SELECT count(*) FROM llm_usage_hourly") is not None
    if which != "groq":
        schema.downgrade(engine, "", "base", without_new=True)


def test_limits_that_were_removed_stay_removed(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "llm", 9)
    schema.upgrade(engine)
    script(engine, "DELETE FROM llm_rate_limits")
    schema.downgrade(engine, "", "base")
    assert one(engine, "SELECT count(*) FROM llm_rate_limits WHERE limit_value = 200") == 0
    assert one(engine, "SELECT count(*) FROM llm_rate_limits") == 49


@pytest.mark.parametrize(
    ("which", "change", "said"),
    [
        (
            "groq",
            "ALTER TABLE groq_usage_logs ALTER created_at TYPE text",
            "public.groq_usage_logs cannot be taken over as it is",
        ),
        (
            "migration",
            "ALTER TABLE migration.llm_usage_logs ALTER success DROP DEFAULT, ALTER success TYPE integer USING 1",
            "migration.llm_usage_logs cannot be taken over as it is",
        ),
        (
            "",
            "CREATE FUNCTION refresh_llm_usage_summary() RETURNS void LANGUAGE sql AS ''",
            "refresh_llm_usage_summary is function, and in the way",
        ),
    ],
)
def test_what_cannot_be_held_is_known_before_anything_moves(
    which: str, change: str, said: str, database: Callable[..., Engine]
) -> None:
    engine = database()
    if which:
        fill(engine, which, 9)
    if which == "groq":
        script(engine, "DROP MATERIALIZED VIEW groq_usage_daily_summary")
    script(engine, change)
    there = rows(engine, "SELECT relname FROM pg_class ORDER BY 1")
    with pytest.raises(LLMGuardError, match=said) as raised:
        schema.upgrade(engine)
    assert "\n" not in str(raised.value)
    assert rows(engine, "SELECT relname FROM pg_class ORDER BY 1") == there


def test_odd_values_do_not_stop_it(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "migration", 20)
    script(
        engine,
        "ALTER TABLE migration.llm_usage_logs ALTER total_cost TYPE double precision, "
        "ALTER cost_currency TYPE varchar(10);"
        "UPDATE migration.llm_usage_logs SET total_cost = 'Infinity' WHERE user_id = 1;"
        "UPDATE migration.llm_usage_logs SET cost_currency = 'DOLLAR' WHERE user_id = 2;"
        "UPDATE migration.llm_usage_logs SET cost_currency = 'usd' WHERE user_id = 3;"
        "UPDATE migration.llm_usage_logs SET created_at = 'infinity' WHERE user_id = 5",
    )
    schema.upgrade(engine)
    assert one(engine, "SELECT count(*) FROM llm_usage_logs") == 20
    assert one(engine, "SELECT count(*) FROM llm_usage_logs WHERE user_id = '3' AND total_cost > 0") == 1
    assert differences(engine) == []


def test_hidden_rows_stop_it(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "groq", 9)
    role = str(engine.url.database)
    script(
        engine,
        f'CREATE ROLE "{role}" LOGIN; ALTER DATABASE "{role}" OWNER TO "{role}"; ALTER SCHEMA public OWNER TO "{role}";'
        f'ALTER TABLE groq_usage_logs OWNER TO "{role}"; ALTER TABLE users OWNER TO "{role}";'
        f'ALTER TABLE groq_rate_limits OWNER TO "{role}"; ALTER TABLE groq_rate_limit_configs OWNER TO "{role}";'
        f'ALTER MATERIALIZED VIEW groq_usage_daily_summary OWNER TO "{role}";'
        f'ALTER FUNCTION refresh_groq_usage_summary() OWNER TO "{role}";'
        "ALTER TABLE groq_usage_logs ENABLE ROW LEVEL SECURITY; ALTER TABLE groq_usage_logs FORCE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON groq_usage_logs USING (user_id::text = current_setting('app.user', true))",
    )
    mine = connect(make_url(engine.url).set(username=role).render_as_string(hide_password=False))
    try:
        with pytest.raises(LLMGuardError, match=r"BYPASSRLS, for policies hide rows of public.groq_usage_logs"):
            schema.upgrade(mine)
    finally:
        mine.dispose()
        script(
            engine,
            f'ALTER DATABASE "{role}" OWNER TO postgres; REASSIGN OWNED BY "{role}" TO postgres; DROP ROLE "{role}"',
        )


def test_a_plan_that_is_run_runs_nothing_of_others(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "groq", 9)
    script(engine, 'CREATE VIEW "x\nDROP TABLE victim; --" AS SELECT count(*) FROM groq_usage_logs')
    comments = [line for line in schema.planned(engine) if line.startswith("--")]
    assert any("victim" in line for line in comments)
    assert not any("\n" in line for line in comments)


def test_places_with_quotes_and_backslashes_are_read_as_they_were_written() -> None:
    assert split(quoted('a"b\\c') + "." + quoted("t")) == ('a"b\\c', "t")
    assert split(quoted('x".".y')) == ("", 'x".".y')


def test_a_currency_that_changes_changes_the_sums(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "migration", 20)
    script(engine, "UPDATE migration.llm_usage_logs SET cost_currency = 'EUR', total_cost = 1.5 WHERE user_id = 3")
    schema.upgrade(engine)
    script(engine, "UPDATE migration.llm_usage_logs SET cost_currency = 'USD' WHERE user_id = 3")
    assert one(engine, "SELECT total_cost FROM llm_usage_logs WHERE user_id = '3'") == Decimal("1.5")
    assert differences(engine) == []
    for change in ("cost_currency = 'EUR'", "cost_currency = 'EUR', total_cost = 2"):
        with pytest.raises(SQLAlchemyError, match="the ledger holds dollars: a cost in EUR cannot be written"):
            script(engine, f"UPDATE migration.llm_usage_logs SET {change} WHERE user_id = 4")


def test_texts_of_metadata_still_tell_the_provider(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "llm", 12)
    script(engine, "ALTER TABLE llm_usage_logs ALTER COLUMN metadata TYPE text USING metadata::text")
    told = one(engine, "SELECT count(*) FROM llm_usage_logs WHERE metadata LIKE '%provider%'")
    schema.upgrade(engine)
    assert one(engine, "SELECT count(provider) FROM llm_usage_logs") == told


def test_sums_of_periods_can_be_written(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "migration", 9)
    schema.upgrade(engine)
    script(
        engine,
        "INSERT INTO migration.llm_usage_summary (period_type, period_start, period_end, total_requests) "
        "VALUES ('weekly', '2020-01-06', '2020-01-13', 5)",
    )
    script(engine, "UPDATE migration.llm_usage_summary SET total_requests = 6 WHERE period_start = '2020-01-06'")
    statement = "SELECT total_requests FROM migration.llm_usage_summary WHERE period_start = '2020-01-06'"
    assert rows(engine, statement) == [(6,)]
    schema.downgrade(engine, "", "base")
    assert rows(engine, statement) == [(6,)]


def test_the_schema_that_was_set_aside_can_go(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "migration", 9)
    schema.upgrade(engine)
    script(engine, "DROP SCHEMA migration_before_llmguard CASCADE")
    assert one(engine, "SELECT count(*) FROM migration.llm_usage_logs") == 9
    assert schema.upgrade(engine) == ((), ())


def test_roles_write_through_the_view_into_a_ledger_of_another_schema(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "migration", 9)
    role = str(engine.url.database)
    script(
        engine,
        f'CREATE ROLE "{role}" LOGIN; GRANT USAGE ON SCHEMA migration TO "{role}"; '
        f'GRANT SELECT, UPDATE, DELETE ON migration.llm_usage_logs TO "{role}"',
    )
    url = engine.url.render_as_string(hide_password=False)
    inside = connect(url, "llmguard")
    mine = connect(make_url(url).set(username=role).render_as_string(hide_password=False))
    try:
        schema.upgrade(inside, "llmguard")
        script(mine, "UPDATE migration.llm_usage_logs SET total_tokens = 5 WHERE user_id = 3")
        script(mine, "DELETE FROM migration.llm_usage_logs WHERE user_id = 4")
        assert differences(inside) == []
    finally:
        inside.dispose()
        mine.dispose()
        script(engine, f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')


def test_an_upgrade_to_a_number_takes_over_too(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "llm", 9)
    with pytest.raises(LLMGuardError, match="only an upgrade to the newest revision takes over"):
        schema.upgrade(engine, revision="0002")
    assert schema.upgrade(engine, revision=schema.HEAD).tables


def test_who_is_erased_is_gone_from_the_tables_that_were_set_aside_too(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "groq", 60)
    schema.upgrade(engine)
    user = str(one(engine, "SELECT CAST(user_id AS text) FROM groq_usage_logs LIMIT 1"))
    aside = f"SELECT count(*) FROM public_before_llmguard.groq_usage_logs WHERE user_id = '{user}'"
    assert found_of(engine, user).set_aside == int(str(one(engine, aside))) + 1  # a limit
    assert erase(engine, user).calls
    assert one(engine, aside) == 0
    schema.downgrade(engine, "", "base")
    assert one(engine, f"SELECT count(*) FROM groq_usage_logs WHERE user_id = '{user}'") == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "CREATE TABLE groq_usage_logs (id CHAR(36) NOT NULL PRIMARY KEY, user_id UUID, {more}) WITHOUT ROWID",
            "rowid",
        ),
        (
            "CREATE TABLE groq_usage_logs (id, user_id, {more}); INSERT INTO groq_usage_logs (id) VALUES (x'00ff')",
            "text",
        ),
        (
            "CREATE TABLE groq_usage_logs (id TEXT, user_id TEXT, {more}); "
            "INSERT INTO groq_usage_logs (id, metadata) VALUES ('1', x'00ff')",
            "JSON",
        ),
    ],
)
def test_odd_copies_in_sqlite_are_left_alone(change: str, said: str, tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path}/usage.db")
    more = "model TEXT, tokens_used INTEGER, metadata, created_at TEXT"
    for each in change.format(more=more).split(";"):
        script(engine, each)
    with pytest.raises(LLMGuardError, match=f"groq_usage_logs.*{said}"):
        schema.upgrade(engine)
    assert rows(engine, "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'") == [("groq_usage_logs",)]


def test_limits_in_sqlite_go_back_whatever_their_types(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path}/usage.db")
    for each in (
        "CREATE TABLE llm_rate_limits (id CHAR(36) NOT NULL PRIMARY KEY, user_id uuid, limit_type, limit_value INT)",
        "INSERT INTO llm_rate_limits VALUES ('1', '550e8400-e29b-41d4-a716-446655440000', 'day', 5)",
    ):
        script(engine, each)
    schema.upgrade(engine)
    new = "650e8400-e29b-41d4-a716-446655440000"
    script(engine, f"INSERT INTO llm_rate_limits (user_id, limit_type, limit_value) VALUES ('{new}', 'day', 55)")
    schema.downgrade(engine, "", "base")
    found = rows(engine, "SELECT user_id, limit_value FROM llm_rate_limits ORDER BY limit_value")
    assert found == [("550e8400-e29b-41d4-a716-446655440000", 5), (new, 55)]
