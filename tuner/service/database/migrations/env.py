"""What Alembic runs to bring a database from one revision to another, on the connection that it is given."""

from __future__ import annotations

from alembic import context

from tuner.service.database.rows import Row

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Row.metadata,
    render_as_batch=True,  # SQLite alters tables by copying them
)
with context.begin_transaction():
    context.run_migrations()
