"""The index of runs, and where each output was seen last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Makes both tables."""
    op.create_table(
        "outputs",
        sa.Column("output", sa.String(32), nullable=False),
        sa.Column("pipeline", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("output", name="pk_outputs"),
    )
    op.create_table(
        "runs",
        sa.Column("output", sa.String(32), nullable=False),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("pipeline", "purpose", "engine", "dates")),
        *(sa.Column(name, sa.String(27), nullable=False) for name in ("at", "started", "finished")),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("read", "written", "gated")),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("quarantined", "suppressed", "deduplicated")),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.PrimaryKeyConstraint("output", "run_id", name="pk_runs"),
    )
    op.create_index("ix_runs_run_id", "runs", ["run_id"])
    op.create_index("ix_runs_finished", "runs", ["finished"])


def downgrade() -> None:
    """Removes both; receipts still know."""
    op.drop_table("runs")
    op.drop_table("outputs")
