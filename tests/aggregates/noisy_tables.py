"""Small tables with noise: rows in, settled tables out, under one key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from minimize.aggregates import measure_from
from minimize.aggregates.base import ValueBounds
from minimize.aggregates.definition import AggregateDefinition, BoundMeasure, GroupKey, NoiseTerms, SubjectLimits
from minimize.aggregates.dictionaries import GroupDictionary
from minimize.aggregates.noise import NoiseKey
from minimize.aggregates.tally import AggregateResult, AggregateTally, settle_tables
from minimize.arrow.pointers import Pointer
from minimize.records import Batch
from minimize.spill import SpillSpace

KEY: Final = NoiseKey(b"v" * 32, b"d" * 32)
DATE: Final = "2026-01-01"
BELOW: Final = 10
TYPES: Final[Mapping[str, pa.DataType]] = {
    "badge": pa.string(),
    "org": pa.string(),
    "time": pa.timestamp("us", "UTC"),
    "day": pa.date32(),
    "score": pa.int64(),
    "size": pa.float64(),
    "price": pa.decimal128(12, 2),
    "mood": pa.string(),
    "age": pa.int32(),
}
BOUNDS: Final[Mapping[str, ValueBounds]] = {
    "score": ValueBounds(Decimal(0), Decimal(100)),
    "size": ValueBounds(Decimal("-1.5"), Decimal("2.5")),
    "price": ValueBounds(Decimal(0), Decimal("9.99")),
}
Row = Mapping[str, Any]


def measure(word: str, argument: Any = None, bounds: ValueBounds | None = None) -> BoundMeasure:
    """A measure of a field of these types."""
    made = measure_from(word, argument)
    return BoundMeasure(made, TYPES.get(made.of or ""), generalized=True, bounds=bounds or BOUNDS.get(made.of or ""))


MEASURES: Final[Mapping[str, BoundMeasure]] = {
    "rows": measure("count"),
    "people": measure("count_distinct", "badge"),
    "mean": measure("mean", "score"),
    "sum": measure("sum", "score"),
    "size": measure("mean", "size"),
    "spent": measure("sum", "price"),
    "moods": measure("histogram", "mood"),
    "share": measure("share", {"of": "mood", "is": ["a"]}),
    "several": measure("share", {"of": "mood", "is": ["a", "b"]}),
    "median": measure("quantile", {"of": "age", "q": 0.5}),
    "upper": measure("quantile", {"of": "age", "q": 0.75}),
    "kinds": measure("count_distinct", "mood"),
}


def definition(
    keys: Mapping[str, GroupKey] | Sequence[str] = ("org",),
    measures: Mapping[str, BoundMeasure] | None = None,
    *,
    name: str = "table",
    noise: NoiseTerms | None = NoiseTerms(),  # noqa: B008 - frozen
    limit: int = 1,
    values: int = 1,
    source: str = "people",
) -> AggregateDefinition:
    """A table with noise."""
    groups = keys if isinstance(keys, Mapping) else {each: GroupKey(each, TYPES[each]) for each in keys}
    return AggregateDefinition(
        name,
        groups,
        MEASURES if measures is None else measures,
        BELOW,
        Pointer.parse("badge"),
        noise=noise,
        limits=SubjectLimits(limit, values),
        source=source,
    )


def batch(rows: Sequence[Row]) -> Batch:
    """The rows as one batch."""
    columns = {name: pa.array([row.get(name) for row in rows], type_) for name, type_ in TYPES.items()}
    return Batch(pa.record_batch(columns), released={name: each for name, each in columns.items() if name != "badge"})


def tally(
    what: AggregateDefinition,
    *batches: Batch,
    space: SpillSpace | None = None,
    groups: GroupDictionary | None = None,
    key: NoiseKey = KEY,
) -> AggregateTally:
    """A tally of batches. Each has a spill space of its own, as a process has."""
    found = AggregateTally(what, space or SpillSpace(None), groups, key.hasher)
    for each in batches:
        found.observe(each)
    return found


def settled(
    rows: Sequence[Row], *what: AggregateDefinition, date: str | None = DATE, key: NoiseKey = KEY
) -> list[AggregateResult]:
    """The tables of one release."""
    tallies = {str(place): tally(each, batch(rows), key=key) for place, each in enumerate(what)}
    return list(settle_tables(tallies, key, date).values())


def people(count: int, start: int = 0, **values: Any) -> list[Row]:
    """A row for each of so many people, with these values. A function takes the number of the person."""
    return [
        {
            "badge": f"B-{number}",
            **{name: value(number) if callable(value) else value for name, value in values.items()},
        }
        for number in range(start, start + count)
    ]
