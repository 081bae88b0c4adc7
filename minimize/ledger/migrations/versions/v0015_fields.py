"""Events about somebody who is named by another field than the policy's subject."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Adds the column; rows that stand are about the policy's subject."""
    op.add_column("events", sa.Column("field", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Removes it."""
    op.drop_column("events", "field")
