"""Optimal full-domain generalization: the level of each attribute with the least loss, and a proof of it.

Best first over attributes: a partial choice fixes the levels of the first attributes, and the others are at their coarsest.
Classes only become smaller when further attributes are refined, so records that a partial choice suppresses stay suppressed.
The bound of a choice is a product of one integer for each attribute: exact for fixed attributes, and for a free one the least
over its levels. The first complete choice that is no worse than the bound of every other choice is optimal.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import combinations as pairs_of
from math import exp, log
from typing import Final

import numpy as np
import numpy.typing as npt

from minimize.disclosure_risk.combinations import Codes, Combinations
from minimize.disclosure_risk.hierarchy import Hierarchy
from minimize.disclosure_risk.loss import AttributeLoss, attribute_losses, geometric_loss, loss_product, mean_loss
from minimize.disclosure_risk.partition import Partition, PartitionCounts, dense_codes
from minimize.disclosure_risk.requirement import Requirement
from minimize.errors import RefusedError

UNREACHABLE_CODE: Final = "E306"
DEFAULT_STEPS: Final = 20_000
"""Partial choices that are examined at most. It bounds the time of a search, and does not depend on the machine."""
_STEPS_TO_DIVE: Final = 64
"""After so many choices taken from the queue, the search follows one down to a complete choice, so that it has a good one if it
is stopped."""
_MAX_STORED_ROWS: Final = 1 << 23
"""Rows of partitions that the queue holds at most, of 24 bytes each."""
_IMPOSSIBLE: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class FullDomain:
    """A choice of one level for each attribute, and how good it is."""

    levels: tuple[int, ...]
    suppressed: int
    """Records whose class misses the requirement."""
    loss: float
    """The geometric loss; see `loss`."""
    mean_loss: float
    lower_bound: float
    """A loss that no choice falls below."""
    proven: bool
    """Whether no choice has a smaller loss."""
    is_suppressed: npt.NDArray[np.bool_] = field(repr=False)
    """By combination."""

    @property
    def gap(self) -> float:
        """The largest possible distance from the least loss."""
        return max(0.0, self.loss - self.lower_bound)


def optimal_levels(
    combinations: Combinations,
    hierarchies: Sequence[Hierarchy],
    requirement: Requirement,
    *,
    suppress_at_most: Fraction = Fraction(0),
    floors: Sequence[int] | None = None,
    steps: int = DEFAULT_STEPS,
    deadline: float | None = None,
    checkpoint: Callable[[], bool] = lambda: False,
) -> FullDomain:
    """The levels with the least loss under which at most a share of the records misses a requirement.

    Ties are decided by fewer suppressed records, then by the lexicographically least levels in the order of the attributes.

    Args:
        combinations: The distinct combinations of the finest values.
        hierarchies: The levels of each attribute, in the order of the combinations' attributes.
        requirement: What each class must meet.
        suppress_at_most: The share of the records that may be removed.
        floors: The finest level that each attribute may have; by default 0.
        steps: How many partial choices are examined at most. The result is then the best one so far, with `proven` false.
        deadline: A time of `time.monotonic()` at which the search stops in the same way. Results then depend on the machine.
        checkpoint: Asked after each step whether to stop.

    Raises:
        RefusedError: No levels meet the requirement, or the search was stopped before it had any that do.
    """
    search = _Search(combinations, hierarchies, requirement, suppress_at_most, floors)
    return search.run(lambda examined: examined >= steps or _is_past(deadline) or checkpoint())


def check_person_count(combinations: Combinations, requirement: Requirement) -> None:
    """Raises RefusedError if a table has records, but fewer data subjects than a class must have."""
    if not len(combinations):
        return
    count = int(combinations.records.sum()) if combinations.persons is None else combinations.persons.count
    if count < requirement.k:
        raise RefusedError(
            f"k is {requirement.k}, and there are fewer data subjects than that",
            code=UNREACHABLE_CODE,
            hint="Lower k, or wait for more records.",
        )


def _is_past(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


Rank = tuple[int, int, tuple[int, ...]]
"""Loss, suppressed records and levels in declared order: of two choices the one of lower rank is better."""


@dataclass(frozen=True, eq=False)
class _Node:
    """A partial choice. Its rank is at most that of each of its completions."""

    rank: Rank
    levels: tuple[int, ...]
    """By position in the order of the search."""
    partition: Partition | None
    """The combinations that it does not certainly suppress; None if it is computed again when it is needed."""
    partial: Codes
    """By class the records that every completion suppresses, but not which ones."""
    lost: int
    """Records that every completion suppresses at least."""
    numerators: Codes
    """By option the numerator of its attribute's loss, with the certainly suppressed records."""
    pair_losses: Codes
    """By option the records that it suppresses together with one of the fixed options, at least."""

    def __lt__(self, node: _Node) -> bool:
        return (self.rank, -len(self.levels), self.levels) < (node.rank, -len(node.levels), node.levels)


