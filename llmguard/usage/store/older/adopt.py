"""An older tracker's database becomes a ledger: its tables are set aside and the ledger's made in one transaction, then
its calls are taken over piece by piece. What breaks off is taken up by the next upgrade."""

from __future__ import annotations

import re
from typing import NamedTuple

from sqlalchemy import Connection, Engine, text

from llmguard.errors import LLMGuardError
from llmguard.usage.store.older import postgresql, sqlite
from llmguard.usage.store.older.copying import finish as compare
from llmguard.usage.store.older.copying import statements, take_over
from llmguard.usage.store.older.found import Found, OldTable, find, read_table
from llmguard.usage.store.older.layouts import FIRST, SECOND
from llmguard.usage.store.older.mapping import left_out, quoted
from llmguard.usage.store.older.obstacles import (
    refuse_identities,
    refuse_strangers,
    refuse_values,
    refuse_without_rights,
)

_LIMIT = 63  # bytes of a name in PostgreSQL


class Adopted(NamedTuple):
    """What an upgrade has taken over.

    Attributes:
        tables: (where it was, where it lies now, rows that came).
        notes: what somebody should look at.
    """

    tables: tuple[tuple[str, str, int], ...] = ()
    notes: tuple[str, ...] = ()


def to_adopt(connection: Connection, revision: str, schema: str = "") -> Found | None:
    """What older trackers have left that the ledger (in `schema`) has not taken over, None for nothing.

    Raises:
        LLMGuardError: a table has a name of the ledger's, and is of no tracker that is known.
    """
    found = find(connection, revision, schema)
    noted = {place for place, *_ in marks(connection)}
    tables = tuple(table for table in found.tables if table.place not in noted)
    if not revision:
        refuse_strangers(connection, found)
    return found._replace(tables=tables) if tables else None


def marks(connection: Connection) -> list[tuple[str, str, str, str]]:
    """(where it was, kind, where it lies, state) of the tables that were noted."""
    if not connection.dialect.has_table(connection, "llmguard_adoption"):
        return []
    rows = connection.execute(text("SELECT place, kind, lies_in, state FROM llmguard_adoption ORDER BY place")).all()
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def check(connection: Connection, found: Found) -> None:
    """Look for what would stop it halfway, before anything moves; one walk through the calls.

    Raises:
        LLMGuardError: calls cannot be told apart, or be held by the ledger, or who upgrades may not do it.
    """
    if connection.dialect.name != "sqlite":
        refuse_without_rights(connection, found, _aside(connection, found))
    for table in found.tables:
        if table.layout.kind in ("calls", "reports"):
            refuse_identities(connection, table)
            refuse_values(connection, table)


def before(connection: Connection, found: Found) -> tuple[list[str], dict[str, str]]:
    """The statements that make room, and schema -> where its tables go."""
    if connection.dialect.name == "sqlite":
        return sqlite.set_aside(connection, found), {}
    aside = _aside(connection, found)
    return postgresql.set_aside(found, aside), aside


def _aside(connection: Connection, found: Found) -> dict[str, str]:
    return {schema: _free(connection, schema) for schema in _schemas(found)}


def after(connection: Connection, found: Found, aside: dict[str, str]) -> list[str]:
    """The statements that fill the old places, once the ledger's tables are there."""
    if connection.dialect.name == "sqlite":
        return sqlite.replace(found)
    version = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one()) // 10_000
    return postgresql.replace(found, aside, version)


def pieces(found: Found, aside: dict[str, str], *, marked: bool = True) -> list[str]:
    """The statements that take over the calls, as if it were in one piece; `marked` notes that it is done."""
    dialect = "postgresql" if found.schema else "sqlite"
    calls = [table for table in found.tables if table.layout.kind in ("calls", "reports")]
    lines = [line for table in calls for line in statements(table, _source(table, aside), dialect)]
    return [*lines, "UPDATE llmguard_adoption SET state = 'done'"] if marked else lines


def refreshing(found: Found) -> list[str]:
    """The statements that bring materialized sums by day up to date."""
    names = [name for name, kind in found.daily.items() if kind == "m"]
    return [f"REFRESH MATERIALIZED VIEW {quoted(found.schema)}.{quoted(name)}" for name in names]


def _source(table: OldTable, aside: dict[str, str]) -> str:
    return postgresql.where(table, aside[table.schema]) if table.schema else sqlite.where(table)


def _schemas(found: Found) -> list[str]:
    places = {table.schema for table in found.tables if not table.layout.is_kept}
    return sorted({*places, found.schema} if found.daily or found.functions else places)


def _free(connection: Connection, schema: str) -> str:
    """A schema that has none of these tables yet."""
    for number in ("", *(f"_{each}" for each in range(2, 100))):
        name = schema[: _LIMIT - 20] + "_before_llmguard" + number
        taken = connection.execute(
            text(
                "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = :name"
            ),
            {"name": name},
        ).scalar_one()
        if not taken:
            return name
    raise LLMGuardError(f"there are a hundred schemas {schema}_before_llmguard already")


def run(connection: Connection, lines: list[str]) -> None:
    """Run statements as they are."""
    for line in lines:
        connection.exec_driver_sql(line, execution_options={"no_parameters": True})


def finish(engine: Engine, notes: tuple[str, ...] = ()) -> Adopted:
    """Take over the calls that are noted and did not come yet, and bring the sums by day up to date."""
    with engine.connect() as connection:
        tables = [(mark, noted_table(connection, mark)) for mark in marks(connection) if mark[3] == "copying"]
    done = []
    more = list(notes)
    for (place, _, source, _), table in tables:
        lies_in = ".".join(filter(None, split(source)))
        done.append((place, lies_in, take_over(engine, table, source)))
        odd = left_out(table)
        if odd:
            text = f"{place} has columns that the ledger has no place for, they stay in {lies_in}: {', '.join(odd)}"
            more.append(text)
    if done:  # all of it in one transaction: what is noted as done is done
        with engine.connect().execution_options(llmguard_write=True) as connection, connection.begin():
            for (_, _, source, _), table in tables:
                compare(connection, table, source)
            for name in _materialized(connection):
                connection.exec_driver_sql(f"REFRESH MATERIALIZED VIEW {quoted(name)}")
    return Adopted(tuple(done), tuple(more))


def _materialized(connection: Connection) -> list[str]:
    if connection.dialect.name == "sqlite":
        return []
    statement = (
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'm' "
        "AND n.nspname = current_schema() AND c.relname IN ('groq_usage_daily_summary', 'llm_usage_daily_summary')"
    )
    return list(connection.execute(text(statement)).scalars())


def noted_table(connection: Connection, mark: tuple[str, str, str, str]) -> OldTable:
    """A table that was set aside, read from where it lies."""
    place, kind, source, _ = mark
    layout = next(each for each in (*FIRST, *SECOND) if each.kind == kind)
    schema, _, name = place.rpartition(".")
    table = read_table(connection, layout, *split(source))
    if table is None:
        raise LLMGuardError(f"{source}, which was set aside to be taken over, is not there any more")
    return table._replace(schema=schema, name=name)


def split(source: str) -> tuple[str, str]:
    """The schema ("" for none) and the name of a quoted place."""
    parts = [part.replace('""', '"') for part in _PART.findall(source)]
    return (parts[0], parts[1]) if len(parts) > 1 else ("", parts[0])


_PART = re.compile(r'"((?:[^"]|"")*)"')


def waiting(connection: Connection) -> list[str]:
    """The tables that are set aside, and whose calls have not all come yet."""
    return [place for place, _, _, state in marks(connection) if state == "copying"]
