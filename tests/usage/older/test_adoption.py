"""A ledger takes over what an older tracker has left, and can give it back."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from llmguard.errors import LLMGuardError
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store import schema
from llmguard.usage.store.engine import connect
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.limits import load
from llmguard.usage.store.rollup import differences
from llmguard.usage.store.script import script as make_script
from tests.usage.older.conftest import fill, script

HERE = Path(__file__).parent
WHICH = ("groq", "llm", "option-1", "renamed", "migration")
#: Where the calls were.
PLACES = {"groq": "groq_usage_logs", **dict.fromkeys(("llm", "option-1", "renamed"), "llm_usage_logs")}
DAILY = {name: place.replace("logs", "daily_summary") for name, place in PLACES.items()}


def rows(engine: Engine, statement: str, **values: Any) -> list[Any]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement), values).all()]


def relations(engine: Engine) -> list[Any]:
    """Everything that a database holds beside its system's."""
    return rows(
        engine,
        "SELECT n.nspname, c.relname, c.relkind::text, c.relrowsecurity FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^(pg_|information_schema)' UNION ALL "
        "SELECT n.nspname, p.proname, 'f', false FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
        "WHERE n.nspname !~ '^(pg_|information_schema)' ORDER BY 1, 2, 3",
    )


def contents(engine: Engine, which: str) -> dict[str, list[Any]]:
    """All rows and sums, as the tracker's own statements read them."""
    if which == "migration":
        return {
            name: rows(engine, f"SELECT {columns} FROM migration.{name} ORDER BY id")
            for name, columns in (
                ("llm_usage_logs", _REPORT_COLUMNS),
                ("llm_model_pricing", "id, provider, model_name, input_cost_per_1k_tokens, is_active, effective_from"),
            )
        }
    columns = (
        "id, user_id, endpoint, model, status_code, tokens_used, prompt_tokens, completion_tokens, duration_ms, "
        "error_message, metadata, created_at"
    )
    if which != "groq":
        columns = columns.replace("id, user_id", "CAST(id AS text) AS id, CAST(user_id AS text)", 1)
    return {
        "calls": rows(engine, f"SELECT {columns} FROM {PLACES[which]} ORDER BY id"),
        "daily": rows(engine, f"SELECT * FROM {DAILY[which]} ORDER BY 1, 2, 3"),
    }


_REPORT_COLUMNS = (
    "id, created_at, client_account_id, engagement_id, user_id, username, page_context, feature_context, llm_provider, "
    "model_name, input_tokens, output_tokens, total_tokens, input_cost, output_cost, total_cost, cost_currency, "
    "response_time_ms, success, error_type, additional_metadata"
)


def takes_over(engine: Engine, which: str, number: int) -> None:
    before = contents(engine, which)
    there = relations(engine)
    adopted = schema.upgrade(engine)
    assert [came for _, _, came in adopted.tables] == [number]
    assert contents(engine, which) == before
    assert differences(engine) == []
    assert schema.upgrade(engine) == ((), ())
    assert rows(engine, "SELECT sum(total_calls) FROM llm_usage_daily_summary") == [(number,)]
    schema.downgrade(engine, "", "base")
    assert relations(engine) == there
    assert contents(engine, which) == before


@pytest.mark.parametrize("which", WHICH)
def test_all_rows_and_sums_come_and_go_back(which: str, database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, which, 3_000)
    takes_over(engine, which, 3_000)


@pytest.mark.full
@pytest.mark.parametrize("which", ["groq", "option-1", "migration"])
def test_a_hundred_thousand_rows(which: str, database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, which, 100_000)
    takes_over(engine, which, 100_000)


