"""What a renaming leaves alone, routes, SQL on a real database, and scripts."""

from __future__ import annotations

import uuid

import pytest

from llmguard.migrate.rename import Renaming, rename
from tests.optional import optional

MODULE = ("app/groq_jobs.py", "def groq_total():\n    return 1\n")


def renamed(*files: tuple[str, str], **options: bool) -> Renaming:
    return rename([(path, text.encode()) for path, text in files], **options)


def stays(*files: tuple[str, str]) -> set[str]:
    return {each.old for each in renamed(*files).renames if each.refused}


@pytest.mark.parametrize(
    "file",
    [
        ("app/a.py", "class Row:\n    groq_total: int = 0\n"),
        ("app/a.py", "def read(groq_total):\n    return groq_total\n"),
        ("app/a.py", "def read(r):\n    return r.groq_total\n"),
        ("app/a.py", "def read(o, p):\n    return getattr(o, f'{p}_total')\n"),
        ("app/a.py", "KEY = 'groq_total'\n"),
        ("app/a.py", "CHOICES = ['groq_total:run', '--groq-total']\n"),
        ("app/page.html", "{{ url_for('groq_total') }}"),
        ("celery.yml", "task: app.groq_jobs.groq_total"),
        ("app/llm_total.py", "X = 1\n"),
        ("app/x.vue", "<script>groq_total()</script>"),
    ],
)
def test_a_name_that_somebody_else_reads_stays(file: tuple[str, str]) -> None:
    assert "groq_total" in stays(MODULE, file)


def test_names_of_methods_of_foreign_bases_and_of_folders_stay() -> None:
    text = "from somewhere import Base\n\n\nclass Own(Base):\n    def log_groq_call(self):\n        pass\n"
    assert stays(("app/a.py", text)) == {"log_groq_call"}
    assert stays(("app/groq_usage/x.py", "def groq_usage():\n    pass\n")) == {"groq_usage"}
    registry = "def tool(f):\n    return f.__name__\n\n\n@tool\ndef ask_groq():\n    pass\n"
    assert stays(("app/a.py", registry)) == {"ask_groq"}


def test_a_file_name_is_no_dotted_path() -> None:
    use = ("app/b.py", "import app.groq_jobs\n\nPATH = 'groq_jobs.json'\nTASK = 'app.groq_jobs.groq_total'\n")
    assert "groq_jobs" in stays(MODULE, use)
    task = "import app.groq_jobs\n\nTASK = 'app.groq_jobs.groq_total'\n"
    done = renamed(MODULE, ("app/b.py", task))
    assert done.contents["app/b.py"].decode() == task.replace("groq", "llm")
    assert done.moves == {"app/groq_jobs.py": "app/llm_jobs.py"}


def test_annotations_in_strings_are_code() -> None:
    files = renamed(("app/a.py", "class GroqItem:\n    pass\n\n\ndef f(x: 'list[GroqItem]') -> 'GroqItem': ...\n"))
    assert files.contents["app/a.py"].endswith(b"def f(x: 'list[LLMItem]') -> 'LLMItem': ...\n")


def test_the_name_that_a_migrated_call_gives_its_service_is_no_hindrance() -> None:
    text = 'from llmguard import llm_wrapper\n\nllm_wrapper.chat_completion_sync(service_name="groq_summary")\n'
    assert renamed(("app/groq_summary.py", text)).moves == {"app/groq_summary.py": "app/llm_summary.py"}


ROUTE = 'app.include_router(x.router, prefix="/api/groq/usage", dependencies=[Depends(auth)])'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            f"{ROUTE}\n",
            f"{ROUTE.replace('groq', 'llm')}\n{ROUTE[:-1]}, include_in_schema=False)\n",
        ),
        (
            f"def f():\n\t{ROUTE}",
            f"def f():\n\t{ROUTE.replace('groq', 'llm')}\n\t{ROUTE[:-1]}, include_in_schema=False)\n",
        ),
        (f"if on: {ROUTE}\n", f"if on: {ROUTE}\n"),
        (f"a = 1; {ROUTE}\n", f"a = 1; {ROUTE}\n"),
        (
            'app.include_router(\n    x.router,\n    prefix="/groq",\n)\r\n',
            'app.include_router(\n    x.router,\n    prefix="/llm",\n)\r\n'
            'app.include_router(\n    x.router,\n    prefix="/groq", include_in_schema=False)\r\n',
        ),
    ],
)
def test_the_alias_of_a_route_is_the_whole_call(before: str, after: str) -> None:
    done = renamed(("app/main.py", before))
    assert done.contents.get("app/main.py", before.encode()).decode() == after
    assert renamed(("app/main.py", after)).contents == {}


