"""Erased and restricted tenants and subjects, whose records must not be published; for a run, and for data in memory with a
refreshed list.

Subjects are keyed tokens. Records of events after an erasure are collected again, because a device may be enrolled again. An
erasure on request also covers event times up to its own time plus the policy's `future`. Regardless of event times, it covers the
records of every file that was read before it. A restriction covers all event times until it is lifted.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache, cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.arrow.columns import (
    SubjectPairs,
    check_token_keys,
    codes_of,
    column_microseconds,
)
from minimize.arrow.dictionaries import valid_mask
from minimize.checkpoints import checkpoint
from minimize.config import Config
from minimize.errors import LedgerError
from minimize.identifiers import NO_FOLDING, CaseFolding, canonical_text
from minimize.keys import Keyring
from minimize.ledger import Address, find_ledger
from minimize.ledger.clock import effective_start, known_times
from minimize.ledger.database import LEDGER_VARIABLE
from minimize.ledger.ledger import open_ledger
from minimize.ledger.subject_kinds import LIFECYCLE_EVENT, LinkedForms, linked_forms
from minimize.ledger.subject_tokens import TokenIndex, token_secrets, token_versions
from minimize.stores import PathText
from minimize.times import END_OF_TIME, Clock, epoch_microseconds, utc_now

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger
    from minimize.ledger.subject_kinds import LifecycleEvent

Moments = npt.NDArray[np.int64]
NEVER: Final = np.iinfo(np.int64).min
"""The time limit of a tenant or subject without an erasure."""
ERASURE: Final = "erasure"
"""The ledger event of an erasure on request."""
RESTRICTION: Final[Literal["restriction"]] = "restriction"
"""The ledger event of a restriction. It is withdrawn when the restriction is lifted."""
ERASURE_EVENTS: Final = ("tenant_closed", "subject_left", "reset", ERASURE, RESTRICTION)
"""The ledger events after which records of a tenant or subject are not published."""
_REMEMBERED: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Tombstone:
    """The erasure of a tenant, or of the subject with this token, and the event time up to which their records are removed.

    id_field       the field or identity of such ids; None for ids of every identity
    is_restriction  whether it is a restriction and not an erasure
    linked         tokens of the forms of the subject's linked ids
    """

    tenant: str
    until: datetime
    token: str | None = field(default=None, repr=False)
    id_field: str | None = None
    is_restriction: bool = False
    linked: LinkedForms = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class LinkedErasure:
    """The erasure of linked ids of a subject, known by their forms in outputs.

    name    the identity or field of the ids
    tokens  the tokens of their forms, by the name of the chain that makes the form
    until   the event time up to which their records are removed, in microseconds since 1970
    named_by  the identity or field by which the subject itself was named; None for any
    names     the names of all linked ids of the subject
    """

    tenant: str
    name: str
    tokens: Mapping[str, frozenset[str]] = field(repr=False)
    until: int
    named_by: str | None = None
    names: frozenset[str] = frozenset()


@dataclass
class Erasures:
    """The tombstones in the form that a run evaluates. Key bytes exist only in this process: a pickle has none (see `with_keys`).

    tenants   the time up to which the records of a whole tenant are removed, in microseconds since 1970
    subjects  per tenant, the same for tokens
    named_by  the field or identity of such ids; None for ids of every identity
    others    by field or identity, erasures that name the subject by it
    linked    the erasures of linked ids; `keys` make the tokens of their forms
    restricted  the restrictions, in the same form; None if there are none
    files     per file in receipts, the latest event time that its records count as, in microseconds since 1970
    """

    tenants: Mapping[str, int] = field(repr=False)
    subjects: Mapping[str, Mapping[str, int]] = field(repr=False)
    secrets: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    named_by: str | None = None
    others: Mapping[str, Erasures] = field(default_factory=dict, repr=False)
    linked: tuple[LinkedErasure, ...] = field(default=(), repr=False)
    keys: Keyring | None = field(default=None, repr=False)
    restricted: Erasures | None = field(default=None, repr=False)
    files: Mapping[str, int] = field(default_factory=dict, repr=False)
    _time_cache: dict[tuple[str, str, CaseFolding], int] = field(default_factory=dict, repr=False)

    @classmethod
    def from_tombstones(cls, stones: Iterable[Tombstone], keys: Keyring | None = None) -> Erasures | None:
        """The tombstones; None if there are none. Raises KeyringError if a key of their tokens is missing."""
        tombstones = list(stones)
        if not tombstones:
            return None
        restrictions = [replace(stone, is_restriction=False) for stone in tombstones if stone.is_restriction]
        tombstones = [stone for stone in tombstones if not stone.is_restriction]
        names = sorted({stone.id_field for stone in tombstones if stone.id_field is not None})
        others = {name: cls._of((stone for stone in tombstones if stone.id_field == name), name) for name in names}
        erasures = cls._of((stone for stone in tombstones if stone.id_field is None), None)
        linked = tuple(erasure for stone in tombstones for erasure in _linked_erasures(stone))
        erasures = replace(erasures, others=others, linked=linked, restricted=cls.from_tombstones(restrictions))
        return erasures if keys is None else erasures.with_keys(keys)

    @classmethod
    def _of(cls, stones: Iterable[Tombstone], named_by: str | None) -> Erasures:
        tenants: dict[str, int] = {}
        subjects: dict[str, dict[str, int]] = {}
        for stone in stones:
            until, tenant = epoch_microseconds(stone.until), canonical_text(stone.tenant)
            if stone.token is None:
                tenants[tenant] = max(until, tenants.get(tenant, NEVER))
            else:
                until_by_token = subjects.setdefault(tenant, {})
                until_by_token[stone.token] = max(until, until_by_token.get(stone.token, NEVER))
        return cls(tenants, subjects, named_by=named_by)

    def with_keys(self, keys: Keyring) -> Erasures:
        """The same erasures with the keys of the subject tokens. Raises KeyringError."""
        others = {name: erasures.with_keys(keys) for name, erasures in self.others.items()}
        secrets = token_secrets(keys, self._versions, self.named_by)
        restricted = None if self.restricted is None else self.restricted.with_keys(keys)
        return replace(self, secrets=secrets, others=others, restricted=restricted, keys=keys, _time_cache={})

    def erased_mask(
        self, tenants: pa.Array, subjects: pa.Array | None, times: pa.Array | None, folding: CaseFolding = NO_FOLDING
    ) -> pa.BooleanArray | None:
        """For each record, whether it must not be published again; None if this applies to no record.

        Takes tenants, subjects and event times, and the rule by which ids are compared. A record without an event time counts as
        older than every erasure.
        """
        until = self._until_of_tenants(tenants, folding)
        if subjects is not None and self.subjects:
            until = np.maximum(until, self._until_of_subjects(tenants, subjects, folding))
        if (until == NEVER).all():
            return None
        gone = (until != NEVER) & (event_microseconds(times, len(until)) <= until)
        return pa.array(gone) if gone.any() else None

    @cached_property
    def _versions(self) -> set[int]:
        return token_versions(token for until_by_token in self.subjects.values() for token in until_by_token)

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: without keys and subjects."""
        state: dict[str, Any] = {
            "tenants": self.tenants,
            "subjects": self.subjects,
            "named_by": self.named_by,
            "others": self.others,
        }
        state |= {"linked": self.linked, "restricted": self.restricted, "files": self.files}
        return {**state, "keys": None, "secrets": {}, "_time_cache": {}}

    def _until_of_tenants(self, tenants: pa.Array, folding: CaseFolding) -> Moments:
        known: dict[str, int] = {}
        for name, until in self.tenants.items():
            form = canonical_text(name, fold=folding.tenant)
            known[form] = max(until, known.get(form, NEVER))
        codes = codes_of(tenants, {form: code for code, form in enumerate(known)}, fold=folding.tenant)
        return np.array([*known.values(), NEVER], np.int64)[codes]

    def _until_of_subjects(self, tenants: pa.Array, subjects: pa.Array, folding: CaseFolding) -> Moments:
        """Evaluates distinct subjects only, of tenants that have an erasure."""
        check_token_keys(self._versions, self.secrets)
        index = TokenIndex(self.subjects, folding)
        pairs = SubjectPairs.from_columns(tenants, subjects, index)
        until = np.full(len(tenants), NEVER, np.int64)
        until_by_place = np.array([self._erased_until(*pair, index) for pair in pairs.names], np.int64)
        until[pairs.rows] = until_by_place[pairs.places] if len(until_by_place) else NEVER
        return until

    def _erased_until(self, tenant: str, subject: str, index: TokenIndex) -> int:
        known = self._time_cache.get((tenant, subject, index.folding))
        if known is None:
            tokens = index.find(self.secrets, tenant, subject)
            known = max((self.subjects[name][token] for name, token in tokens), default=NEVER)
            if len(self._time_cache) >= _REMEMBERED:
                self._time_cache.clear()
            self._time_cache[tenant, subject, index.folding] = known
        return known