@pytest.mark.parametrize("which", WHICH)
def test_the_trackers_own_statements_go_on(which: str, database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, which, 500)
    schema.upgrade(engine)
    name = "other_statements.sql" if which == "migration" else "statements.sql"
    lines = [line for line in (HERE / name).read_text().splitlines() if not line.startswith("--")]
    (user,) = rows(engine, "SELECT user_id FROM llm_usage_logs WHERE user_id IS NOT NULL LIMIT 1")[0]
    for line in lines:
        script(engine, line.replace("{x}", "groq" if which == "groq" else "llm").replace("{user}", user))
    new = rows(engine, "SELECT status FROM llm_usage_logs WHERE created_at > now() - interval '1 hour' ORDER BY status")
    assert new == [("error",), ("ok",)]
    assert differences(engine) == []
    if which == "migration":
        assert rows(engine, "SELECT total_cost FROM llm_usage_logs WHERE id LIKE '11111111%'") == [
            (pytest.approx(0.75),)
        ]
        kept = rows(engine, "SELECT total_requests FROM migration.llm_usage_summary WHERE period_start = '2025-01-01'")
        summed = rows(
            engine,
            "SELECT sum(total_requests) FROM migration.llm_usage_summary WHERE period_type = 'monthly' "
            "AND period_start > '2026-01-01'",
        )
        assert (kept, summed) == ([(12345,)], [(502,)])
        assert rows(engine, "SELECT is_active FROM llm_model_pricing WHERE provider = 'anthropic'") == [(False,)]
    else:
        given = rows(engine, "SELECT provider, service_name FROM llm_usage_logs WHERE service_name = 'drafts'")
        assert given == [("groq", "drafts")]
        assert rows(engine, f"SELECT sum(total_calls) FROM {DAILY[which]}") == [(502,)]
        assert rows(engine, "SELECT count(*) FROM llm_usage_logs WHERE user_id = :u", u=user)[0][0] > 2, (
            "the calls of a user who is gone stay on the books"
        )


@pytest.mark.parametrize("which", ["groq", "llm"])
def test_limits_that_somebody_has_set_come_and_copies_of_the_default_do_not(
    which: str, database: Callable[..., Engine]
) -> None:
    engine = database()
    fill(engine, which, 10)
    script(engine, f"UPDATE {which}_rate_limit_configs SET limit_value = 500 WHERE limit_type = 'day'")
    schema.upgrade(engine)
    found = {(limit.window, int(limit.value), limit.origin) for limit in load(engine).limits}
    assert found == {("minute", 200, "limit"), ("day", 500, "default")}


def test_who_writes_meanwhile_loses_nothing(database: Callable[..., Engine]) -> None:
    """A program of the older tracker runs on while two upgraders take it over."""
    engine = database()
    fill(engine, "groq", 3_000)
    (user,) = rows(engine, "SELECT id FROM users LIMIT 1")[0]
    stop, written, refused = threading.Event(), [0], []

    def write() -> None:
        mine = connect(engine.url.render_as_string(hide_password=False))
        while not stop.is_set():
            try:
                with mine.begin() as connection:
                    connection.execute(
                        text("INSERT INTO groq_usage_logs (user_id, model, tokens_used) VALUES (:user, 'm', 1)"),
                        {"user": user},
                    )
                written[0] += 1
            except SQLAlchemyError as error:
                refused.append(error)
            time.sleep(0.002)
        mine.dispose()

    code = (
        "import sys\nfrom llmguard.usage.store import schema\nfrom llmguard.usage.store.engine import connect\n"
        "schema.upgrade(connect(sys.argv[1]))"
    )
    writer = threading.Thread(target=write)
    writer.start()
    url = engine.url.render_as_string(hide_password=False)
    upgraders = [subprocess.Popen([sys.executable, "-c", code, url], cwd=HERE.parents[2]) for _ in range(2)]
    codes = [each.wait(120) for each in upgraders]
    time.sleep(0.1)
    stop.set()
    writer.join()
    assert (codes, refused) == ([0, 0], [])
    assert rows(engine, "SELECT count(*) FROM llm_usage_logs") == [(3_000 + written[0],)]
    assert differences(engine) == []


KILLED = """
import os, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from llmguard.usage.store import schema
from llmguard.usage.store.engine import connect
from llmguard.usage.store.older import copying
copying.PIECE = 400
left = int(sys.argv[2])
@event.listens_for(Engine, "before_cursor_execute")
def die(*arguments):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), 9)
schema.upgrade(connect(sys.argv[1]))
print("statements", int(sys.argv[2]) - left)
"""


