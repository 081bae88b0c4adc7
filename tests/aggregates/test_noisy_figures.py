"""Published figures against a literal reading of what they are, group by group, in Python; and their grid, bounds and nulls."""

from __future__ import annotations

import json
import math
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.aggregates.base import ValueBounds
from minimize.aggregates.definition import AggregateDefinition, BoundMeasure, NoiseTerms
from minimize.aggregates.noise import DateRelease, RowNoise, group_hashes, row_identities
from minimize.aggregates.noisy_figures import from_grid, power_of_ten_below, to_grid
from minimize.arrow.hashing import mix
from minimize.spill import HashWords
from tests.aggregates.noisy_tables import (
    BELOW,
    BOUNDS,
    DATE,
    KEY,
    TYPES,
    Row,
    batch,
    definition,
    measure,
    people,
    settled,
    tally,
)
from tests.hypothesis_profiles import examples

# Against the literal reading.


def random_rows(seed: int, most_rows: int) -> list[Row]:
    """People of four companies, some of them with several rows, without values, or without an id."""
    draw = random.Random(seed)
    rows: list[Row] = []
    for number in range(draw.randrange(60, 140)):
        for _ in range(draw.randint(1, most_rows)):
            row = {
                "badge": None if draw.random() < 0.03 else f"B-{number}",
                "org": draw.choice(["x", "x", "y", "z", None]),
                "score": draw.choice([None, draw.randrange(-20, 130)]),
                "size": draw.choice([None, math.nan, math.inf, -math.inf, draw.uniform(-3, 3), 0.5]),
                "price": draw.choice([None, Decimal(draw.randrange(1200)).scaleb(-2)]),
                "mood": draw.choice(["a", "a", "b", "c", None]),
                "age": draw.choice([10, 20, 20, 30, 40, None]),
            }
            rows.append(row)
    draw.shuffle(rows)
    return rows


