"""Whom and when a batch of records asks settings about: codes of tenants and subjects, event times and their bounds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.canonical import EXACT, Folding, canonical
from minimize.settings.columns import index, moments, named, valid
from minimize.settings.timeline import Bools, Integers

Bounds = tuple[int, int]
_FEW = 8192
"""Up to so many times it is cheaper to convert them all than to look for the first and the last before."""


@dataclass(frozen=True, slots=True)
class Known:
    """Whom settings name.

    tenants   their names; a tenant's code is its place
    subjects  the subjects with rows of their own; so is a subject's
    pairs     tenant and subject, by code, of every pair with rows of its own, ascending
    """

    tenants: pa.Array
    subjects: pa.Array
    pairs: Integers


@dataclass(frozen=True)
class Asked:
    """The columns of a batch that decide; what is made of them is made when it is first wanted."""

    known: Known
    tenants: pa.Array
    subjects: pa.Array | None
    times: pa.Array | None
    folding: Folding = EXACT

    @cached_property
    def _tenants(self) -> pa.Array:
        return canonical(self.tenants, fold=self.folding.tenant)

    @cached_property
    def _subjects(self) -> pa.Array | None:
        return None if self.subjects is None else canonical(self.subjects, fold=self.folding.subject)

    @cached_property
    def codes(self) -> Integers:
        """Per record the code of its tenant, -1 for one that settings do not name."""
        return index(self._tenants, self.known.tenants)

    @cached_property
    def own(self) -> Integers | None:
        """Per record the place of its pair of tenant and subject, -1 where it has no rows; None where no pair has."""
        if self._subjects is None or not len(self.known.pairs):
            return None
        wanted = pair(self.codes, index(self._subjects, self.known.subjects))
        places = np.minimum(np.searchsorted(self.known.pairs, wanted), len(self.known.pairs) - 1)
        return np.where(self.known.pairs[places] == wanted, places, -1)

    @cached_property
    def somebody(self) -> Bools | None:
        """Where tenant, subject and event time are there, so that settings can be asked; None for everywhere."""
        there = [named(self._tenants)]
        there += [] if self._subjects is None else [named(self._subjects)]
        there += [] if self.times is None else [valid(self.times)]
        found = [mask for mask in there if mask is not None]
        return np.logical_and.reduce(found) if found else None

    @cached_property
    def moments(self) -> Integers | None:
        """The event times in microseconds."""
        return None if self.times is None else moments(self.times)

    @cached_property
    def bounds(self) -> Bounds | None:
        """The first and the last event time in microseconds; None where there is none."""
        if self.times is None or not len(self.times) - self.times.null_count:
            return None
        if self.moments is not None and len(self.times) <= _FEW and not self.times.null_count:
            return int(self.moments.min()), int(self.moments.max())
        times = self.times.dictionary_decode() if pa.types.is_dictionary(self.times.type) else self.times
        found = pc.min_max(times)
        first, last = moments(pa.array([found["min"], found["max"]], times.type)).tolist()
        return first, last

    def spread(self, truths: Bools) -> pa.BooleanArray:
        """What is true of each tenant by its code (of one that settings do not name: the last), for each record."""
        if pa.types.is_dictionary(self._tenants.type):
            entries = np.append(truths[index(self._tenants.dictionary, self.known.tenants)], False)
            if entries[:-1].all() and self.somebody is None:
                return pa.repeat(pa.scalar(True), len(self.tenants))
            answer = entries[pc.fill_null(self._tenants.indices, -1).to_numpy(zero_copy_only=False)]
        else:
            answer = truths[self.codes]
        return pa.array(answer if self.somebody is None else answer & self.somebody)


def pair(tenants: Integers, subjects: Integers) -> Integers:
    """A tenant and a subject as one integer, -1 where either is nobody."""
    return np.where((tenants >= 0) & (subjects >= 0), (tenants << np.int64(32)) | subjects, -1)