def killed_at(engine: Engine, statement: int) -> str:
    url = engine.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, url, str(statement)], capture_output=True, text=True, cwd=HERE.parents[2]
    )
    assert done.returncode in (0, -9), done.stderr
    return done.stdout


@pytest.mark.full
@pytest.mark.parametrize("which", ["groq", "option-1", "migration"])
def test_killed_at_every_step(which: str, database: Callable[..., Engine]) -> None:
    original = database()
    fill(original, which, 1_000)
    before = contents(original, which)
    found = re.search(r"statements (\d+)", killed_at(database(like=original), 10**6))
    assert found is not None
    last = int(found[1])
    copying = range(last - 20, last + 1, 3)  # and every sixteenth statement of the transaction before it
    for statement in sorted({*range(1, last, 16), *copying}):
        engine = database(like=original)
        assert not killed_at(engine, statement)
        schema.upgrade(engine)
        assert contents(engine, which) == before, statement
        assert differences(engine) == [], statement
        engine.dispose()


@pytest.mark.parametrize("which", WHICH)
def test_the_sql_that_is_printed_does_the_same(which: str, database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, which, 300)
    before, there = contents(engine, which), relations(engine)
    statements = schema.planned(engine)
    assert relations(engine) == there
    copy = database(like=engine)
    with copy.connect() as connection:
        alone = connection.execution_options(isolation_level="AUTOCOMMIT", no_parameters=True)
        alone.exec_driver_sql("".join(f"{each};\n" for each in statements if not each.startswith("--")))
    assert contents(copy, which) == before
    assert differences(copy) == []
    schema.upgrade(engine)
    assert relations(copy) == relations(engine)


def test_row_level_security_and_rights_are_kept(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "groq", 10)
    role = f"reader_{engine.url.database}"
    script(
        engine,
        f"CREATE ROLE {role}; GRANT SELECT ON groq_usage_logs TO {role}; "
        "ALTER TABLE groq_usage_logs ENABLE ROW LEVEL SECURITY; "
        "CREATE POLICY own_rows ON groq_usage_logs FOR SELECT USING (user_id = md5('user1')::uuid)",
    )
    try:
        adopted = schema.upgrade(engine)
        assert any("own_rows" in note for note in adopted.notes)
        for place in ("groq_usage_logs", "llm_usage_logs"):
            with engine.connect() as connection:
                connection.exec_driver_sql(f"SET LOCAL ROLE {role}")
                assert connection.exec_driver_sql(f"SELECT count(*) FROM {place}").scalar_one() == 0
    finally:
        script(engine, f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_calls_that_came_since_go_back_where_they_fit(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "groq", 10)
    schema.upgrade(engine)
    (user,) = rows(engine, "SELECT CAST(id AS text) FROM users LIMIT 1")[0]
    script(engine, f"INSERT INTO llm_usage_logs (user_id, model, tokens_used) VALUES ('{user}', 'new', 7)")
    script(engine, "INSERT INTO llm_usage_logs (user_id, model) VALUES ('anonymous', 'new')")
    there = relations(engine)
    with pytest.raises(LLMGuardError, match=r"1 calls .save them: .* would be lost: note them"):
        schema.downgrade(engine, "", "base")
    assert relations(engine) == there
    assert schema.downgrade(engine, "", "base", without_new=True) == 1
    assert rows(engine, "SELECT count(*), sum(tokens_used) FROM groq_usage_logs WHERE model = 'new'") == [(1, 7)]


def test_columns_that_the_ledger_has_no_place_for_are_said(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "llm", 10)
    script(engine, "ALTER TABLE llm_usage_logs ADD COLUMN project text, ADD COLUMN tenant text DEFAULT 'acme'")
    adopted = schema.upgrade(engine)
    assert any(note.endswith("llm_usage_logs: project") for note in adopted.notes)
    assert rows(engine, "SELECT DISTINCT tenant FROM llm_usage_logs") == [("acme",)]


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("CREATE TABLE llm_usage_logs (number integer)", "public.llm_usage_logs is neither a table of llmguard nor"),
        ("CREATE TABLE llm_rate_limits (number integer)", "public.llm_rate_limits is neither"),
    ],
)
def test_tables_of_strangers_are_left_alone(before: str, said: str, database: Callable[..., Engine]) -> None:
    engine = database()
    script(engine, before)
    there = relations(engine)
    with pytest.raises(LLMGuardError, match=said) as raised:
        schema.upgrade(engine)
    assert "\n" not in str(raised.value)
    assert relations(engine) == there


