"""An attacker who keeps all published tables, and subtracts. He knows every figure with unlimited precision.

What is left of some figures after any linear combination of them rests on the subjects whose contributions do not cancel out.
Contributions are told from the rows alone; nothing of the disclosure guard is used.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Numbers = npt.NDArray[np.int64]
Group = tuple[int, ...]
Contribution = tuple[int, tuple[int, int]]


@dataclass(frozen=True)
class Records:
    """The rows of one night: the subject of each, its keys, a value (-1 if it has none), and a number that no other row has."""

    subject: Numbers
    keys: Mapping[str, Numbers]
    x: Numbers
    w: Numbers

    def table(self) -> pa.Table:
        """As a run reads them."""
        columns = {name: pa.array(values) for name, values in self.keys.items()}
        ids = pa.array([f"p{each}" for each in self.subject.tolist()], pa.string())
        return pa.table({"id": ids, **columns, "x": pa.array(self.x, mask=self.x < 0), "w": pa.array(self.w)})

    def take(self, places: npt.NDArray[Any]) -> Records:
        """Some of them."""
        keys = {name: values[places] for name, values in self.keys.items()}
        return Records(self.subject[places], keys, self.x[places], self.w[places])

    def groups(self, names: Sequence[str]) -> dict[Group, Numbers]:
        """Where the rows of each group are."""
        found: dict[Group, list[int]] = defaultdict(list)
        columns = [self.keys[name].tolist() for name in names]
        for place in range(len(self.subject)):
            found[tuple(column[place] for column in columns)].append(place)
        return {group: np.array(places) for group, places in found.items()}


@dataclass(frozen=True)
class Figure:
    """A figure of one kind in a published row, and what contributes to it: a subject, with a row and its value.

    An attacker does not know two values of one subject. So they cancel out only if they are the same value of the same row.
    """

    table: int
    group: Group
    night: int
    contributions: Mapping[Contribution, int] = field(repr=False)


@dataclass
class Attacker:
    """Takes the keys of each table, the first of which parts everything, the threshold, and the ways to go (see `watch`)."""

    keys: Sequence[Sequence[str]]
    below: int
    ways: Collection[str]
    nights: list[Records] = field(default_factory=list)
    _members: list[list[dict[Group, Numbers]]] = field(default_factory=list)
    _seen: dict[tuple[int, Group, str], dict[int, Figure]] = field(default_factory=lambda: defaultdict(dict))

    def watch(self, records: Records, tables: Sequence[pa.Table]) -> dict[int, set[str]]:
        """Looks at the tables that are in force after a night: the sites that were given away, and in which ways.

        releases       two releases of a row
        cover          a row less its cover in finer tables
        crossing       the totals of two tables that cross, per value of the keys of both
        combination    any linear combination of figures of one chain of tables
        contingent     any linear combination of figures of two tables that cross
        """
        self.nights.append(records)
        self._members.append([records.groups(names) for names in self.keys])
        found: dict[int, set[str]] = defaultdict(set)
        for (site, kind), figures in self._current(tables).items():
            ways = {
                "releases": [self._is_exposed_by_earlier(each, kind) for each in figures],
                "cover": (self._leaves_few(figures, chain) for chain in self._chains),
                "crossing": (self._totals_differ(figures, *pair) for pair in self._crossing),
                "combination": (isolates(_of(figures, chain), self.below) for chain in self._longest),
                "contingent": (isolates(_of(figures, pair), self.below) for pair in self._crossing),
            }
            found[site].update(way for way, each in ways.items() if way in self.ways and any(each))
        return {site: each for site, each in found.items() if each}

    def _current(self, tables: Sequence[pa.Table]) -> dict[tuple[int, str], list[Figure]]:
        """The published figures by site and kind."""
        current: dict[tuple[int, str], list[Figure]] = defaultdict(list)
        for place, table in enumerate(tables):
            for row in table.to_pylist():
                for kind, each in self._figures(place, row):
                    current[each.group[0], kind].append(each)
        return current

    @cached_property
    def _chains(self) -> list[tuple[int, ...]]:
        """The tables, from coarse to fine, of which each has the keys of the one before, and more."""
        order = sorted(range(len(self.keys)), key=lambda place: len(self.keys[place]))
        every = (chosen for size in range(2, len(order) + 1) for chosen in combinations(order, size))
        return [chosen for chosen in every if all(self._is_nested(*pair) for pair in pairwise(chosen))]

    @cached_property
    def _longest(self) -> list[tuple[int, ...]]:
        """Those chains that are part of no other."""
        return [chain for chain in self._chains if not any(set(chain) < set(other) for other in self._chains)]

    @cached_property
    def _crossing(self) -> list[tuple[int, int]]:
        return [pair for pair in combinations(range(len(self.keys)), 2) if not self._is_nested(*pair)]

    def _is_nested(self, one: int, other: int) -> bool:
        mine, theirs = set(self.keys[one]), set(self.keys[other])
        return mine <= theirs or theirs <= mine

    def _figures(self, table: int, row: Mapping[str, Any]) -> Iterator[tuple[str, Figure]]:
        """The figures of a published row, as of the night whose rows add up to them."""
        group = tuple(row[name] for name in self.keys[table])
        for night in reversed(range(len(self.nights))):
            places = self._members[night][table].get(group)
            records = self.nights[night]
            if places is None or int(records.w[places].sum()) != row["w"]:
                continue
            values = records.x[places]
            if row["x"] is None or int(values[values >= 0].sum()) == row["x"]:
                break
        else:
            raise AssertionError(f"{row} are the figures of no night")
        rows = [*zip(records.subject[places].tolist(), records.w[places].tolist(), values.tolist(), strict=True)]
        yield "n", Figure(table, group, night, {(subject, (w, 0)): 1 for subject, w, _ in rows})
        if row["x"] is not None:
            yield "x", Figure(table, group, night, {(subject, (w, x)): 1 for subject, w, x in rows if x >= 0})

    def _is_exposed_by_earlier(self, figure: Figure, kind: str) -> bool:
        """Whether a figure less an earlier one of the same row rests on a few."""
        earlier = self._seen[figure.table, figure.group, kind]
        if figure.night in earlier:
            return False
        others = [*earlier.values()]
        earlier[figure.night] = figure
        return any(isolates([figure, each], self.below) for each in others)

    def _leaves_few(self, figures: Sequence[Figure], chain: Sequence[int]) -> bool:
        """Whether a row of the first table of a chain, less its cover in the others, rests on a few."""
        for coarse in _of(figures, chain[:1]):
            left, cover = Counter(coarse.contributions), [coarse]
            for table in chain[1:]:
                below = [each for each in _of(figures, [table]) if self._lies_below(each, coarse)]
                new = [each for each in below if not any(self._lies_below(each, above) for above in cover[1:])]
                cover += new
                for each in new:
                    left.subtract(each.contributions)
            if 0 < len({subject for (subject, _), value in left.items() if value}) < self.below:
                return True
        return False

    def _lies_below(self, fine: Figure, coarse: Figure) -> bool:
        keys = dict(zip(self.keys[fine.table], fine.group, strict=True))
        names = self.keys[coarse.table]
        return fine.table != coarse.table and all(
            keys.get(name) == value for name, value in zip(names, coarse.group, strict=True)
        )

    def _totals_differ(self, figures: Sequence[Figure], one: int, other: int) -> bool:
        """Whether the totals of two tables, per value of the keys of both, differ by a few."""
        shared = [name for name in self.keys[one] if name in self.keys[other]]
        sums: dict[Group, Counter[Contribution]] = defaultdict(Counter)
        for figure in figures:
            if figure.table in (one, other):
                names = self.keys[figure.table]
                total = sums[tuple(figure.group[names.index(name)] for name in shared)]
                for key, value in figure.contributions.items():
                    total[key] += value if figure.table == one else -value
        left = ({subject for (subject, _), value in total.items() if value} for total in sums.values())
        return any(0 < len(each) < self.below for each in left)


def _of(figures: Iterable[Figure], tables: Sequence[int]) -> list[Figure]:
    return [each for each in figures if each.table in tables]


def isolates(figures: Sequence[Figure], below: int) -> bool:
    """Whether some linear combination of figures rests on at least one subject, and on fewer than `below`.

    Subjects who contribute to the same figures stay together. A combination rests on none but a few of them if it is zero on all
    others: if the rank of the figures without the few is less than their rank.
    """
    if len(figures) < 2:
        return False
    columns: dict[Contribution, list[int]] = {}
    for place, figure in enumerate(figures):
        for key, value in figure.contributions.items():
            columns.setdefault(key, [0] * len(figures))[place] += value
    by_subject: dict[int, set[tuple[int, ...]]] = defaultdict(set)
    for (subject, _), column in columns.items():
        by_subject[subject].add(tuple(column))
    classes = Counter(frozenset(each) for each in by_subject.values())
    whole = _rank(classes)
    if whole == _rank(each for each, size in classes.items() if size >= below):
        return False
    few = [each for each, size in classes.items() if size < below]
    return any(_rank(classes.keys() - set(some)) < whole for some in _some(few, classes, below))


def _some(
    few: Sequence[frozenset[tuple[int, ...]]], classes: Mapping[frozenset[tuple[int, ...]], int], below: int
) -> Iterator[tuple[frozenset[tuple[int, ...]], ...]]:
    """The choices of classes that have fewer than `below` subjects together, the smallest first."""
    for size in range(1, len(few) + 1):
        found = False
        for chosen in combinations(few, size):
            if sum(classes[each] for each in chosen) < below:
                found = True
                yield chosen
        if not found:
            return


def _rank(classes: Iterable[frozenset[tuple[int, ...]]]) -> int:
    """The rank of columns of whole numbers, exactly: by elimination without fractions."""
    rows = [list(column) for column in {column for each in classes for column in each}]
    rank = 0
    for place in range(len(rows[0]) if rows else 0):
        pivot = next((number for number in range(rank, len(rows)) if rows[number][place]), None)
        if pivot is None:
            continue
        rows[rank], rows[pivot] = rows[pivot], rows[rank]
        top = rows[rank]
        for number in range(rank + 1, len(rows)):
            if factor := rows[number][place]:
                rows[number] = [top[place] * each - factor * mine for each, mine in zip(rows[number], top, strict=True)]
        rank += 1
    return rank
