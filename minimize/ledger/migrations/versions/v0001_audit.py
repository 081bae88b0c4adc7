"""The audit log, which only grows."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_SQLITE: Final = (
    """CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER audit_no_gap BEFORE INSERT ON audit
       WHEN NEW.sequence <> (SELECT coalesce(max(sequence), 0) + 1 FROM audit)
       BEGIN SELECT RAISE(ABORT, 'the audit log has no gaps'); END""",
)
_POSTGRES: Final = (
    """CREATE FUNCTION audit_refused() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$""",
    """CREATE FUNCTION audit_follows() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         IF NEW.sequence <> (SELECT coalesce(max(sequence), 0) + 1 FROM audit) THEN
           RAISE EXCEPTION 'the audit log has no gaps';
         END IF;
         RETURN NEW;
       END $$""",
    """CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit
       FOR EACH ROW EXECUTE FUNCTION audit_refused()""",
    """CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit
       FOR EACH STATEMENT EXECUTE FUNCTION audit_refused()""",
    """CREATE TRIGGER audit_no_gap BEFORE INSERT ON audit
       FOR EACH ROW EXECUTE FUNCTION audit_follows()""",
)


def upgrade() -> None:
    """Makes the log, and the triggers that guard it."""
    op.create_table(
        "audit",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("previous", sa.String(71)),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("time", sa.String(27), nullable=False),
        sa.Column("activity", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("result", sa.String(16), nullable=False),
        sa.Column("actor", sa.Text()),
        sa.Column("resource", sa.Text()),
        sa.Column("correlation", sa.Text()),
        sa.PrimaryKeyConstraint("sequence", name="pk_audit"),
        sa.UniqueConstraint("digest", name="uq_audit_digest"),
    )
    op.create_index("ix_audit_time", "audit", ["time"])
    op.create_index("ix_audit_correlation", "audit", ["correlation"])
    op.create_index("ix_audit_resource", "audit", ["resource", "activity", "sequence"])
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRES:
        op.execute(statement)


def downgrade() -> None:
    """Removes the log, whole."""
    op.drop_table("audit")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION audit_refused()")
        op.execute("DROP FUNCTION audit_follows()")