def test_a_ledger_in_the_schema_of_the_other_family_is_refused(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "migration", 10)
    inside = connect(engine.url.render_as_string(hide_password=False), "migration")
    with pytest.raises(LLMGuardError, match="keep the ledger in another schema than migration"):
        schema.upgrade(inside, "migration")
    inside.dispose()


def test_opening_says_what_to_do(database: Callable[..., Engine], tmp_path: Path) -> None:
    engine = database()
    fill(engine, "groq", 10)
    settings = UsageSettings(engine.url.render_as_string(hide_password=False), spool_dir=str(tmp_path))
    with pytest.raises(
        LLMGuardError, match=r"older tracker \(public\.groq_usage_logs, .*llmguard db upgrade takes them over"
    ):
        Ledger.open(settings)
    schema.upgrade(engine)
    Ledger.open(settings).close()


# -- SQLite -----------------------------------------------------------------------------------------------------------


def sqlite_copy(path: Path, prefix: str, number: int = 900) -> Engine:
    """A copy of the first family's tables in SQLite, as people make them."""
    with sqlite3.connect(path) as connection:
        connection.executescript(
            f"""
            CREATE TABLE {prefix}_usage_logs (id TEXT PRIMARY KEY, user_id TEXT NOT NULL, endpoint TEXT, model TEXT,
              status_code INTEGER, tokens_used INTEGER DEFAULT 0, prompt_tokens INTEGER DEFAULT 0,
              completion_tokens INTEGER DEFAULT 0, duration_ms INTEGER, error_message TEXT, metadata TEXT,
              created_at TEXT);
            CREATE INDEX idx_{prefix}_usage_user_id ON {prefix}_usage_logs(user_id);
            CREATE TABLE {prefix}_rate_limit_configs (id TEXT, limit_type TEXT UNIQUE, limit_value INTEGER,
              description TEXT);
            CREATE TABLE {prefix}_rate_limits (id TEXT, user_id TEXT, limit_type TEXT, limit_value INTEGER,
              current_count INTEGER, reset_at TEXT, updated_at TEXT);
            CREATE TRIGGER trigger_update_{prefix}_rate_limits_updated_at AFTER UPDATE ON {prefix}_rate_limits BEGIN
              UPDATE {prefix}_rate_limits SET updated_at = 'now' WHERE id = NEW.id; END;
            CREATE VIEW {prefix}_usage_daily_summary AS SELECT user_id, model, date(created_at) AS usage_date,
              count(*) AS total_calls FROM {prefix}_usage_logs GROUP BY 1, 2, 3;
            INSERT INTO {prefix}_rate_limits
            VALUES ('1', 'ann', 'minute', 200, 0, 'x', 'x'), ('2', 'bob', 'minute', 30, 0, 'x', 'x');
            """
        )
        connection.executemany(
            f"INSERT INTO {prefix}_usage_logs VALUES (?, ?, '/v1', ?, ?, ?, ?, ?, ?, NULL, ?, ?)",
            [
                (f"id-{n:05}", f"user-{n % 7}", f"m-{n % 3}", 500 if n % 9 == 0 else 200, n, n // 2, n - n // 2, n % 50,
                 '{"provider": "p"}' if n % 2 else "no json", f"2026-10-{1 + n % 28:02}T10:00:00+02:00")
                for n in range(number)
            ],
        )  # fmt: skip
    connection.close()
    return connect(f"sqlite:///{path}")