@dataclass(frozen=True)
class Group:
    """The rows of one group, and its noise."""

    what: AggregateDefinition
    rows: Sequence[Row]
    noise: RowNoise

    @property
    def limit(self) -> int:
        return self.what.limits.rows

    def count(self, name: HashWords) -> int:
        return int(self.noise.counts(name)[0])

    def scaled(self, scale: int, *names: str) -> int:
        return int(self.noise.scaled(KEY.figure(*names), scale)[0])

    def of_subjects(self, field: str | None = None) -> dict[str, list[Any]]:
        """The values of each subject that has one; without a field, its rows."""
        found: dict[str, list[Any]] = defaultdict(list)
        for row in self.rows:
            value = row if field is None else row[field]
            if row["badge"] is not None and value is not None and not (isinstance(value, float) and math.isnan(value)):
                found[row["badge"]].append(value)
        return found

    def is_shown(self, exact: int, noisy: int) -> bool:
        return exact >= BELOW and noisy >= BELOW + 3

    @property
    def subjects(self) -> int:
        return len(self.of_subjects()) + self.count(KEY.figure("subjects"))

    @property
    def row_count(self) -> int:
        exact = sum(min(len(rows), self.limit) for rows in self.of_subjects().values())
        if self.limit == 1:
            return self.subjects
        return max(exact + self.scaled(self.limit, "rows"), self.subjects)

    def with_value(self, field: str) -> tuple[int, int]:
        exact = len(self.of_subjects(field))
        return exact, exact + self.count(KEY.figure("with", field))

    def mean_and_sum(self, field: str, unit: Fraction) -> tuple[Any, Any]:
        """The mean and the sum, as fractions on their grid."""
        low, high = Fraction(BOUNDS[field].low), Fraction(BOUNDS[field].high)
        exact, counted = self.with_value(field)
        if not self.is_shown(exact, counted):
            return None, None
        places = {
            subject: [round((min(max(_fraction(value), low), high) - low) / unit) for value in values]
            for subject, values in self.of_subjects(field).items()
        }
        width, limit = int((high - low) / unit), self.limit
        values = sum(min(len(each), limit) for each in places.values())
        values = counted if limit == 1 else max(values + self.scaled(limit, "values", field), counted)
        centred = 0
        for each in places.values():
            whole = Fraction(sum(2 * place - width for place in each) * min(limit, len(each)), len(each))
            centred += int(whole)  # without its fraction
        centred += self.scaled(2 * width * limit, "sum", field)
        mean = min(max((low + high) / 2 + unit * Fraction(centred, 2 * values), low), high)
        spread = (high - low) * Fraction("2.828") * limit / 2
        return (
            _on_grid(mean, min(spread / values, high - low), low, high),
            _on_grid(mean * values, min(spread, (high - low) * values), low * values, high * values),
        )

    def cell(self, value: str) -> tuple[int, int]:
        exact = sum(value in values for values in self.of_subjects("mood").values())
        return exact, exact + self.count(KEY.cells(KEY.figure("cell", "mood"), pa.array([value])))

    @property
    def moods(self) -> list[dict[str, Any]]:
        cells = {value: self.cell(value) for value in ("a", "b", "c")}
        return [{"value": value, "count": cell[1]} for value, cell in cells.items() if self.is_shown(*cell)]

    def share(self, *named: str) -> float | None:
        exact, noisy = self.cell(named[0])
        if len(named) > 1:
            exact = sum(not values.isdisjoint(named) for values in map(set, self.of_subjects("mood").values()))
            noisy = exact + self.count(KEY.figure("cells", "mood", json.dumps(sorted(named))))
        with_value, of = self.with_value("mood")
        sides = ((with_value, of), (exact, noisy), (with_value - exact, of - noisy))
        if not all(self.is_shown(*side) for side in sides):
            return None
        return float(_on_grid(Fraction(noisy, of), Fraction("2.828") / (2 * of), Fraction(0), Fraction(1)))

    @property
    def kinds(self) -> int | None:
        if not self.is_shown(*self.with_value("mood")):
            return None
        limit = self.what.limits.values
        values = self.of_subjects("mood").items()
        exact = len({value for subject, each in values for value in _chosen(subject, set(each), limit)})
        return max(exact + self.scaled(limit, "distinct", "mood"), 1)

    def quantiles(self, field: str, shares: Iterable[float]) -> dict[float, float | None]:
        ranked = sorted(
            value
            for subject, values in self.of_subjects(field).items()
            for value in _chosen(subject, set(map(float, values)), self.limit)
        )
        total, limit = len(ranked), self.limit

        def moved(name: str, *names: str) -> int:
            if limit == 1:
                return self.count(KEY.figure({"ranks": "with"}.get(name, name), *names))
            return self.scaled(limit, name, *names)

        noisy, last, found = total + moved("ranks", field), -math.inf, dict[float, float | None]()
        for share in sorted(shares):
            rank = max(1, math.ceil(Fraction(repr(share)) * total)) + moved("q", field, repr(share))
            is_shown = 1 <= rank <= total and BELOW <= rank <= noisy - BELOW and rank - last >= BELOW
            found[share] = ranked[rank - 1] if is_shown else None
            last = rank if is_shown else last
        return found

    def figures(self) -> dict[str, Any]:
        mean, whole = self.mean_and_sum("score", Fraction(1))
        size, _ = self.mean_and_sum("size", Fraction(4, 1 << 32))
        _, spent = self.mean_and_sum("price", Fraction(1, 100))
        quantiles = self.quantiles("age", (0.5, 0.75))
        return {
            "rows": self.row_count,
            "people": self.subjects,
            "mean": None if mean is None else float(mean),
            "sum": None if whole is None else int(whole),
            "size": None if size is None else float(size),
            "spent": None if spent is None else Decimal(spent.numerator) / spent.denominator,
            "moods": self.moods,
            "share": self.share("a"),
            "several": self.share("a", "b"),
            "median": quantiles[0.5],
            "upper": quantiles[0.75],
            "kinds": self.kinds,
        }


