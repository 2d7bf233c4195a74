"""The schema as a script for PostgreSQL that may be run again: each revision is made where it is missing."""

from __future__ import annotations

import re

from llmguard.errors import ConfigError
from llmguard.usage.store.schema import REVISIONS, VERSION_TABLE, offline

_HEAD = f"""-- The tables of llmguard's ledger. Run it with psql -f, as often as you like: what is there already stays.
BEGIN;
{{schema}}DO $llmguard$ BEGIN
  IF to_regclass('{VERSION_TABLE}') IS NULL AND to_regclass('llm_usage_logs') IS NOT NULL THEN
    RAISE EXCEPTION 'there is a table llm_usage_logs that is not llmguard''s'
      USING HINT = 'llmguard db upgrade takes over what an older tracker has left';
  END IF;
END $llmguard$;
CREATE TABLE IF NOT EXISTS {VERSION_TABLE} (
    version_num VARCHAR(32) NOT NULL, CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num)
);
"""
_RETURNED = re.compile(rf"(INSERT INTO {VERSION_TABLE} [^;]*?) RETURNING [^;]*;")
_VERSION = re.compile(rf"CREATE TABLE {VERSION_TABLE} \(.*?\);\n", re.DOTALL)


def script(schema: str = "", revision: str = "head") -> str:
    """The script up to a revision.

    Args:
        schema: that the tables go into, "" for the search path's first.
        revision: of `REVISIONS`, or "head".

    Raises:
        ConfigError: there is no such revision.
    """
    if revision != "head" and revision not in REVISIONS:
        raise ConfigError("revision", "", f"there is none {revision!r}; there are {', '.join(REVISIONS)}")
    place = f'CREATE SCHEMA IF NOT EXISTS "{schema}";\nSET LOCAL search_path TO "{schema}";\n' if schema else ""
    parts = [_HEAD.format(schema=place)]
    before = ""
    for each in REVISIONS:
        statements = _VERSION.sub("", offline("postgresql", f"{before}:{each}" if before else each))
        statements = _RETURNED.sub(r"\1;", statements)
        is_next = f"EXISTS (SELECT FROM {VERSION_TABLE}" + (f" WHERE version_num = '{before}')" if before else ")")
        parts.append(
            f"DO $llmguard_{each}$ BEGIN\n  IF {is_next if before else 'NOT ' + is_next} THEN\n"
            f"{statements}  END IF;\nEND $llmguard_{each}$;\n"
        )
        before = each
        if each == revision:
            break
    return "\n".join([*parts, "COMMIT;\n"])