@pytest.mark.parametrize("prefix", ["groq", "llm"])
def test_an_sqlite_copy_is_taken_over_and_given_back(prefix: str, tmp_path: Path) -> None:
    engine = sqlite_copy(tmp_path / "old.db", prefix)
    listing = (
        "SELECT type, name, replace(sql, '\"', '') FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2"
    )
    there = rows(engine, listing)
    with pytest.raises(LLMGuardError, match="llmguard db upgrade takes them over"):
        Ledger.open(UsageSettings(f"sqlite:///{tmp_path / 'old.db'}", spool_dir=str(tmp_path)))
    assert rows(engine, listing) == there
    adopted = schema.upgrade(engine)
    assert [came for _, _, came in adopted.tables] == [900]
    assert differences(engine) == []
    sums = rows(engine, "SELECT count(*), sum(tokens_used), sum(status = 'error') FROM llm_usage_logs")
    assert sums == [(900, sum(range(900)), 100)]
    assert rows(engine, "SELECT min(created_at) FROM llm_usage_logs") == [("2026-10-01 08:00:00.000000",)]
    assert {limit.scope for limit in load(engine).limits} == {(("user_id", "ann"),)}
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"INSERT INTO {prefix}_usage_logs (id, user_id, model, status_code, tokens_used, created_at) "
            "VALUES ('new', 'ann', 'm', 429, 3, '2026-11-01T00:00:00Z')"
        )
    assert rows(engine, "SELECT status, created_at FROM llm_usage_logs WHERE id = 'new'") == [
        ("error", "2026-11-01 00:00:00.000000")
    ]
    assert differences(engine) == []
    schema.downgrade(engine, "", "base")
    assert rows(engine, listing) == there
    assert rows(engine, f"SELECT count(*), sum(tokens_used) FROM {prefix}_usage_logs") == [(901, sum(range(900)) + 3)]


# -- the script -------------------------------------------------------------------------------------------------------


def test_the_script_may_be_run_again_and_makes_what_an_upgrade_makes(database: Callable[..., Engine]) -> None:
    by_script, by_upgrade, from_there = database(), database(), database()
    for _ in range(2):
        script(by_script, make_script())
    schema.upgrade(by_upgrade)
    assert relations(by_script) == relations(by_upgrade)
    assert rows(by_script, _DEFINITIONS) == rows(by_upgrade, _DEFINITIONS)
    assert schema.upgrade(by_script) == ((), ())
    schema.upgrade(from_there, revision="0002")
    script(from_there, make_script())
    assert relations(from_there) == relations(by_upgrade)
    with by_script.connect() as connection:
        assert schema.current(connection) == schema.HEAD


_DEFINITIONS = (
    "SELECT p.proname, pg_get_functiondef(p.oid) FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace "
    "UNION ALL SELECT c.relname || '.' || a.attname, "
    "format_type(a.atttypid, a.atttypmod) || COALESCE(pg_get_expr(d.adbin, d.adrelid), '') "
    "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid "
    "AND d.adnum = a.attnum WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 "
    "AND NOT a.attisdropped AND c.relkind IN ('r', 'v') ORDER BY 1, 2"
)


def test_the_script_leaves_an_older_trackers_tables_alone(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "llm", 10)
    there = relations(engine)
    with pytest.raises(SQLAlchemyError, match="there is a table llm_usage_logs that is not llmguard's"):
        script(engine, make_script())
    assert relations(engine) == there


# -- what people have made of those tables ----------------------------------------------------------------------------


