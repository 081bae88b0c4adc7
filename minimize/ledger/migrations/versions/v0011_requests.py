"""What people asked about themselves, which only grows."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_SQLITE: Final = (
    """CREATE TRIGGER requests_no_update BEFORE UPDATE ON requests
       BEGIN SELECT RAISE(ABORT, 'requests are append-only'); END""",
    """CREATE TRIGGER requests_no_delete BEFORE DELETE ON requests
       BEGIN SELECT RAISE(ABORT, 'requests are append-only'); END""",
)
_POSTGRES: Final = (
    """CREATE FUNCTION requests_refused() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'requests are append-only'; END $$""",
    """CREATE TRIGGER requests_no_change BEFORE UPDATE OR DELETE ON requests
       FOR EACH ROW EXECUTE FUNCTION requests_refused()""",
    """CREATE TRIGGER requests_no_truncate BEFORE TRUNCATE ON requests
       FOR EACH STATEMENT EXECUTE FUNCTION requests_refused()""",
)


def upgrade() -> None:
    """Makes the table, and the triggers that guard it."""
    op.create_table(
        "requests",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("request", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.String(27), nullable=False),
        sa.Column("due", sa.String(27), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.String(27), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_requests"),
    )
    op.create_index("ix_requests_request", "requests", ["request"])
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRES:
        op.execute(statement)


def downgrade() -> None:
    """Removes all of it."""
    op.drop_table("requests")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION requests_refused()")