def test_scripts_follow_the_routes_that_changed_and_no_others() -> None:
    script = 'import "./GroqCard.css"\nfetch("/api/groq/usage/1")\nfetch("/api/groq/models")\n'
    done = renamed(
        ("m.py", f"{ROUTE}\n"), ("web/a.ts", script), ("web/GroqCard.tsx", "export function GroqCard() {}\n")
    )
    assert done.contents["web/a.ts"].decode() == script.replace("/api/groq/usage", "/api/llm/usage")
    assert b"fetch" not in renamed(("web/a.ts", script)).contents.get("web/a.ts", b"")


@pytest.mark.parametrize(
    "text",
    [
        "const groqTotal = 1\nsend(JSON.stringify({ groqTotal }))\n",
        "const groqTotal = 1\nconst x = { groqTotal: 2 }\n",
        "const groqTotal = 1\nconst key = 'groqTotal'\n",
        "const groqTotal = 1\n<p>It's {groqTotal} and that's all</p>\n",
        "const groqTotal = 1\n<p>https://x.org {groqTotal}</p>\n",
    ],
)
def test_a_name_of_a_script_that_may_be_a_key_or_stand_in_a_text_stays(text: str) -> None:
    assert stays(("web/a.tsx", text)) == {"groqTotal"}


SCHEMA = """CREATE TABLE groq_logs (id int PRIMARY KEY, n int DEFAULT 0);
CREATE TABLE groq_old (id int);
DROP TABLE groq_old;
CREATE INDEX idx_groq_logs ON groq_logs (n);
CREATE VIEW groq_daily AS SELECT sum(n) AS n FROM groq_logs;
CREATE FUNCTION groq_total(IN above int, note varchar(100) DEFAULT '') RETURNS bigint AS $$
  SELECT sum(n) FROM groq_logs WHERE n > above;
$$ LANGUAGE sql;
CREATE FUNCTION touch() RETURNS trigger AS $body$
BEGIN UPDATE groq_logs SET n = n + 1 WHERE id = NEW.id - 1; RETURN NEW; END;
$body$ LANGUAGE plpgsql;
CREATE TRIGGER touched AFTER INSERT ON groq_logs FOR EACH ROW EXECUTE FUNCTION touch();
"""


def test_the_new_migration_runs_and_the_functions_go_on_working(postgres: str) -> None:
    optional("psycopg")
    from sqlalchemy import create_engine, text

    done = renamed(("db/V7__usage.sql", SCHEMA))
    assert set(done.created) == {"db/V8__rename_groq_to_llm.sql"}
    migration = done.created["db/V8__rename_groq_to_llm.sql"].decode()
    assert "groq_old" not in migration
    schema = f"renaming_{uuid.uuid4().hex[:8]}"
    engine = create_engine(postgres)
    try:
        with engine.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
            connection.execute(text(f"SET LOCAL search_path TO {schema}"))
            connection.exec_driver_sql(SCHEMA)
            connection.exec_driver_sql("INSERT INTO groq_logs VALUES (1, 5)")
            connection.exec_driver_sql(migration)
            connection.exec_driver_sql("INSERT INTO llm_logs VALUES (2, 7)")
            assert connection.exec_driver_sql("SELECT llm_total(0)").scalar() == 13
            assert connection.exec_driver_sql("SELECT n FROM llm_daily").scalar() == 13
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
        engine.dispose()


def test_sql_without_numbers_and_versions_of_alembic_stay() -> None:
    assert renamed(("schema.sql", SCHEMA)).created == {}
    version = "down_revision = None\n\n\ndef upgrade():\n    op.rename('groq_logs')\n"
    assert renamed(("001_x.sql", SCHEMA), ("versions/1.py", version)).contents == {}