def test_what_an_update_through_the_view_does_not_change_stays(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "groq", 20)
    schema.upgrade(engine)
    script(
        engine,
        "INSERT INTO llm_usage_logs (user_id, model, status, provider) VALUES ('anonymous', 'm', 'timeout', 'x')",
    )
    kept = "SELECT user_id, status, provider, metadata FROM llm_usage_logs ORDER BY id"
    before = rows(engine, kept)
    script(engine, "UPDATE groq_usage_logs SET endpoint = '/x', tokens_used = 99")
    assert rows(engine, kept) == before
    assert differences(engine) == []
    script(engine, "UPDATE groq_usage_logs SET status_code = 500 WHERE model = 'model-1'")
    script(engine, "DELETE FROM groq_usage_logs WHERE model = 'model-2'")
    assert rows(engine, "SELECT DISTINCT status FROM llm_usage_logs WHERE model = 'model-1'") == [("error",)]
    assert differences(engine) == []
    metadata = '{"provider": "openai"}'
    script(
        engine,
        f"INSERT INTO groq_usage_logs (user_id, model, metadata) SELECT id, 'n', '{metadata}' FROM users LIMIT 1",
    )
    assert rows(engine, "SELECT provider FROM llm_usage_logs WHERE model = 'n'") == [("openai",)]


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE groq_usage_logs ADD COLUMN total integer GENERATED ALWAYS AS (prompt_tokens) STORED",
        "ALTER TABLE groq_usage_logs ADD COLUMN stream text DEFAULT 'yes'",
        "ALTER TABLE groq_usage_logs ADD COLUMN operation text DEFAULT repeat('x', 50)",
        "DROP MATERIALIZED VIEW groq_usage_daily_summary; ALTER TABLE groq_usage_logs ALTER status_code TYPE text",
        "ALTER TABLE groq_usage_logs ALTER metadata TYPE json USING metadata::json",
        "DROP MATERIALIZED VIEW groq_usage_daily_summary; "
        "ALTER TABLE groq_usage_logs ALTER created_at TYPE timestamp USING created_at AT TIME ZONE 'UTC'",
        "DROP TABLE groq_rate_limits; DROP TABLE groq_rate_limit_configs",
        "ALTER MATERIALIZED VIEW groq_usage_daily_summary RENAME TO llm_usage_daily_summary",
        "DROP MATERIALIZED VIEW groq_usage_daily_summary; "
        "CREATE VIEW groq_usage_daily_summary AS SELECT user_id, count(*) AS calls FROM groq_usage_logs GROUP BY 1",
    ],
)
def test_what_people_have_changed_is_taken_over_too(change: str, database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "groq", 30)
    script(engine, change)
    there = relations(engine)
    assert [came for _, _, came in schema.upgrade(engine).tables] == [30]
    assert differences(engine) == []
    assert rows(engine, "SELECT count(*) FROM groq_usage_logs") == [(30,)]
    assert rows(engine, "SELECT count(*) FROM llm_usage_logs WHERE status = 'error'") == [(3,)]
    schema.downgrade(engine, "", "base")
    assert relations(engine) == there


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE groq_usage_logs DROP CONSTRAINT groq_usage_logs_pkey; "
        "INSERT INTO groq_usage_logs SELECT * FROM groq_usage_logs LIMIT 1",
        "ALTER TABLE groq_usage_logs DROP CONSTRAINT groq_usage_logs_pkey; "
        "ALTER TABLE groq_usage_logs ALTER id DROP NOT NULL; UPDATE groq_usage_logs SET id = NULL",
    ],
)
def test_calls_that_cannot_be_told_apart_stop_it_before_anything_moves(
    change: str, database: Callable[..., Engine]
) -> None:
    engine = database()
    fill(engine, "groq", 30)
    script(engine, change)
    there = relations(engine)
    with pytest.raises(LLMGuardError, match="give each one of its own, then upgrade again"):
        schema.upgrade(engine)
    assert relations(engine) == there


def test_a_second_family_can_come_later(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "groq", 30)
    schema.upgrade(engine)
    fill(engine, "migration", 20)
    assert [came for _, _, came in schema.upgrade(engine).tables] == [20]
    assert differences(engine) == []


def test_an_owner_who_did_not_upgrade_goes_on(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "groq", 30)
    role = f"app_{engine.url.database}"
    (user,) = rows(engine, "SELECT CAST(id AS text) FROM users LIMIT 1")[0]
    script(
        engine, f"CREATE ROLE {role}; GRANT ALL ON SCHEMA public TO {role}; ALTER TABLE groq_usage_logs OWNER TO {role}"
    )
    try:
        schema.upgrade(engine)
        script(
            engine,
            f"SET LOCAL ROLE {role}; INSERT INTO groq_usage_logs (user_id, model) VALUES ('{user}', 'm'); "
            "SELECT count(*) FROM groq_usage_logs; SELECT count(*) FROM groq_usage_daily_summary; "
            "SELECT refresh_groq_usage_summary()",
        )
        assert differences(engine) == []
    finally:
        script(engine, f"REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}")
