"""Optimal full-domain generalization: the level of each attribute with the least loss, and a proof of it.

Best first over attributes: a partial choice fixes the levels of the first attributes, and the others are at their root. Classes
only become smaller when further attributes are refined, so records that a partial choice suppresses stay suppressed. The bound
of a choice is a product of one factor for each attribute, in integers: exact for fixed attributes, and for a free one the least
over its levels. The first complete choice that is taken from the queue is optimal.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import combinations as pairs_of
from math import exp, log
from typing import Final

import numpy as np
import numpy.typing as npt

from minimize.disclosure_risk.combinations import Classes, Codes, Combinations, classes_of
from minimize.disclosure_risk.hierarchy import Hierarchy
from minimize.disclosure_risk.loss import AttributeLoss, attribute_loss, geometric_loss, loss_product, mean_loss
from minimize.disclosure_risk.measures import RISK_MEASURES
from minimize.disclosure_risk.requirement import Baseline, Requirement
from minimize.errors import RefusedError

UNREACHABLE_CODE: Final = "E306"
DEFAULT_STEPS: Final = 20_000
"""Partial choices that are examined at most. It bounds the time of a search, and does not depend on the machine."""
_DENSE_CELLS: Final = 1 << 22
"""Cells up to which classes are numbered by a table instead of by sorting."""


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
    steps: int = DEFAULT_STEPS,
    checkpoint: Callable[[], bool] = lambda: False,
) -> FullDomain:
    """The levels with the least loss under which at most a share of the records misses a requirement.

    Ties are decided by fewer suppressed records, then by the lexicographically least levels in the order of the attributes.

    Args:
        combinations: The distinct combinations of the finest values.
        hierarchies: The levels of each attribute, in the order of the combinations' attributes.
        requirement: What each class must meet.
        suppress_at_most: The share of the records that may be removed.
        steps: How many partial choices are examined at most. The result is then the best one so far, with `proven` false.
        checkpoint: Asked after each step whether to stop.

    Raises:
        RefusedError: Even the coarsest levels miss the requirement.
    """
    return _Search(combinations, hierarchies, requirement, suppress_at_most).run(steps, checkpoint)


@dataclass(frozen=True, eq=False)
class _Level:
    """An attribute at a level: the code and the covered leaves of each combination."""

    codes: Codes
    leaves: Codes
    count: int
    loss: AttributeLoss
    """Without suppression."""


@dataclass(frozen=True, eq=False)
class _Node:
    """A partial choice, with the records that it certainly suppresses."""

    levels: tuple[int, ...]
    """By position in the order of the search."""
    alive: Codes
    """The combinations that it does not certainly suppress."""
    class_of: Codes
    """The class of each of these."""
    class_count: int
    lost: int
    """Records that every completion suppresses at least."""
    certain: int
    """Records of combinations that every completion suppresses."""


class _Search:
    def __init__(
        self,
        combinations: Combinations,
        hierarchies: Sequence[Hierarchy],
        requirement: Requirement,
        suppress_at_most: Fraction,
    ) -> None:
        self.combinations, self.hierarchies, self.requirement = combinations, hierarchies, requirement
        self.baseline = Baseline.of_combinations(combinations)
        self.total = int(combinations.records.sum())
        self.limit = int(suppress_at_most * self.total)
        self.order = sorted(
            range(len(hierarchies)), key=lambda place: (hierarchies[place].root > 0, hierarchies[place].size)
        )
        self.tables = [self._levels_of(place) for place in self.order]
        self.has_others = any(name != "k" for name in requirement.thresholds)

    def run(self, steps: int, checkpoint: Callable[[], bool]) -> FullDomain:
        start = self._start()
        if not self.total:
            return self._result(tuple(table.root for table in self.hierarchies), proven=True, bound=None)
        queue: list[tuple[int, int, tuple[int, ...], int, _Node]] = []
        serial = 0
        bound = None if start is None else self._bound(start)
        if start is None or bound is None:
            raise RefusedError(
                "even the coarsest levels miss the bound on disclosure risk",
                code=UNREACHABLE_CODE,
                hint="Lower the threshold, allow more suppression, or set fewer fields to a fixed level.",
            )
        heapq.heappush(queue, (bound, start.lost, self._declared(start.levels), serial, start))
        best: tuple[int, int, tuple[int, ...]] | None = None
        reached, examined = bound, 0
        while queue:
            bound, _, _, _, node = queue[0]
            if best is not None and bound > best[0]:
                break
            if (
                best is not None
                and len(node.levels) == len(self.order)
                and (bound, node.lost, self._declared(node.levels)) >= best
            ):
                heapq.heappop(queue)
                continue
            reached = bound
            if examined >= steps or checkpoint():
                break
            heapq.heappop(queue)
            if len(node.levels) == len(self.order):
                candidate = (bound, node.lost, self._declared(node.levels))
                best = candidate if best is None else min(best, candidate)
                continue
            for child in self._children(node):
                examined += 1
                child_bound = self._bound(child)
                if child_bound is not None:
                    serial += 1
                    heapq.heappush(queue, (child_bound, child.lost, self._declared(child.levels), serial, child))
        proven = best is not None and (not queue or queue[0][0] > best[0] or examined < steps)
        if best is not None and (not queue or queue[0][0] > best[0]):
            return self._result(best[2], proven=True, bound=best[0])
        levels = best[2] if best is not None and proven else self._best_incumbent(best, [entry[4] for entry in queue])
        return self._result(levels, proven=False, bound=reached)

    def _best_incumbent(self, best: tuple[int, int, tuple[int, ...]] | None, nodes: Sequence[_Node]) -> tuple[int, ...]:
        """The best complete choice so far: each partial choice is one, with the other attributes at their roots."""
        choices = [] if best is None else [best]
        for node in nodes:
            levels = (*node.levels, *(self._root(place) for place in range(len(node.levels), len(self.order))))
            suppressed = self._suppressed(self._declared(levels))
            lost = int(self.combinations.records[suppressed].sum())
            if lost <= self.limit:
                choices.append(
                    (loss_product(self._losses(self._declared(levels), suppressed)), lost, self._declared(levels))
                )
        if not choices:
            raise RefusedError(
                "the search for levels was stopped before it found any that meet the bound",
                code=UNREACHABLE_CODE,
                hint="Allow it more steps, or set the level of some fields.",
            )
        return min(choices)[2]

    def _root(self, position: int) -> int:
        return self.hierarchies[self.order[position]].root

    def _declared(self, levels: Sequence[int]) -> tuple[int, ...]:
        """The levels in the order of the attributes. Attributes that are free count as the finest."""
        declared = [0] * len(self.order)
        for position, level in enumerate(levels):
            declared[self.order[position]] = level
        return tuple(declared)

    def _levels_of(self, place: int) -> list[_Level]:
        hierarchy, codes = self.hierarchies[place], self.combinations.codes[:, place]
        tables = []
        for level, level_codes in enumerate(hierarchy.levels):
            own = level_codes[codes].astype(np.int64)
            leaves = hierarchy.leaves[level][own]
            covered = int((leaves * self.combinations.records).sum())
            tables.append(
                _Level(
                    own, leaves, len(hierarchy.leaves[level]), attribute_loss(covered, 0, self.total, hierarchy.size)
                )
            )
        return tables

    def _start(self) -> _Node | None:
        """Attributes without a coarser level are fixed; all others are at their roots."""
        everything = np.arange(len(self.combinations))
        node: _Node | None = self._node((), everything, np.zeros(len(everything), np.int64), 1, 0)
        for position, place in enumerate(self.order):
            if node is None or self.hierarchies[place].root > 0:
                break
            node = self._refined(node, position, 0)
        return node

    def _children(self, node: _Node) -> Iterator[_Node]:
        """The choices with one more attribute fixed, from its root down to the first level that suppresses too much."""
        position = len(node.levels)
        for level in range(self._root(position), -1, -1):
            child = self._refined(node, position, level)
            if child is None:
                return
            yield child

    def _refined(self, node: _Node, position: int, level: int) -> _Node | None:
        table = self.tables[position][level]
        keys = node.class_of * table.count + table.codes[node.alive]
        class_of, count = _dense(keys, node.class_count * table.count)
        return self._node((*node.levels, level), node.alive, class_of, count, node.certain)

    def _node(self, levels: tuple[int, ...], alive: Codes, class_of: Codes, count: int, certain: int) -> _Node | None:
        """The choice without the classes that have too few data subjects; None if it suppresses too much."""
        records = np.bincount(class_of, self.combinations.records[alive], count).astype(np.int64)
        large = self._persons(alive, class_of, count, records) >= self.requirement.k
        if not large.all():
            kept = large[class_of]
            certain += int(records[~large].sum())
            alive, class_of = alive[kept], class_of[kept]
            class_of, count = _dense(class_of, count)
        if certain > self.limit:
            return None
        lost = certain
        if self.has_others:
            lost += self._lost_by_others(levels, alive, class_of, count)
            if lost > self.limit:
                return None
        return _Node(levels, alive, class_of, count, lost, certain)

    def _persons(self, alive: Codes, class_of: Codes, count: int, records: Codes) -> Codes:
        persons = self.combinations.persons
        if persons is None:
            return records
        if not hasattr(self, "_pair_place"):
            pass
        class_of_all = np.full(len(self.combinations), -1, np.int64)
        class_of_all[alive] = class_of
        classes = class_of_all[persons.combination]
        rows = classes >= 0
        keys = np.unique(classes[rows] * persons.count + persons.person[rows])
        return np.bincount(keys // max(1, persons.count), minlength=count).astype(np.int64)

    def _classes(self, alive: Codes, class_of: Codes, count: int) -> Classes:
        """The classes of the combinations that are left; all others are one more class, the last."""
        class_of_all = np.full(len(self.combinations), count, np.int64)
        class_of_all[alive] = class_of
        return classes_of(self.combinations, class_of_all, count + 1)

    def _lost_by_others(self, levels: tuple[int, ...], alive: Codes, class_of: Codes, count: int) -> int:
        """Records that measures other than k suppress: exactly for a complete choice, else at least."""
        classes = self._classes(alive, class_of, count)
        if len(levels) == len(self.order) or self.limit == 0:
            # Without suppression every measure is monotone: a class that misses one has a part that misses it.
            return int(classes.records[:count][~self.requirement.holds(classes, self.baseline)[:count]].sum())
        if self.combinations.persons is not None:
            return 0
        most_kept = classes.records[:count].astype(np.int64)
        for name, threshold in self.requirement.thresholds.items():
            kind = RISK_MEASURES[name]
            if kind.needs_sensitive:
                for view in self.baseline.views(classes):
                    most_kept = np.minimum(most_kept, kind.most_kept(view, threshold)[:count])
        most_kept[most_kept < self.requirement.k] = 0
        return int((classes.records[:count] - most_kept).sum())

    def _bound(self, node: _Node) -> int | None:
        """A product that no completion falls below; None if none is possible."""
        product = 1
        kept_records = self.combinations.records[node.alive]
        for position, table in enumerate(self.tables):
            size = self.hierarchies[self.order[position]].size
            base = self.total * (size - 1)
            if not base:
                continue
            if position < len(node.levels):
                chosen = table[node.levels[position]]
                covered = int((chosen.leaves[node.alive] * kept_records).sum())
                exact = attribute_loss(covered, node.certain, self.total, size).numerator
                product *= max(exact, node.lost * (size - 1) + base)
                continue
            least: int | None = None
            for level, option in enumerate(table):
                lost = max(
                    [
                        node.lost,
                        *(
                            self._pair_loss(fixed, node.levels[fixed], position, level)
                            for fixed in range(len(node.levels))
                        ),
                    ]
                )
                if lost <= self.limit:
                    factor = max(option.loss.numerator, lost * (size - 1) + base)
                    least = factor if least is None else min(least, factor)
            if least is None:
                return None
            product *= least
        return product

    def _pair_loss(self, first: int, first_level: int, second: int, second_level: int) -> int:
        """Records that are suppressed if only two attributes are refined."""
        return self._pair_losses[first, second][first_level][second_level]

    @cached_property
    def _pair_losses(self) -> dict[tuple[int, int], list[list[int]]]:
        losses = {}
        everything = np.arange(len(self.combinations))
        for first, second in pairs_of(range(len(self.order)), 2):
            rows = []
            for one in self.tables[first]:
                row = []
                for other in self.tables[second]:
                    class_of, count = _dense(one.codes * other.count + other.codes, one.count * other.count)
                    records = np.bincount(class_of, self.combinations.records, count).astype(np.int64)
                    small = self._persons(everything, class_of, count, records) < self.requirement.k
                    row.append(int(records[small].sum()))
                rows.append(row)
            losses[first, second] = rows
        return losses

    def _suppressed(self, levels: Sequence[int]) -> npt.NDArray[np.bool_]:
        """The combinations whose class misses the requirement. Takes levels in the order of the attributes."""
        class_of, count = np.zeros(len(self.combinations), np.int64), 1
        for position, place in enumerate(self.order):
            table = self.tables[position][levels[place]]
            class_of, count = _dense(class_of * table.count + table.codes, count * table.count)
        classes = classes_of(self.combinations, class_of, count)
        return ~self.requirement.holds(classes, self.baseline)[class_of]

    def _losses(self, levels: Sequence[int], suppressed: npt.NDArray[np.bool_]) -> list[AttributeLoss]:
        kept = ~suppressed
        records = self.combinations.records
        lost = int(records[suppressed].sum())
        losses = []
        for position, place in enumerate(self.order):
            leaves = self.tables[position][levels[place]].leaves
            covered = int((leaves[kept] * records[kept]).sum())
            losses.append(attribute_loss(covered, lost, self.total, self.hierarchies[place].size))
        return losses

    def _result(self, levels: tuple[int, ...], *, proven: bool, bound: int | None) -> FullDomain:
        suppressed = self._suppressed(levels) if self.total else np.zeros(len(self.combinations), np.bool_)
        losses = self._losses(levels, suppressed) if self.total else []
        loss = geometric_loss(losses)
        return FullDomain(
            levels=levels,
            suppressed=int(self.combinations.records[suppressed].sum()),
            loss=loss,
            mean_loss=mean_loss(losses),
            lower_bound=loss if proven or bound is None else min(loss, self._loss_of_product(bound)),
            proven=proven,
            is_suppressed=suppressed,
        )

    def _loss_of_product(self, product: int) -> float:
        bases = [self.total * (hierarchy.size - 1) for hierarchy in self.hierarchies]
        counted = [base for base in bases if base]
        if not counted:
            return 0.0
        return exp((_log(product) - sum(map(_log, counted))) / len(counted)) - 1


def _log(number: int) -> float:
    return log(number)


def _dense(keys: Codes, size: int) -> tuple[Codes, int]:
    """Equal keys as equal numbers from 0 on, in ascending order. Takes an upper bound of the keys."""
    if size <= _DENSE_CELLS:
        used = np.zeros(size, np.bool_)
        used[keys] = True
        numbers = np.cumsum(used) - 1
        return numbers[keys], int(used.sum())
    distinct, dense = np.unique(keys, return_inverse=True)
    return dense.astype(np.int64), len(distinct)
