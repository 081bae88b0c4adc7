"""Local recoding: records of one column may have different levels, so that nothing is suppressed and less detail is lost.

Top down, all classes at once: all records start as one class at the coarsest levels. In each round every class tries, for each
attribute, one level less. Parts that meet the requirement leave with the finer label, and the remainder keeps the coarser one.
The class takes the attribute that saves most detail. If the remainder misses the requirement, the smallest leaving part stays
with it.

A coarser label then tells that its record is in none of the parts that left (downcoding, Cohen 2022). Full-domain
generalization does not tell that; see `full_domain`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.disclosure_risk.combinations import Codes, Combinations
from minimize.disclosure_risk.full_domain import UNREACHABLE_CODE, check_person_count
from minimize.disclosure_risk.hierarchy import Hierarchy
from minimize.disclosure_risk.loss import attribute_losses, geometric_loss, mean_loss
from minimize.disclosure_risk.partition import PartitionCounts, dense_codes
from minimize.disclosure_risk.requirement import Requirement
from minimize.errors import RefusedError

Levels = npt.NDArray[np.int8]
_RETURNS: Final = 8
"""How often a leaving part returns to a remainder that misses the requirement, before the class stays whole. For k one return is
enough."""


@dataclass(frozen=True, eq=False)
class LocalRecoding:
    """A level for each value of each combination, and how good it is. Nothing is suppressed."""

    level_of: Levels = field(repr=False)
    """By combination and attribute."""
    class_of: Codes = field(repr=False)
    """The class of each combination: combinations of one class are released with equal values."""
    is_suppressed: npt.NDArray[np.bool_] = field(repr=False)
    """By combination: false for all."""
    loss: float
    """The geometric loss; see `loss`."""
    mean_loss: float


def recoded(
    combinations: Combinations,
    hierarchies: Sequence[Hierarchy],
    requirement: Requirement,
    *,
    floors: Sequence[int] | None = None,
) -> LocalRecoding:
    """A local recoding that meets a requirement.

    Args:
        combinations: The distinct combinations of the finest values.
        hierarchies: The levels of each attribute, in the order of the combinations' attributes.
        requirement: What each class must meet.
        floors: The finest level that each attribute may have; by default 0.

    Raises:
        RefusedError: Even the coarsest levels miss the requirement.
    """
    check_person_count(combinations, requirement)
    recoding = _Recoding(combinations, hierarchies, requirement, floors)
    while recoding.refine():
        pass
    return recoding.result()


@dataclass(frozen=True, eq=False)
class _Division:
    """What one level less of an attribute does to each class."""

    parts: Codes
    """By active combination the part of its class."""
    leaves: npt.NDArray[np.bool_]
    """By active combination whether its part leaves with the finer label."""
    saved: npt.NDArray[np.float64]
    """By class the saved leaves, as a share of the domain. Negative if no part leaves."""


class _Recoding:
    """The classes so far. Those that no attribute divides further are not active."""

    def __init__(
        self,
        combinations: Combinations,
        hierarchies: Sequence[Hierarchy],
        requirement: Requirement,
        floors: Sequence[int] | None,
    ) -> None:
        self.combinations, self.hierarchies = combinations, hierarchies
        self.counts = PartitionCounts(combinations, requirement)
        self.floors = [0] * len(hierarchies) if floors is None else [*floors]
        self.codes = [codes.astype(np.int64) for codes in combinations.codes.T]
        self.level_tables = [np.stack(hierarchy.levels).astype(np.int64) for hierarchy in hierarchies]
        """By attribute the code of each value at each level."""
        self.leaf_tables = [
            np.stack([leaves[codes] for codes, leaves in zip(hierarchy.levels, hierarchy.leaves, strict=True)])
            for hierarchy in hierarchies
        ]
        """By attribute the leaves that each value covers at each level."""
        self.level_of = np.tile(
            np.array([hierarchy.root for hierarchy in hierarchies], np.int8), (len(combinations), 1)
        )
        self.class_of, self.class_count = self._released_classes(self.level_of)
        self.active = np.arange(len(combinations))
        if len(combinations) and not self.counts.holds(self.active, self.class_of, self.class_count).all():
            raise RefusedError(
                "even the coarsest levels miss the bound on disclosure risk",
                code=UNREACHABLE_CODE,
                hint="Lower the threshold, or set fewer fields to a fixed level.",
            )

    def result(self) -> LocalRecoding:
        """The recoding so far."""
        class_of, _ = self._released_classes(self.level_of)
        is_suppressed = np.zeros(len(self.combinations), np.bool_)
        losses = (
            attribute_losses(self.combinations, self.hierarchies, [*self.level_of.T], is_suppressed)
            if len(self.combinations)
            else []
        )
        return LocalRecoding(self.level_of, class_of, is_suppressed, geometric_loss(losses), mean_loss(losses))

    def refine(self) -> bool:
        """Divides each active class by its best attribute. Returns whether any class was divided."""
        if not len(self.active):
            return False
        classes, count = dense_codes(self.class_of[self.active], self.class_count)
        best, place_of = np.full(count, -1.0), np.full(count, -1)
        divisions = [self._division(place, classes, count) for place in range(len(self.hierarchies))]
        for place, division in enumerate(divisions):
            is_better = division.saved > best
            best[is_better], place_of[is_better] = division.saved[is_better], place
        level_of, parts = self.level_of.copy(), np.zeros(len(self.active), np.int64)
        for place, division in enumerate(divisions):
            rows = division.leaves & (place_of[classes] == place)
            parts[rows] = division.parts[rows] + 1
            level_of[self.active[rows], place] -= 1
        if self.counts.has_others and not self._released_classes_hold(level_of):
            return False
        self.level_of = level_of
        is_divided = place_of[classes] >= 0
        self.active, classes, parts = self.active[is_divided], classes[is_divided], parts[is_divided]
        width = int(parts.max(initial=0)) + 1
        self.class_of[self.active], self.class_count = dense_codes(classes * width + parts, count * width)
        return bool(len(self.active))

    def _released_classes_hold(self, level_of: Levels) -> bool:
        """Whether the requirement is met by classes of equal released values.

        Two classes are one if a label occurs at several levels. Their union meets what both meet, unless a measure is not closed
        under union or data subjects are in both.
        """
        class_of, count = self._released_classes(level_of)
        return bool(self.counts.holds(np.arange(len(class_of)), class_of, count).all())

    def _division(self, place: int, classes: Codes, count: int) -> _Division:
        """What one level less of an attribute does to each class of active combinations."""
        levels = self.level_of[self.active, place].astype(np.int64)
        finer = np.maximum(levels - 1, 0)
        values = self.codes[place][self.active]
        codes = self.level_tables[place][finer, values]
        width = int(codes.max(initial=0)) + 1
        parts, part_count = dense_codes(classes * width + codes, count * width)
        may_leave = (levels > self.floors[place])[_first_places(parts, part_count)]
        may_leave &= self.counts.holds(self.active, parts, part_count)
        may_leave = self._with_sound_remainders(classes, count, parts, may_leave)
        leaves = may_leave[parts]
        table = self.leaf_tables[place]
        records = self.combinations.records[self.active]
        saved_leaves = np.where(leaves, table[levels, values] - table[finer, values], 0) * records
        saved = np.bincount(classes, saved_leaves, count) / max(1, self.hierarchies[place].size - 1)
        # A class takes a level that saves nothing only as a whole. It loses nothing by it, and a finer level may save something.
        is_whole = np.bincount(classes, ~leaves, count) == 0
        saved[(saved == 0) & ~is_whole] = -1.0
        return _Division(parts, leaves, saved)

    def _with_sound_remainders(
        self, classes: Codes, count: int, parts: Codes, may_leave: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.bool_]:
        """The parts that leave if the smallest ones return to remainders that miss the requirement."""
        may_leave = may_leave.copy()
        class_of_part = classes[_first_places(parts, len(may_leave))]
        records = np.bincount(parts, self.combinations.records[self.active], len(may_leave))
        order = np.lexsort((np.arange(len(may_leave)), records))
        for attempt in range(_RETURNS + 1):
            stays = ~may_leave[parts]
            remainders, remainder_count = dense_codes(classes[stays], count)
            holds = self.counts.holds(self.active[stays], remainders, remainder_count)
            is_unsound = np.zeros(count, np.bool_)
            is_unsound[classes[stays][~holds[remainders]]] = True
            has_leaving = np.zeros(count, np.bool_)
            has_leaving[class_of_part[may_leave]] = True
            is_unsound &= has_leaving
            if not is_unsound.any():
                break
            if attempt == _RETURNS:
                may_leave &= ~is_unsound[class_of_part]
                break
            returning = order[may_leave[order] & is_unsound[class_of_part[order]]]
            _, first = np.unique(class_of_part[returning], return_index=True)
            may_leave[returning[first]] = False
        return may_leave

    def _released_classes(self, level_of: Levels) -> tuple[Codes, int]:
        """The classes of combinations that are released with equal values, and how many there are."""
        classes, count = np.zeros(len(self.combinations), np.int64), 1
        for place, hierarchy in enumerate(self.hierarchies):
            labels, label_count = _label_codes(hierarchy)
            starts = np.cumsum([0, *(len(level_labels) for level_labels in hierarchy.labels)])
            levels = level_of[:, place].astype(np.int64)
            released = labels[self.level_tables[place][levels, self.codes[place]] + starts[levels]]
            classes, count = dense_codes(classes * label_count + released, count * label_count)
        return classes, count


def _label_codes(hierarchy: Hierarchy) -> tuple[Codes, int]:
    """The labels of all levels, one level after the other, as codes: equal labels of different levels have one code."""
    plain = [labels.cast(hierarchy.labels[0].type) for labels in hierarchy.labels]
    encoded = pa.concat_arrays(plain).dictionary_encode(null_encoding="encode")
    return np.asarray(encoded.indices, np.int64), max(1, len(encoded.dictionary))


def _first_places(parts: Codes, count: int) -> Codes:
    """A place of each part."""
    places = np.zeros(count, np.int64)
    places[parts[::-1]] = np.arange(len(parts))[::-1]
    return places
