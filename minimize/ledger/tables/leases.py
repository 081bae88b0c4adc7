"""Leases: which run may write to an output now."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, String, Table, Text

from minimize.ledger.tables.base import METADATA, Moment

LEASES: Final = Table(
    "leases",
    METADATA,
    Column("output", String(32), primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("run_id", String(64)),
    Column("host", Text),
    Column("machine", Text),
    Column("pid", BigInteger),
    Column("born", BigInteger),
    Column("since", Moment),
    Column("beat", BigInteger, nullable=False),
    Column("beat_at", Moment),
)
"""`token` grows each time somebody takes the lease, and is never used again: whoever holds an older one holds nothing.

run_id   None where nobody holds it
machine  the boot and the process namespace of the holder: pids mean something only within them
born     when the holder's process started, in the system's ticks: a pid comes again, the two together do not
beat     grows while the holder lives
"""
