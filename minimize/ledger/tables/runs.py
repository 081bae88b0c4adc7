"""The index of runs: what receipts say, for looking up. Receipts are the truth; this can be made anew from them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, String, Table, Text

from minimize.ledger.tables.base import DIGEST, METADATA, Moment

OUTPUTS: Final = Table(
    "outputs",
    METADATA,
    Column("output", String(32), primary_key=True),
    Column("pipeline", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("host", Text, nullable=False),
)
"""Where each output was seen last."""

RUNS: Final = Table(
    "runs",
    METADATA,
    Column("output", String(32), primary_key=True),
    Column("run_id", String(64), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("pipeline", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("engine", Text, nullable=False),
    Column("dates", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("started", Moment, nullable=False),
    Column("finished", Moment, nullable=False),
    Column("read", BigInteger, nullable=False),
    Column("written", BigInteger, nullable=False),
    Column("gated", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
    Column("suppressed", BigInteger, nullable=False),
    Column("deduplicated", BigInteger, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Index("ix_runs_run_id", "run_id"),
    Index("ix_runs_finished", "finished"),
)
