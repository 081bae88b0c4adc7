"""Collection settings, which only grow."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_SQLITE: Final = (
    """CREATE TRIGGER settings_no_update BEFORE UPDATE ON settings
       BEGIN SELECT RAISE(ABORT, 'settings are append-only'); END""",
    """CREATE TRIGGER settings_no_delete BEFORE DELETE ON settings
       BEGIN SELECT RAISE(ABORT, 'settings are append-only'); END""",
)
_POSTGRES: Final = (
    """CREATE FUNCTION settings_refused() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'settings are append-only'; END $$""",
    """CREATE TRIGGER settings_no_change BEFORE UPDATE OR DELETE ON settings
       FOR EACH ROW EXECUTE FUNCTION settings_refused()""",
    """CREATE TRIGGER settings_no_truncate BEFORE TRUNCATE ON settings
       FOR EACH STATEMENT EXECUTE FUNCTION settings_refused()""",
)


def upgrade() -> None:
    """Makes the table, and the triggers that guard it."""
    op.create_table(
        "settings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("setting", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.String(27), nullable=False),
        sa.Column("recorded_at", sa.String(27), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_settings"),
        sa.UniqueConstraint("digest", name="uq_settings_digest"),
    )
    op.create_index("ix_settings_tenant_id", "settings", ["tenant_id", "setting"])
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRES:
        op.execute(statement)


def downgrade() -> None:
    """Removes all settings."""
    op.drop_table("settings")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION settings_refused()")
