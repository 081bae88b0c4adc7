"""What the audit log says of all settings at once: how many rows there are, and one digest over them as they were recorded.

Each change tells it anew, so that a row that came past the log, or went, is found whichever entries are still there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from sqlalchemy import Connection

from minimize.errors import Finding
from minimize.ledger.audit import Wanted, latest, told
from minimize.ledger.checkpoint import last_checkpoint
from minimize.ledger.codes import found
from minimize.ledger.event import Change, Event, Resource

_PLACE: Final = "settings"


@dataclass(frozen=True, slots=True)
class Told:
    """So many rows, and the digest over theirs, one after the other."""

    rows: int = 0
    digest: str = ""

    def and_then(self, digests: Iterable[str]) -> Self:
        """With more rows, by their digests."""
        rows, all_of_them = self.rows, self.digest
        for digest in digests:
            rows, all_of_them = rows + 1, hashlib.sha256((all_of_them + digest).encode()).hexdigest()
        return replace(self, rows=rows, digest=all_of_them)


def with_told(connection: Connection, event: Event, digests: Iterator[str], new: list[str]) -> Event:
    """The event of a change, with what it says of all rows: those that the log told of (else all there were), and new ones."""
    before = _last(connection) or Told().and_then(digests)
    after = before.and_then(new)
    changes = (Change("rows", before.rows, after.rows), Change("digest", before.digest or None, after.digest))
    return replace(event, resources=(*event.resources, Resource(_PLACE, _PLACE, _PLACE, changes)))


def check_settings(connection: Connection, digests: Iterable[str]) -> Iterator[Finding]:
    """H017: the rows that there are, by their digests, beside those that the log told of last."""
    said, there = _last(connection), list(digests)
    if said is None:
        if there and not latest(connection, Wanted(activity=_PLACE), 1) and last_checkpoint(connection) is None:
            yield found("H017", f"{len(there)} rows, and no entry of the log tells of any", file=_PLACE)
    elif said != Told().and_then(there[: said.rows]):
        yield found("H017", "other rows than those that the log tells of", file=_PLACE)
    elif len(there) > said.rows:
        yield found("H017", f"{len(there) - said.rows} rows that no entry of the log tells of", file=_PLACE)


def _last(connection: Connection) -> Told | None:
    """What the last change said; None where it was made before changes said it."""
    for entry in latest(connection, Wanted(activity=_PLACE, result="success"), 1):
        for resource in told(entry)["resources"]:
            if resource["id"] == _PLACE:
                said: dict[str, Any] = {change["name"]: change["new"] for change in resource["changed_properties"]}
                return Told(said["rows"], said["digest"])
    return None
