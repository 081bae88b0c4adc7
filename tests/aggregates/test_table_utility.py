"""What to expect of a table: the figures that the documentation states, and those of tables that are really made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from minimize.aggregates.definition import NoiseTerms
from minimize.aggregates.table_utility import TableUtility, count_noise, row_utility
from tests.aggregates.noisy_tables import MEASURES, definition, people, settled

SIZES = np.array([9, 10, 12, 15, 20, 30, 50, 100, 300])


def line(table: TableUtility) -> str:
    (text,) = table.lines()
    return text


@pytest.mark.parametrize("sd", ["1", "2", "5"])
def test_the_noise_of_a_count_is_that_of_two_draws(sd: str) -> None:
    noise, probabilities = count_noise(NoiseTerms(sd).sd)  # type: ignore[arg-type]
    assert probabilities.sum() == pytest.approx(1, abs=1e-12)
    assert probabilities @ noise == pytest.approx(0, abs=1e-12)
    assert probabilities @ noise**2 == pytest.approx(2 * float(sd) ** 2, abs=1e-6)


def test_rows_are_shown_as_often_as_the_guide_states() -> None:
    shown = row_utility(definition(), SIZES).shown
    assert [round(100 * each, 1) for each in shown] == [0, 18.7, 42.9, 81.3, 99.6, 100, 100, 100, 100]


def test_exact_rows_are_shown_from_the_threshold_on() -> None:
    assert row_utility(definition(noise=None), SIZES).shown.tolist() == [0] + [1] * 8


def test_shares_and_means_have_the_errors_that_the_guide_states() -> None:
    deviations = row_utility(definition(), SIZES[1:]).deviations
    assert [float(f"{each:.2g}") for each in deviations["mean"]] == [28, 24, 19, 14, 9.4, 5.7, 2.8, 0.94]
    assert deviations["mean"] == pytest.approx(100 * deviations["share"])
    assert deviations["sum"] == pytest.approx(2.828 * np.hypot(100, 50))
    assert deviations.keys().isdisjoint({"people", "moods", "median"})


def test_more_rows_of_a_subject_are_more_noise() -> None:
    few, many = (row_utility(definition(limit=limit), SIZES).deviations for limit in (1, 24))
    assert many["mean"] == pytest.approx(24 * few["mean"])
    assert many["share"] == pytest.approx(few["share"])


@pytest.mark.parametrize("size", [12, 15, 30])
def test_tables_that_are_made_are_as_expected(size: int) -> None:
    count = 1500
    rows = [row for group in range(count) for row in people(size, group * size, org=f"o{group}")]
    (made,) = settled(rows, definition(measures={"people": MEASURES["people"]}))
    expected = row_utility(definition(), np.array([size]))
    error = (expected.shown[0] * (1 - expected.shown[0]) / count) ** 0.5
    assert abs(made.table.num_rows / count - expected.shown[0]) <= 4 * error
    errors = np.abs(np.array(made.table["people"]) - size)
    assert abs(errors.mean() - expected.count_error[0]) < 4 * errors.std() / len(errors) ** 0.5
    # the control: tables with more noise are not as expected
    louder = row_utility(definition(noise=NoiseTerms("4")), np.array([size]))
    assert abs(errors.mean() - louder.count_error[0]) > 4 * errors.std() / len(errors) ** 0.5


@pytest.mark.parametrize(("having", "score"), [(20, 10), (30, 50), (40, 80)])
def test_error_bars_are_those_of_tables_that_are_made(having: int, score: int) -> None:
    size, count = 60, 800
    rows = [
        {**row, "mood": "a" if place < having else "b", "score": score}
        for group in range(count)
        for place, row in enumerate(people(size, group * size, org=f"o{group}"))
    ]
    what = definition(measures={name: MEASURES[name] for name in ("people", "share", "mean")})
    (made,) = settled(rows, what)
    for name in ("share", "mean"):
        noise = what.stated_noise(what.measures[name])
        assert noise is not None
        figures = np.array([np.nan if each is None else each for each in made.table[name].to_pylist()])
        stated = noise.of_rows(np.array(made.table["people"], np.float64), figures)
        assert np.nanstd(figures) == pytest.approx(np.sqrt(np.nanmean(stated**2)), rel=0.1)


def test_the_difference_of_two_nights_has_the_error_of_one_count() -> None:
    rows = [row for group in range(1500) for row in people(40, 40 * group, org=f"o{group}")]
    what = definition(measures={"people": MEASURES["people"]})
    first, second = (
        np.array(settled(rows, what, date=date)[0].table["people"], np.float64) for date in ("2026-01-01", "2026-01-02")
    )
    assert (second - first).std() == pytest.approx(2.83, rel=0.08)
    # the control: two rows have nothing in common, so that their difference has the error of two counts
    assert (second - np.roll(first, 1)).std() == pytest.approx(4, rel=0.08)


def preview(sizes: Sequence[int], most_rows: int = 1, **changes: object) -> TableUtility:
    return TableUtility.of_preview(definition(**changes), np.array(sizes, np.int64), most_rows)  # type: ignore[arg-type]


def test_a_preview_states_which_rows_would_be_shown() -> None:
    text = line(preview([5, 12, 40, 40, 40, 100]))
    assert text.startswith(
        "table: about 4 of 6 rows would be shown (95% of subjects); a number of subjects is off by 5%"
    )


def test_the_median_error_is_that_of_shown_rows() -> None:
    assert preview([1, 2, 3, 1000]).count_error == preview([1000]).count_error == 0.002


def test_a_table_without_large_groups_shows_nothing() -> None:
    assert line(preview([2, 3])) == "table: about 0 of 2 rows would be shown (0% of subjects)"
    assert preview([]).shown == 0


def test_exact_figures_have_no_error() -> None:
    assert (
        line(preview([5, 15], noise=None))
        == "table: 1 of 2 rows would be shown (75% of subjects); statistics are exact"
    )


def test_a_preview_proposes_how_many_rows_count() -> None:
    assert "a subject has up to 24 rows: state how many count, `per_subject: {rows: 24}`" in line(preview([50], 24))
    assert "up to" not in line(preview([50], 1))
    assert "up to" not in line(preview([50], 24, measures={"people": MEASURES["people"]}))


def test_a_published_table_has_its_own_numbers_alone() -> None:
    table = TableUtility.of_published(definition(), 2, np.array([40, 40]), "2026-01-01")
    assert line(table).startswith("table: 2 rows were shown on 2026-01-01; a number of subjects is off by 5% (median)")
    assert "subjects" not in table.to_json()


def test_a_published_table_without_numbers_of_subjects_has_no_relative_error() -> None:
    table = TableUtility.of_published(definition(), 1, None, None)
    assert line(table).startswith("table: 1 row was shown by the last run; the table has no number of subjects")
