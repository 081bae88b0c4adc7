"""What Alembic runs: the steps that are wanted, on the connection that it was handed, in that connection's transaction."""

from __future__ import annotations

from alembic import context

from minimize.ledger.tables.whole import METADATA


def run() -> None:
    """Runs the steps."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=METADATA, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


if __name__ == "env_py":  # so Alembic calls it
    run()
