"""Consent filter: one decision per tenant, applied to the rows of a source.

A consent, and a contract with an independent controller, must cover every moment at which the share must hold. If records were
received from a third party, the tenant's consent to receive them is required as well.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.arrow.nested import leaf
from minimize.arrow.pointers import Pointer
from minimize.consent import ConsentPeriods, Consents
from minimize.consent import load_consents as load_tenant_consents
from minimize.datasets.reader import load_receipts
from minimize.errors import PolicyError
from minimize.governance.sharing.plan import ResolvedShare, SharePlan
from minimize.recipients import Contract, Recipient
from minimize.records import RUNS, Chunk
from minimize.runs.deciding_function import absent_recipient, consent_periods, load_consents
from minimize.sources.base import SourcePart
from minimize.sources.files import WrappingPart, WrappingSource

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class TenantConsent:
    """The consent of one tenant that covers the sent fields, or the reason why its rows are withheld."""

    consent: str | None
    refusal: str | None = None
    contract: Contract | None = None
    """The contract that governs the rows at the recipient."""


ConsentQuery = Callable[[Sequence[str]], Mapping[str, TenantConsent]]
"""Looks up the consents of tenants."""


@dataclass(frozen=True, slots=True)
class TenantCodes:
    """Tenants of rows as codes: the names, and per row the position of its name, or the last position without a tenant."""

    names: Sequence[str]
    codes: npt.NDArray[np.integer[Any]]

    @classmethod
    def from_column(cls, tenants: pa.Array) -> TenantCodes:
        """Encodes a column of tenants, plain or dictionary-encoded."""
        coded = tenants if pa.types.is_dictionary(tenants.type) else tenants.dictionary_encode()
        entries = [None if name is None else str(name) for name in coded.dictionary.to_pylist()]
        names = [name for name in dict.fromkeys(entries) if name is not None]
        if names == entries and not coded.null_count:
            return cls(names, np.asarray(coded.indices))
        place = {name: at for at, name in enumerate(names)}
        places = np.array([*(len(names) if name is None else place[name] for name in entries), len(names)], np.int64)
        return cls(names, places[coded.indices.fill_null(len(entries)).to_numpy(zero_copy_only=False)])

    def counts(self) -> dict[str, int]:
        """Number of rows, by tenant."""
        row_counts = np.bincount(self.codes, minlength=len(self.names) + 1)
        return {name: int(count) for name, count in zip(self.names, row_counts, strict=False) if count}

    @property
    def has_rows_without_tenant(self) -> bool:
        """Whether some rows have no tenant."""
        return bool(len(self.codes)) and int(self.codes.max()) == len(self.names)

    def rows_of(self, names: Collection[str]) -> npt.NDArray[np.bool_] | None:
        """Mask of the rows of these tenants. None if all rows are."""
        if all(name in names for name in self.names) and not self.has_rows_without_tenant:
            return None
        agreed: npt.NDArray[np.bool_] = np.array([*(name in names for name in self.names), False])
        rows: npt.NDArray[np.bool_] = agreed[self.codes]
        return rows


@dataclass(slots=True)
class TenantFilter:
    """Filters rows by the consent of their tenants and counts them, by part, so that a part can be read again."""

    query: ConsentQuery
    pointer: Pointer
    verdicts: dict[str, TenantConsent] = field(default_factory=dict)
    rows: dict[str, Counter[str]] = field(default_factory=dict)

    def consented_rows(self, batch: pa.RecordBatch, part: str) -> pa.RecordBatch:
        """The records of consenting tenants, with dictionary-encoded tenants for later stages."""
        batch = _encode_tenants(batch, self.pointer)
        coded = TenantCodes.from_column(leaf(batch, self.pointer).values)
        new = [name for name in coded.names if name not in self.verdicts]
        if new:
            self.verdicts |= self.query(new)
        self.rows.setdefault(part, Counter()).update(coded.counts())
        keep = coded.rows_of({name for name in coded.names if self.verdicts[name].consent is not None})
        if keep is None:
            return batch
        return batch.filter(pa.array(keep)) if keep.any() else batch.slice(0, 0)

    def rows_by_tenant(self) -> Counter[str]:
        """Number of rows by tenant, with or without consent."""
        return sum(self.rows.values(), Counter())

    def withheld_counts(self) -> dict[str, tuple[int, int]]:
        """Number of tenants and of rows that are withheld, by reason."""
        counts_by_reason: dict[str, tuple[int, int]] = {}
        for name, rows in sorted(self.rows_by_tenant().items()):
            why = self.verdicts[name].refusal
            if why is not None:
                tenants, before = counts_by_reason.get(why, (0, 0))
                counts_by_reason[why] = (tenants + 1, before + rows)
        return counts_by_reason


def _select_columns(batch: pa.RecordBatch, tops: frozenset[str]) -> pa.RecordBatch:
    return batch.select([name for name in batch.schema.names if name in tops])


def _encode_tenants(batch: pa.RecordBatch, pointer: Pointer) -> pa.RecordBatch:
    place = batch.schema.get_field_index(pointer.top)
    column = batch.column(place)
    if not pointer.is_flat or column.type not in (pa.string(), pa.large_string()):
        return batch
    coded = column.dictionary_encode()
    return batch.set_column(place, batch.schema.field(place).with_type(coded.type), coded)


@dataclass(frozen=True, slots=True)
class ConsentedPart(WrappingPart):
    """A part restricted to the records of consenting tenants."""

    tenants: TenantFilter
    tops: frozenset[str] | None = None

    def pieces(self) -> Sequence[SourcePart]:
        """The part itself."""
        return (self,)

    def read(self) -> Iterator[Chunk]:
        """The filtered chunks of the part."""
        self.tenants.rows.pop(self.part.name, None)
        for chunk in self.part.read():
            records = chunk.records if self.tops is None else _select_columns(chunk.records, self.tops)
            yield replace(chunk, records=self.tenants.consented_rows(records, self.part.name))


@dataclass(frozen=True, slots=True)
class ConsentedSource(WrappingSource):
    """A source restricted to the records of consenting tenants."""

    tenants: TenantFilter
    keys: frozenset[str] | None = None
    """The fields to read. None for all."""

    @property
    def parts(self) -> Sequence[SourcePart]:
        """The parts, filtered by consent."""
        read = None if self.keys is None else {*map(Pointer.parse, self.keys), self.tenants.pointer}
        tops = None if read is None else frozenset(pointer.top for pointer in read)
        return [ConsentedPart(part, self.tenants, tops) for part in self.source.parts]

    def only(self, keys: Collection[str]) -> ConsentedSource:
        """The same records, restricted to these fields."""
        return replace(self, source=self.source.only(keys), keys=frozenset(keys))


@dataclass(frozen=True, slots=True)
class ConsentCheck:
    """Checks consents, contracts and prerequisites for a function, the fields to send, and the times at which they must hold."""

    recipient: Recipient
    function: str
    fields: tuple[str, ...]
    consents: Consents
    moments: tuple[datetime, ...]

    def __call__(self, names: Sequence[str]) -> Mapping[str, TenantConsent]:
        """Checks tenants. If they consent at all times, returns the consents of the last time."""
        consent_by_tenant: dict[str, TenantConsent] = {}
        for when in self.moments:
            at_once = self._check_at(when, names)
            consent_by_tenant = {
                name: consent_by_tenant[name]
                if name in consent_by_tenant and consent_by_tenant[name].refusal
                else at_once[name]
                for name in names
            }
        return consent_by_tenant

    def _check_at(self, when: datetime, names: Sequence[str]) -> dict[str, TenantConsent]:
        effective_consents = self.consents.effective_at(when)
        answer = effective_consents.permit(self.recipient, self.function, pa.array(names, pa.string()), self.fields)
        decisions = zip(names, answer.ids.to_pylist(), answer.reasons.to_pylist(), strict=True)
        return {
            name: TenantConsent(consent, None, self._contract(name, when)) if why is None else TenantConsent(None, why)
            for name, consent, why in decisions
        }

    def _contract(self, tenant: str, when: datetime) -> Contract | None:
        if self.recipient.standing == "processor":
            return self.recipient.contract
        return self.consents.agreements.contract_on(self.recipient.recipient, tenant, when.astimezone(UTC).date(), when)


def consent_check(share: ResolvedShare, planned: SharePlan, consents: Consents) -> ConsentCheck:
    """The consent check of a share, for the fields to send."""
    sent = () if planned.recipient_policy is None else planned.recipient_policy.sent_fields
    return ConsentCheck(share.recipient, share.party.function, sent, consents, share.moments)


SenderFunction = tuple[str, str]
"""A third party, and the function for which it sent data."""


def senders_of(data: Any) -> frozenset[SenderFunction]:
    """The third parties that sent the records of an output folder or its files, from its receipts. Empty for data in memory."""
    if not isinstance(data, str | os.PathLike):
        return frozenset()
    path = Path(os.path.abspath(data))
    folder = next((each for each in (path, *path.parents) if (each / RUNS).is_dir()), None)
    chain = () if folder is None else load_receipts(folder)
    return frozenset((each.received.recipient, each.received.function) for each in chain if each.received is not None)


def receiving_consents(share: ResolvedShare, sent: frozenset[SenderFunction], ledger: Ledger) -> ConsentPeriods | None:
    """The times during which tenants consented to receive the records. None for the organization's own records."""
    periods = list(_consent_periods(share, sent, ledger))
    return reduce(ConsentPeriods.intersect, periods) if periods else None


def _consent_periods(share: ResolvedShare, sent: frozenset[SenderFunction], ledger: Ledger) -> Iterator[ConsentPeriods]:
    job = share.job
    job_periods = None if job is None else consent_periods(job, load_consents(job, ledger), share.share_time)
    if job_periods is not None:
        yield job_periods
    named = None if job is None else (job.source.recipient, job.source.function)
    for name, function in sorted(sent - {named}):
        consents = load_tenant_consents(ledger, share.workspace.config, recipient=name)
        fold = share.policy.folding.tenant
        yield consents.permitted_periods(_sender(share, name), function, share.share_time, fold=fold)


def _sender(share: ResolvedShare, name: str) -> Recipient:
    if name == share.recipient.recipient:
        return share.recipient
    try:
        return share.party.recipients.load(name)
    except PolicyError:
        return absent_recipient(name)