def _linked_erasures(stone: Tombstone) -> Iterator[LinkedErasure]:
    tenant, until, names = canonical_text(stone.tenant), epoch_microseconds(stone.until), frozenset(stone.linked)
    for name, chains in stone.linked.items():
        tokens = {chain: frozenset(chain_tokens) for chain, chain_tokens in chains.items()}
        yield LinkedErasure(tenant, name, tokens, until, stone.id_field, names)


def event_microseconds(times: pa.Array | None, rows: int) -> Moments:
    """Event times in microseconds since 1970. A missing time is older than every erasure."""
    if times is None:
        return np.full(rows, NEVER, np.int64)
    valid = valid_mask(times)
    moments = column_microseconds(times)
    return moments if valid is None else np.where(valid, moments, NEVER)


def merge_erasures(recorded: Sequence[LifecycleEvent], listed: Iterable[LifecycleEvent]) -> tuple[LifecycleEvent, ...]:
    """The rows of the ledger, after those erasures of a list that the ledger does not have. Otherwise the ledger's last row
    decides."""
    known = {row.id for row in recorded}
    return (*(row for row in listed if row.id not in known), *recorded)


def _make_tombstone(row: LifecycleEvent, future: timedelta) -> Tombstone:
    if row.kind == RESTRICTION:
        return Tombstone(row.tenant_id, END_OF_TIME, row.subject, row.field, True, linked_forms(row))
    until = row.at + future if row.kind == ERASURE else row.at
    return Tombstone(row.tenant_id, until, row.subject, row.field, linked=linked_forms(row))


