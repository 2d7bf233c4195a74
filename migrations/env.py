"""Alembic's environment. `llmguard db` runs it with a connection; `llmguard db sql` without one."""

from __future__ import annotations

from alembic import context

from llmguard.usage.store.schema import VERSION_TABLE
from llmguard.usage.store.tables import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    context.configure(
        url=context.config.get_main_option("sqlalchemy.url"),
        target_metadata=metadata,
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},  # which leaves a % as it is
        version_table=VERSION_TABLE,
    )
    with context.begin_transaction():
        context.run_migrations()
else:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=True,
    )
    if context.config.attributes.get("within"):  # the transaction of who calls: all of it, or nothing
        context.run_migrations()
    else:
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
