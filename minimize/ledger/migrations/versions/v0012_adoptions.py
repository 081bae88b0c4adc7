"""Access files that were adopted, which only grow in number."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_SQLITE: Final = (
    """CREATE TRIGGER adoptions_no_update BEFORE UPDATE ON adoptions
       BEGIN SELECT RAISE(ABORT, 'adoptions are append-only'); END""",
    """CREATE TRIGGER adoptions_no_delete BEFORE DELETE ON adoptions
       BEGIN SELECT RAISE(ABORT, 'adoptions are append-only'); END""",
)
_POSTGRES: Final = (
    """CREATE FUNCTION adoptions_refused() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'adoptions are append-only'; END $$""",
    """CREATE TRIGGER adoptions_no_change BEFORE UPDATE OR DELETE ON adoptions
       FOR EACH ROW EXECUTE FUNCTION adoptions_refused()""",
    """CREATE TRIGGER adoptions_no_truncate BEFORE TRUNCATE ON adoptions
       FOR EACH STATEMENT EXECUTE FUNCTION adoptions_refused()""",
)


def upgrade() -> None:
    """Makes the table, and the triggers that guard it."""
    op.create_table(
        "adoptions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.String(27), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_adoptions"),
    )
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRES:
        op.execute(statement)


def downgrade() -> None:
    """Removes all of them."""
    op.drop_table("adoptions")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION adoptions_refused()")
