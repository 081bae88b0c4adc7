"""A literal search over all levels, and small tables and hierarchies to compare with."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from minimize.disclosure_risk.combinations import Combinations, combinations_of
from minimize.disclosure_risk.hierarchy import Hierarchy
from minimize.disclosure_risk.measures.recursive_l import RecursiveThreshold
from minimize.disclosure_risk.requirement import Requirement
from tests.disclosure_risk import reference

Table = Sequence[Sequence[str]]
"""A hierarchy: for each leaf its labels from fine to coarse."""
NAMES = ("a", "b", "c")
LIMITS = (Fraction(0), Fraction(1, 20), Fraction(1, 5), Fraction(1, 2))
ILLNESSES = ["flu", "gout", "mumps"]


@dataclass(frozen=True)
class Choice:
    """Levels, and what they cost."""

    levels: tuple[int, ...]
    suppressed: int
    losses: tuple[Fraction | None, ...]
    """By attribute; None for a domain of one leaf."""

    @property
    def factor(self) -> Fraction:
        return prod((1 + loss for loss in self.losses if loss is not None), start=Fraction(1))

    @property
    def loss(self) -> float:
        count = sum(loss is not None for loss in self.losses)
        return float(self.factor) ** (1 / count) - 1 if count else 0.0

    @property
    def rank(self) -> tuple[Fraction, int, tuple[int, ...]]:
        return self.factor, self.suppressed, self.levels


@st.composite
def hierarchy_tables(draw: st.DrawFn, *, max_leaves: int = 4, max_between: int = 2) -> Table:
    """A nested hierarchy of some leaves, with some levels between them and the root."""
    count = draw(st.integers(1, max_leaves))
    columns = [[f"{number}" for number in range(count)]]
    parents = list(range(count))
    for level in range(1, draw(st.integers(0, max_between)) + 1):
        coarser = draw(st.lists(st.integers(0, 2), min_size=max_leaves, max_size=max_leaves))
        parents = [coarser[parent] for parent in parents]
        columns.append([f"{level}/{parent}" for parent in parents])
    return list(zip(*columns, ["*"] * count, strict=True))


@dataclass(frozen=True)
class Problem:
    """A table with a hierarchy for each quasi-identifier."""

    rows: Sequence[Mapping[str, Any]]
    tables: Sequence[Table]
    has_persons: bool

    @property
    def names(self) -> tuple[str, ...]:
        return NAMES[: len(self.tables)]

    @property
    def combinations(self) -> Combinations:
        schema = pa.schema({**dict.fromkeys(self.names, pa.string()), "illness": pa.string(), "person": pa.int64()})
        table = pa.Table.from_pylist([*self.rows], schema=schema)
        return combinations_of(table, self.names, ["illness"], "person" if self.has_persons else None)

    @property
    def hierarchies(self) -> list[Hierarchy]:
        dictionaries = self.combinations.dictionaries
        return [
            Hierarchy.of_table(name, dictionary, table)
            for name, dictionary, table in zip(self.names, dictionaries, self.tables, strict=True)
        ]


@st.composite
def problems(draw: st.DrawFn, *, max_rows: int = 30) -> Problem:
    """A table in which data subjects may have several combinations, and values that the hierarchies lack."""
    tables = draw(st.lists(hierarchy_tables(), min_size=1, max_size=3))
    values = {
        name: st.sampled_from([*(row[0] for row in table), *(row[0] for row in table), "unseen", None])
        for name, table in zip(NAMES, tables, strict=False)
    }
    row = st.fixed_dictionaries({**values, "illness": st.sampled_from(ILLNESSES), "person": st.integers(1, 12)})
    rows = draw(st.lists(row, min_size=1, max_size=max_rows))
    return Problem(rows, tables, draw(st.booleans()))


THRESHOLDS: Mapping[str, st.SearchStrategy[Any]] = {
    "k": st.integers(1, 5),
    "l": st.integers(1, 3),
    "entropy_l": st.sampled_from([1.0, 1.3, 1.7, 2.2]),
    "recursive_l": st.builds(RecursiveThreshold, st.sampled_from([0.7, 1.4, 3.1]), st.integers(2, 3)),
    "t": st.sampled_from([0.07, 0.21, 0.33, 0.51]),
    "ordered_t": st.sampled_from([0.07, 0.21, 0.33, 0.51]),
    "delta": st.sampled_from([0.37, 0.83, 1.37]),
    "beta": st.sampled_from([0.27, 0.73, 1.37]),
    "alpha": st.sampled_from([0.43, 0.67, 0.91]),
}


@st.composite
def requirements(draw: st.DrawFn, *, others: bool = True) -> Requirement:
    """k alone, or with one or two other measures."""
    names = draw(st.lists(st.sampled_from([*THRESHOLDS][1:]), max_size=2, unique=True)) if others else []
    return Requirement({name: draw(THRESHOLDS[name]) for name in ("k", *names)})


def meets(counts: Mapping[Any, int], size: int, whole: Mapping[Any, int], requirement: Requirement) -> bool:
    """Whether a class meets a requirement. Takes its number of data subjects, and how many have each sensitive value."""
    near = 1e-12
    order = sorted(whole)
    checks = {
        "k": lambda threshold: size >= threshold,
        "l": lambda threshold: len(counts) >= threshold,
        "entropy_l": lambda threshold: reference.entropy_l(counts) >= threshold - near,
        "recursive_l": lambda threshold: reference.recursive_ratio(counts, threshold.l) < threshold.c,
        "t": lambda threshold: reference.equal_t(counts, whole) <= threshold + near,
        "ordered_t": lambda threshold: reference.ordered_t(counts, whole, order) <= threshold + near,
        "delta": lambda threshold: reference.delta(counts, whole) < threshold,
        "beta": lambda threshold: reference.beta(counts, whole) <= threshold + near,
        "alpha": lambda threshold: reference.alpha(counts) <= threshold + near,
    }
    return all(checks[name](threshold) for name, threshold in requirement.thresholds.items())


def label(table: Table, value: str | None, level: int) -> str:
    """The label of a value at a level; the root if the hierarchy lacks the value."""
    return next((row[level] for row in table if row[0] == value), table[0][-1])


def leaf_count(table: Table, text: str, level: int) -> int:
    """The leaves under a label of a level."""
    return len(table) if text == table[0][-1] else sum(row[level] == text for row in table)


def members(problem: Problem, rows: Sequence[int]) -> tuple[dict[Any, int], int]:
    """How many data subjects have each sensitive value in some rows, and how many there are in all."""
    persons = {number: problem.rows[number]["person"] if problem.has_persons else number for number in rows}
    pairs = {(problem.rows[number]["illness"], persons[number]) for number in rows}
    return dict(Counter(illness for illness, _ in pairs)), len(set(persons.values()))


def missed_rows(problem: Problem, labels: Sequence[Any], requirement: Requirement) -> set[int]:
    """The rows whose class misses a requirement. Takes the released quasi-identifiers of each row."""
    whole, _ = members(problem, range(len(problem.rows)))
    classes = defaultdict(list)
    for number, key in enumerate(labels):
        classes[key].append(number)
    return {
        number for rows in classes.values() if not meets(*members(problem, rows), whole, requirement) for number in rows
    }


def choice_at(problem: Problem, levels: tuple[int, ...], requirement: Requirement) -> Choice:
    """What a choice of levels costs."""
    labels = [
        tuple(
            label(table, row[name], level)
            for name, table, level in zip(problem.names, problem.tables, levels, strict=True)
        )
        for row in problem.rows
    ]
    missed = missed_rows(problem, labels, requirement)
    losses: list[Fraction | None] = []
    for place, (table, level) in enumerate(zip(problem.tables, levels, strict=True)):
        covered = sum(
            len(table) if number in missed else leaf_count(table, key[place], level)
            for number, key in enumerate(labels)
        )
        base = len(labels) * (len(table) - 1)
        losses.append(Fraction(covered - len(labels), base) if base else None)
    return Choice(levels, len(missed), tuple(losses))


def best_choice(problem: Problem, requirement: Requirement, limit: Fraction) -> Choice | None:
    """The best of all choices that keep at least one record; None if there is none."""
    total = len(problem.rows)
    choices = [
        choice_at(problem, levels, requirement)
        for levels in product(*(range(len(table[0])) for table in problem.tables))
    ]
    permitted = [choice for choice in choices if choice.suppressed <= limit * total and choice.suppressed < total]
    return min(permitted, key=lambda choice: choice.rank, default=None)
