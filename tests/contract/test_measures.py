"""The statements of every measure, and of its rule of verification, are true of data.

Each check returns the statements that data contradict. The second half of the file changes one statement of a measure at a
time: the check must find it.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple, Self, cast

import pyarrow as pa
import pytest

from minimize.aggregates import MEASURES, Measure, MeasureTerms
from minimize.aggregates.base import MeasureRefused, MeasureTally
from minimize.aggregates.definition import AggregateDefinition, BoundMeasure, GroupKey
from minimize.aggregates.tally import AggregateTally
from minimize.arrow.dictionaries import Codes
from minimize.arrow.pointers import Pointer
from minimize.records import Batch
from minimize.verification.aggregates import MEASURE_RULES, MeasureRule
from minimize.verification.policy_reading import BranchView, FieldView
from minimize.verification.rules import StepView
from tests.contract.test_custom_measure import Dispersion, DispersionTally
from tests.contract.test_custom_measure import literal as variance

ROWS = 90
Values = list[Any]
Literal = Callable[[Values, pa.DataType], Any]


class Part(NamedTuple):
    """A measure with its definition in Python, its rule, and its parameters apart from the field."""

    kind: type[Measure]
    literal: Literal
    rule: MeasureRule
    parameters: Mapping[str, Any]

    def measure(self) -> Measure:
        """The measure of the field `value`."""
        field = {} if self.kind.takes is None else {"of": "value"}
        return self.kind.model_validate({**field, **self.parameters})


def exact_sum(values: Values, type_: pa.DataType) -> Any:
    return float(sum(map(Fraction, values))) if pa.types.is_floating(type_) else sum(values)


def exact_mean(values: Values, type_: pa.DataType) -> float:
    return float(sum(map(Fraction, values)) / len(values))


def cells(values: Values, type_: pa.DataType) -> list[dict[str, Any]]:
    return [{"value": value, "count": count} for value, count in sorted(Counter(values).items())]


def third(values: Values, type_: pa.DataType) -> Any:
    return sorted(values)[math.ceil(Fraction("0.3") * len(values)) - 1]


def share_of_words(values: Values, type_: pa.DataType) -> float | None:
    named = sum(value in ("w1", "w2") for value in values)
    return None if named in (0, len(values)) else named / len(values)


LITERALS: dict[str, tuple[Literal, dict[str, Any]]] = {
    "count": (lambda values, type_: len(values), {}),
    "count_distinct": (lambda values, type_: len(set(values)), {}),
    "sum": (exact_sum, {}),
    "mean": (exact_mean, {}),
    "min": (lambda values, type_: min(values), {}),
    "max": (lambda values, type_: max(values), {}),
    "quantile": (third, {"q": 0.3}),
    "share": (share_of_words, {"is": ["w1", "w2"]}),
    "histogram": (cells, {}),
}
"""What each measure is, of the values of a group, and the parameters with which it is tried."""

PARTS = {
    word: Part(kind, *((LITERALS[word][0]), MEASURE_RULES[word], LITERALS[word][1]))
    for word, kind in MEASURES.items()
    if word in LITERALS
}


@cache
def columns() -> dict[str, pa.Array]:
    """Random values of each type, with nulls; equal values occur."""
    draw = random.Random(39)
    start = datetime(2026, 1, 1, tzinfo=UTC)

    def column(value: Callable[[], Any], type_: pa.DataType) -> pa.Array:
        return pa.array([None if draw.random() < 0.1 else value() for _ in range(ROWS)], type_)

    return {
        "integer": column(lambda: draw.randrange(-40, 40), pa.int64()),
        "double": column(lambda: draw.choice([draw.gauss(0, 60), 0.1, 1e16]), pa.float64()),
        "decimal": column(lambda: Decimal(draw.randrange(-900, 900)).scaleb(-2), pa.decimal128(12, 2)),
        "timestamp": column(lambda: start + timedelta(hours=draw.randrange(99)), pa.timestamp("us", "UTC")),
        "date": column(lambda: date(2026, 1, 1) + timedelta(days=draw.randrange(40)), pa.date32()),
        "word": column(lambda: f"w{draw.randrange(6)}", pa.string()),
    }


class Table(NamedTuple):
    """Values, each with the group and the subject of its row."""

    values: pa.Array
    groups: Sequence[str]
    subjects: Sequence[str]

    def batch(self, start: int, end: int, *, encoded: bool = False) -> Batch:
        """Some of the rows."""
        values = self.values[start:end]
        released = {
            "key": pa.array(self.groups[start:end], pa.string()),
            "value": values.dictionary_encode() if encoded else values,
        }
        return Batch(pa.record_batch({"device": pa.array(self.subjects[start:end], pa.string())}), released=released)


def one_group(values: Values, type_: pa.DataType, subjects: Sequence[str] | None = None) -> Table:
    """Values of one group, each of another subject."""
    return Table(pa.array(values, type_), ["g"] * len(values), subjects or [f"d{row}" for row in range(len(values))])


def figures(
    part: Part, table: Table, cuts: Sequence[int] = (), below: int = 1, counts_to: int | None = None
) -> dict[str, Any]:
    """The figure of each group. With cuts, each piece has a tally of its own, and they are merged."""
    type_ = None if part.kind.takes is None else table.values.type
    bound = BoundMeasure(part.measure(), type_, generalized=True)
    keys = {"key": GroupKey("key", pa.string())}
    what = AggregateDefinition("all", keys, {"figure": bound}, below, Pointer.parse("device"), counts_to)
    merged = AggregateTally(what)
    for number, (start, end) in enumerate(pairwise([0, *cuts, len(table.values)])):
        tally = AggregateTally(what)
        middle = (start + end) // 2
        for first, last in ((start, middle), (middle, end)):
            tally.observe(table.batch(first, last, encoded=number % 2 == 1))
        if number % 2:
            tally.merge(merged)
            merged = tally
        else:
            merged.merge(tally)
    found = merged.settle().table
    assert found.schema.field("figure").type == part.measure().output_type(type_)
    return {row["key"]: row["figure"] for row in found.to_pylist()}


def figure(part: Part, values: Values, type_: pa.DataType, below: int = 1, counts_to: int | None = None) -> Any:
    return figures(part, one_group(values, type_), (), below, counts_to).get("g")


def takes(part: Part, type_: pa.DataType) -> bool:
    try:
        part.measure().output_type(None if part.kind.takes is None else type_)
    except MeasureRefused:
        return False
    return True


def wrong_figures(part: Part) -> list[str]:
    """Each figure is what the definition says, however the rows are cut, encoded and merged."""
    found = []
    draw = random.Random(5)
    for name, values in columns().items():
        if not takes(part, values.type):
            continue
        groups = [draw.choice("abc") for _ in range(ROWS)]
        table = Table(values, groups, [f"d{row}" for row in range(ROWS)])
        wanted = {}
        for group in sorted(set(groups)):
            of_group = [value for value, key in zip(values.to_pylist(), groups, strict=True) if key == group]
            kept = of_group if part.kind.takes is None else [value for value in of_group if value is not None]
            wanted[group] = part.literal(kept, values.type)
        found += [
            f"{part.kind.name} of {name}, cut at {cuts}"
            for cuts in ((), (30,), (7, 8, 50))
            if figures(part, table, cuts) != wanted
        ]
    return found


def numbers(part: Part) -> bool:
    return takes(part, pa.float64()) and part.kind.takes is not None


def false_bounds(part: Part) -> list[str]:
    """One value cannot move a figure far unless the measure needs bounds, or shows single values anyway."""
    if not numbers(part) or part.kind.needs_bounds or part.kind.shown_values == "single":
        return []
    draw = random.Random(3)
    values = [float(draw.randrange(100)) for _ in range(50)]
    before, after = (figure(part, some, pa.float64()) for some in (values, [*values[1:], 1e9]))
    moved = all(isinstance(each, float | int) for each in (before, after)) and abs(after - before) > 1000
    return [f"{part.kind.name}: one value determines the figure"] if moved else []


def false_shown_values(part: Part) -> list[str]:
    """The values that a figure contains are as frequent, or as well supported, as the measure states."""
    found = []
    draw = random.Random(4)
    values: Values = [round(draw.uniform(0, 1000), 3) for _ in range(20)] + [500.5] * 12 + [200.5] * 3
    type_: pa.DataType = pa.float64()
    if not takes(part, type_) or part.kind.takes is None:
        values, type_ = [f"w{value}" for value in values], pa.string()
    if part.kind.takes is None or not takes(part, type_):
        return []
    for below in (1, 5):
        shown = {each for each in leaves(figure(part, values, type_, below)) if each in set(values)}
        for each in shown:
            sides = [sum(value <= each for value in values), sum(value >= each for value in values)]
            if part.kind.shown_values == "none":
                found.append(f"{part.kind.name}: the figure is a value")
            elif part.kind.shown_values == "frequent" and values.count(each) < below:
                found.append(f"{part.kind.name}: the figure has a rare value")
            elif part.kind.shown_values == "supported" and min(sides) < below:
                found.append(f"{part.kind.name}: the figure is a value without support")
    return found


def leaves(given: Any) -> Iterator[Any]:
    if isinstance(given, dict):
        yield given.get("value")
    elif isinstance(given, list):
        for each in given:
            yield from leaves(each)
    else:
        yield given


def counts_in(given: Any) -> list[int]:
    if isinstance(given, list):
        return [cell["count"] for cell in given if cell["count"] is not None]
    return [] if given is None else [given]


def false_counts(part: Part) -> list[str]:
    """A figure that reveals no numbers of rows is the same if each row occurs twice, and has no fraction for whole numbers; a
    rounded one is a multiple."""
    type_ = pa.int64() if takes(part, pa.int64()) else pa.string()
    if part.kind.revealed_counts == "none":
        flags = [1] * 13 + [0] * 24
        found = figure(part, flags, type_)
        if found not in (0, 1) or figure(part, flags * 2, type_) != found:
            return [f"{part.kind.name}: the figure reveals a number of rows"]
    if part.kind.revealed_counts == "rounded":
        named: Values = [1] * 13 + [0] * 24 + [*range(2, 12)]
        given = named if type_ == pa.int64() else [f"w{each}" for each in named]
        if any(count % 7 for count in counts_in(figure(part, given, type_, counts_to=7))):
            return [f"{part.kind.name}: a number of rows is not rounded"]
    return []


def false_hidden_cells(part: Part) -> list[str]:
    """A figure without hidden cells does not change if the rows of a rare value, neither the lowest nor the highest, are gone."""
    if part.kind.hidden_cells != "none" or part.kind.takes is None or not takes(part, pa.int64()):
        return []
    common = [0] * 9 + [100] * 9 + [60] * 9
    with_rare, without = (figure(part, values, pa.int64(), below=3) for values in ([*common, 30], common))
    if isinstance(with_rare, list):
        with_rare = [cell for cell in with_rare if cell["value"] is not None]
    return [f"{part.kind.name}: the figure contains a hidden cell"] if with_rare != without else []


LOWEST, HIGHEST = -50, 50


def clipped_view() -> FieldView:
    """The field as `verify` reads it if the policy clips it."""
    chain = (StepView("clip", {"min": LOWEST, "max": HIGHEST}),)
    return FieldView("value", Pointer.parse("value"), "double", "plain", False, (BranchView(None, chain),), None, ())


def false_rule(part: Part) -> list[str]:
    """The rule knows whether the figures are counts, accepts all figures of clipped values, and has a bound on each side on
    which they have one."""
    if part.rule.counts is not None:
        type_ = pa.int64() if takes(part, pa.int64()) else pa.string()
        given = figure(part, [0, 1, 1] if type_ == pa.int64() else ["a", "b", "b"], type_)
        return [] if all(isinstance(each, int) for each in counts_in(given)) else [f"{part.kind.name}: no counts"]
    draw = random.Random(6)
    if not numbers(part):
        return []
    low, high = (None if bound is None else float(bound) for bound in part.rule.bounds(clipped_view()))
    results = []
    for most in (1, 2, 5, 40):
        for _ in range(20):
            sign = draw.choice([-1.0, 1.0])
            values = [sign * draw.choice([50.0, 49.0, draw.uniform(30, 50)]) for _ in range(most)]
            results.append(figure(part, values, pa.float64()))
    found = []
    if any((low is not None and each < low) or (high is not None and each > high) for each in results):
        found.append(f"{part.kind.name}: the rule rejects a figure")
    if low is None and min(results) >= LOWEST:
        found.append(f"{part.kind.name}: the rule has no lower bound")
    if high is None and max(results) <= HIGHEST:
        found.append(f"{part.kind.name}: the rule has no upper bound")
    return found


Check = Callable[[Part], list[str]]
CHECKS: list[Check] = [
    wrong_figures,
    false_bounds,
    false_shown_values,
    false_counts,
    false_hidden_cells,
    false_rule,
]


def test_every_measure_has_its_definition_here() -> None:
    assert set(LITERALS) == set(MEASURES)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("word", LITERALS)
def test_data_do_not_contradict_a_statement(word: str, check: Check) -> None:
    assert check(PARTS[word]) == []


class ForgetfulTally(DispersionTally):
    """A tally that forgets the squares of the other one."""

    def merge(self, other: Self, groups: Codes) -> None:
        """Merges another tally, without its squares."""
        self._counts.merge(other._counts, groups)
        self._sums.merge(other._sums, groups)


class SquaresTally(DispersionTally):
    """A tally of the mean of squares."""

    def settle(self, groups: Codes) -> pa.Array:
        """The mean of the squares."""
        self._sums = type(self._sums)()
        return super().settle(groups)


def start_of(tally: type[DispersionTally]) -> Callable[[Measure, pa.DataType | None, MeasureTerms], MeasureTally]:
    return lambda self, type_, terms: tally()


POSITIVE = MeasureRule(bounds=lambda view: (0, None))


def variance_part(rule: MeasureRule = POSITIVE, **facts: Any) -> Part:
    """The measure of the contract from outside, with some of its statements changed."""
    kind = type("Dispersion", (Dispersion,), facts)
    return Part(cast("type[Measure]", kind), variance_of, rule, {})


def variance_of(values: Values, type_: pa.DataType) -> float:
    return variance([float(value) for value in values])


def changed_part(word: str, rule: MeasureRule | None = None, **facts: Any) -> Part:
    """A shipped measure with some of its statements changed."""
    part = PARTS[word]
    kind = type(part.kind.__name__, (part.kind,), facts)
    return part._replace(kind=cast("type[Measure]", kind), rule=rule or part.rule)


WRONG: dict[str, tuple[Part, Check]] = {
    "the mean of squares": (variance_part(start=start_of(SquaresTally)), wrong_figures),
    "a merge forgets the squares": (variance_part(start=start_of(ForgetfulTally)), wrong_figures),
    "a variance needs no bounds": (variance_part(needs_bounds=False), false_bounds),
    "a variance reveals no counts": (variance_part(revealed_counts="none"), false_counts),
    "a variance contains no hidden cells": (variance_part(hidden_cells="none"), false_hidden_cells),
    "a rule without bounds": (variance_part(MeasureRule()), false_rule),
    "a rule that is too strict": (variance_part(MeasureRule(bounds=lambda view: (0, 1))), false_rule),
    "a mean without bounds in its rule": (changed_part("mean", MeasureRule()), false_rule),
    "a mean counts": (changed_part("mean", MeasureRule("rows")), false_rule),
    "a maximum is no value": (changed_part("max", shown_values="none"), false_shown_values),
    "a maximum is supported": (changed_part("max", shown_values="supported"), false_shown_values),
    "a mean reveals no counts": (changed_part("mean", revealed_counts="none"), false_counts),
    "a sum needs no bounds": (changed_part("sum", needs_bounds=False), false_bounds),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_statement_is_found(name: str) -> None:
    part, check = WRONG[name]
    assert check(part)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_measure_from_outside_states_its_facts_rightly(check: Check) -> None:
    assert check(variance_part()) == []