def _chosen(subject: str, values: set[Any], limit: int) -> list[Any]:
    """So many values of a subject, by a keyed hash."""
    word = mix(KEY.hasher(pa.array([subject]), 1)[:, 1])[0]
    return sorted(values, key=lambda value: int(KEY.hasher(pa.array([value]))[0, 0] ^ word))[:limit]


def _fraction(value: Any) -> Fraction:
    return Fraction(min(max(value, -100.0), 100.0)) if isinstance(value, float) else Fraction(value)


def _on_grid(value: Fraction, most: Fraction, low: Fraction, high: Fraction) -> Fraction:
    """The nearest multiple between the bounds of the largest power of ten up to this, half up."""
    step = max(Fraction(10) ** power for power in range(-15, 15) if Fraction(10) ** power <= most)
    multiple = math.floor(value / step + Fraction(1, 2))
    return step * min(max(multiple, math.ceil(low / step)), math.floor(high / step))


def literal(rows: Sequence[Row], what: AggregateDefinition) -> list[dict[str, Any]]:
    release = DateRelease.of(KEY, DATE, [(what.meaning, tally(what, batch(rows)).digest(KEY))])
    found = []
    for org in ("x", "y", "z", None):
        columns = {"org": pa.array([org], TYPES["org"])}
        hashes = (hashed(what, columns, KEY) for hashed in (row_identities, group_hashes))
        group = Group(what, [row for row in rows if row["org"] == org], RowNoise(KEY, NoiseTerms(), release, *hashes))
        if group.is_shown(len(group.of_subjects()), group.subjects):
            found.append({"org": org, **group.figures()})
    return found


@settings(max_examples=examples(20))
@given(st.integers(0, 1 << 32), st.sampled_from([(1, 1), (3, 1), (3, 2), (4, 24)]))
def test_figures_equal_those_of_the_literal_reading(seed: int, sizes: tuple[int, int]) -> None:
    most_rows, limit = sizes
    rows, what = random_rows(seed, most_rows), definition(limit=limit, values=2)
    (result,) = settled(rows, what)
    assert result.table.to_pylist() == literal(rows, what)
    assert result.most_of_subject == _most_rows(rows)


def _most_rows(rows: Sequence[Row]) -> int:
    counts: dict[Any, int] = defaultdict(int)
    for row in rows:
        if row["badge"] is not None:
            counts[row["org"], row["badge"]] += 1
    return max(counts.values(), default=0)


# The grid.


@given(st.fractions(min_value=Fraction(1, 10**12), max_value=10**12))
def test_the_grid_is_the_largest_power_of_ten_up_to_a_limit(limit: Fraction) -> None:
    exponent = power_of_ten_below(limit)
    assert Fraction(10) ** exponent <= limit < Fraction(10) ** (exponent + 1)


@given(st.integers(-(10**20), 10**20), st.integers(1, 10**6), st.integers(-9, 9))
def test_a_figure_is_the_nearest_multiple_of_its_grid_half_up(numerator: int, denominator: int, exponent: int) -> None:
    multiple = to_grid(numerator, denominator, exponent)
    off = Fraction(numerator, denominator) / Fraction(10) ** exponent - multiple
    assert Fraction(-1, 2) <= off < Fraction(1, 2)
    assert from_grid(multiple, exponent) == float(multiple * Fraction(10) ** exponent)


def figures(data: Sequence[Row], **measures: BoundMeasure) -> dict[str, Any]:
    """The figures of a table without keys."""
    (result,) = settled(data, definition((), measures))
    (row,) = result.table.to_pylist()
    return dict(row)


def test_the_mean_of_forty_people_is_a_whole_number() -> None:
    rows = [*people(39, score=10), *people(1, 39, score=87)]
    found = figures(rows, mean=measure("mean", "score"), sum=measure("sum", "score"))
    assert found["mean"] == int(found["mean"]) != 11.925
    assert found["sum"] % 100 == 0


