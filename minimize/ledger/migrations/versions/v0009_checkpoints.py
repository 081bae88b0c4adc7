"""Checkpoints of the audit log, and the one way by which entries go: older than a year, up to a checkpoint."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_SQLITE: Final = (
    """CREATE TRIGGER checkpoints_no_update BEFORE UPDATE ON checkpoints
       BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END""",
    """CREATE TRIGGER checkpoints_no_delete BEFORE DELETE ON checkpoints
       BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END""",
    """CREATE TRIGGER checkpoints_name_entries BEFORE INSERT ON checkpoints
       WHEN NOT EXISTS (SELECT 1 FROM audit WHERE sequence = NEW.sequence AND digest = NEW.digest)
       BEGIN SELECT RAISE(ABORT, 'a checkpoint names an entry that is there'); END""",
    "DROP TRIGGER audit_no_delete",
    """CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
       WHEN OLD.sequence > (SELECT coalesce(max(sequence), 0) FROM checkpoints)
         OR OLD.time >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-365 days')
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
)
_POSTGRES: Final = (
    """CREATE FUNCTION checkpoints_refused() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'checkpoints are append-only'; END $$""",
    """CREATE FUNCTION checkpoints_name() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         IF NOT EXISTS (SELECT 1 FROM audit WHERE sequence = NEW.sequence AND digest = NEW.digest) THEN
           RAISE EXCEPTION 'a checkpoint names an entry that is there';
         END IF;
         RETURN NEW;
       END $$""",
    """CREATE FUNCTION audit_kept() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         IF OLD.sequence > (SELECT coalesce(max(sequence), 0) FROM checkpoints)
            OR OLD.time COLLATE "C" >= to_char((now() AT TIME ZONE 'UTC') - interval '365 days',
                                               'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') COLLATE "C" THEN
           RAISE EXCEPTION 'the audit log is append-only';
         END IF;
         RETURN OLD;
       END $$""",
    """CREATE TRIGGER checkpoints_no_change BEFORE UPDATE OR DELETE ON checkpoints
       FOR EACH ROW EXECUTE FUNCTION checkpoints_refused()""",
    """CREATE TRIGGER checkpoints_no_truncate BEFORE TRUNCATE ON checkpoints
       FOR EACH STATEMENT EXECUTE FUNCTION checkpoints_refused()""",
    """CREATE TRIGGER checkpoints_name_entries BEFORE INSERT ON checkpoints
       FOR EACH ROW EXECUTE FUNCTION checkpoints_name()""",
    "DROP TRIGGER audit_no_change ON audit",
    """CREATE TRIGGER audit_no_change BEFORE UPDATE ON audit
       FOR EACH ROW EXECUTE FUNCTION audit_refused()""",
    """CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
       FOR EACH ROW EXECUTE FUNCTION audit_kept()""",
)
_SQLITE_BACK: Final = (
    "DROP TRIGGER audit_no_delete",
    """CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
)
_POSTGRES_BACK: Final = (
    "DROP TRIGGER audit_no_delete ON audit",
    "DROP TRIGGER audit_no_change ON audit",
    "DROP FUNCTION audit_kept()",
    """CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit
       FOR EACH ROW EXECUTE FUNCTION audit_refused()""",
)


def upgrade() -> None:
    """Makes the table, and the triggers that guard it and let entries go."""
    op.create_table(
        "checkpoints",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("before", sa.String(27), nullable=False),
        sa.Column("latest", sa.String(27), nullable=False),
        sa.Column("recorded_at", sa.String(27), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_checkpoints"),
    )
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRES:
        op.execute(statement)


def downgrade() -> None:
    """No entry goes any more; those that are gone stay gone."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE_BACK if sqlite else _POSTGRES_BACK:
        op.execute(statement)
    op.drop_table("checkpoints")
    if not sqlite:
        op.execute("DROP FUNCTION checkpoints_refused()")
        op.execute("DROP FUNCTION checkpoints_name()")
