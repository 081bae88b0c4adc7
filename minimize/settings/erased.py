"""Whose records must not come back: of tenants and subjects that are gone, whatever happened up to then, however late it arrives.

A subject stands here as a keyed token. What happened after it was erased is collected again: a device may be enrolled anew.
An erasure on request also reaches event times up to its time plus the policy's `future`, and, whatever their event times, the
records of every file that was read before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.canonical import EXACT, Folding, canonical_text
from minimize.keys import Keyring
from minimize.ledger.tokens import TokenIndex, secrets_of, versions_in
from minimize.settings.columns import moments, valid
from minimize.settings.pairs import Pairs, check_keys, coded, numbers, texts
from minimize.settings.rows import microseconds_of

if TYPE_CHECKING:
    from minimize.ledger.happened import Happened
    from minimize.ledger.ledger import Ledger

Moments = npt.NDArray[np.int64]
NEVER: Final = np.iinfo(np.int64).min
"""Until when the records of somebody go who is not gone."""
REQUESTED: Final = "erasure"
"""The event of the ledger that an erasure on request is."""
ERASING: Final = ("tenant_closed", "subject_left", "reset", REQUESTED)
"""The events of the ledger after which nothing that happened before comes back."""
_REMEMBERED: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Tombstone:
    """That somebody is gone: a tenant, or the subject of this token; and up to which event time his records go.

    of  the field that has such ids; None for the policy's subject
    """

    tenant: str
    until: datetime
    token: str | None = field(default=None, repr=False)
    of: str | None = None


@dataclass
class Erased:
    """Tombstones as a run asks them. Holds key bytes only in this process: a pickle has none (see `opened`).

    tenants   until when the records of a whole tenant go, in microseconds since 1970
    subjects  per tenant the same of tokens
    named_by  the field that has such ids; None for the policy's subject
    others    by field those who are named by another one
    files     per file that receipts name the latest event time that its records count as, in microseconds since 1970
    """

    tenants: Mapping[str, int] = field(repr=False)
    subjects: Mapping[str, Mapping[str, int]] = field(repr=False)
    secrets: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    named_by: str | None = None
    others: Mapping[str, Erased] = field(default_factory=dict, repr=False)
    files: Mapping[str, int] = field(default_factory=dict, repr=False)
    _known: dict[tuple[str, str, Folding], int] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, stones: Iterable[Tombstone], keys: Keyring | None = None) -> Erased | None:
        """The tombstones; None where there are none. Raises KeyringError without a key that their tokens were made with."""
        all_ = list(stones)
        names = sorted({stone.of for stone in all_ if stone.of is not None})
        others = {name: cls._of((stone for stone in all_ if stone.of == name), name) for name in names}
        made = replace(cls._of((stone for stone in all_ if stone.of is None), None), others=others)
        if not all_:
            return None
        return made if keys is None else made.opened(keys)

    @classmethod
    def _of(cls, stones: Iterable[Tombstone], named_by: str | None) -> Erased:
        tenants: dict[str, int] = {}
        subjects: dict[str, dict[str, int]] = {}
        for stone in stones:
            until, tenant = microseconds_of(stone.until), canonical_text(stone.tenant)
            if stone.token is None:
                tenants[tenant] = max(until, tenants.get(tenant, NEVER))
            else:
                own = subjects.setdefault(tenant, {})
                own[stone.token] = max(until, own.get(stone.token, NEVER))
        return cls(tenants, subjects, named_by=named_by)

    def opened(self, keys: Keyring) -> Erased:
        """The same with the keys that subjects are told by. Raises KeyringError."""
        others = {name: each.opened(keys) for name, each in self.others.items()}
        secrets = secrets_of(keys, self._versions, self.named_by)
        return replace(self, secrets=secrets, others=others, _known={})

    def gone(
        self, tenants: pa.Array, subjects: pa.Array | None, times: pa.Array | None, folding: Folding = EXACT
    ) -> pa.BooleanArray | None:
        """Per record whether it must not come back; None where none of them.

        Takes tenants, subjects and event times, and how ids are compared. A record without an event time counts as old as can
        be.
        """
        until = self._until_of_tenants(tenants, folding)
        if subjects is not None and self.subjects:
            until = np.maximum(until, self._until_of_subjects(tenants, subjects, folding))
        if (until == NEVER).all():
            return None
        gone = (until != NEVER) & (_instants(times, len(until)) <= until)
        return pa.array(gone) if gone.any() else None

    @cached_property
    def _versions(self) -> set[int]:
        return versions_in(token for own in self.subjects.values() for token in own)

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: no key, and nobody."""
        told = {"tenants": self.tenants, "subjects": self.subjects, "named_by": self.named_by, "others": self.others}
        return {**told, "files": self.files, "secrets": {}, "_known": {}}

    def _until_of_tenants(self, tenants: pa.Array, folding: Folding) -> Moments:
        known: dict[str, int] = {}
        for name, until in self.tenants.items():
            form = canonical_text(name, fold=folding.tenant)
            known[form] = max(until, known.get(form, NEVER))
        own = coded(tenants)
        forms = (canonical_text(name, fold=folding.tenant) for name in texts(own.dictionary))
        each = [*(known.get(form, NEVER) for form in forms), NEVER]
        return np.array(each, np.int64)[numbers(own.indices)]

    def _until_of_subjects(self, tenants: pa.Array, subjects: pa.Array, folding: Folding) -> Moments:
        """Work runs over distinct subjects, of tenants alone of which somebody is gone."""
        check_keys(self._versions, self.secrets)
        index = TokenIndex(self.subjects, folding)
        pairs = Pairs.of(tenants, subjects, index)
        until = np.full(len(tenants), NEVER, np.int64)
        found = np.array([self._until(*pair, index) for pair in pairs.names], np.int64)
        until[pairs.rows] = found[pairs.places] if len(found) else NEVER
        return until

    def _until(self, tenant: str, subject: str, index: TokenIndex) -> int:
        known = self._known.get((tenant, subject, index.folding))
        if known is None:
            found = index.find(self.secrets, tenant, subject)
            known = max((self.subjects[name][token] for name, token in found), default=NEVER)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[tenant, subject, index.folding] = known
        return known


