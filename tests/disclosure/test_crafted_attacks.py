"""Attacks that were crafted against exact statistics, through a run, a rerun and the published tables: with noise they fail.

Each attack is the arithmetic of a person who has the published tables and knows everything about a crafted world except one fact.
It runs twice: without noise it must find the fact in every world, else it proves nothing; with noise in few worlds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.commands import command
from tests.disclosure.crafted import (
    ORGS,
    Rows,
    Special,
    crafted,
    erase,
    figure,
    read,
    run,
    silence,
    table,
    tried,
    write,
)
from tests.disclosure.worlds import check
from tests.project import AT, Project

Found = Sequence[bool | None]
"""Whether the attack found the fact in each world; None if a figure that it needs is absent."""


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A crafted project in the current folder, whose runs use the ledger of its configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINIMIZE_LEDGER", raising=False)
    return crafted(tmp_path)


ORG = [f"org-{number:03}" for number in range(ORGS)]
FEW = 100
"""Enough organizations for what hardly ever succeeds."""
BITS = np.random.default_rng(40).permutation(np.arange(ORGS) % 2 == 0)
"""A fact about each organization, which figures must not tell: it is so in half of them."""


def check_attack(attack: Callable[[Project], Found], project: Project, most: float, width: float = 10) -> None:
    """Asserts that an attack finds the fact in every world without noise, and with noise in few of those whose rows are shown."""
    with silence():
        without = attack(crafted(project.folder / "control"))
    assert None not in without
    assert all(without)
    check(tried(attack(project)), most, width)


# The value of one person, as the difference of totals.


def points_of_the_erased(project: Project) -> Found:
    """The sums over the rows of a table before and after a person is gone, while others move between the rows."""
    project.pipeline(aggregates={"t": table({"n": "count", "s": {"sum": "score"}}, "site")})
    totals = []
    for hour, left in ((0, 40), (2, 25)):
        write(project, divided_after(left), 60, seventh if hour else None, FEW)
        run(project, hour)
        totals.append([total(read(project, "t")[org], "s", 2) for org in ORG[:FEW]])
        if hour == 0:
            erase(project, 1, seventh)
    return [None if None in pair else round(pair[0] - pair[1]) == 87 for pair in zip(*totals, strict=True)]


def divided_after(count: int) -> Special:
    """So many people at one site and the others at another; the seventh has other points."""
    return lambda _, i: {"site": "a" if i < count else "b", "score": 87 if i == 7 else 10}


def seventh(_: int) -> int:
    """The person whose value is secret."""
    return 7


def total(rows: Sequence[dict[str, Any]], measure: str, count: int) -> Any:
    """The sum of a figure over all rows; None if one is absent."""
    figures = [row[measure] for row in rows]
    return None if len(rows) < count or None in figures else sum(figures)


def test_totals_of_two_releases_do_not_give_the_value_of_the_erased(project: Project) -> None:
    check_attack(points_of_the_erased, project, 1.2)


def points_of_the_hidden(project: Project) -> Found:
    """The mean of all, less the group of those who have ten points: the value of the only one in a hidden group."""
    tables = {"t": table({"v": {"mean": "score"}}), "f": table({"n": "count"}, "score")}
    project.pipeline(aggregates=tables)
    write(project, lambda _, i: {"score": 87 if i == 7 else 10})
    run(project)
    means, groups = read(project, "t"), read(project, "f")
    found = []
    for org in ORG:
        mean, others = figure(means[org], "v"), figure(groups[org], "n", score=10)
        found.append(None if None in (mean, others) else round((others + 1) * mean - others * 10) == 87)
    return found


def test_a_group_key_and_a_mean_of_one_field_do_not_give_a_value(project: Project) -> None:
    check_attack(points_of_the_hidden, project, 1.2)


BORN = 15_632
"""The age in days of a person on the first day."""


def born(person: int) -> str:
    """A date of birth."""
    return f"{AT - timedelta(days=BORN if person == 7 else 12_000 + 37 * person):%Y-%m-%d}"


def age_of_the_erased(project: Project, within: float) -> Found:
    """The means of ages on two days, between which everybody aged by a day and one person was erased."""
    project.pipeline(aggregates={"t": table({"v": {"mean": "born"}})})
    means: list[Rows] = []
    for hour in (0, 24):
        write(project, lambda _, i: {"born": born(i)}, gone=seventh if hour else None, orgs=FEW)
        run(project, hour)
        if hour == 0:
            erase(project, 1, seventh)
        means.append(read(project, "t"))
    found: list[bool | None] = []
    for org in ORG[:FEW]:
        first, second = (figure(rows[org], "v") for rows in means)
        found.append(abs(first * 40 - (second * 39 - 39) - BORN) <= within)
    return found


def test_means_of_ages_on_two_days_do_not_give_a_date_of_birth(project: Project) -> None:
    check_attack(lambda each: age_of_the_erased(each, 1), project, 0.1)


def with_values(key: str, usual: float, other: float) -> Special:
    """Everybody has a value, except for the seventh in half of the organizations."""
    return lambda org, i: {key: other if i == 7 and BITS[org] else usual}


def corrected(project: Project, key: str, values: Sequence[float]) -> Found:
    """Whether a value was corrected by the smallest amount, from the sums of two releases."""
    project.pipeline(aggregates={"t": table({"s": {"sum": key}})})
    sums: list[Rows] = []
    for hour in (0, 1):
        write(project, with_values(key, values[0], values[hour]))
        run(project, hour)
        sums.append(read(project, "t"))
    first, second = ([figure(rows[org], "s") for org in ORG] for rows in sums)
    return [(one != other) == bit for one, other, bit in zip(first, second, BITS, strict=True)]


@pytest.mark.parametrize(
    ("key", "values"),
    [("pay", [2**53 + 1, 2**53 + 2]), ("rate", [50.000000000001, 50.000000000002])],
    ids=["whole numbers above 2**53", "twelve decimals"],
)
def test_a_corrected_value_is_not_seen_however_small_the_change(
    key: str, values: Sequence[float], project: Project
) -> None:
    check_attack(lambda each: corrected(each, key, values), project, 50)


# The number of people in a group that is not shown.


def people_of_digits(project: Project) -> Found:
    """A mean as a fraction gives the number of people; less those at the shown site, that of the hidden one."""
    tables = {"t": table({"v": {"mean": "score"}}), "f": table({"n": "count"}, "site")}
    project.pipeline(aggregates=tables)
    write(project, lambda _, i: {"score": 87 if i == 7 else 10, "site": "n" if i < 39 else "lonely"})
    run(project)
    means, sites = read(project, "t"), read(project, "f")
    found: list[bool | None] = []
    for org in ORG:
        mean, shown = figure(means[org], "v"), figure(sites[org], "n", site="n")
        denominator = next((each for each in range(1, 100) if abs(mean * each - round(mean * each)) < 1e-9), 0)
        found.append(denominator - shown == 1)
    return found


def test_the_digits_of_a_mean_do_not_give_a_hidden_group(project: Project) -> None:
    check_attack(people_of_digits, project, 0.1)


def people_of_cells(project: Project) -> Found:
    """The cells of a histogram add up to the number of people; less those at the shown site, that of the hidden one."""
    tables = {"t": table({"cells": {"histogram": "sick"}}), "f": table({"n": "count"}, "site")}
    project.pipeline(aggregates=tables)
    write(project, lambda _, i: {"sick": "flu" if i < 18 else "none", "site": "n" if i < 39 else "lonely"})
    run(project)
    cells, sites = read(project, "t"), read(project, "f")
    found: list[bool | None] = []
    for org in ORG:
        counts = [cell["count"] for cell in figure(cells[org], "cells")]
        found.append(sum(counts) - figure(sites[org], "n", site="n") == 1 if len(counts) == 2 else None)
    return found


def test_the_cells_of_a_histogram_do_not_give_a_hidden_group(project: Project) -> None:
    check_attack(people_of_cells, project, 21)


def people_of_equations(project: Project) -> Found:
    """Three tables: the total, less the rows of a region by site, less those of another region by version, is a third region."""
    tables = {"t": (), "f1": ("region", "site"), "f2": ("region", "version")}
    project.pipeline(aggregates={name: table({"n": "count"}, *keys) for name, keys in tables.items()})
    write(
        project,
        lambda _, i: {
            "region": "r1" if i < 30 else "r2" if i < 60 else "r3",
            "site": "whole" if i < 30 else f"part {i % 4}",
            "version": "whole" if i >= 30 else f"part {i % 4}",
        },
        people=61,
    )
    run(project)
    every, sites, versions = (read(project, name) for name in tables)
    return [
        figure(every[org], "n")
        - figure(sites[org], "n", region="r1", site="whole")
        - figure(versions[org], "n", region="r2", version="whole")
        == 1
        for org in ORG
    ]


def test_equations_between_three_tables_do_not_give_a_hidden_row(project: Project) -> None:
    check_attack(people_of_equations, project, 24)


def people_of_bounds(project: Project, sizes: Sequence[int]) -> Found:
    """The total less the shown site is what the hidden sites have together, and the number of sites is shown: each has nine
    people if together they have nine times as many, and one if they have as many."""
    tables = {"t": table({"n": "count", "sites": {"count_distinct": "site"}}), "f": table({"n": "count"}, "site")}
    project.pipeline(aggregates=tables)
    site = [number for number, size in enumerate(sizes) for _ in range(size)]
    write(project, lambda _, i: {"site": f"s{site[i]}"}, people=len(site))
    run(project)
    totals, sites = read(project, "t"), read(project, "f")
    found: list[bool | None] = []
    for org in ORG:
        together = figure(totals[org], "n") - figure(sites[org], "n", site="s0")
        number = figure(totals[org], "sites") - len(sites[org])
        each = {number: 1, 9 * number: 9}.get(together)
        found.append(number == len(sizes) - 1 and each == sizes[1])
    return found


@pytest.mark.parametrize("sizes", [(40, 9, 9), (40, *[1] * 12)], ids=["as many as possible", "as few as possible"])
def test_hidden_groups_are_not_as_large_or_small_as_they_can_be(sizes: Sequence[int], project: Project) -> None:
    check_attack(lambda each: people_of_bounds(each, sizes), project, 6.4)


# Who is in which row, and what one person has.


def gone(org: int) -> int:
    """The person who is erased: one of the first, or one of the others."""
    return 3 if BITS[org] else 23


def row_that_vanished(project: Project) -> Found:
    """Whether the erased person had the rare sickness: its row falls from ten to nine people."""
    project.pipeline(aggregates={"t": table({"n": "count"}, "sick")})
    seen = []
    for hour in (0, 2):
        write(project, lambda _, i: {"sick": "rare" if i < 10 else "none"}, 30, gone if hour else None)
        run(project, hour)
        rows = read(project, "t")
        seen.append(np.array([figure(rows[org], "n", sick="rare") is not None for org in ORG]))
        if hour == 0:
            erase(project, 1, gone)
            assert read(project, "t") == rows  # a removal makes no table again
    return [bool(found) for found in (seen[0] & ~seen[1]) == BITS]


def test_a_missing_row_does_not_reveal_that_an_erased_subject_was_in_it(project: Project) -> None:
    check_attack(row_that_vanished, project, 55, 14)


def row_of_the_erased(project: Project) -> Found:
    """The site, of two, of the person who was erased: the measure was renamed, and the table was away for one release."""
    where = np.where(BITS, "a", "b")
    seen = []
    for hour, name in ((0, "n"), (2, None), (3, "renamed")):
        tables = {"away": table({"n": "count"})} if name is None else {"t": table({name: "count"}, "site")}
        project.pipeline(aggregates=tables)
        write(project, lambda _, i: {"site": "a" if i < 20 else "b"}, gone=gone if hour else None)
        run(project, hour)
        if name is not None:
            rows = read(project, "t")
            seen.append([{site: figure(rows[org], name, site=site) for site in "ab"} for org in ORG])
        if hour == 0:
            erase(project, 1, gone)
    found: list[bool | None] = []
    for org, (before, after) in enumerate(zip(*seen, strict=True)):
        if None in (*before.values(), *after.values()):
            found.append(None)
        else:
            found.append(min("ab", key=lambda site: after[site] - before[site]) == where[org])
    return found


def test_a_renamed_or_returned_table_does_not_give_the_row_of_the_erased(project: Project) -> None:
    check_attack(row_of_the_erased, project, 60)


def test_a_table_with_noise_is_not_rounded_as_well(project: Project) -> None:
    project.pipeline(aggregates={"t": table({"n": "count"}, "site", round={"counts_to": 10})})
    made = command("lint", project.folder)
    assert (made.code, "`round` is for exact statistics only" in made.out) == (1, True)


def median_of_one(project: Project) -> Found:
    """Which value one person has, who decides on the median: a value that a histogram would hide."""
    project.pipeline(aggregates={"t": table({"median": {"quantile": {"of": "years", "q": 0.5}}})})
    write(project, lambda org, i: {"years": 30 if i < 19 else (47 if BITS[org] else 41) if i == 19 else 60})
    run(project)
    rows = read(project, "t")
    medians = [figure(rows[org], "median") for org in ORG]
    return [
        None if value is None else bool(value == (45 if bit else 40)) for value, bit in zip(medians, BITS, strict=True)
    ]


def test_a_median_seldom_is_the_value_of_the_one_who_decides_on_it(project: Project) -> None:
    check_attack(median_of_one, project, 15)


@pytest.mark.parametrize(("count", "code"), [(39, 2), (5, 0)])
def test_quantiles_do_not_list_the_values_one_by_one(count: int, code: int, project: Project) -> None:
    shares = [round(number / (count + 1), 3) for number in range(1, count + 1)]
    measures = {f"q{place}": {"quantile": {"of": "years", "q": share}} for place, share in enumerate(shares)}
    project.pipeline(aggregates={"t": table(measures)})
    made = command("plan", project.folder)
    assert (made.code, "P132" in made.err) == (code, code == 2), made.err


def test_quantiles_that_are_shown_have_ten_people_between_them(project: Project) -> None:
    """Without noise, so that ranks are exact: quantiles are absent that are nearer than ten people to the one before."""
    shares = (0.25, 0.3, 0.5, 0.7, 0.75)
    measures = {f"q{place}": {"quantile": {"of": "years", "q": share}} for place, share in enumerate(shares)}
    project.pipeline(aggregates={"t": table(measures)})
    write(project, lambda _, i: {"years": i})
    with silence():
        run(project)
    (row,) = read(project, "t")[ORG[0]]
    values = [row[f"q{place}"] for place in range(len(shares))]
    assert [value is not None for value in values] == [True, False, True, False, True], values


def bit_of_one(project: Project, word: str) -> Found:
    """Whether one person is ill, if everybody else is known to be well: more than half a person in a sum or a mean."""
    project.pipeline(aggregates={"t": table({"v": {word: "ill"}})})
    write(project, lambda org, i: {"ill": int(i == 7 and BITS[org])})
    run(project)
    rows, people = read(project, "t"), 40 if word == "mean" else 1
    return [(figure(rows[org], "v") * people > 0.5) == bit for org, bit in zip(ORG, BITS, strict=True)]


@pytest.mark.parametrize("word", ["sum", "mean"])
def test_a_sum_or_mean_of_zeros_and_ones_does_not_reveal_that_one_person_is_ill(word: str, project: Project) -> None:
    check_attack(lambda each: bit_of_one(each, word), project, 57)


def cell_of_all(project: Project) -> Found:
    """Whether everybody is ill: the only cell of a histogram has as many people as the row."""
    project.pipeline(aggregates={"t": table({"n": "count", "cells": {"histogram": "sick"}})})
    write(project, lambda org, i: {"sick": "none" if i == 7 and BITS[org] else "flu"})
    run(project)
    rows = read(project, "t")
    found: list[bool | None] = []
    for org, is_well in zip(ORG, BITS, strict=True):
        (cell,) = figure(rows[org], "cells")
        found.append((cell["count"] < figure(rows[org], "n")) == is_well)
    return found


def test_a_histogram_of_one_cell_does_not_reveal_that_all_persons_are_ill(project: Project) -> None:
    check_attack(cell_of_all, project, 57)