@pytest.mark.parametrize("limit", [1, 50])
@pytest.mark.parametrize(("low", "high"), [("0", "99.5"), ("-7.25", "-7"), ("12", "13")])
@pytest.mark.parametrize("end", ["low", "high"])
def test_a_mean_and_a_sum_stay_within_their_bounds(low: str, high: str, end: str, limit: int) -> None:
    bounds = ValueBounds(Decimal(low), Decimal(high))
    rows = people(40, size=float(getattr(bounds, end)))
    measures = {"mean": measure("mean", "size", bounds), "sum": measure("sum", "size", bounds)}
    for date in range(20):
        (result,) = settled(rows, definition((), measures, limit=limit), date=str(date))
        for row in result.table.to_pylist():
            assert bounds.low <= row["mean"] <= bounds.high
            values = range(BELOW + 3, 3000)
            assert any(bounds.low * each <= row["sum"] <= bounds.high * each for each in values)


# Which figures are shown.


def shown_rows(sizes: Iterable[int], date: str) -> Mapping[int, int]:
    """The groups of these sizes that are shown, and their figures."""
    rows = [row for size in sizes for row in people(size, 1000 * size, org=f"{size:03}")]
    (result,) = settled(rows, definition(measures={"people": measure("count_distinct", "badge")}), date=date)
    return {int(row["org"]): row["people"] for row in result.table.to_pylist()}


def test_a_row_needs_enough_people_and_a_noisy_number_above_the_margin() -> None:
    dates = [shown_rows(range(1, 60), f"date {number}") for number in range(60)]
    assert all(min(row) >= BELOW for row in dates)
    assert all(figure >= BELOW + 3 for row in dates for figure in row.values())
    often = {size: sum(size in row for row in dates) for size in (10, 15, 40)}
    assert 0 < often[10] < often[15] < often[40] == len(dates)


@pytest.mark.parametrize("word", ["mean", "sum", "count_distinct"])
def test_a_figure_of_a_field_that_few_people_have_is_null(word: str) -> None:
    rows = [*people(9, score=50), *people(40, 9)]
    assert figures(rows, few=measure(word, "score"))["few"] is None
    assert figures(people(40, score=50), many=measure(word, "score"))["many"] is not None


def test_a_cell_of_few_people_is_absent_with_its_value() -> None:
    rows = [*people(40, mood="a"), *people(9, 40, mood="rare"), *people(40, 49, mood="b")]
    cells = figures(rows, moods=measure("histogram", "mood"))["moods"]
    assert [cell["value"] for cell in cells] == ["a", "b"]


def test_a_share_needs_people_on_both_sides() -> None:
    share = measure("share", {"of": "mood", "is": "a"})
    assert figures([*people(40, mood="a"), *people(40, 40, mood="b")], share=share)["share"] is not None
    assert figures([*people(40, mood="a"), *people(9, 40, mood="b")], share=share)["share"] is None
    assert figures([*people(9, mood="a"), *people(40, 9, mood="b")], share=share)["share"] is None
    assert figures(people(40, mood="a"), share=share)["share"] is None


def test_a_share_that_names_a_value_twice_has_the_noise_of_its_cell() -> None:
    rows = [*people(40, mood="a"), *people(40, 40, mood="b")]
    once, twice = (measure("share", {"of": "mood", "is": named}) for named in (["a"], ["a", "a"]))
    found = figures(rows, once=once, twice=twice)
    assert found["once"] == found["twice"] is not None


def test_a_quantile_needs_people_on_both_sides_and_next_to_others() -> None:
    rows = people(40, age=lambda number: number % 40)
    shares = [number / 40 for number in range(1, 40)]
    found = figures(rows, **{f"q{share}": measure("quantile", {"of": "age", "q": share}) for share in shares})
    values = [value for value in found.values() if value is not None]
    assert 1 <= len(values) <= 3
    assert values == sorted(values)
    assert all(right - left >= BELOW for left, right in pairwise(values))


