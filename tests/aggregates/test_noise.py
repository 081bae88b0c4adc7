"""Draws, what they depend on, and what makes a release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from minimize.aggregates.base import ValueBounds
from minimize.aggregates.definition import (
    STANDARD_DEVIATIONS,
    AggregateDefinition,
    GroupKey,
    NoiseTerms,
    StandardDeviation,
    TimeUnit,
)
from minimize.aggregates.noise import STEPS, DateRelease, NoiseKey, RowNoise, draw, draw_table, row_identities
from minimize.spill import HashWords
from tests.aggregates.noisy_tables import KEY, MEASURES, TYPES, definition, measure

WHOLE = 1 << 64
ROWS = 20_000


def thresholds(sd: StandardDeviation, steps: int) -> list[int]:
    table = draw_table(sd)
    return [int(each) for each in (table.whole if steps == 1 else table.fine)]


def chances(sd: StandardDeviation, steps: int) -> dict[int, Fraction]:
    """The probability of each draw, in units of a step."""
    edges = [0, *thresholds(sd, steps), WHOLE]
    most = len(edges) // 2 - 1
    return {place - most: Fraction(after - before, WHOLE) for place, (before, after) in enumerate(pairwise(edges))}


def entropy_table(sd: str, steps: int) -> list[int]:
    """The lower half of the thresholds with the largest entropy: exp(-a * e**2) for the `a` that gives the variance."""
    most, aim = int(6 * Decimal(sd) * steps), (Decimal(sd) * steps) ** 2
    with localcontext() as context:
        context.prec = 50
        rate = 1 / (2 * aim)
        for _ in range(8):  # Newton's steps double the digits
            weights = [(-rate * place * place).exp() for place in range(most + 1)]
            whole = weights[0] + 2 * sum(weights[1:])
            second = 2 * sum((weight * place**2 for place, weight in enumerate(weights)), Decimal(0)) / whole
            fourth = 2 * sum((weight * place**4 for place, weight in enumerate(weights)), Decimal(0)) / whole
            rate += (second - aim) / (fourth - second * second)
        below, found = Decimal(0), []
        for place in range(most, 0, -1):
            below += weights[place] / whole
            found.append(int(below * WHOLE))
    return found


@pytest.mark.parametrize("steps", [1, STEPS])
@pytest.mark.parametrize("sd", STANDARD_DEVIATIONS)
def test_the_shipped_table_is_that_of_the_largest_entropy(sd: StandardDeviation, steps: int) -> None:
    found = thresholds(sd, steps)
    assert found[: len(found) // 2] == entropy_table(sd, steps)


@pytest.mark.parametrize("steps", [1, STEPS])
@pytest.mark.parametrize("sd", STANDARD_DEVIATIONS)
def test_draws_are_symmetric_and_have_the_stated_variance(sd: StandardDeviation, steps: int) -> None:
    found = chances(sd, steps)
    assert found == {-error: chance for error, chance in found.items()}
    assert sum(error * chance for error, chance in found.items()) == 0
    variance = sum((error * error * chance for error, chance in found.items()), Fraction(0)) / steps**2
    assert abs(variance - Fraction(sd) ** 2) < Fraction(1, 10**9)
    assert max(found) == 6 * Fraction(sd) * steps
    assert all(chance > 0 for chance in found.values())


def test_a_draw_is_the_number_of_thresholds_at_or_below_a_word() -> None:
    table = draw_table("2").whole
    words = np.array([0, table[0] - 1, table[0], table[12] - 1, table[12], WHOLE - 1], np.uint64)
    assert draw(words, table).tolist() == [-12, -12, -11, 0, 1, 12]


def row_noise(sd: StandardDeviation = "2", key: NoiseKey = KEY, rows: int = ROWS, content: bytes = b"") -> RowNoise:
    what = definition()
    columns = {"org": pa.array([f"org {number}" for number in range(rows)])}
    identities = row_identities(what, columns, key)
    return RowNoise(key, NoiseTerms(sd), DateRelease.of(key, "2026-01-01", [("", content)]), identities, identities)


@pytest.mark.parametrize("sd", STANDARD_DEVIATIONS)
def test_the_noise_of_a_count_has_the_variance_of_two_draws(sd: StandardDeviation) -> None:
    found = row_noise(sd).counts(KEY.figure("subjects"))
    variance = 2 * float(sd) ** 2
    assert abs(found.mean()) < 4 * (variance / ROWS) ** 0.5
    assert abs(found.var() / variance - 1) < 4 * (2 / ROWS) ** 0.5


@pytest.mark.parametrize("scale", [1, 3, 65, 200, 1 << 33])
def test_the_noise_of_a_scale_is_as_many_times_as_large(scale: int) -> None:
    found = row_noise().scaled(KEY.figure("sum"), scale) / scale
    spread = (8 + 2 * (1 / 12 + 1 / 12 / scale**2)) ** 0.5  # two draws, each with its dither and its rounding
    assert abs(found.mean()) < 4 * spread / ROWS**0.5 + 0.5 / STEPS
    assert abs(found.std() / spread - 1) < 0.03
    assert np.abs(found).max() <= 2 * 13


def test_the_noise_of_a_scale_shows_no_remainder() -> None:
    found = row_noise().scaled(KEY.figure("sum"), 200)
    counts = np.bincount(found % 200, minlength=200)
    assert counts.min() > ROWS / 200 * 0.5
    assert counts.max() < ROWS / 200 * 1.6


def layers(first: RowNoise, second: RowNoise) -> float:
    """The correlation of the noise of two releases: a half if they share one of their two layers."""
    figure = KEY.figure("subjects")
    return float(np.corrcoef(first.counts(figure), second.counts(figure))[0, 1])


def test_of_two_releases_only_the_layer_of_the_row_stays() -> None:
    assert layers(row_noise(), row_noise()) == pytest.approx(1)
    assert layers(row_noise(), row_noise(content=b"other")) == pytest.approx(0.5, abs=0.03)
    assert layers(row_noise(), row_noise("3")) == pytest.approx(0, abs=0.03)
    assert layers(row_noise(), row_noise(key=NoiseKey(b"w" * 32, b"e" * 32))) == pytest.approx(0, abs=0.03)


def test_figures_of_a_row_have_unrelated_noise() -> None:
    noise = row_noise()
    figures = [noise.counts(KEY.figure(*name)) for name in (["with", "a"], ["with", "b"], ["w", "itha"], ["witha"])]
    together = np.corrcoef(figures)
    assert np.abs(together - np.eye(len(figures))).max() < 0.03


def test_a_key_shows_nothing_of_itself() -> None:
    assert repr(KEY) == "NoiseKey()"
    assert repr(row_noise(rows=1).release).startswith("DateRelease(mark=")


# What identifies a row.


def identity(what: AggregateDefinition, **columns: Any) -> HashWords:
    """The identity of one row, with these values."""
    return row_identities(what, {name: pa.array([columns[name]], what.keys[name].type) for name in what.keys}, KEY)


def same(*identities: HashWords) -> bool:
    return len({each.tobytes() for each in identities}) == 1


def test_names_of_tables_keys_and_measures_do_not_identify_a_row() -> None:
    usual = identity(definition(), org="x")
    assert same(usual, identity(definition(name="other"), org="x"))
    assert same(usual, identity(definition({"company": GroupKey("org", TYPES["org"])}), company="x"))
    assert same(usual, identity(definition({"company": GroupKey("/org", TYPES["org"])}), company="x"))
    assert same(usual, identity(definition(measures={"other": MEASURES["mean"]}), org="x"))


def test_bounds_and_sizes_of_noise_do_not_identify_a_row() -> None:
    clipped = measure("mean", "score", ValueBounds(Decimal(10), Decimal(50)))
    others = (definition(measures={"mean": clipped}), definition(noise=NoiseTerms("3")), definition(limit=9))
    assert same(identity(definition(), org="x"), *(identity(each, org="x") for each in others))


def test_the_order_of_keys_does_not_identify_a_row() -> None:
    columns = {"org": "x", "mood": "a"}
    assert same(identity(definition(("org", "mood")), **columns), identity(definition(("mood", "org")), **columns))


def test_source_subject_fields_and_values_identify_a_row() -> None:
    what = definition()
    found = [
        identity(what, org="x"),
        identity(what, org="y"),
        identity(what, org=None),
        identity(definition(source="other"), org="x"),
        identity(replace(what, counting=definition(("mood",)).keys["mood"].pointer), org="x"),
        identity(definition({"org": GroupKey("mood", TYPES["mood"])}), org="x"),
        identity(definition(("org", "mood")), org="x", mood="a"),
        identity(definition(("org", "mood")), org="a", mood="x"),
        identity(definition(())),
    ]
    assert len({each.tobytes() for each in found}) == len(found)


MOMENT = datetime(2026, 3, 4, 15, 20, tzinfo=UTC)


def at(unit: TimeUnit | None, moment: datetime, *, is_released: bool = False) -> HashWords:
    cut: Mapping[str, Any] = {"released": unit} if is_released else {"to": unit}
    return identity(definition({"time": GroupKey("time", TYPES["time"], **cut)}), time=moment)


@pytest.mark.parametrize("is_released", [False, True])
@pytest.mark.parametrize("unit", ["day", "week", "month", "quarter", "year"])
def test_days_and_longer_units_do_not_identify_a_row(unit: TimeUnit, is_released: bool) -> None:
    days = [MOMENT, MOMENT + timedelta(days=1), MOMENT + timedelta(days=400)]
    assert same(*(at(unit, day, is_released=is_released) for day in days))
    dates = definition({"day": GroupKey("day", TYPES["day"])})
    assert same(*(identity(dates, day=day) for day in (date(2026, 1, 1), date(2026, 5, 1))))


@pytest.mark.parametrize("is_released", [False, True])
@pytest.mark.parametrize(("unit", "step"), [("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1))])
def test_of_an_hour_or_a_minute_its_place_in_the_day_identifies_a_row(
    unit: TimeUnit, step: timedelta, is_released: bool
) -> None:
    usual = at(unit, MOMENT, is_released=is_released)
    assert same(usual, at(unit, MOMENT + timedelta(days=9), is_released=is_released))
    assert not same(usual, at(unit, MOMENT + step, is_released=is_released))


def test_a_cut_time_and_a_time_released_in_that_unit_are_one_key() -> None:
    assert same(at("hour", MOMENT), at("hour", MOMENT, is_released=True))
    assert not same(at("hour", MOMENT), at("minute", MOMENT))


# What makes a release.


def test_a_release_depends_on_the_date_and_on_each_table_in_any_order() -> None:
    tables = [("a", b"1"), ("b", b"2")]
    usual = DateRelease.of(KEY, "2026-01-01", tables)
    assert DateRelease.of(KEY, "2026-01-01", reversed(tables)).mark == usual.mark
    others = [
        DateRelease.of(KEY, None, tables),
        DateRelease.of(KEY, "2026-01-02", tables),
        DateRelease.of(KEY, "2026-01-01", [("a", b"2"), ("b", b"1")]),
        DateRelease.of(KEY, "2026-01-01", [("a", b"1")]),
        DateRelease.of(KEY, "2026-01-01", [*tables, ("b", b"2")]),
        DateRelease.of(NoiseKey(b"w" * 32, b"d" * 32), "2026-01-01", tables),
    ]
    assert len({usual.mark, *(each.mark for each in others)}) == 7
    assert len({each.words.tobytes() for each in (usual, *others)}) == 7
    assert usual.words.tobytes().hex() != usual.mark
