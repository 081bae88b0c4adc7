"""`count_distinct`: the distinct values of a field in a group."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import pyarrow as pa

from minimize.aggregates.base import SCALARS, Measure, MeasureTally, MeasureTerms, StatedNoise
from minimize.aggregates.distinct_subjects import DistinctSubjects, chosen_rows
from minimize.arrow.dictionaries import Codes, is_identity
from minimize.arrow.hashing import SPREAD_FACTOR, mix
from minimize.spill import Accumulator, HashedRows, HashWords

if TYPE_CHECKING:
    from minimize.aggregates.base import ValueBounds
    from minimize.aggregates.definition import BoundMeasure, SubjectLimits
    from minimize.aggregates.noise import NoiseKey
    from minimize.aggregates.noisy_figures import NoisyRows


class CountDistinct(Measure):
    """The number of distinct values of a field, nulls not counted; subjects are counted by their ids, not by pseudonyms.

    Takes every type that is not nested. Gives int64, rounded if the aggregate defines it. With noise, so many values of each
    subject count as the aggregate states.
    """

    name: ClassVar[str] = "count_distinct"
    about: ClassVar[str] = "the number of distinct values"
    takes = SCALARS
    result_type = pa.int64()
    takes_noise = True
    shown_values = "none"
    revealed_counts = "rounded"
    counts_distinct = True
    needs_bounds = False
    hidden_cells = "together"
    of: str

    def start(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally."""
        self.accepted_type(type_)
        return CountDistinctTally(terms)

    def start_noisy(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally of values with their subjects."""
        self.accepted_type(type_)
        return SubjectValueTally(terms)

    def noisy_column(self, rows: NoisyRows, measured: BoundMeasure, tally: MeasureTally | None) -> pa.Array:
        """The noisy number of distinct values, at least 1; null where too few subjects have a value. Of each subject only so many
        values count as the noise hides."""
        assert isinstance(tally, SubjectValueTally)
        assert measured.measured_field is not None
        _, is_shown = rows.with_value(measured.measured_field)
        limit = rows.definition.limits.values
        noise = rows.noise.scaled(rows.figure("distinct", self.of), limit)
        return pa.array(np.maximum(tally.count(rows.groups, limit) + noise, 1), pa.int64(), mask=~is_shown)

    def stated_noise(self, deviation: float, limits: SubjectLimits, bounds: ValueBounds | None) -> StatedNoise:
        """That of the values of one subject."""
        return StatedNoise(deviation * limits.values)


class CountDistinctTally:
    """Distinct values per group, by their hashes."""

    def __init__(self, terms: MeasureTerms) -> None:
        self._terms = terms
        self._seen = DistinctSubjects(terms.space)

    def observe(self, groups: Codes, values: pa.Array, subjects: HashWords) -> None:
        """Adds rows."""
        self._seen.add(groups, self._terms.space.hasher(values))

    def merge(self, tally: Self, groups: Codes) -> None:
        """Merges another tally."""
        self._seen.merge(tally._seen, groups)

    def count(self, groups: Codes) -> Codes:
        """The number of distinct values of some groups."""
        return self._seen.count(groups)

    def settle(self, groups: Codes) -> pa.Array:
        """Distinct values per group."""
        return pa.array(self._terms.rounded(self.count(groups)), pa.int64())


class SubjectValueTally:
    """The distinct values of each subject in each group, by their hashes. Rows without a subject are left out.

    The words of a row are the hash of the subject with the group, the hash of the value, and the group. The hash of the value is
    covered by that of the subject, so that each subject has its own order of the values.
    """

    def __init__(self, terms: MeasureTerms) -> None:
        self._space = terms.space
        self._rows = Accumulator(terms.space, 5, keys=4)

    def observe(self, groups: Codes, values: pa.Array, subjects: HashWords) -> None:
        """Adds rows."""
        with_subject = np.flatnonzero(subjects[:, 1])
        owners, (first, second) = groups[with_subject].astype(np.uint64), subjects[with_subject].T
        hashes = self._space.hasher(values)[with_subject]
        columns = [first ^ owners * SPREAD_FACTOR, second, hashes[:, 0] ^ mix(second), hashes[:, 1], owners]
        self._rows.add(HashedRows(np.column_stack(columns)))

    def merge(self, tally: Self, groups: Codes) -> None:
        """Merges another tally."""
        if is_identity(groups):
            self._rows.merge(tally._rows)
            return
        for rows in tally._rows.settle():
            words, before = rows.words.copy(), rows.words[:, 4]
            words[:, 4] = groups[before.astype(np.int64)]
            words[:, 0] ^= (before * SPREAD_FACTOR) ^ (words[:, 4] * SPREAD_FACTOR)
            self._rows.add(HashedRows(words))

    def count(self, groups: Codes, limit: int) -> Codes:
        """The number of distinct values of some groups, if so many values of each subject count."""
        distinct_values = DistinctSubjects(self._space)
        for words in chosen_rows(self._rows, limit):
            distinct_values.add(
                words[:, 4].astype(np.int64), np.column_stack([words[:, 2] ^ mix(words[:, 1]), words[:, 3]])
            )
        return distinct_values.count(groups)

    def digest(self, groups: HashWords, key: NoiseKey) -> bytes:
        """A digest of the values and their subjects in all groups."""
        sums = np.zeros(3, np.uint64)
        for rows in self._rows.settle():
            first, second, first_value, second_value, owners = rows.words.T
            hashes = groups.take(owners.astype(np.int64), axis=0)
            content = mix(mix(hashes[:, 0] ^ first_value) ^ second_value)
            subject = first ^ owners * SPREAD_FACTOR
            sums += np.array(
                [mix(subject ^ content).sum(), mix(second + (content ^ hashes[:, 1])).sum(), len(owners)], np.uint64
            )
        return sums.tobytes()

    def settle(self, groups: Codes) -> pa.Array:
        """Distinct values per group, of which all count."""
        return pa.array(self.count(groups, np.iinfo(np.int64).max), pa.int64())
