"""Periods in which the consents of tenants cover a function, as a run asks for them: row by row, by the event time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.consent.evaluation import NEVER, ConsentDecision, Consents, Microseconds, TermsCoverage, utc_microseconds
from minimize.consent.terms import ConsentTerms, current_terms
from minimize.identifiers import canonical_text
from minimize.recipients import Recipient
from minimize.settings.columns import canonical_texts, code_numbers, column_microseconds, encode_column, valid_mask

Bools = npt.NDArray[np.bool_]
_NO_PERIODS: Final = np.empty((0, 1), np.int64)


@dataclass(frozen=True)
class ConsentPeriods:
    """When each tenant's consent covers a function, as it is known at the time of a run.

    Holds nothing but tenants and times, so that other processes can be given it.

    tenants  those whose consent covers the function at the time of the run, in their canonical form
    starts   of each of them the first instant of every period, in microseconds since 1970; a row for each tenant
    ends     the first instant that is no longer in the period
    fold     whether tenants that differ in case alone are one tenant
    digest   `sha256:` over the terms that are wanted, and the acts that were known
    """

    tenants: tuple[str, ...] = field(default=(), repr=False)
    starts: Microseconds = field(default_factory=_NO_PERIODS.copy, repr=False)
    ends: Microseconds = field(default_factory=_NO_PERIODS.copy, repr=False)
    fold: bool = False
    digest: str = ""

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
        """The periods in which consents cover a recipient's function, as its file has it now.

        A consent must hold at the time of the run, and at other times that are named (`also`). A function that the file does not
        have is covered by no consent.
        """
        wanted = None if recipient.function(function) is None else current_terms(recipient, function)
        digest = _periods_digest(consents, recipient.recipient, function, wanted, run)
        if wanted is None:
            return cls(fold=fold, digest=digest)
        history = consents.history(recipient.recipient, function, fold=fold)
        covering, starts = TermsCoverage(history, wanted), history.changes(run)
        now: Bools = np.logical_and.reduce([_holding_mask(covering.decisions_at(when, run)) for when in (run, *also)])
        covered = np.array([_holding_mask(covering.decisions_at(column, run)) for column in starts.T], np.bool_)
        ends = np.concatenate([starts[:, 1:], np.full((len(starts), 1), NEVER, np.int64)], axis=1)
        for column in reversed(range(len(covered) - 1)):  # what follows without a gap belongs to the same period
            ends[:, column] = np.where(covered[column + 1], ends[:, column + 1], ends[:, column])
        ends = np.where(covered.T, ends, starts)
        tenants = tuple(name for name, holds in zip(history.tenant_names, now.tolist(), strict=True) if holds)
        return cls(tenants, starts[now], ends[now], fold, digest)

    def intersect(self, other: Self) -> Self:
        """What is covered by these periods and by others, of tenants that both have."""
        places = [(own, other._tenant_places.get(name, -1)) for own, name in enumerate(self.tenants)]
        shared = [(own, place) for own, place in places if place >= 0]
        ours, theirs = np.array(shared, np.int64).reshape(-1, 2).T
        shape = (
            len(ours),
            self.starts.shape[1] * other.starts.shape[1],
        )  # every period with every other, most of them empty
        starts = np.maximum(self.starts[ours][:, :, None], other.starts[theirs][:, None, :]).reshape(shape)
        ends = np.minimum(self.ends[ours][:, :, None], other.ends[theirs][:, None, :]).reshape(shape)
        tenants = tuple(self.tenants[own] for own in ours.tolist())
        return replace(
            self, tenants=tenants, starts=starts, ends=ends, digest=_combine_digests(self.digest, other.digest)
        )

    def consent_mask(self, tenants: pa.Array, times: pa.Array | None) -> pa.BooleanArray:
        """Per record whether the tenant's consent held at the event time, and holds at the run's; never null.

        Takes tenants (encoded or not) and event times, equally long; without times only the run's time decides.
        Nulls: a record without a tenant or a time has no consent.
        """
        places = self._places(tenants)
        if times is None:
            return pa.array(places >= 0)
        when, there = column_microseconds(times), valid_mask(times)
        found = self._period_mask(places, when, when)
        return pa.array(found if there is None else found & there)

    def agreed_throughout(self, tenants: pa.Array, first: Microseconds, last: Microseconds) -> Bools:
        """Per record whether the consent held from one instant to another, without a gap, and holds at the run's time."""
        return self._period_mask(self._places(tenants), first, last)

    def _period_mask(self, places: Microseconds, first: Microseconds, last: Microseconds) -> Bools:
        found = np.zeros(len(places), np.bool_)
        if len(self.tenants):
            for starts, ends in zip(self.starts.T, self.ends.T, strict=True):  # a few periods a tenant
                found |= (starts[places] <= first) & (last < ends[places])
        return found & (places >= 0)

    def _places(self, tenants: pa.Array) -> Microseconds:
        """Where each record's tenant is among those that agreed; -1 for nowhere. Looks each distinct tenant up once."""
        own = encode_column(tenants)
        forms: Sequence[str] = canonical_texts(own.dictionary)
        each = [self._tenant_places.get(canonical_text(form, fold=True) if self.fold else form, -1) for form in forms]
        return np.array([*each, -1], np.int64)[code_numbers(own.indices)]

    @cached_property
    def _tenant_places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.tenants)}


def _holding_mask(decisions: Sequence[ConsentDecision]) -> Bools:
    return np.array([reason is None for _, reason in decisions], np.bool_)


def _combine_digests(*digests: str) -> str:
    """One digest for two; that of equal ones is their own."""
    each = sorted(set(digests))
    return each[0] if len(each) == 1 else f"sha256:{hashlib.sha256(' '.join(each).encode()).hexdigest()}"


def _periods_digest(
    consents: Consents, recipient: str, function: str, terms: ConsentTerms | None, run: datetime
) -> str:
    seen = [
        act.id
        for act in consents.acts
        if (act.recipient, act.function) == (recipient, function)
        and utc_microseconds(act.recorded_at) <= utc_microseconds(run)
    ]
    said = {"terms": None if terms is None else terms.digest, "acts": seen}
    return f"sha256:{hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()}"
