"""Evaluation of consents.

Acts as columns, the act that decides for each tenant at a time, and the periods that cover the rows of a run.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.columns import codes_of, column_microseconds
from minimize.arrow.dictionaries import Bools, valid_mask
from minimize.config import Config
from minimize.consent.terms import (
    ENDING_STATES,
    NO_AGREEMENTS,
    NO_END,
    PENDING_STATES,
    VALID_STATES,
    ConsentTerms,
    TenantAgreements,
    current_terms,
    parse_terms,
)
from minimize.identifiers import canonical_column, canonical_text
from minimize.ledger.acts import ActReader
from minimize.ledger.clock import effective_start, known_times
from minimize.ledger.kinds import CONTRACT, PREREQUISITE, ConsentAct, find_consents
from minimize.receipts.parts import sha256_text
from minimize.recipients import Function, Recipient
from minimize.recipients.load import load_contracts
from minimize.times import epoch_microseconds, utc_now

Microseconds = npt.NDArray[np.int64]
NEVER: Final = np.iinfo(np.int64).max
NO_ACT: Final = -1


@dataclass(frozen=True)
class ConsentHistory:
    """Acts as columns, in recording order; times in microseconds since 1970 (UTC).

    An act that ends a consent and that a clock ahead has recorded has the times from which it counts (see `ledger.clock`).

    `tenants` holds indices into `tenant_names`.
    """

    acts: tuple[ConsentAct, ...]
    tenant_names: tuple[str, ...]
    tenants: npt.NDArray[np.int64]
    valid_from: Microseconds
    recorded_at: Microseconds
    expires_at: Microseconds
    ends: npt.NDArray[np.bool_]
    are_requests: npt.NDArray[np.bool_]

    @classmethod
    def from_acts(cls, acts: Sequence[ConsentAct], read_at: datetime, *, fold: bool = False) -> ConsentHistory:
        """Builds the history from acts that were read at a time. With `fold`, tenants that differ only in case are one tenant."""
        tenants = [canonical_text(act.tenant_id, fold=fold) for act in acts]
        times = _act_times(acts, read_at)
        known = {tenant: place for place, tenant in enumerate(dict.fromkeys(tenants))}
        return cls(
            acts=tuple(acts),
            tenant_names=tuple(known),
            tenants=np.array([known[tenant] for tenant in tenants], np.int64),
            valid_from=np.array([epoch_microseconds(start) for start, _ in times], np.int64),
            recorded_at=np.array([epoch_microseconds(recorded) for _, recorded in times], np.int64),
            expires_at=np.array(
                [NEVER if act.expires_at is None else epoch_microseconds(act.expires_at) for act in acts], np.int64
            ),
            ends=np.array([act.state in ENDING_STATES for act in acts], np.bool_),
            are_requests=np.array([act.state in PENDING_STATES for act in acts], np.bool_),
        )

    def deciding(self, when: datetime | Microseconds, run: datetime) -> npt.NDArray[np.int64]:
        """The act that decides for each known tenant at a time, as known at the time of the run; `NO_ACT` if none decides.

        Takes one time, or one time per known tenant in microseconds since 1970.

        The latest act that is valid at the time decides. Among acts of the same time, the last recorded one decides. A refusal,
        withdrawal or expiry also ends every act recorded before it, even one that is valid from a later time. The order of
        recording is the order in the ledger, not a clock.
        """
        began = self._recorded_by(run) & (self.valid_from <= self._own(when))
        latest = self._last(began & ~self.are_requests, self.valid_from)
        ending = self._last(began & self.ends)
        return np.maximum(latest, ending)

    def requested(self, when: datetime | Microseconds, run: datetime) -> npt.NDArray[np.int64]:
        """The last recorded request or unconfirmed consent for each known tenant."""
        return self._last(self._recorded_by(run) & self.are_requests & (self.valid_from <= self._own(when)))

    def upcoming(self, when: datetime | Microseconds, run: datetime) -> npt.NDArray[np.int64]:
        """For each known tenant, a recorded consent that becomes valid only later."""
        later = self._recorded_by(run) & ~self.are_requests & ~self.ends & (self.valid_from > self._own(when))
        return self._last(later, self.valid_from)

    def changes(self, run: datetime) -> Microseconds:
        """The instants at which each known tenant's decision may change, ascending, a row per tenant; padded with `NEVER`."""
        recorded_mask = self._recorded_by(run) & ~self.are_requests
        tenants = np.concatenate([self.tenants[recorded_mask], self.tenants[recorded_mask]])
        instants = np.concatenate([self.valid_from[recorded_mask], self.expires_at[recorded_mask]])
        pairs = np.unique(np.stack([tenants, instants])[:, instants != NEVER], axis=1)
        counts = np.bincount(pairs[0], minlength=len(self.tenant_names))
        changes = np.full((len(self.tenant_names), max(counts.max(initial=0), 1)), NEVER, np.int64)
        changes[pairs[0], np.arange(pairs.shape[1]) - (np.cumsum(counts) - counts)[pairs[0]]] = pairs[1]
        return changes

    def _own(self, when: datetime | Microseconds) -> Microseconds | int:
        """The time that applies to each act's tenant."""
        return epoch_microseconds(when) if isinstance(when, datetime) else when[self.tenants]

    def _recorded_by(self, run: datetime) -> npt.NDArray[np.bool_]:
        return self.recorded_at <= epoch_microseconds(run)

    def _last(self, candidates: npt.NDArray[np.bool_], times: Microseconds | None = None) -> npt.NDArray[np.int64]:
        """The last of the candidate acts for each known tenant: by these times, then by recording order."""
        order = np.flatnonzero(candidates)
        order = order if times is None else order[np.argsort(times[order], kind="stable")]
        last = np.full(len(self.tenant_names), NO_ACT, np.int64)
        last[self.tenants[order]] = order  # of several acts, the last one remains
        return last


