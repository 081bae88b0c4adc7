"""What happened about incidents, which only grows."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_SQLITE: Final = (
    """CREATE TRIGGER incidents_no_update BEFORE UPDATE ON incidents
       BEGIN SELECT RAISE(ABORT, 'incidents are append-only'); END""",
    """CREATE TRIGGER incidents_no_delete BEFORE DELETE ON incidents
       BEGIN SELECT RAISE(ABORT, 'incidents are append-only'); END""",
)
_POSTGRES: Final = (
    """CREATE FUNCTION incidents_refused() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'incidents are append-only'; END $$""",
    """CREATE TRIGGER incidents_no_change BEFORE UPDATE OR DELETE ON incidents
       FOR EACH ROW EXECUTE FUNCTION incidents_refused()""",
    """CREATE TRIGGER incidents_no_truncate BEFORE TRUNCATE ON incidents
       FOR EACH STATEMENT EXECUTE FUNCTION incidents_refused()""",
)


def upgrade() -> None:
    """Makes the table, and the triggers that guard it."""
    op.create_table(
        "incidents",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("incident", sa.Text(), nullable=False),
        sa.Column("step", sa.String(16), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_incidents"),
    )
    op.create_index("ix_incidents_incident", "incidents", ["incident"])
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRES:
        op.execute(statement)


def downgrade() -> None:
    """Removes all of it."""
    op.drop_table("incidents")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION incidents_refused()")
