"""What an attacker finds who has all published tables, and knows everything about a world except one fact.

Each attack runs twice, with the same calculation: on exact figures it must find the fact in every world, else it proves
nothing, and on figures with noise in no more worlds than stated. A guess is the most likely fact, given all that was seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from tests.disclosure.worlds import (
    CERTAIN,
    Doubles,
    Form,
    Integers,
    Night,
    check,
    crowd,
    guesses,
    layer,
    nights,
    posterior,
    publish,
    together,
    total,
    without,
)

Found = npt.NDArray[np.bool_]
HIDDEN = range(1, 10)
"""The number of people in a group below the threshold."""
ANY_SCORE = 101
WORLDS = 600
SOME = 1000
MANY = 3000
NIGHTS = [1, 30, pytest.param(365, marks=pytest.mark.nightly)]


def noise(rows: int, has_noise: bool) -> Doubles:
    """The distribution of one layer of the sum of so many counts."""
    return total(*[layer()] * rows) if has_noise else CERTAIN


def drawn(low: int, high: int, size: int, seed: int = 40) -> Integers:
    """Random integers from `low` to `high` inclusive."""
    return np.random.default_rng(seed).integers(low, high, size, endpoint=True)


def stacked(seen: Sequence[Night], figure: str, table: int = 0, **where: int) -> Doubles:
    """A figure of each world in each night."""
    return np.array([night.figures(table, figure, **where) for night in seen])


# A group below the threshold, as what is missing between two tables.


def hidden_group(worlds: int, count: int, *, has_noise: bool) -> tuple[Doubles, Integers]:
    """Chances of each number of people at the hidden site: the total less those at the site that is shown."""
    hidden = drawn(1, 9, worlds)
    people = together(
        crowd(np.full(worlds, 39), site=np.zeros(worlds, np.int64)), crowd(hidden, site=np.ones(worlds, np.int64))
    )
    seen = nights(people, Form(), Form(("site",)), count=count, has_noise=has_noise)
    assert np.isnan(stacked(seen, "people", 1, site=1)).all()
    missing = stacked(seen, "people") - stacked(seen, "people", 1, site=0)
    return posterior(missing, HIDDEN, noise(2, has_noise), noise(2, has_noise)), hidden


@pytest.mark.parametrize("count", NIGHTS)
def test_a_hidden_group_is_not_the_difference_of_two_tables(count: int) -> None:
    chances, hidden = hidden_group(WORLDS, 1, has_noise=False)
    assert (guesses(chances, HIDDEN) == hidden).all()
    chances, hidden = hidden_group(MANY if count == 1 else WORLDS, count, has_noise=True)
    check(guesses(chances, HIDDEN) == hidden, {1: 21, 30: 23, 365: 24}[count])
    assert chances[np.arange(len(hidden)), hidden - 1].mean() < {1: 0.16, 30: 0.185, 365: 0.19}[count]


def known_total(*, has_noise: bool) -> Found:
    """The hidden group if the exact total is known from elsewhere."""
    hidden = drawn(1, 9, MANY)
    people = together(
        crowd(np.full(MANY, 39), site=np.zeros(MANY, np.int64)), crowd(hidden, site=np.ones(MANY, np.int64))
    )
    shown = publish(people, Form(("site",)), has_noise=has_noise).figures(0, "people", site=0)
    missing = (39 + hidden - shown)[None, :]
    return np.asarray(guesses(posterior(missing, HIDDEN, noise(1, has_noise), noise(1, has_noise)), HIDDEN) == hidden)


def test_an_exact_total_from_elsewhere_does_not_give_a_hidden_group_away() -> None:
    assert known_total(has_noise=False).all()
    check(known_total(has_noise=True), 26)


def number_from_digits(*, has_noise: bool) -> Found:
    """The number of people from the digits of a mean: the smallest number by which it is a whole one."""
    primes = np.array([31, 37, 41, 43, 47, 53, 59])
    sizes = primes[drawn(0, len(primes) - 1, MANY)]
    people = crowd(sizes)
    people["score"] = np.where(people["place"] == 7, 87, 10)
    means = publish(people, Form((), ("mean",)), has_noise=has_noise).figures(0, "mean")
    numbers = np.arange(1, 100)
    products = means[:, None] * numbers
    is_whole = np.abs(products - np.rint(products)) < 1e-9
    return np.asarray(numbers[is_whole.argmax(axis=1)] == sizes)


def test_the_digits_of_a_mean_do_not_give_the_number_of_people() -> None:
    assert number_from_digits(has_noise=False).all()
    assert not number_from_digits(has_noise=True).any()


def two_hidden_groups(*, has_noise: bool) -> Doubles:
    """The chance that both hidden sites have nine people, which is so, in each world."""
    sites = [crowd(np.full(MANY, size), site=np.full(MANY, site)) for site, size in enumerate([40, 9, 9])]
    night = publish(together(*sites), Form(), Form(("site",)), has_noise=has_noise)
    missing = night.figures(0, "people") - night.figures(1, "people", site=0)
    pairs = [first + second for first in HIDDEN for second in HIDDEN]
    sums = posterior(missing[None, :], range(2, 19), noise(2, has_noise), noise(2, has_noise))
    weights = sums * np.bincount(pairs)[2:]
    return np.asarray(weights[:, -1] / weights.sum(axis=1))


def test_two_hidden_groups_are_not_as_large_as_they_can_be() -> None:
    assert np.allclose(two_hidden_groups(has_noise=False), 1)
    assert two_hidden_groups(has_noise=True).mean() < 0.08


def presence(*, has_noise: bool) -> tuple[Found, Found]:
    """Whether a site that is not shown has somebody: by the most likely answer, and by equal figures."""
    there = drawn(0, 1, MANY)
    people = together(
        crowd(np.full(MANY, 30), site=np.zeros(MANY, np.int64)), crowd(there, site=np.ones(MANY, np.int64))
    )
    night = publish(people, Form(), Form(("site",)), has_noise=has_noise)
    more = night.figures(0, "people") - night.figures(1, "people", site=0)
    chances = posterior(more[None, :], (0, 1), noise(2, has_noise), noise(2, has_noise))
    return np.asarray(guesses(chances, (0, 1)) == there), np.asarray((more != 0) == there)


def test_equal_figures_do_not_reveal_that_a_site_is_empty() -> None:
    assert all(found.all() for found in presence(has_noise=False))
    likely, equal = presence(has_noise=True)
    check(likely, 56)
    check(equal, 52)


# Two releases, or two nights, that differ by one person.


def value_of_the_missing(dates: Sequence[str], *, has_noise: bool) -> Found:
    """The points of one person who was erased or left, while others moved between the rows: the totals of two releases."""
    points = drawn(0, 100, MANY)
    people = crowd(np.full(MANY, 40))
    people["score"] = np.where(people["place"] == 7, points[people["world"]], 10)
    forms, sums = Form(("site",), ("people", "sum")), []
    for left, at_first, date in ((None, 20, dates[0]), (7, 15, dates[1])):
        people["site"] = (people["place"] >= at_first).astype(np.int64)
        there = people if left is None else without(people, people["place"] == left)
        night = publish(there, forms, date=date, has_noise=has_noise)
        sums.append(night.figures(0, "sum", site=0) + night.figures(0, "sum", site=1))
    return np.asarray(np.rint(np.clip(sums[0] - sums[1], 0, 100)) == points)


@pytest.mark.parametrize("dates", [["2026-01-01"] * 2, ["2026-01-01", "2026-01-02"]], ids=["a rerun", "the next night"])
def test_the_totals_of_two_releases_do_not_give_the_value_of_one_person(dates: Sequence[str]) -> None:
    assert value_of_the_missing(dates, has_noise=False).all()
    check(value_of_the_missing(dates, has_noise=True), 1.2)


def one_person_left(*, has_noise: bool) -> Found:
    """Whether one of forty left from one night to the next."""
    left = drawn(0, 1, MANY)
    first = publish(crowd(np.full(MANY, 40)), Form(), date="2026-01-01", has_noise=has_noise)
    second = publish(crowd(40 - left), Form(), date="2026-01-02", has_noise=has_noise)
    fewer = (first.figures(0, "people") - second.figures(0, "people"))[None, :]
    return np.asarray(guesses(posterior(fewer, (0, 1), CERTAIN, noise(2, has_noise)), (0, 1)) == left)


def test_two_nights_do_not_reveal_that_one_person_left() -> None:
    assert one_person_left(has_noise=False).all()
    check(one_person_left(has_noise=True), 57)


def changed_value(*, has_noise: bool) -> Found:
    """Whether the value of one person changed from one bound to the other, while another world changed in any case."""
    changed = drawn(0, 1, MANY)
    changed[0] = 0
    people = crowd(np.full(MANY, 40))
    people["score"] = np.where(people["place"] % 2 == 1, 100, 0)
    first = publish(people, Form((), ("mean",)), has_noise=has_noise)
    is_other = (people["place"] == 0) & (people["world"] > 0) & (changed[people["world"]] == 1)
    in_any_case = (people["world"] == 0) & (people["place"] == 0)
    people["score"] = np.where(is_other | in_any_case, 100, people["score"])
    changed[0] = 1
    second = publish(people, Form((), ("mean",)), has_noise=has_noise)
    more = (second.figures(0, "mean") - first.figures(0, "mean")) * 40 / 100
    return np.asarray((more > 0.5) == changed)


def test_a_corrected_value_is_not_seen_in_the_mean_of_the_same_people() -> None:
    assert changed_value(has_noise=False).all()
    check(changed_value(has_noise=True), 57)


def row_of_the_erased(measures: Sequence[str], *, has_noise: bool) -> Found:
    """The row, of eight, of a person who was erased: the one whose figures changed most like it."""
    rows = drawn(0, 7, SOME)
    sites = [crowd(np.full(SOME, 30), site=np.full(SOME, site)) for site in range(8)]
    people = together(*sites)
    for name, most in (("score", 100), ("age", 100), ("bit", 1)):
        people[name] = np.where(people["place"] % 2 == 1, most, 0)
    form = Form(("site",), ("people", *measures))
    before = publish(people, form, has_noise=has_noise)
    is_erased = (people["site"] == rows[people["world"]]) & (people["place"] == 1)
    after = publish(without(people, is_erased), form, has_noise=has_noise)
    chances = np.zeros((SOME, 8))
    for site in range(8):
        fewer = before.figures(0, "people", site=site) - after.figures(0, "people", site=site)
        odds = posterior(fewer[None, :], (0, 1), CERTAIN, noise(2, has_noise))
        with np.errstate(divide="ignore"):
            chances[:, site] = np.log(odds[:, 1]) - np.log(odds[:, 0])
        for name, most in zip(measures, (100, 100, 1), strict=False):
            # In the unit of the range: the person moves the sum of distances from the middle by a half.
            sums = [(night.figures(0, name, site=site) / most - 0.5) * 30 for night in (before, after)]
            shift = sums[0] - sums[1]
            chances[:, site] += (shift**2 - (shift - 0.5) ** 2) / (2 * 16)
    return np.asarray(np.nan_to_num(chances, nan=-1e9, posinf=1e9, neginf=-1e9).argmax(axis=1) == rows)


@pytest.mark.parametrize(("measures", "most"), [((), 20), (("mean", "age_mean", "bit_mean"), 23)])
def test_a_rerun_does_not_show_the_row_of_the_erased_person(measures: Sequence[str], most: float) -> None:
    assert row_of_the_erased(measures, has_noise=False).all()
    check(row_of_the_erased(measures, has_noise=True), most)


def row_that_vanished(*, has_noise: bool) -> Found:
    """Whether one of ten people in a row was erased: the row is absent afterwards."""
    erased = drawn(0, 1, MANY)
    before, after = (
        ~np.isnan(publish(crowd(sizes), Form(), has_noise=has_noise).figures(0, "people"))
        for sizes in (np.full(MANY, 10), 10 - erased)
    )
    return np.asarray((before & ~after) == erased)


def test_a_row_that_vanished_is_no_proof() -> None:
    assert row_that_vanished(has_noise=False).all()
    check(row_that_vanished(has_noise=True), 55)


# Figures that are the same number, with noise of unlike size.


def one_row_twice(figure: str, *forms: Form, has_noise: bool) -> tuple[Doubles, Doubles, Integers]:
    """A figure of the same people in two tables of one release, and the number of people."""
    sizes = drawn(40, 80, SOME)
    night = publish(crowd(sizes), *forms, has_noise=has_noise)
    return night.figures(0, figure), night.figures(1, figure), sizes


def two_deviations(*, has_noise: bool) -> Found:
    """The number of people from noise that is half as large again in one table as in the other."""
    two, three, sizes = one_row_twice("people", Form(sd="2"), Form(sd="3"), has_noise=has_noise)
    return np.asarray(3 * two - 2 * three == sizes)


def test_tables_with_another_sd_do_not_have_a_multiple_of_the_same_noise() -> None:
    assert two_deviations(has_noise=False).all()
    check(two_deviations(has_noise=True), 6)


def two_limits(*, has_noise: bool) -> Found:
    """The number of rows from noise that is twice as large in one table as in the other, to within the rounding of both."""
    forms = Form(measures=("rows",), limit=12), Form(measures=("rows",), limit=24)
    twelve, twice, sizes = one_row_twice("rows", *forms, has_noise=has_noise)
    return np.asarray(np.abs(2 * twelve - twice - sizes) <= 2)


def test_tables_with_another_limit_of_rows_do_not_have_a_multiple_of_the_same_noise() -> None:
    assert two_limits(has_noise=False).all()
    check(
        two_limits(has_noise=True), 19
    )  # both are often the noisy number of people, which is near enough in as many worlds


def two_bounds(*, has_noise: bool) -> Found:
    """A sum around 0 from a release before and one after the bounds were doubled, to within the rounding of both."""
    people = crowd(np.full(SOME, 40))
    people["score"] = drawn(-50, 50, len(people["person"]))
    exact = np.bincount(people["world"], people["score"])
    forms = Form(measures=("balance",)), Form(measures=("wide_balance",))
    narrow, wide = (
        publish(people, form, has_noise=has_noise).figures(0, name)
        for form, name in zip(forms, ("balance", "wide_balance"), strict=True)
    )
    return np.asarray(np.abs(2 * narrow - wide - exact) <= 150)


def test_other_bounds_are_another_release() -> None:
    assert two_bounds(has_noise=False).all()
    check(two_bounds(has_noise=True), 22)


def changed_bounds(count: int, *, has_noise: bool) -> tuple[Found, Found]:
    """Which bound one person's value is, from nights before and after the bounds were doubled: by two equations, which take off
    noise that was doubled too, and by the average of the nights before."""
    high = drawn(0, 1, WORLDS)
    people = crowd(np.full(WORLDS, 40))
    people["score"] = np.where(people["place"] == 7, 100 * high[people["world"]] - 50, 0)
    forms = Form(measures=("balance",)), Form(measures=("wide_balance",))
    narrow = stacked(nights(people, forms[0], count=count, has_noise=has_noise), "balance").mean(axis=0)
    wide = stacked(nights(people, forms[1], count=count, has_noise=has_noise), "wide_balance").mean(axis=0)
    return np.asarray((2 * narrow - wide > 0) == high), np.asarray((narrow > 0) == high)


def test_a_change_of_bounds_does_not_take_off_the_noise_of_a_row() -> None:
    assert all(found.all() for found in changed_bounds(1, has_noise=False))
    equations, average = changed_bounds(30, has_noise=True)
    check(equations, 60)
    check(average, 60)


def two_days(*, has_noise: bool) -> Found:
    """Whether one of forty left from one day to the next, if both days are in one table."""
    left = drawn(0, 1, MANY)
    people = together(
        crowd(np.full(MANY, 40), day=np.zeros(MANY, np.int64)), crowd(40 - left, day=np.ones(MANY, np.int64))
    )
    night = publish(people, Form(("day",)), has_noise=has_noise)
    fewer = night.figures(0, "people", day=0) - night.figures(0, "people", day=1)
    return np.asarray(guesses(posterior(fewer[None, :], (0, 1), CERTAIN, noise(2, has_noise)), (0, 1)) == left)


def test_two_days_of_one_table_do_not_reveal_that_one_person_left() -> None:
    assert two_days(has_noise=False).all()
    check(two_days(has_noise=True), 57)


def test_the_number_of_rows_is_no_second_look_at_the_number_of_people() -> None:
    night = publish(crowd(np.full(SOME, 40)), Form(measures=("people", "rows")))
    assert (night.figures(0, "people") == night.figures(0, "rows")).all()
    assert (
        publish(crowd(np.full(SOME, 40)), Form(), date="other").figures(0, "people") != night.figures(0, "people")
    ).any()


# The value of one person among others whose values are known.


def one_value(count: int, worlds: int, *, has_noise: bool) -> Found:
    """The points of one person to within five: the mean of forty people, of whom 39 have ten points."""
    points = drawn(0, 100, worlds)
    points[points == 10] = 11
    people = crowd(np.full(worlds, 40))
    people["score"] = np.where(people["place"] == 7, points[people["world"]], 10)
    forms = Form((), ("mean", "people")), Form(("score",), ("people",))
    seen = nights(people, *forms, count=count, has_noise=has_noise)
    mean = stacked(seen, "mean").mean(axis=0)
    others = stacked(seen, "people", 1, score=10).mean(axis=0)
    guess = np.clip(mean * 40 - 10 * (39 if has_noise else others), 0, 100)
    return np.asarray(np.abs(guess - points) <= 5)


@pytest.mark.parametrize("count", NIGHTS)
def test_a_mean_next_to_the_groups_of_its_field_does_not_give_one_value(count: int) -> None:
    assert one_value(1, WORLDS, has_noise=False).all()
    check(one_value(count, MANY if count == 1 else WORLDS // 2, has_noise=True), 11)


def one_bit(measure: str, count: int, worlds: int, *, has_noise: bool) -> Found:
    """Whether one person is ill, of forty of whom twenty others are."""
    ill = drawn(0, 1, worlds)
    people = crowd(np.full(worlds, 40))
    people["bit"] = np.where(people["place"] == 7, ill[people["world"]], people["place"] % 2)
    people["bit"] = np.where(people["place"] == 0, 1, people["bit"])
    seen = nights(people, Form((), (measure,)), count=count, has_noise=has_noise)
    if measure == "moods":
        figures = np.array([night.cells(0, 1) for night in seen])
        chances = posterior(figures - 20, (0, 1), noise(1, has_noise), noise(1, has_noise))
        return np.asarray(guesses(chances, (0, 1)) == ill)
    known = {"bit_mean": 1 / 40, "bit_sum": 1.0}[measure]
    return np.asarray((stacked(seen, measure).mean(axis=0) / known - 20 > 0.5) == ill)


@pytest.mark.parametrize("count", NIGHTS)
@pytest.mark.parametrize("measure", ["moods", "bit_mean", "bit_sum"])
def test_figures_of_a_field_of_two_values_do_not_give_one_person(measure: str, count: int) -> None:
    assert one_bit(measure, 1, WORLDS, has_noise=False).all()
    check(one_bit(measure, count, MANY if count == 1 else WORLDS, has_noise=True), {1: 57}.get(count, 60))


def median_decides(*, has_noise: bool) -> Found:
    """Which of two values one person has, if this decides on the median."""
    values = drawn(0, 1, MANY)
    people = crowd(np.full(MANY, 40))
    people["bit"] = np.where(people["place"] == 39, values[people["world"]], (people["place"] >= 19).astype(np.int64))
    median = publish(people, Form((), ("median",)), has_noise=has_noise).figures(0, "median")
    return np.asarray(np.nan_to_num(median) == values)


def test_a_median_does_not_decide_on_one_person() -> None:
    assert median_decides(has_noise=False).all()
    check(median_decides(has_noise=True), 57)


# Many tables.

KEYS = ("a", "b", "c")
SETS: dict[int, list[tuple[str, ...]]] = {
    2: [("a",), ("a", "b")],
    3: [("a",), ("b",), ("b", "c")],
    4: [("a",), ("b",), ("a", "b"), ("b", "c")],
}


def cells_from_equations(tables: int, count: int, worlds: int, *, has_noise: bool) -> Found:
    """The hidden rows that follow from the rows that are shown: each row is a sum of the eight cells of a world."""
    sets = SETS[tables]
    draw = np.random.default_rng(tables)
    sizes = np.where(
        draw.random((8, worlds)) < 0.4, draw.integers(1, 10, (8, worlds)), draw.integers(20, 60, (8, worlds))
    )
    parts = [
        crowd(sizes[cell], **{key: np.full(worlds, cell >> place & 1) for place, key in enumerate(KEYS)})
        for cell in range(8)
    ]
    forms = [Form(keys) for keys in sets]
    seen = nights(together(*parts), *forms, count=count, has_noise=has_noise)
    names = [(table, values) for table, keys in enumerate(sets) for values in np.ndindex(*[2] * len(keys))]
    rows = np.array([[_is_in(cell, sets[table], values) for cell in range(8)] for table, values in names], np.float64)
    figures = np.array(
        [
            stacked(seen, "people", table, **dict(zip(sets[table], values, strict=True))).mean(axis=0)
            for table, values in names
        ]
    )
    found: list[bool] = []
    for world in range(worlds):
        truth, is_shown = rows @ sizes[:, world], ~np.isnan(figures[:, world])
        shown, values = rows[is_shown], figures[is_shown, world]
        for row, size in zip(rows, truth.tolist(), strict=True):
            weights = np.linalg.lstsq(shown.T, row, rcond=None)[0] if len(shown) else np.zeros(0)
            if size > 9 or not np.allclose(weights @ shown, row, atol=1e-9):
                continue
            guess, spread = weights @ values, 4 * (1 + 1 / count) * float(weights @ weights) if has_noise else 1e-9
            chances = np.exp(
                -((guess - np.array(HIDDEN)) ** 2 - np.min((guess - np.array(HIDDEN)) ** 2)) / (2 * spread)
            )
            found.append(HIDDEN[int(chances.argmax())] == size)
    return np.array(found)


def _is_in(cell: int, keys: Sequence[str], values: Sequence[int]) -> bool:
    return all(cell >> KEYS.index(key) & 1 == value for key, value in zip(keys, values, strict=True))


@pytest.mark.parametrize("count", [1, *(pytest.param(count, marks=pytest.mark.nightly) for count in (30, 365))])
@pytest.mark.parametrize("tables", SETS)
def test_equations_between_tables_do_not_give_hidden_rows(tables: int, count: int) -> None:
    """Four tables give a row by two equations, whose mean has half the variance; many nights remove the noise of releases."""
    control = cells_from_equations(tables, 1, WORLDS, has_noise=False)
    assert control.all()
    assert len(control) > 100
    most = 29 if tables == 4 else 24
    check(cells_from_equations(tables, count, SOME if count < 365 else WORLDS // 2, has_noise=True), most, 20)


def averaged(tables: int, count: int, worlds: int, *, has_noise: bool) -> Found:
    """The number of people in a row, which other tables divide into four rows each."""
    sizes = drawn(150, 170, worlds)
    people = crowd(sizes)
    keys = [f"key{number}" for number in range(tables)]
    draw = np.random.default_rng(4)
    for key in keys:
        people[key] = draw.integers(0, 4, len(people["world"]))
    seen = nights(people, Form(), *[Form((key,)) for key in keys], count=count, has_noise=has_noise)
    looks = [stacked(seen, "people").mean(axis=0)]
    for place, key in enumerate(keys, 1):
        looks.append(sum(stacked(seen, "people", place, **{key: value}).mean(axis=0) for value in range(4)))
    weights = np.array([1.0, *[0.25] * tables])
    return np.asarray(np.rint(weights @ np.array(looks) / weights.sum()) == sizes)


@pytest.mark.parametrize(
    ("tables", "count", "most"),
    [
        (3, 1, 19),
        (10, 1, 27),
        pytest.param(3, 365, 26, marks=pytest.mark.nightly),
        pytest.param(10, 365, 36, marks=pytest.mark.nightly),
    ],
)
def test_many_divisions_of_a_row_do_not_average_its_noise_out(tables: int, count: int, most: float) -> None:
    assert averaged(tables, 1, 100, has_noise=False).all()
    check(averaged(tables, count, 1000 if count == 1 else 300, has_noise=True), most)
