"""Consents, which only grow."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_SQLITE: Final = (
    """CREATE TRIGGER consents_no_update BEFORE UPDATE ON consents
       BEGIN SELECT RAISE(ABORT, 'consents are append-only'); END""",
    """CREATE TRIGGER consents_no_delete BEFORE DELETE ON consents
       BEGIN SELECT RAISE(ABORT, 'consents are append-only'); END""",
)
_POSTGRES: Final = (
    """CREATE FUNCTION consents_refused() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'consents are append-only'; END $$""",
    """CREATE TRIGGER consents_no_change BEFORE UPDATE OR DELETE ON consents
       FOR EACH ROW EXECUTE FUNCTION consents_refused()""",
    """CREATE TRIGGER consents_no_truncate BEFORE TRUNCATE ON consents
       FOR EACH STATEMENT EXECUTE FUNCTION consents_refused()""",
)


def upgrade() -> None:
    """Makes the table, and the triggers that guard it."""
    op.create_table(
        "consents",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("consent", sa.String(64), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("function", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.String(27), nullable=False),
        sa.Column("expires_at", sa.String(27)),
        sa.Column("recorded_at", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_consents"),
        sa.UniqueConstraint("consent", name="uq_consents_consent"),
    )
    op.create_index("ix_consents_recipient", "consents", ["recipient", "function", "tenant_id"])
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRES:
        op.execute(statement)


def downgrade() -> None:
    """Removes all consents."""
    op.drop_table("consents")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION consents_refused()")
