"""Leases on outputs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "leases",
        sa.Column("output", sa.String(32), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.String(64)),
        sa.Column("host", sa.Text()),
        sa.Column("machine", sa.Text()),
        sa.Column("pid", sa.BigInteger()),
        sa.Column("born", sa.BigInteger()),
        sa.Column("since", sa.String(27)),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.Column("beat_at", sa.String(27)),
        sa.PrimaryKeyConstraint("output", name="pk_leases"),
    )


def downgrade() -> None:
    """Removes the table."""
    op.drop_table("leases")