def _instants(times: pa.Array | None, rows: int) -> Moments:
    if times is None:
        return np.full(rows, NEVER, np.int64)
    there = valid(times)
    found = moments(times)
    return found if there is None else np.where(there, found, NEVER)


def united(recorded: Sequence[Happened], listed: Iterable[Happened]) -> tuple[Happened, ...]:
    """What the ledger has, after those erasures of a list that it does not know. If it knows one, its last row decides."""
    known = {row.id for row in recorded}
    return (*(row for row in listed if row.id not in known), *recorded)


def _tombstone(row: Happened, future: timedelta) -> Tombstone:
    until = row.at + future if row.kind == REQUESTED else row.at
    return Tombstone(row.tenant_id, until, row.subject, row.field)


_NO_FILES: Final[Mapping[str, datetime]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ErasedRows:
    """What the ledger tells of those who are gone, in the order in which it was recorded; and what is stored with an output.

    listed  the erasures that are stored with an output
    """

    rows: tuple[Happened, ...] = field(default=(), repr=False)
    keys: Keyring | None = field(default=None, repr=False)
    listed: tuple[Happened, ...] = field(default=(), repr=False)

    @classmethod
    def of_ledger(cls, ledger: Ledger, keys: Keyring | None = None, listed: Iterable[Happened] = ()) -> Self:
        """What an open ledger tells."""
        from minimize.ledger.happened import recorded

        return cls(tuple(recorded(ledger)), keys, tuple(listed))

    @property
    def all(self) -> tuple[Happened, ...]:
        """The rows of the ledger, after the erasures of the list that it does not know."""
        return united(self.rows, self.listed)

    def at(self, when: datetime, future: timedelta, files: Mapping[str, datetime] = _NO_FILES) -> Erased | None:
        """The tombstones as a run at this time sees them: of what happened by then, and was recorded and not taken back by then.

        Takes how far event times may lie in the future, and when each file of the input was first read, as receipts tell.
        Raises KeyringError without a key that their tokens were made with.
        """
        seen = {row.id: row for row in self.all if row.recorded_at <= when and row.kind in ERASING}
        standing = (row for row in seen.values() if row.state == "recorded" and row.at <= when)
        found = Erased.of((_tombstone(row, future) for row in standing), self.keys)
        latest = {name: microseconds_of(read + future) for name, read in files.items()}
        return None if found is None else replace(found, files=latest)

    @property
    def fields(self) -> frozenset[str]:
        """The fields, other than a policy's subject, by which somebody is named who is gone."""
        return frozenset(row.field for row in self.all if row.field is not None and row.kind in ERASING)
