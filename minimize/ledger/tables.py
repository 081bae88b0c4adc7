"""Tables of the ledger, in alphabetical order; all but the index of runs and the leases are append-only (see `migrations`).

A new table needs a migration step.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator

from minimize.ledger.audit_event import utc_text

DIGEST: Final = String(71)
"""`sha256:` and 64 hexadecimal digits."""

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcTime(TypeDecorator[datetime]):
    """An aware time in UTC, as text of one width: it sorts and compares as time does, on every database."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> str | None:
        """The text of a time."""
        return None if value is None else utc_text(value)

    def process_result_value(self, value: Any, dialect: Any) -> datetime | None:
        """The time of a text."""
        return None if value is None else datetime.fromisoformat(value)


ADOPTIONS: Final = Table(
    "adoptions",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("digest", DIGEST, nullable=False),
    Column("content", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Column("key", Text, nullable=False),
    Column("signature", Text, nullable=False),
)
"""`content` is the file as it was adopted; the last row is the one that counts."""


AUDIT_LOG: Final = Table(
    "audit",
    METADATA,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("previous", DIGEST),
    Column("digest", DIGEST, nullable=False, unique=True),
    Column("event", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("signature", Text, nullable=False),
    Column("time", UtcTime, nullable=False, index=True),
    Column("activity", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("result", String(16), nullable=False),
    Column("actor", Text),
    Column("resource", Text),
    Column("correlation", Text, index=True),
    Index("ix_audit_resource", "resource", "activity", "sequence"),
)
"""What stands behind `signature` repeats parts of the event, for searching; the event is what counts."""


CHECKPOINTS: Final = Table(
    "checkpoints",
    METADATA,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", DIGEST, nullable=False),
    Column("entries", BigInteger, nullable=False),
    Column("before", UtcTime, nullable=False),
    Column("latest", UtcTime, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Column("key", Text, nullable=False),
    Column("signature", Text, nullable=False),
)
"""`sequence` and `digest` are of the last entry that went, `latest` is the latest time of those, `before` what all are before."""


CONSENTS: Final = Table(
    "consents",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("consent", String(64), nullable=False, unique=True),
    Column("tenant_id", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("function", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("terms", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("valid_from", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("recorded_at", UtcTime, nullable=False),
    Index("ix_consents_recipient", "recipient", "function", "tenant_id"),
)
"""`consent` names the row, by a digest of what it says; `terms` is what was asked or agreed to, as JSON."""


CORRECTIONS: Final = Table(
    "corrections",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Column("actor", Text, nullable=False),
)
"""`subject` is a keyed token; `sealed` is the value, which only the keyring can open."""


DISCLOSURES: Final = Table(
    "disclosures",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("disclosure", String(36), nullable=False, unique=True),
    Column("recorded_at", UtcTime, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("function", Text, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Column("retention_due", UtcTime),
    Column("body", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("signature", Text, nullable=False),
    Index("ix_disclosures_recipient", "recipient", "recorded_at"),
)
"""What stands before `body` repeats parts of it, for searching; the body is what counts, and what is signed."""

DISCLOSED: Final = Table(
    "disclosed",
    METADATA,
    Column("disclosure", String(36), primary_key=True),
    Column("tenant_id", Text, primary_key=True),
    Column("rows", BigInteger, nullable=False),
    Column("consent", Text, nullable=False),
    Column("key_version", BigInteger),
    Column("tokens", LargeBinary, nullable=False),
    Index("ix_disclosed_tenant_id", "tenant_id"),
)
"""One row a tenant. `tokens` are those of its subjects, 16 bytes each, ascending; `key_version` is of their key."""

RECALLS: Final = Table(
    "recalls",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("disclosure", String(36), nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Column("actor", Text, nullable=False),
    Index("uq_recalls_state", "disclosure", "tenant_id", "state", unique=True),
    Index("ix_recalls_recipient", "recipient"),
)
"""`state` is `requested`, then `confirmed`, each once for what was sent of a tenant."""


LIFECYCLE_EVENTS: Final = Table(
    "events",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("event", String(64), nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("state", String(16), nullable=False),
    Column("forms", Text, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("field", Text, nullable=False, server_default=""),
    Index("ix_events_event", "event"),
)
"""`event` names what a row is about: of rows with one name the last counts. `subject` is a keyed token, empty for a whole
tenant; `forms` are keyed tokens of the forms in which it stands in outputs, as JSON. `field` names the field that has such ids,
empty for the policy's subject."""


GRANTS: Final = Table(
    "grants",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("grant", String(36), nullable=False),
    Column("state", String(16), nullable=False),
    Column("by", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Column("key", Text, nullable=False),
    Column("signature", Text, nullable=False),
    Index("uq_grants_state", "grant", "state", unique=True),
)
"""Several rows are of one `grant`, one a `state`; `body` is what the act says, as JSON, and all of it is signed."""


IDENTITY: Final = Table("identity", METADATA, Column("ledger", String(32), primary_key=True))
"""One row."""


INCIDENTS: Final = Table(
    "incidents",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("incident", Text, nullable=False),
    Column("step", String(16), nullable=False),
    Column("by", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Index("ix_incidents_incident", "incident"),
)
"""Several rows are of one `incident`; `body` is what the step says, as JSON: names, counts and words; no value of a record."""


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
    Column("since", UtcTime),
    Column("beat", BigInteger, nullable=False),
    Column("beat_at", UtcTime),
)
"""`token` grows each time somebody takes the lease, and is never used again: whoever holds an older one holds nothing.

run_id   None where nobody holds it
machine  the boot and the process namespace of the holder: pids mean something only within them
born     when the holder's process started, in the system's ticks: a pid comes again, the two together do not
beat     grows while the holder lives
"""


API_TOKENS: Final = Table(
    "passes",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("token", String(16), nullable=False),
    Column("state", String(8), nullable=False),
    Column("user", Text, nullable=False),
    Column("once", Boolean, nullable=False),
    Column("digest", Text, nullable=False),
    Column("issued_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Column("by", Text, nullable=False),
    UniqueConstraint("token", "state"),
)
"""`token` names it and opens nothing; `digest` is of its secret and of all that is said of it, under a key of the keyring;
`state` is issued, spent or revoked, each once."""

READS: Final = Table(
    "readings",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("reading", String(36), nullable=False),
    Column("state", String(8), nullable=False),
    Column("event", Text, nullable=False),
    Column("process", Text, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    UniqueConstraint("reading", "state"),
)
"""`state` is begun or ended; `event` is what the audit log is to be told of a read that never ended, as JSON."""


REQUESTS: Final = Table(
    "requests",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("request", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    Column("due", UtcTime, nullable=False),
    Column("state", String(16), nullable=False),
    Column("body", Text, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Column("actor", Text, nullable=False),
    Index("ix_requests_request", "request"),
)
"""`request` names what a row is about: of rows with one name the last counts. `subject` is a keyed token, empty for a whole
tenant; `body` is counts, ids of receipts and of disclosures, as JSON."""


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
    Column("at", UtcTime, nullable=False),
    Column("started", UtcTime, nullable=False),
    Column("finished", UtcTime, nullable=False),
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


SETTINGS: Final = Table(
    "settings",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("setting", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("holder", Text, nullable=False),
    Column("valid_from", UtcTime, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Index("ix_settings_tenant_id", "tenant_id", "setting"),
)
"""`subject` is a keyed token, empty for a whole tenant; `digest` tells a row that is there already."""
