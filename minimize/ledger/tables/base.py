"""What all tables share: one set of them, names for their constraints, and how a time is stored."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import MetaData, String
from sqlalchemy.types import TypeDecorator

from minimize.ledger.event import moment_text

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


class Moment(TypeDecorator[datetime]):
    """An aware time in UTC, as text of one width: it sorts and compares as time does, on every database."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> str | None:
        """The text of a time."""
        return None if value is None else moment_text(value)

    def process_result_value(self, value: Any, dialect: Any) -> datetime | None:
        """The time of a text."""
        return None if value is None else datetime.fromisoformat(value)
