"""Acts of sharing and recalls, which only grow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

TABLES: Final = ("disclosures", "disclosed", "recalls")


def _sqlite(table: str) -> Iterator[str]:
    for act in ("update", "delete"):
        yield f"""CREATE TRIGGER {table}_no_{act} BEFORE {act.upper()} ON {table}
                  BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"""


def _postgres(table: str) -> Iterator[str]:
    yield f"""CREATE FUNCTION {table}_refused() RETURNS trigger LANGUAGE plpgsql AS $$
              BEGIN RAISE EXCEPTION '{table} are append-only'; END $$"""
    yield f"""CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table}
              FOR EACH ROW EXECUTE FUNCTION {table}_refused()"""
    yield f"""CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
              FOR EACH STATEMENT EXECUTE FUNCTION {table}_refused()"""


def upgrade() -> None:
    """Makes the tables, and the triggers that guard them."""
    _disclosures()
    _disclosed()
    _recalls()
    guards = _sqlite if op.get_bind().dialect.name == "sqlite" else _postgres
    for table in TABLES:
        for statement in guards(table):
            op.execute(statement)


def downgrade() -> None:
    """Removes all of them."""
    for table in TABLES:
        op.drop_table(table)
        if op.get_bind().dialect.name != "sqlite":
            op.execute(f"DROP FUNCTION {table}_refused()")


def _disclosures() -> None:
    op.create_table(
        "disclosures",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("disclosure", sa.String(36), nullable=False),
        sa.Column("recorded_at", sa.String(27), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("function", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("retention_due", sa.String(27)),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_disclosures"),
        sa.UniqueConstraint("disclosure", name="uq_disclosures_disclosure"),
    )
    op.create_index("ix_disclosures_recipient", "disclosures", ["recipient", "recorded_at"])


def _disclosed() -> None:
    op.create_table(
        "disclosed",
        sa.Column("disclosure", sa.String(36), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("consent", sa.Text(), nullable=False),
        sa.Column("key_version", sa.BigInteger()),
        sa.Column("tokens", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("disclosure", "tenant_id", name="pk_disclosed"),
    )
    op.create_index("ix_disclosed_tenant_id", "disclosed", ["tenant_id"])


def _recalls() -> None:
    op.create_table(
        "recalls",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("disclosure", sa.String(36), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("recorded_at", sa.String(27), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_recalls"),
    )
    op.create_index("uq_recalls_state", "recalls", ["disclosure", "tenant_id", "state"], unique=True)
    op.create_index("ix_recalls_recipient", "recalls", ["recipient"])