def _act_times(acts: Sequence[ConsentAct], now: datetime) -> list[tuple[datetime, datetime]]:
    """The time from which each act counts, and the time at which it was known."""
    known = known_times([act.recorded_at for act in acts], now)
    return [
        (effective_start(act.valid_from, act.recorded_at, time), time)
        if act.state in ENDING_STATES
        else (act.valid_from, act.recorded_at)
        for act, time in zip(acts, known, strict=True)
    ]


ConsentDecision = tuple[str | None, str | None]
"""For one tenant: the id of the consent, or the reason why there is none."""
NOT_ASKED: ConsentDecision = (None, "none")


@dataclass(frozen=True)
class ConsentAnswer:
    """Whether each row's tenant consented. The decision is made once per tenant and applied to the rows."""

    tenant_names: tuple[str, ...]
    """Tenants with a decision; the last decision is for all other tenants and for null."""
    decisions: tuple[ConsentDecision, ...]
    places: pa.Array
    """Per row, the index of its tenant's decision."""
    rows: pa.Array = field(repr=False, compare=False)
    """Per row, the tenant in its canonical form."""

    @cached_property
    def valid(self) -> pa.BooleanArray:
        """Whether each row's tenant consented; never null."""
        return pa.array([reason is None for _, reason in self.decisions], pa.bool_()).take(self.places)

    @cached_property
    def ids(self) -> pa.StringArray:
        """The id of the consent that permits each row; null if none does."""
        return pa.array([consent for consent, _ in self.decisions], pa.string()).take(self.places)

    @cached_property
    def reasons(self) -> pa.StringArray:
        """The stable reason why a row has no consent; null if it has one."""
        return pa.array([reason for _, reason in self.decisions], pa.string()).take(self.places)

    @property
    def consents(self) -> tuple[str, ...]:
        """The ids of all consents that permit a row, sorted."""
        places = np.flatnonzero(self._rows)
        return tuple(sorted(consent for place in places if (consent := self.decisions[place][0]) is not None))

    @property
    def tenants(self) -> Mapping[str | None, int]:
        """The number of distinct tenants per outcome: consent (None), or the reason for its absence."""
        counts: dict[str | None, int] = {}
        for place in np.flatnonzero(self._rows[:-1]):
            reason = self.decisions[place][1]
            counts[reason] = counts.get(reason, 0) + 1
        others = self.rows.filter(pc.equal(self.places, len(self.tenant_names)))
        other_count = pc.count_distinct(others).as_py()
        if other_count:
            reason = self.decisions[-1][1]
            counts[reason] = counts.get(reason, 0) + other_count
        return counts

    @cached_property
    def _rows(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The number of rows for each decision."""
        return np.bincount(self.places.to_numpy(zero_copy_only=False), minlength=len(self.decisions))


def spread_decisions(
    tenant_names: Sequence[str], decisions: Sequence[ConsentDecision], others: ConsentDecision, tenants: pa.Array
) -> ConsentAnswer:
    """The answer for a column of tenants, from the decisions about known tenants."""
    canonical = canonical_column(tenants.combine_chunks() if isinstance(tenants, pa.ChunkedArray) else tenants)
    if pa.types.is_dictionary(canonical.type):
        words = _tenant_positions(tenant_names, canonical.dictionary)
        places = pc.fill_null(words.take(canonical.indices), len(tenant_names))
    else:
        places = _tenant_positions(tenant_names, canonical)
    return ConsentAnswer(tuple(tenant_names), (*decisions, others), places, canonical)


def _tenant_positions(tenant_names: Sequence[str], tenants: pa.Array) -> pa.Array:
    texts = tenants if pa.types.is_string(tenants.type) else tenants.cast(pa.string())
    return pc.fill_null(pc.index_in(texts, pa.array(tenant_names, pa.string())), len(tenant_names))


@dataclass(frozen=True)
class Consents:
    """All recorded consent acts, in recording order, and what sharing needs besides consent."""

    acts: tuple[ConsentAct, ...]
    agreements: TenantAgreements = NO_AGREEMENTS
    read_at: datetime = field(default_factory=utc_now, compare=False, repr=False)
    """The time at which they were read."""

    def effective_at(self, run: datetime, event: datetime | None = None) -> EffectiveConsents:
        """The consents as known at the time of the run or of the sharing.

        With an event time, a consent must hold at both times. Both are evaluated with the acts known at the time of the run.
        """
        return EffectiveConsents(self, run, event)

    def permitted_periods(
        self,
        recipient: Recipient,
        function: str,
        run: datetime,
        *,
        also: Collection[datetime] = (),
        fold: bool = False,
    ) -> ConsentPeriods:
        """The periods in which both consents and contracts cover a function, of tenants that meet its prerequisites.

        Takes the arguments of `ConsentPeriods.from_consents`.
        """
        consented = ConsentPeriods.from_consents(self, recipient, function, run, also=also, fold=fold)
        manifest = recipient.function(function)
        if manifest is None or (recipient.standing == "processor" and not manifest.requires):
            return consented
        return consented.intersect(
            _agreement_periods(self.agreements, recipient, manifest, consented.tenants, run, also, fold=fold)
        )

    def history(self, recipient: str, function: str, *, fold: bool = False) -> ConsentHistory:
        """The acts about one function. With `fold`, tenants that differ only in case are one tenant."""
        if fold:
            acts = (act for act in self.acts if (act.recipient, act.function) == (recipient, function))
            return ConsentHistory.from_acts(tuple(acts), self.read_at, fold=True)
        return self._histories.get((recipient, function)) or ConsentHistory.from_acts((), self.read_at)

    @cached_property
    def _histories(self) -> dict[tuple[str, str], ConsentHistory]:
        acts_by_key: dict[tuple[str, str], list[ConsentAct]] = {}
        for act in self.acts:
            acts_by_key.setdefault((act.recipient, act.function), []).append(act)
        return {key: ConsentHistory.from_acts(acts, self.read_at) for key, acts in acts_by_key.items()}


@dataclass(frozen=True)
class EffectiveConsents:
    """Consents at one time."""

    consents: Consents
    run: datetime
    event: datetime | None = None

    def evaluate(
        self, recipient: Recipient, function: str, tenants: pa.Array, fields: Sequence[str] | None = None
    ) -> ConsentAnswer:
        """Whether each row's tenant consented to the function as the recipient's file defines it now.

        Takes the tenants (text, also dictionary-encoded or chunked) and the function's fields to be sent; by default all that
        can be sent. Nulls: a null tenant has no consent. An unknown tenant or function, or a field that no consent covers, has no
        consent.
        """
        if recipient.function(function) is None:
            return spread_decisions((), (), (None, "no_function"), tenants)
        terms = current_terms(recipient, function)
        history = self.consents.history(recipient.recipient, function)
        covering = TermsCoverage(history, terms, fields)
        decisions = [covering.decisions_at(when, self.run) for when in self.times]
        return spread_decisions(
            history.tenant_names,
            [_first_without_consent(each) for each in zip(*decisions, strict=True)],
            NOT_ASKED,
            tenants,
        )

    def permit(
        self, recipient: Recipient, function: str, tenants: pa.Array, fields: Sequence[str] | None = None
    ) -> ConsentAnswer:
        """As `evaluate`. Of tenants that consented, the contract must permit the fields and the prerequisites must be met.

        The reason why not is then a rule: `no_contract`, `contract_not_in_force`, `no_transmission`, `outside_contract` or
        `requires`.
        """
        answer, manifest = self.evaluate(recipient, function, tenants, fields), recipient.function(function)
        if manifest is None:
            return answer
        sent = tuple(manifest.sent) if fields is None else fields
        gaps = (
            decision[1] or self.consents.agreements.gap(recipient, manifest, name, self.run, self.times, sent)
            for name, decision in zip(answer.tenant_names, answer.decisions, strict=False)
        )
        decisions = (
            decision if gap is None else (None, gap) for gap, decision in zip(gaps, answer.decisions, strict=False)
        )
        return replace(answer, decisions=(*decisions, answer.decisions[-1]))

    @property
    def times(self) -> tuple[datetime, ...]:
        """The times at which a consent must hold; the run's time comes first."""
        return (self.run,) if self.event is None else (self.run, self.event)


def load_consents(
    acts: ActReader, config: Config | None, *, recipient: str | None = None, tenant: str | None = None
) -> Consents:
    """Loads the consents, contracts and confirmed prerequisites of a ledger, optionally of one recipient or tenant.

    `config` is the configuration that names the file of contracts; None for that of the current folder. Raises LedgerError,
    and PolicyError for a faulty file of contracts.
    """
    consents = find_consents(acts, recipient=recipient, tenant=tenant)
    agreements = load_agreements(acts, config, recipient=recipient, tenant=tenant)
    return Consents(tuple(consents), agreements, acts.now)


def load_agreements(
    acts: ActReader, config: Config | None, *, recipient: str | None = None, tenant: str | None = None
) -> TenantAgreements:
    """Loads the contracts and confirmed prerequisites alone; as `load_consents`."""
    return TenantAgreements(
        tuple(acts.find(CONTRACT, key=recipient, tenant=tenant)),
        tuple(acts.find(PREREQUISITE, key=recipient, tenant=tenant)),
        load_contracts(config),
        acts.now,
    )


def consent_end(acts: Sequence[ConsentAct], consent: str, now: datetime) -> str | None:
    """How a consent has ended, so that data shared under it must be recalled; None if it has not.

    acts     all acts of its tenant about its function, in recording order
    consent  its id; of an unknown consent, every end counts

    Returns `refused`, `withdrawn` or `expired`. An act ends a consent if it was recorded after it, or is valid from a later time.
    A later consent does not cancel the end. It takes the place of a consent whose time is over, unless that was recorded.
    """
    place, agreement = next(((place, act) for place, act in enumerate(acts) if act.id == consent), (NO_ACT, None))
    starts = [start for start, _ in _act_times(acts, now)]
    begun = [(number, act) for number, act in enumerate(acts) if starts[number] <= now]
    ends = [
        act.state
        for number, act in begun
        if act.state in ENDING_STATES and (agreement is None or number > place or starts[number] > agreement.valid_from)
    ]
    if ends or agreement is None:
        return ends[-1] if ends else None
    is_over = agreement.expires_at is not None and agreement.expires_at <= now
    holding = (act for _, act in begun if act.state in VALID_STATES)
    return "expired" if is_over and not any(act.expires_at is None or act.expires_at > now for act in holding) else None


class TermsCoverage:
    """Compares deciding acts with the required terms, for some fields or for all."""

    def __init__(self, history: ConsentHistory, terms: ConsentTerms, fields: Sequence[str] | None = None) -> None:
        self._history, self._wanted = history, terms
        self._fields = tuple(terms.forms if fields is None else fields)
        self._lacks: dict[str, str | None] = {}

    def decisions_at(self, when: datetime | Microseconds, run: datetime) -> list[ConsentDecision]:
        """For each known tenant the consent, or the reason for its absence; at one time, or at one time per tenant."""
        history = self._history
        deciding = history.deciding(when, run)
        ahead, requested = history.upcoming(when, run), history.requested(when, run)
        moments = np.full(len(deciding), epoch_microseconds(when), np.int64) if isinstance(when, datetime) else when
        columns = (column.tolist() for column in (deciding, ahead, requested, moments))
        return [self._decision(places, time) for *places, time in zip(*columns, strict=True)]

    def _decision(self, places: Sequence[int], when: int) -> ConsentDecision:
        place, ahead, requested = places
        if place == NO_ACT:
            state = "none" if requested == NO_ACT else self._history.acts[requested].state
            return None, "not_yet" if ahead != NO_ACT else state
        act = self._history.acts[place]
        if act.state not in VALID_STATES:
            return None, act.state
        if self._history.expires_at[place] <= when:
            return None, "expired"
        lacks = self._lack(act.terms)
        return (act.id, None) if lacks is None else (None, lacks)

    def _lack(self, terms: str) -> str | None:
        """Compares each distinct terms text once, because many tenants consent to the same terms."""
        if terms not in self._lacks:
            self._lacks[terms] = parse_terms(terms).coverage_gap(self._wanted, self._fields)
        return self._lacks[terms]


def _first_without_consent(decisions: Sequence[ConsentDecision]) -> ConsentDecision:
    """The first decision without a consent wins; if all have one, the consent at the run's time."""
    return next((decision for decision in decisions if decision[1] is not None), decisions[0])


_EVER: Final = datetime.min.replace(tzinfo=UTC)
_NO_PERIODS: Final = np.empty((0, 1), np.int64)


@dataclass(frozen=True)
class ConsentPeriods:
    """The periods in which each tenant's consent covers a function, as known at the time of a run.

    Holds only tenants and times, so that it can be sent to other processes.
    """

    tenants: tuple[str, ...] = field(default=(), repr=False)
    """Tenants whose consent covers the function at the time of the run, in canonical form."""
    starts: Microseconds = field(default_factory=_NO_PERIODS.copy, repr=False)
    """Per tenant (row), the first instant of each period, in microseconds since 1970."""
    ends: Microseconds = field(default_factory=_NO_PERIODS.copy, repr=False)
    """Per tenant (row), the first instant after each period."""
    fold: bool = False
    """Whether tenants that differ only in case are one tenant."""
    digest: str = ""
    """The `sha256:` digest of the required terms and the known acts."""

    @classmethod
    def from_consents(
        cls,
        consents: Consents,
        recipient: Recipient,
        function: str,
        run: datetime,
        *,
        also: Collection[datetime] = (),
        fold: bool = False,
    ) -> Self:
        """The periods in which consents cover a recipient's function, as its file defines it now.

        A consent must hold at the time of the run, and at each other time in `also`. No consent covers a function that the file
        does not have.
        """
        terms = None if recipient.function(function) is None else current_terms(recipient, function)
        digest = _periods_digest(consents, recipient.recipient, function, terms, run)
        if terms is None:
            return cls(fold=fold, digest=digest)
        history = consents.history(recipient.recipient, function, fold=fold)
        covering, starts = TermsCoverage(history, terms), history.changes(run)
        now: Bools = np.logical_and.reduce([_holding_mask(covering.decisions_at(when, run)) for when in (run, *also)])
        covered = np.array([_holding_mask(covering.decisions_at(column, run)) for column in starts.T], np.bool_)
        ends = np.concatenate([starts[:, 1:], np.full((len(starts), 1), NEVER, np.int64)], axis=1)
        for column in reversed(range(len(covered) - 1)):  # periods without a gap between them are one period
            ends[:, column] = np.where(covered[column + 1], ends[:, column + 1], ends[:, column])
        ends = np.where(covered.T, ends, starts)
        tenants = tuple(name for name, holds in zip(history.tenant_names, now.tolist(), strict=True) if holds)
        return cls(tenants, starts[now], ends[now], fold, digest)

    def intersect(self, periods: Self) -> Self:
        """The intersection of these periods with others, for tenants that both have."""
        places = [(our_place, periods._tenant_places.get(name, -1)) for our_place, name in enumerate(self.tenants)]
        shared = [(our_place, place) for our_place, place in places if place >= 0]
        ours, theirs = np.array(shared, np.int64).reshape(-1, 2).T
        shape = (
            len(ours),
            self.starts.shape[1] * periods.starts.shape[1],
        )  # every period with every other; most intersections are empty
        starts = np.maximum(self.starts[ours][:, :, None], periods.starts[theirs][:, None, :]).reshape(shape)
        ends = np.minimum(self.ends[ours][:, :, None], periods.ends[theirs][:, None, :]).reshape(shape)
        tenants = tuple(self.tenants[our_place] for our_place in ours.tolist())
        return replace(
            self, tenants=tenants, starts=starts, ends=ends, digest=_combine_digests(self.digest, periods.digest)
        )

    def consent_mask(self, tenants: pa.Array, times: pa.Array | None) -> pa.BooleanArray:
        """Per record, whether the tenant's consent held at the event time and holds at the run's time; never null.

        Takes tenants (also dictionary-encoded) and event times of equal length. Without times only the run's time decides.
        Nulls: a record without a tenant or a time has no consent.
        """
        places = self._places(tenants)
        if times is None:
            return pa.array(places >= 0)
        when, valid = column_microseconds(times), valid_mask(times)
        mask = self._period_mask(places, when, when)
        return pa.array(mask if valid is None else mask & valid)

    def agreed_throughout(self, tenants: pa.Array, first: Microseconds, last: Microseconds) -> Bools:
        """Per record, whether the consent held without a gap from one instant to another and holds at the run's time."""
        return self._period_mask(self._places(tenants), first, last)

    def agreed_at_some_time(self, tenants: pa.Array, first: Microseconds, last: Microseconds) -> Bools:
        """Per record, whether the consent held at any instant from one to another and holds at the run's time."""
        places = self._places(tenants)
        mask = np.zeros(len(places), np.bool_)
        if len(self.tenants):
            for starts, ends in zip(self.starts.T, self.ends.T, strict=True):  # a tenant has few periods
                mask |= (starts[places] < ends[places]) & (starts[places] <= last) & (first < ends[places])
        return mask & (places >= 0)

    def unchanged_since(self, earlier: Self, until: datetime) -> Self:
        """These periods, of the tenants that have the same ones in `earlier` up to a time."""
        limit = epoch_microseconds(until)
        places = [
            place
            for place, name in enumerate(self.tenants)
            if name in earlier._tenant_places
            and self._spans(place, limit) == earlier._spans(earlier._tenant_places[name], limit)
        ]
        tenants = tuple(self.tenants[place] for place in places)
        return replace(self, tenants=tenants, starts=self.starts[places], ends=self.ends[places])

    def _spans(self, place: int, limit: int) -> list[tuple[int, int]]:
        """The periods of a tenant up to a time, ascending."""
        pairs = zip(self.starts[place].tolist(), self.ends[place].tolist(), strict=True)
        return sorted((start, min(end, limit)) for start, end in pairs if start < min(end, limit))

    def _period_mask(self, places: Microseconds, first: Microseconds, last: Microseconds) -> Bools:
        mask = np.zeros(len(places), np.bool_)
        if len(self.tenants):
            for starts, ends in zip(self.starts.T, self.ends.T, strict=True):  # a tenant has few periods
                mask |= (starts[places] <= first) & (last < ends[places])
        return mask & (places >= 0)

    def _places(self, tenants: pa.Array) -> Microseconds:
        """Each record's index into the tenants with a consent; -1 if absent. Looks up each distinct tenant once."""
        return codes_of(tenants, self._tenant_places, fold=self.fold)

    @cached_property
    def _tenant_places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.tenants)}


