"""Just-in-time access, which only grows."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_SQLITE: Final = (
    """CREATE TRIGGER grants_no_update BEFORE UPDATE ON grants
       BEGIN SELECT RAISE(ABORT, 'grants are append-only'); END""",
    """CREATE TRIGGER grants_no_delete BEFORE DELETE ON grants
       BEGIN SELECT RAISE(ABORT, 'grants are append-only'); END""",
)
_POSTGRES: Final = (
    """CREATE FUNCTION grants_refused() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'grants are append-only'; END $$""",
    """CREATE TRIGGER grants_no_change BEFORE UPDATE OR DELETE ON grants
       FOR EACH ROW EXECUTE FUNCTION grants_refused()""",
    """CREATE TRIGGER grants_no_truncate BEFORE TRUNCATE ON grants
       FOR EACH STATEMENT EXECUTE FUNCTION grants_refused()""",
)


def upgrade() -> None:
    """Makes the table, and the triggers that guard it."""
    op.create_table(
        "grants",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("grant", sa.String(36), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.String(27), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_grants"),
    )
    op.create_index("uq_grants_state", "grants", ["grant", "state"], unique=True)
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRES:
        op.execute(statement)


def downgrade() -> None:
    """Removes all grants."""
    op.drop_table("grants")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION grants_refused()")
