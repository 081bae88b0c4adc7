"""Partitions of combinations into classes that a search refines attribute by attribute, without the classes that are lost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from minimize.disclosure_risk.combinations import Classes, Codes, Combinations, classes_of
from minimize.disclosure_risk.measures import RISK_MEASURES
from minimize.disclosure_risk.requirement import Baseline, Requirement

_CELLS_PER_ROW: Final = 16
"""Classes are numbered by a table of all possible keys up to so many per combination, and by sorting above. The table takes a
tenth of the time on Adult."""


@dataclass(frozen=True, eq=False)
class Partition:
    """Some combinations, each in a class."""

    rows: Codes
    """The combinations, ascending."""
    records: npt.NDArray[np.float64]
    """The records of each of these, as a floating-point number, which holds every count below 2**53 exactly."""
    class_of: Codes
    """The class of each of these, from 0."""
    count: int
    """The number of classes. A class may be empty."""

    @classmethod
    def of_all(cls, combinations: Combinations) -> Partition:
        """All combinations as one class."""
        rows = np.arange(len(combinations))
        return cls(rows, combinations.records.astype(np.float64), np.zeros(len(rows), np.int64), min(1, len(rows)))

    def refined(self, codes: npt.NDArray[np.int32] | Codes, count: int) -> Partition:
        """The partition by class and another code. Takes the code of every combination, and an upper bound of all codes."""
        keys = self.class_of * count + codes.take(self.rows)
        return Partition(self.rows, self.records, *dense_codes(keys, self.count * count))

    def divided(self, is_kept: npt.NDArray[np.bool_]) -> tuple[Partition, Codes]:
        """The partition without some classes, and the combinations of these."""
        if is_kept.all():
            return self, self.rows[:0]
        mask = is_kept.take(self.class_of)
        kept = np.flatnonzero(mask)
        classes = (np.cumsum(is_kept) - 1).take(self.class_of.take(kept))
        partition = Partition(self.rows.take(kept), self.records.take(kept), classes, int(np.count_nonzero(is_kept)))
        return partition, self.rows.take(np.flatnonzero(~mask))

    def class_records(self) -> npt.NDArray[np.float64]:
        """The records of each class."""
        return np.bincount(self.class_of, self.records, self.count).astype(np.float64)

    @cached_property
    def first_rows(self) -> Codes:
        """A combination of each class."""
        rows = np.zeros(self.count, np.int64)
        rows[self.class_of[::-1]] = self.rows[::-1]
        return rows


def dense_codes(keys: Codes, size: int) -> tuple[Codes, int]:
    """Equal keys as equal numbers from 0 on, in ascending order, and how many there are. Takes an upper bound of the keys."""
    if size <= max(1 << 16, _CELLS_PER_ROW * len(keys)):
        is_used = np.zeros(size, np.bool_)
        is_used[keys] = True
        numbers = np.cumsum(is_used) - 1
        return numbers[keys], int(numbers[-1]) + 1 if size else 0
    distinct, dense = np.unique(keys, return_inverse=True)
    return dense.astype(np.int64), len(distinct)


class PartitionCounts:
    """Finds the classes of a partition that no refinement can keep."""

    def __init__(self, combinations: Combinations, requirement: Requirement) -> None:
        self.requirement = requirement
        self.has_others = any(name != "k" for name in requirement.thresholds)
        self.combinations = combinations if self.has_others else replace(combinations, sensitive=(), sensitive_pairs=())
        self.baseline = Baseline.of_combinations(self.combinations)

    def holds(self, rows: Codes, class_of: Codes, count: int) -> npt.NDArray[np.bool_]:
        """Whether each class of some combinations meets the requirement."""
        return self.requirement.holds(self._classes(rows, class_of, count), self.baseline)[:count]

    def _classes(self, rows: Codes, class_of: Codes, count: int) -> Classes:
        """The classes of some combinations. All other combinations are one more class, the last."""
        class_of_all = np.full(len(self.combinations), count, np.int64)
        class_of_all[rows] = class_of
        return classes_of(self.combinations, class_of_all, count + 1)

    def without_lost(
        self, partition: Partition, *, is_complete: bool, limit: int
    ) -> tuple[Partition, Codes, Codes] | None:
        """The partition without the classes that are certainly suppressed.

        Args:
            partition: Any partition.
            is_complete: Whether no further attribute will be refined, so that each measure is exact.
            limit: The number of records that may still be suppressed.

        Returns:
            The partition of the other combinations; the combinations of the suppressed classes; and by class of the partition
            how many more records every refinement suppresses at least. None if the suppressed records pass the limit.
        """
        records = partition.class_records()
        is_kept = self._is_large(partition, records)
        lost = records.sum() - records[is_kept].sum()
        if lost > limit:
            return None
        kept, lost_rows = partition.divided(is_kept)
        if not self.has_others:
            return kept, lost_rows, np.zeros(kept.count, np.int64)
        records = kept.class_records()
        is_strict = limit == lost and self.combinations.persons is None
        most = self._most_kept(kept, is_complete=is_complete, is_strict=is_strict)
        if lost + (records - most).sum() > limit:
            return None
        kept, more_rows = kept.divided(most > 0)
        return kept, np.concatenate([lost_rows, more_rows]), (records - most)[most > 0].astype(np.int64)

    def _is_large(self, partition: Partition, records: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Whether each class has k data subjects. They are counted only where the counts of its combinations leave it open."""
        persons, k = self.combinations.persons, self.requirement.k
        if persons is None:
            return np.asarray(records >= k, np.bool_)
        counts = self.combinations.person_counts[partition.rows]
        most = np.bincount(partition.class_of, counts, partition.count)
        least = np.zeros(partition.count, np.int64)
        np.maximum.at(least, partition.class_of, counts)
        is_open = (most >= k) & (least < k)
        is_large = least >= k
        if is_open.any():
            class_of_all = np.full(len(self.combinations), -1, np.int64)
            row_mask = is_open[partition.class_of]
            class_of_all[partition.rows[row_mask]] = partition.class_of[row_mask]
            classes = class_of_all[persons.combination]
            pair_mask = classes >= 0
            width = max(1, persons.count)
            pairs = np.sort(classes[pair_mask] * width + persons.person[pair_mask])  # np.unique takes ten times as long
            is_first = np.diff(pairs, prepend=-1) > 0
            distinct = np.bincount(pairs[is_first] // width, minlength=partition.count)
            is_large |= is_open & (distinct >= k)
        return np.asarray(is_large, np.bool_)

    def _most_kept(self, partition: Partition, *, is_complete: bool, is_strict: bool) -> npt.NDArray[np.float64]:
        """The number of records that refinements of each class can keep at most.

        Takes whether no attribute is left to refine, and whether no record may be lost any more: then a class that misses a
        measure has a part that misses it, if the measure is closed under union. With data subjects in several classes the counts
        of parts add up to more than the count of the whole, so that only the classes are bounded of which no part can be kept.
        """
        classes = self._classes(partition.rows, partition.class_of, partition.count)
        records = classes.records[:-1].astype(np.float64)
        if is_complete:
            return np.where(self.requirement.holds(classes, self.baseline)[:-1], records, 0.0)
        most = np.full(partition.count, np.inf)
        for name, threshold in self.requirement.thresholds.items():
            kind = RISK_MEASURES[name]
            for view in self.baseline.views(classes) if kind.needs_sensitive else []:
                if is_strict and kind.is_closed_under_union:
                    most[~kind.holds(kind.figures(classes, view, threshold), threshold)[:-1]] = 0.0
                else:
                    most = np.minimum(most, kind.most_kept(view, threshold)[:-1])
        most[most < self.requirement.k] = 0.0
        return np.minimum(most, records) if self.combinations.persons is None else np.where(most > 0, records, 0.0)