def _agreement_periods(
    agreements: TenantAgreements,
    recipient: Recipient,
    function: Function,
    tenants: Sequence[str],
    run: datetime,
    also: Collection[datetime],
    *,
    fold: bool,
) -> ConsentPeriods:
    """The periods in which contracts permit to move the data of tenants that meet the prerequisites of a function."""
    name, whens = recipient.recipient, (run, *also)
    covered = dict[str, list[tuple[datetime, datetime]]]()
    for tenant in tenants:
        always = recipient.standing == "processor"
        spans = [(_EVER, NO_END)] if always else agreements.periods(name, function, tenant, run, fold=fold)
        in_force = all(any(start <= when < end for start, end in spans) for when in whens)
        if in_force and not agreements.unconfirmed_prerequisites(recipient, function, tenant, run, fold=fold):
            covered[tenant] = spans
    width = max(map(len, covered.values()), default=1)
    starts, ends = np.zeros((len(covered), width), np.int64), np.zeros((len(covered), width), np.int64)
    for place, spans in enumerate(covered.values()):
        starts[place, : len(spans)] = [epoch_microseconds(start) for start, _ in spans]
        ends[place, : len(spans)] = [NEVER if end == NO_END else epoch_microseconds(end) for _, end in spans]
    content = {"function": function.name, "requires": function.requires, **agreements.content(name, run)}
    digest = sha256_text(json.dumps(content, sort_keys=True).encode())
    return ConsentPeriods(tuple(covered), starts, ends, fold, digest)


def _holding_mask(decisions: Sequence[ConsentDecision]) -> Bools:
    return np.array([reason is None for _, reason in decisions], np.bool_)


def _combine_digests(*digests: str) -> str:
    """Combines two digests into one; equal digests stay unchanged."""
    distinct = sorted(set(digests))
    return distinct[0] if len(distinct) == 1 else sha256_text(" ".join(distinct).encode())


def _periods_digest(
    consents: Consents, recipient: str, function: str, terms: ConsentTerms | None, run: datetime
) -> str:
    acts = [act for act in consents.acts if (act.recipient, act.function) == (recipient, function)]
    act_ids = [act.id for act, (_, known) in zip(acts, _act_times(acts, consents.read_at), strict=True) if known <= run]
    content = {"terms": None if terms is None else terms.digest, "acts": act_ids}
    return sha256_text(json.dumps(content, sort_keys=True).encode())
