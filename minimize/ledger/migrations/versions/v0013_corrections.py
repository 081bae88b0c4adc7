"""What people corrected about themselves, which only grows."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_SQLITE: Final = (
    """CREATE TRIGGER corrections_no_update BEFORE UPDATE ON corrections
       BEGIN SELECT RAISE(ABORT, 'corrections are append-only'); END""",
    """CREATE TRIGGER corrections_no_delete BEFORE DELETE ON corrections
       BEGIN SELECT RAISE(ABORT, 'corrections are append-only'); END""",
)
_POSTGRES: Final = (
    """CREATE FUNCTION corrections_refused() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'corrections are append-only'; END $$""",
    """CREATE TRIGGER corrections_no_change BEFORE UPDATE OR DELETE ON corrections
       FOR EACH ROW EXECUTE FUNCTION corrections_refused()""",
    """CREATE TRIGGER corrections_no_truncate BEFORE TRUNCATE ON corrections
       FOR EACH STATEMENT EXECUTE FUNCTION corrections_refused()""",
)


def upgrade() -> None:
    """Makes the table, and the triggers that guard it."""
    op.create_table(
        "corrections",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("recorded_at", sa.String(27), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_corrections"),
    )
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRES:
        op.execute(statement)


def downgrade() -> None:
    """Removes all of it."""
    op.drop_table("corrections")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION corrections_refused()")
