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
    """An aware time in UTC as text of fixed width, which sorts and compares in time order on every database."""

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
"""`content` is the adopted file. The last row is in force."""


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
"""The columns after `signature` repeat parts of the event, for searching. The event is authoritative."""


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
"""`sequence` and `digest` belong to the last removed entry. `latest` is the latest time of the removed entries; all of them are
older than `before`."""


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
"""`consent` is the id of the row, a digest of its content. `terms` are the consent terms as JSON."""


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
"""`subject` is a keyed token. `sealed` is the encrypted value, which only the keyring can decrypt."""


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
"""The columns before `body` repeat parts of it, for searching. The body is authoritative and signed."""

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
"""One row per tenant. `tokens` are the tokens of its subjects, 16 bytes each, ascending; `key_version` is that of their key."""

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
"""`state` is `requested`, then `confirmed`, each once per disclosure and tenant."""


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
"""`event` is the id of the event; the last row of an id is in force. `subject` is a keyed token, empty for a whole tenant.
`forms` are keyed tokens of the forms of the subject in outputs, as JSON. `field` is the field of the id, empty for the subject of
the policy."""


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
"""Several rows belong to one `grant`, one per `state`. `body` contains the details as JSON. The whole row is signed."""


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
"""Several rows belong to one `incident`. `body` contains the details as JSON: names, counts and texts, no value of a record."""


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
"""`token` grows each time the lease is taken, and is never used again: a run with an older token no longer holds the lease.

run_id   None if no run holds it
machine  the boot and the process namespace of the holder: pids mean something only within them
born     start time of the process in ticks: a pid is used again, pid and start time together are not
beat     grows while the holder is alive
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
"""`token` is the name, which grants no access. `digest` is a keyed digest of the secret and the other columns.
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
"""`state` is begun or ended. `event` is the audit event of a read that never ended, as JSON."""


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
"""`request` is the id of the request; the last row of an id is in force. `subject` is a keyed token, empty for a whole tenant.
`body` contains counts and the ids of receipts and disclosures, as JSON."""


OUTPUTS: Final = Table(
    "outputs",
    METADATA,
    Column("output", String(32), primary_key=True),
    Column("pipeline", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("host", Text, nullable=False),
)
"""The last known location of each output."""

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
"""`subject` is a keyed token, empty for a whole tenant. `digest` identifies the row, so that no row is recorded twice."""