class _Search:
    """The choices of levels. An option is one level of one attribute; options are numbered in the order of the search."""

    def __init__(
        self,
        combinations: Combinations,
        hierarchies: Sequence[Hierarchy],
        requirement: Requirement,
        suppress_at_most: Fraction,
        floors: Sequence[int] | None,
    ) -> None:
        check_person_count(combinations, requirement)
        self.combinations, self.hierarchies, self.requirement = combinations, hierarchies, requirement
        self.counts = PartitionCounts(combinations, requirement)
        self.best: _Node | None = None
        """The best complete choice so far."""
        self.examined = 0
        self.stored_rows = 0
        """Rows of the partitions in the queue."""
        self.total = int(combinations.records.sum())
        self.limit = min(int(suppress_at_most * self.total), self.total - 1)
        self.floors = [0] * len(hierarchies) if floors is None else [*floors]
        self.order = sorted(
            range(len(hierarchies)), key=lambda place: (hierarchies[place].root > 0, hierarchies[place].size)
        )
        ordered = [hierarchies[place] for place in self.order]
        self.level_counts = [len(hierarchy.levels) for hierarchy in ordered]
        self.first_options = [0, *np.cumsum(self.level_counts)[:-1].tolist()] if ordered else []
        self.spans = np.repeat([hierarchy.size - 1 for hierarchy in ordered], self.level_counts)
        """By option what one suppressed record adds at most to the numerator: the leaves of the domain, minus 1."""
        self.bases = self.total * self.spans
        self.is_allowed = np.array(
            [
                level >= self.floors[place]
                for place, count in zip(self.order, self.level_counts, strict=True)
                for level in range(count)
            ],
            np.bool_,
        )
        self.values = [combinations.codes[:, place].astype(np.int64) for place in self.order]
        """By position the value of each combination."""
        self.codes = [
            [level[values] for level in hierarchy.levels]
            for hierarchy, values in zip(ordered, self.values, strict=True)
        ]
        """By position and level the code of each combination."""
        self.added_leaves = [
            np.stack(
                [
                    hierarchy.size - leaves[codes]
                    for codes, leaves in zip(hierarchy.levels, hierarchy.leaves, strict=True)
                ],
                axis=1,
            )
            for hierarchy in ordered
        ]
        """By position, value and level what the suppression of a record adds to the covered leaves."""

    def run(self, is_over: Callable[[int], bool]) -> FullDomain:
        """The best choice. Takes whether the search is over after a number of examined partial choices."""
        if not self.total:
            return self._result(tuple(self.floors), None)
        start = self._start()
        queue: list[_Node] = []
        if start is not None:
            self._enqueue(queue, start)
        node: _Node | None = None
        taken = 0
        while node is not None or (queue and self._is_open(queue[0])):
            if node is None:
                node, taken = self._dequeue(queue), taken + 1
            if is_over(self.examined):
                return self._result_so_far([node, *queue])
            children = self._expand(node)
            is_dive = self.best is None or taken % _STEPS_TO_DIVE == 0
            node = min(children, default=None) if is_dive else None
            for child in children:
                if child is not node:
                    self._enqueue(queue, child)
        if self.best is None:
            raise RefusedError(
                "no levels meet the bound on disclosure risk, not even the coarsest",
                code=UNREACHABLE_CODE,
                hint="Lower the threshold, allow more suppression, or set fewer fields to a fixed level.",
            )
        return self._result(self._declared(self.best.levels), None)

    def _enqueue(self, queue: list[_Node], node: _Node) -> None:
        """Adds a choice to the queue, without its partition if the queue holds many rows."""
        row_count = 0 if node.partition is None else len(node.partition.rows)
        if self.stored_rows + row_count > _MAX_STORED_ROWS:
            node = replace(node, partition=None)
        else:
            self.stored_rows += row_count
        heapq.heappush(queue, node)

    def _dequeue(self, queue: list[_Node]) -> _Node:
        """Takes the choice of least rank from the queue."""
        node = heapq.heappop(queue)
        if node.partition is not None:
            self.stored_rows -= len(node.partition.rows)
        return node

    def _is_open(self, node: _Node) -> bool:
        """Whether a completion of a choice may be better than the best one."""
        return self.best is None or node.rank < self.best.rank

    def _expand(self, node: _Node) -> list[_Node]:
        """The choices with one more attribute fixed that may be better than the best one. Keeps the best of complete ones."""
        children = []
        for child in self._children(node):
            self.examined += 1
            if not self._is_open(child):
                continue
            if len(child.levels) < len(self.order):
                children.append(child)
            else:
                self.best = child
        return children

    def _result_so_far(self, nodes: Sequence[_Node]) -> FullDomain:
        """The best choice so far, next to the least rank of the choices that are left."""
        if self.best is not None:
            return self._result(self._declared(self.best.levels), min(nodes).rank[0])
        levels = tuple(hierarchy.root for hierarchy in self.hierarchies)
        if int(self.combinations.records[self._suppressed(levels)].sum()) > self.limit:
            raise RefusedError(
                "the search for levels was stopped before it had any that meet the bound",
                code=UNREACHABLE_CODE,
                hint="Allow it more steps, or set the level of some fields.",
            )
        return self._result(levels, min(nodes).rank[0])

    def _declared(self, levels: Sequence[int]) -> tuple[int, ...]:
        """The levels in the order of the attributes. Attributes that are free have the finest."""
        declared = [*self.floors]
        for position, level in enumerate(levels):
            declared[self.order[position]] = level
        return tuple(declared)

    def _start(self) -> _Node | None:
        """The choice that fixes nothing."""
        self.pair_losses = self._all_pair_losses()
        self.numerators = self.bases + np.array(
            [
                int((hierarchy.leaves[level] * self._records_by_code(position, level)).sum()) - self.total
                for position, hierarchy in enumerate(self.hierarchies[place] for place in self.order)
                for level in range(len(hierarchy.levels))
            ],
            np.int64,
        )
        self.start_partition = Partition.of_all(self.combinations)
        for codes in self.codes:
            if codes[-1].max() > 0:
                self.start_partition = self.start_partition.refined(codes[-1], int(codes[-1].max()) + 1)
        return self._count_lost((), self.start_partition, 0, self.numerators, np.zeros(len(self.spans), np.int64))

    def _records_by_code(self, position: int, level: int) -> Codes:
        count = len(self.hierarchies[self.order[position]].leaves[level])
        return np.bincount(self.codes[position][level], self.combinations.records, count).astype(np.int64)

    def _children(self, node: _Node) -> Iterator[_Node]:
        """The choices with one more attribute fixed, from its coarsest level down to the first that suppresses too much, but
        not those that are known to be no better than the best choice before their classes are counted."""
        position = len(node.levels)
        hierarchy = self.hierarchies[self.order[position]]
        whole = self._partition_of(node)
        is_exact = position + 1 == len(self.order) and self.counts.has_others
        for level in range(hierarchy.root, self.floors[self.order[position]] - 1, -1):
            losses = np.maximum(node.pair_losses, self.pair_losses[self.first_options[position] + level])
            levels = (*node.levels, level)
            child = self._node(levels, whole, node.partial, node.lost, node.numerators, losses)
            if child is None:
                return
            if not self._is_open(child):
                continue
            if level < hierarchy.root or is_exact:
                partition = whole.refined(self.codes[position][level], len(hierarchy.leaves[level]))
                child = self._count_lost(levels, partition, self._certain(node), node.numerators, losses)
            if child is not None:
                yield child
            elif not is_exact:
                return

    def _partition_of(self, node: _Node) -> Partition:
        """The combinations that a choice does not certainly suppress."""
        if node.partition is not None:
            return node.partition
        partition = self.start_partition
        for position, level in enumerate(node.levels):
            if level < self.hierarchies[self.order[position]].root:
                codes = self.codes[position][level]
                partition = partition.refined(codes, len(self.hierarchies[self.order[position]].leaves[level]))
        remainder = self.counts.without_lost(partition, is_complete=False, limit=self.limit)
        if remainder is None:
            raise AssertionError("a choice in the queue suppresses more records than it may")
        return remainder[0]

    def _certain(self, node: _Node) -> int:
        """Records of combinations that every completion suppresses."""
        return node.lost - int(node.partial.sum())

    def _count_lost(
        self, levels: tuple[int, ...], partition: Partition, certain: int, numerators: Codes, pair_losses: Codes
    ) -> _Node | None:
        """The choice without the classes that it certainly suppresses; None if these are too many records."""
        is_complete = len(levels) == len(self.order)
        remainder = self.counts.without_lost(partition, is_complete=is_complete, limit=self.limit - certain)
        if remainder is None:
            return None
        partition, lost_rows, partial = remainder
        if len(lost_rows):
            numerators = numerators + self._added_numerators(lost_rows)
            certain += int(self.combinations.records.take(lost_rows).sum())
        return self._node(levels, partition, partial, certain + int(partial.sum()), numerators, pair_losses)

    def _node(
        self,
        levels: tuple[int, ...],
        partition: Partition,
        partial: Codes,
        lost: int,
        numerators: Codes,
        pair_losses: Codes,
    ) -> _Node | None:
        """A choice with its rank; None if it has no completion."""
        bound = self._least_product(levels, partition, partial, lost, numerators, pair_losses)
        if bound is None:
            return None
        return _Node((bound, lost, self._declared(levels)), levels, partition, partial, lost, numerators, pair_losses)

    def _added_numerators(self, rows: Codes) -> Codes:
        """By option what the suppression of some combinations adds to the numerator."""
        records = self.combinations.records.take(rows)
        return np.concatenate(
            [
                np.bincount(values.take(rows), records, len(added)) @ added
                for values, added in zip(self.values, self.added_leaves, strict=True)
            ]
        ).astype(np.int64)

    def _least_product(
        self,
        levels: tuple[int, ...],
        partition: Partition,
        partial: Codes,
        lost: int,
        numerators: Codes,
        pair_losses: Codes,
    ) -> int | None:
        """A product that no completion falls below; None if there is none."""
        product = 1
        is_partial = bool(partial.any())
        for position, level in enumerate(levels):
            option = self.first_options[position] + level
            if pair_losses[option] > self.limit:
                return None
            if self.spans[option]:
                factor = int(numerators[option])
                if is_partial:
                    values = self.values[position][partition.first_rows]
                    factor += int((partial * self.added_leaves[position][values, level]).sum())
                product *= factor
        if len(levels) == len(self.order):
            return product
        first = self.first_options[len(levels)]
        losses = np.maximum(pair_losses[first:], lost)
        factors = np.maximum(numerators[first:], self.bases[first:] + losses * self.spans[first:])
        factors[(losses > self.limit) | ~self.is_allowed[first:]] = _IMPOSSIBLE
        least = np.minimum.reduceat(factors, [start - first for start in self.first_options[len(levels) :]])
        if least.max() == _IMPOSSIBLE:
            return None
        for factor, start in zip(least.tolist(), self.first_options[len(levels) :], strict=True):
            product *= factor if self.spans[start] else 1
        return product

    def _all_pair_losses(self) -> npt.NDArray[np.int64]:
        """By two options the records that are suppressed, at least, if only their attributes are refined. Takes data subjects
        with several combinations as several, so that a table of two attributes needs one look at the combinations."""
        losses = np.zeros((len(self.spans), len(self.spans)), np.int64)
        for first, second in pairs_of(range(len(self.order)), 2):
            cells = _PairCells.of_combinations(
                self.combinations, self.hierarchies, (self.order[first], self.order[second])
            )
            rows = slice(self.first_options[first], self.first_options[first] + self.level_counts[first])
            columns = slice(self.first_options[second], self.first_options[second] + self.level_counts[second])
            losses[rows, columns] = cells.losses(self.requirement.k, self.limit)
            losses[columns, rows] = losses[rows, columns].T
        return losses

    def _suppressed(self, levels: Sequence[int]) -> npt.NDArray[np.bool_]:
        """The combinations whose class misses the requirement. Takes levels in the order of the attributes."""
        partition = Partition.of_all(self.combinations)
        for hierarchy, level, codes in zip(self.hierarchies, levels, self.combinations.codes.T, strict=True):
            partition = partition.refined(hierarchy.levels[level][codes], len(hierarchy.leaves[level]))
        return ~self.counts.holds(partition.rows, partition.class_of, partition.count)[partition.class_of]

    def _result(self, levels: tuple[int, ...], least: int | None) -> FullDomain:
        """A choice, proven to be the best one unless the least product that is left is smaller."""
        if not self.total:
            return FullDomain(levels, 0, 0.0, 0.0, 0.0, True, np.zeros(0, np.bool_))
        suppressed = self._suppressed(levels)
        losses = attribute_losses(self.combinations, self.hierarchies, levels, suppressed)
        loss = geometric_loss(losses)
        return FullDomain(
            levels=levels,
            suppressed=int(self.combinations.records[suppressed].sum()),
            loss=loss,
            mean_loss=mean_loss(losses),
            lower_bound=loss if least is None or least >= loss_product(losses) else _loss_of_product(least, losses),
            proven=least is None,
            is_suppressed=suppressed,
        )


