"""Literal definitions of combinations and measures of disclosure risk, in plain Python, to compare with."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from minimize.disclosure_risk.combinations import Classes, Combinations, SensitiveCounts

Row = Mapping[str, Any]
NAN = "not a number"
"""Stands for NaN, which is equal to itself here."""


def plain(value: Any) -> Any:
    """A value that is equal to itself, with a type so that 1 and "1" differ."""
    return NAN if isinstance(value, float) and math.isnan(value) else value


def combination(row: Row, names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(plain(row[name]) for name in names)


def records_by_combination(rows: Sequence[Row], names: Sequence[str]) -> dict[tuple[Any, ...], int]:
    return dict(Counter(combination(row, names) for row in rows))


def persons_by_combination(
    rows: Sequence[Row], names: Sequence[str], person: str
) -> dict[tuple[Any, ...], frozenset[Any]]:
    persons = defaultdict(set)
    for row in rows:
        persons[combination(row, names)].add(plain(row[person]))
    return {key: frozenset(each) for key, each in persons.items()}


def sensitive_by_combination(
    rows: Sequence[Row], names: Sequence[str], sensitive: str, person: str | None
) -> dict[tuple[Any, ...], dict[Any, int]]:
    """How many records have each value, or how many different persons."""
    members: dict[tuple[Any, ...], dict[Any, set[Any]]] = defaultdict(lambda: defaultdict(set))
    for number, row in enumerate(rows):
        member = number if person is None else plain(row[person])
        members[combination(row, names)][plain(row[sensitive])].add(member)
    return {key: {value: len(each) for value, each in values.items()} for key, values in members.items()}


def decoded(combinations: Combinations) -> list[tuple[Any, ...]]:
    """The values of each combination."""
    columns = [
        [plain(value.as_py()) for value in dictionary.take(pa.array(combinations.codes[:, place]))]
        for place, dictionary in enumerate(combinations.dictionaries)
    ]
    return list(zip(*columns, strict=True)) if columns else [()] * len(combinations)


def decoded_counts(counts: SensitiveCounts, count: int) -> list[dict[Any, int]]:
    """The counts of each value, for each combination or class."""
    values = [plain(value) for value in counts.dictionary.to_pylist()]
    listed: list[dict[Any, int]] = [{} for _ in range(count)]
    for place, code, number in zip(counts.combination, counts.value, counts.count, strict=True):
        listed[int(place)][values[int(code)]] = int(number)
    return listed


def class_counts(classes: Classes, place: int = 0) -> list[dict[Any, int]]:
    return decoded_counts(classes.sensitive[place], len(classes))


def shares(counts: Mapping[Any, int]) -> dict[Any, float]:
    whole = sum(counts.values())
    return {value: count / whole for value, count in counts.items()}


def entropy_l(counts: Mapping[Any, int]) -> float:
    return math.exp(-math.fsum(share * math.log(share) for share in shares(counts).values()))


def recursive_ratio(counts: Mapping[Any, int], rank: int) -> float:
    """r1 / (r_l + r_(l+1) + …): below c if (c,l)-diversity holds."""
    ordered = sorted(counts.values(), reverse=True)
    tail = sum(ordered[rank - 1 :])
    return ordered[0] / tail if tail else math.inf


def equal_t(counts: Mapping[Any, int], whole: Mapping[Any, int]) -> float:
    inside, overall = shares(counts), shares(whole)
    return math.fsum(abs(inside.get(value, 0.0) - overall[value]) for value in overall) / 2


def ordered_t(counts: Mapping[Any, int], whole: Mapping[Any, int], order: Sequence[Any]) -> float:
    inside, overall = shares(counts), shares(whole)
    if len(order) < 2:
        return 0.0
    sums, running = [], 0.0
    for value in order:
        running += inside.get(value, 0.0) - overall[value]
        sums.append(abs(running))
    return math.fsum(sums) / (len(order) - 1)


def delta(counts: Mapping[Any, int], whole: Mapping[Any, int]) -> float:
    inside, overall = shares(counts), shares(whole)
    return max(abs(math.log2(inside[value] / overall[value])) for value in inside)


def beta(counts: Mapping[Any, int], whole: Mapping[Any, int]) -> float:
    inside, overall = shares(counts), shares(whole)
    return max(max(0.0, (inside[value] - overall[value]) / overall[value]) for value in inside)


def alpha(counts: Mapping[Any, int]) -> float:
    return max(shares(counts).values())