_NO_FILES: Final[Mapping[str, datetime]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class RecordedErasures:
    """The erasures in the ledger, in the order in which they were recorded, and those stored with an output.

    listed   the erasures stored with an output
    read_at  time at which they were read
    """

    rows: tuple[LifecycleEvent, ...] = field(default=(), repr=False)
    keys: Keyring | None = field(default=None, repr=False)
    listed: tuple[LifecycleEvent, ...] = field(default=(), repr=False)
    read_at: datetime = field(default_factory=utc_now, compare=False, repr=False)

    @classmethod
    def from_ledger(cls, ledger: Ledger, listed: Iterable[LifecycleEvent] = ()) -> Self:
        """The erasures in an open ledger. Raises LedgerError, also for an event that no key of the keyring signed."""
        return cls(tuple(ledger.find(LIFECYCLE_EVENT)), ledger.keyring_or_none, tuple(listed), ledger.now)

    @property
    def events(self) -> tuple[LifecycleEvent, ...]:
        """The rows of the ledger, after the erasures of the list that it does not have."""
        return merge_erasures(self.rows, self.listed)

    def effective_at(
        self, when: datetime, future: timedelta, files: Mapping[str, datetime] = _NO_FILES
    ) -> Erasures | None:
        """The tombstones for a run at this time: of events up to then that were recorded, and not withdrawn, by then.

        Takes how far event times may be in the future, and when each file of the input was first read according to receipts.
        An event that a clock ahead has recorded counts immediately; its withdrawal does not. Raises KeyringError if a key of
        their tokens is missing.
        """
        known = known_times([row.recorded_at for row in self.events], self.read_at)
        times = {id(row): time for row, time in zip(self.events, known, strict=True)}
        rows_by_id = {
            row.id: row
            for row in self.events
            if row.kind in ERASURE_EVENTS and (row.recorded_at if row.state == "withdrawn" else times[id(row)]) <= when
        }
        recorded = (
            row
            for row in rows_by_id.values()
            if row.state == "recorded" and effective_start(row.at, row.recorded_at, times[id(row)]) <= when
        )
        erasures = Erasures.from_tombstones((_make_tombstone(row, future) for row in recorded), self.keys)
        latest = {name: epoch_microseconds(read + future) for name, read in files.items()}
        return None if erasures is None else replace(erasures, files=latest)

    @property
    def names(self) -> frozenset[str | None]:
        """The names of the erased ids: fields and identities, and None for ids of every identity."""
        rows = [row for row in self.events if row.kind in ERASURE_EVENTS and row.subject is not None]
        return frozenset({*(row.field for row in rows), *(name for row in rows for name in linked_forms(row))})


log = logging.getLogger("minimize")
REFRESH_S: Final = 60.0
"""Maximum age of the list in a long-running process, in seconds."""


@dataclass(slots=True)
class LedgerErasures:
    """The erasures of one ledger, for many calls from many threads.

    future  how far event times may be in the future
    clock   a monotonic clock, in seconds
    now     the clock that tells which acts are known
    """

    address: Address
    keys: Keyring | None = field(repr=False)
    future: timedelta
    clock: Callable[[], float] = time.monotonic
    now: Clock = utc_now
    _rows: RecordedErasures = field(default_factory=RecordedErasures, repr=False)
    _erased: Erasures | None = field(default=None, repr=False)
    _latest: datetime | None = None
    _read_at: float | None = None
    _found: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def names(self) -> frozenset[str | None]:
        """The names of the erased ids; see `RecordedErasures.names`."""
        self._refresh()
        return self._rows.names

    def effective_at(self, when: datetime) -> Erasures | None:
        """The erasures that a call as of this time applies: all that are known now; None if there are none.

        Raises LedgerError if the ledger cannot be read, and KeyringError if a key of its tokens is missing.
        """
        self._refresh()
        now = max(when, self.now())
        if self._latest is not None and self._latest > now:
            return self._rows.effective_at(now, self.future)
        if self._erased is None:
            self._erased = self._rows.effective_at(now, self.future)
        return self._erased

    def _refresh(self) -> None:
        with self._lock:
            if self._read_at is not None and self.clock() - self._read_at < REFRESH_S:
                return
            self._found = self._found or self.address.exists
            rows = _read_erasures(self.address, self.keys) if self._found else RecordedErasures((), self.keys)
            if rows.rows != self._rows.rows:
                self._rows, self._erased = rows, None
                self._latest = max((max(row.recorded_at, row.at) for row in rows.rows), default=None)
            self._read_at = self.clock()


def find_erasures(
    ledger: PathText | None, config: Config | None, keys: Keyring | None, future: timedelta
) -> LedgerErasures | None:
    """The erasures of the ledger that is passed, else of the one in the environment or in the configuration next to the policy.

    None if no ledger is configured. If the configured ledger does not exist yet, each refresh checks again. In both cases a
    warning is logged once per process that erasures are unknown. Raises LedgerError if the ledger that is passed does not exist.
    """
    address = find_named_ledger(ledger, config)
    if address is not None and address.exists:
        return LedgerErasures(address, keys, future)
    if ledger:
        raise LedgerError("the ledger does not exist", hint="Pass ledger=PATH_OR_URL, or omit it.")
    why = "no ledger is named" if address is None else f"the ledger {address} does not exist"
    warn_unknown_erasures(why)
    return None if address is None else LedgerErasures(address, keys, future)


@cache  # a service that calls `apply` for each request would fill its log
def warn_unknown_erasures(reason: str) -> None:
    """Logs, once per process and reason, that erasures are unknown."""
    log.warning(
        "erasures are unknown, so records of erased subjects are not recognized: %s", reason, extra={"code": "W044"}
    )


def find_named_ledger(ledger: PathText | None, config: Config | None) -> Address | None:
    """The ledger that is passed, or named by the environment or the configuration; None if none is named.

    Raises LedgerError if the named address cannot be a ledger.
    """
    if not ledger and config is None and not os.environ.get(LEDGER_VARIABLE):
        return None
    try:
        return find_ledger(ledger, start=config)
    except LedgerError as error:
        if not error.message.startswith("no ledger is configured"):
            raise
    return None


def _read_erasures(address: Address, keys: Keyring | None) -> RecordedErasures:
    checkpoint("erasures.read")
    with open_ledger(address, verifier=keys) as ledger:
        return RecordedErasures.from_ledger(ledger)