def test_a_quantile_counts_a_person_in_as_many_cells_as_rows_count() -> None:
    many = [row for age in range(50, 90) for row in people(1, 500, age=age)]
    rows = [*people(40, age=10), *many]
    median = measure("quantile", {"of": "age", "q": 0.5})
    assert figures(rows, median=median)["median"] == 10
    (result,) = settled(rows, definition((), {"median": median}))
    assert result.most_of_subject == 40


@pytest.mark.parametrize("values", [1, 3])
def test_a_person_with_many_values_adds_no_more_than_counts(values: int) -> None:
    rows = people(40, mood="usual")
    many = [row for number in range(500) for row in people(1, 40, mood=f"mood {number}")]
    what = definition((), {"kinds": measure("count_distinct", "mood")}, limit=500, values=values)
    (result,) = settled([*rows, *many], what)
    assert result.table["kinds"].to_pylist()[0] <= 1 + values + 2 * 13 * values


def test_the_cells_of_a_person_that_count_are_the_same_in_any_order() -> None:
    rows = [row for age in range(0, 90, 3) for row in people(40, age=lambda number, age=age: (age + number) % 90)]
    what = definition((), {"median": measure("quantile", {"of": "age", "q": 0.5})}, limit=2)
    tables = [settled(order, what)[0].table for order in (rows, rows[::-1], sorted(rows, key=lambda row: row["age"]))]
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


def test_infinite_values_count_as_the_bounds_and_nan_as_none() -> None:
    size = {"mean": measure("mean", "size")}
    usual = figures([*people(20, size=2.5), *people(20, 20, size=-1.5)], **size)
    assert figures([*people(20, size=math.inf), *people(20, 20, size=-math.inf)], **size) == usual
    assert figures(people(40, size=math.nan), **size)["mean"] is None


def test_values_outside_the_bounds_count_as_the_bounds() -> None:
    score = {"mean": measure("mean", "score")}
    inside, outside = ([*people(20, score=low), *people(20, 20, score=high)] for low, high in ((0, 100), (-9, 900)))
    assert figures(inside, **score) == figures(outside, **score)


def test_rows_without_a_subject_count_nowhere() -> None:
    rows = people(40, score=50, mood="a", age=10)
    nobody = [{**row, "badge": None, "mood": f"m{place}", "age": 90} for place, row in enumerate(rows)]
    (usual,), (more,) = (settled(each, definition((), limit=2), date=DATE) for each in (rows, [*rows, *nobody]))
    exact = {"moods": 1, "kinds": 1}
    (row,), (other,) = usual.table.to_pylist(), more.table.to_pylist()
    assert [len(each["moods"]) for each in (row, other)] == [exact["moods"]] * 2
    assert abs(other["kinds"] - exact["kinds"]) <= 13 * 2
    assert abs(other["people"] - 40) <= 24
    assert other["median"] == 10


def test_a_table_without_rows_is_empty_and_has_its_columns() -> None:
    for what in (definition(), definition(())):
        (result,) = settled([], what)
        assert result.table.num_rows == 0
        assert result.table.schema == what.schema
        assert result.most_of_subject == 0
        assert result.mark is not None


def test_a_sum_that_does_not_fit_its_type_is_null() -> None:
    wide = ValueBounds(Decimal(0), Decimal(2) ** 62)
    assert figures(people(40, score=2**62), sum=measure("sum", "score", wide))["sum"] is None


def test_with_one_row_per_person_rows_and_people_are_one_number() -> None:
    found = figures(people(40), rows=measure("count"), people=measure("count_distinct", "badge"))
    assert found["rows"] == found["people"]


def test_tables_of_one_release_show_the_same_figures_of_a_row() -> None:
    rows = people(40, org="x", score=50)
    one, two = (result.table.to_pylist()[0] for result in settled(rows, definition(), definition(name="other")))
    assert one == two