@dataclass(frozen=True, eq=False)
class _PairCells:
    """The distinct combinations of two attributes."""

    first: Hierarchy
    second: Hierarchy
    first_values: Codes
    second_values: Codes
    records: Codes
    persons: Codes

    @classmethod
    def of_combinations(
        cls, combinations: Combinations, hierarchies: Sequence[Hierarchy], places: tuple[int, int]
    ) -> _PairCells:
        """The combinations of the attributes at two places."""
        first, second = hierarchies[places[0]], hierarchies[places[1]]
        width = len(second.levels[0])
        keys, cells = np.unique(
            combinations.codes[:, places[0]].astype(np.int64) * width + combinations.codes[:, places[1]],
            return_inverse=True,
        )
        records = np.bincount(cells, combinations.records).astype(np.int64)
        persons = np.bincount(cells, combinations.person_counts).astype(np.int64)
        return cls(first, second, keys // width, keys % width, records, persons)

    def losses(self, k: int, limit: int) -> npt.NDArray[np.int64]:
        """By two levels the records in classes of fewer than k data subjects, or more than the limit if a coarser level has."""
        losses = np.zeros((len(self.first.levels) + 1, len(self.second.levels) + 1), np.int64)
        for first_level in range(self.first.root, -1, -1):
            for second_level in range(self.second.root, -1, -1):
                coarser = max(losses[first_level + 1, second_level], losses[first_level, second_level + 1])
                losses[first_level, second_level] = (
                    coarser if coarser > limit else self._lost_records(first_level, second_level, k)
                )
        return losses[:-1, :-1]

    def _lost_records(self, first_level: int, second_level: int, k: int) -> int:
        width = len(self.second.leaves[second_level])
        keys = self.first.levels[first_level][self.first_values].astype(np.int64) * width
        keys += self.second.levels[second_level][self.second_values]
        classes, count = dense_codes(keys, len(self.first.leaves[first_level]) * width)
        persons = np.bincount(classes, self.persons, count)
        return int(self.records[persons[classes] < k].sum())


def _loss_of_product(product: int, losses: Sequence[AttributeLoss]) -> float:
    """The geometric loss that a product stands for, for the attributes of these losses."""
    bases = [loss.base for loss in losses if loss.base]
    return exp((log(product) - sum(map(log, bases))) / len(bases)) - 1 if bases else 0.0
