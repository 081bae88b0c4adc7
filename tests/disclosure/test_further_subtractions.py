"""Subtractions inside figures and across configurations: cells of a histogram, numerators of a share, people who are in several
groups, tables that count others, tables that were gone for a while.

As in `test_subtractions.py` the attacker keeps every table that was published, and a figure must rest on at least 10 people.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.disclosure.survey import BELOW, DEVICES, SURVEY_POLICY, SYMPTOMS, Survey, people, share, table
from tests.project import AT, DAY

OWNER = {"owner": {"type": "string", "role": "identifier", "do": "drop"}}
Figures = dict[str, Any] | None


def counting(key: str, made: dict[str, Any]) -> dict[str, Any]:
    return {**made, "suppress": {"below": BELOW, "counting": key}}


def owned(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same answers by devices that have one owner each."""
    return [{**row, "owner": f"of {row['device_id']}"} for row in rows]


def cell(figures: Figures, value: str) -> int:
    """The count of a histogram's cell; 0 if it is not published."""
    cells = [] if figures is None else figures["symptoms"]
    return next((int(each["count"]) for each in cells if each["value"] == value), 0)


def number(figures: Figures, name: str) -> float | None:
    """A figure of a row; None if it is not published."""
    return None if figures is None else figures[name]


def gives_nobody_away(one: float | None, *others: float | None) -> bool:
    """Whether a figure less some others is unknown, nobody, or enough people."""
    if one is None or None in others:
        return True
    rest = round(abs(one - sum(other for other in others if other is not None)), 6)
    return rest == 0 or rest >= BELOW


def two_versions_with_flu() -> list[dict[str, Any]]:
    """39 people with flu in version 1, one in version 2; 20 with a cold in each."""
    return [
        *people(0, 39, version="1", symptom="flu"),
        *people(39, 59, version="1", symptom="cold"),
        *people(59, 60, version="2", symptom="flu"),
        *people(60, 80, version="2", symptom="cold"),
    ]


def test_cells_of_histograms_in_related_tables(survey: Survey) -> None:
    """40 with flu a day, and 39 in version 1: 40 − 39 = 1 in version 2, whose histogram hides it. A cold has 40 − 20 − 20 = 0."""
    survey.tables(daily=table(symptoms=SYMPTOMS), versions=table(["version"], symptoms=SYMPTOMS))
    survey.answers(two_versions_with_flu())
    survey.publish()
    day, *versions = survey.row("daily"), *(survey.row("versions", version=each) for each in "12")
    assert gives_nobody_away(cell(day, "flu") or None, *(cell(each, "flu") for each in versions))


def test_shares_in_related_tables(survey: Survey) -> None:
    """80 × 0.5 = 40 with flu a day, and 59 × 0.661… = 39 in version 1: 40 − 39 = 1 in version 2, whose share is null for it."""
    survey.tables(
        daily=table(events="count", flu=share("flu")), versions=table(["version"], events="count", flu=share("flu"))
    )
    survey.answers(two_versions_with_flu())
    survey.publish()
    day, first = survey.row("daily"), survey.row("versions", version="1")
    ill = [each["events"] * each["flu"] if each and each["flu"] is not None else None for each in (day, first)]
    assert gives_nobody_away(*ill)


def test_cells_of_a_histogram_in_two_releases(survey: Survey) -> None:
    """20 people have a rash instead of a cold, which is enough. But 40 − 39 = 1 with flu left at the same time."""
    survey.tables(daily=table(symptoms=SYMPTOMS))
    well = people(80, 120, symptom="rash")
    survey.answers([*people(0, 40, symptom="flu"), *people(40, 80, symptom="cold"), *well])
    survey.publish()
    before = cell(survey.row("daily"), "flu")
    survey.answers(
        [*people(0, 39, symptom="flu"), *people(40, 60, symptom="cold"), *people(60, 80, symptom="rash"), *well]
    )
    survey.publish()
    assert gives_nobody_away(before, cell(survey.row("daily"), "flu"))


def test_a_share_in_two_releases(survey: Survey) -> None:
    """20 people have a rash instead of a cold, which is enough. But 80 × 0.5 − 80 × 0.4875 = 1 has no flu any more."""
    survey.tables(daily=table(events="count", flu=share("flu")))
    survey.answers([*people(0, 40, symptom="flu"), *people(40, 60, symptom="cold"), *people(60, 80, symptom="rash")])
    survey.publish()
    before = number(survey.row("daily"), "flu") or 0
    survey.answers([*people(0, 39, symptom="flu"), *people(39, 80, symptom="rash")])
    survey.publish()
    after = number(survey.row("daily"), "flu")
    assert gives_nobody_away(80 * before, None if after is None else 80 * after)


def test_three_shares_of_one_field(survey: Survey) -> None:
    """80 × (0.5125 − 0.25 − 0.25) = 1 person has the rare disease, though each pair of shares leaves enough people."""
    survey.tables(daily=table(people=DEVICES, flu=share("flu"), cold=share("cold"), ill=share("flu", "cold", "rare")))
    few = people(40, 41, symptom="rare")
    survey.answers(
        [*people(0, 20, symptom="flu"), *people(20, 40, symptom="cold"), *few, *people(41, 80, symptom="none")]
    )
    survey.publish()
    parts = [number(survey.row("daily"), name) for name in ("ill", "flu", "cold")]
    assert gives_nobody_away(*(None if each is None else 80 * each for each in parts))


def test_a_histogram_and_a_mean_in_two_tables_of_the_same_groups(survey: Survey) -> None:
    """40 × 11.925 − 39 × 10.0 = 87 would be the score of the person in the hidden cell. In one table the mean would be null."""
    survey.tables(cells=table(symptoms={"histogram": "score"}), means=table(people=DEVICES, score={"mean": "score"}))
    survey.answers([*people(0, 39, score=10.0), *people(39, 40, score=87.0)])
    survey.publish()
    cells, means = survey.row("cells"), survey.row("means")
    is_shown = cells is not None and len(cells["symptoms"]) == 2
    assert not is_shown or number(means, "score") is None


def test_shares_in_two_tables_of_the_same_groups(survey: Survey) -> None:
    """40 × 0.325 − 40 × 0.3 = 1 person has the rare disease. In one table the larger share would be null."""
    survey.tables(flu=table(people=DEVICES, flu=share("flu")), ill=table(ill=share("flu", "rare")))
    few = people(39, 40, symptom="rare")
    survey.answers([*people(0, 12, symptom="flu"), *people(12, 39, symptom="none"), *few])
    survey.publish()
    parts = number(survey.row("ill"), "ill"), number(survey.row("flu"), "flu")
    assert gives_nobody_away(*(None if each is None else 40 * each for each in parts))


def test_tables_that_count_different_subjects(survey: Survey) -> None:
    """40 events a day, 39 of version 1: 40 − 39 = 1, whether tables count devices or their owners."""
    survey.policy({**SURVEY_POLICY["fields"], **OWNER})
    survey.tables(daily=table(), versions=counting("owner", table(["version"])))
    survey.answers(owned([*people(0, 39, version="1"), *people(39, 40, version="2")]))
    survey.publish()
    assert gives_nobody_away(
        number(survey.row("daily"), "events"), number(survey.row("versions", version="1"), "events")
    )


def test_a_table_that_counts_other_subjects_than_before(survey: Survey) -> None:
    """40 − 39 = 1 event is gone, and meanwhile the table counts owners instead of devices."""
    survey.policy({**SURVEY_POLICY["fields"], **OWNER})
    survey.tables(daily=table())
    survey.answers(owned(people(0, 40)))
    survey.publish()
    survey.tables(daily=counting("owner", table()))
    survey.answers(owned(people(0, 39)))
    survey.publish()
    assert gives_nobody_away(40, number(survey.row("daily"), "events"))


def test_a_field_that_is_of_another_type_than_before(survey: Survey) -> None:
    """40 × 31.5 − 40 × 30 = 60 years more: one person was 30, and is 90 now. Meanwhile ages may have fractions."""
    survey.tables(daily=table(age={"mean": "age"}))
    survey.answers(people(0, 40, age=30))
    survey.publish()
    survey.policy({**SURVEY_POLICY["fields"], "age": {"type": "double", "do": "keep"}})
    survey.answers([*people(0, 39, age=30), *people(39, 40, age=90)])
    survey.publish()
    assert number(survey.row("daily"), "age") in (None, 30.0)


def test_a_key_that_has_another_name_than_before(survey: Survey) -> None:
    """40 − 39 = 1 event is gone, and meanwhile the version is called the release."""
    survey.tables(versions=table(["version"]))
    survey.answers(people(0, 40, version="1"))
    survey.publish()
    renamed = {**table(), "group_by": {"day": {"event_time": "day"}, "release": "version"}}
    survey.tables(versions=renamed)
    survey.answers(people(0, 39, version="1"))
    survey.publish()
    assert gives_nobody_away(40, number(survey.row("versions"), "events"))


def test_a_measure_that_means_another_thing_than_before(survey: Survey) -> None:
    """A mean of 10 is no sum: a row that keeps its former figures must not show it as one."""
    survey.tables(daily=table(events="count", score={"mean": "score"}))
    survey.answers(people(0, 40, score=10.0))
    survey.publish()
    survey.tables(daily=table(events="count", score={"sum": "score"}))
    survey.answers(people(0, 39, score=10.0))
    survey.publish()
    assert number(survey.row("daily"), "score") in (None, 400.0)


def test_a_day_next_to_a_version_that_keeps_its_former_figures(survey: Survey) -> None:
    """1,080 − 600 = 480 is the stress of 8 people: what is left of version 2.

    Of 30 people with version 2 one has another score, and 22 switched the feature off. One score is too few, so version 2 keeps
    its former figures, with a stress of all 30. They are not what the day is less version 1 any more.
    """
    measures: dict[str, Any] = {"events": "count", "stress": {"sum": "stress"}}
    survey.tables(daily=table(**measures), versions=table(["version"], **measures, score={"sum": "score"}))
    first, second = people(0, 40, version="1", stress=10.0), people(40, 70, version="2", stress=60.0, score=5.0)
    survey.answers([*first, *second])
    survey.publish()
    survey.switch_off(*(f"p{place}" for place in range(40, 62)))
    new = people(100, 120, version="1", stress=10.0)
    survey.answers([*first, *new, {**second[0], "score": 6.0}, *second[1:]])
    survey.publish()
    day, version = survey.row("daily"), survey.row("versions", version="1")
    assert number(version, "stress") == 600.0
    assert number(day, "stress") != 600.0 + 8 * 60.0


def test_event_days_that_are_made_anew_after_a_deletion(survey: Survey) -> None:
    """59 people a day, 40 with version 1, 19 with version 2, of whom 12 are deleted: 47 − 40 = 7 are left.

    Both tables waited for late rows. Without `late` the day is withheld.
    """
    by_day = {"type": "timestamp", "role": "quasi", "do": {"truncate_time": {"to": "day"}}}
    survey.policy({**SURVEY_POLICY["fields"], "event_time": by_day})
    survey.tables(daily={**table(), "late": "1d"}, versions={**table(["version"]), "late": "1d"})
    survey.answers([*people(0, 40, version="1"), *people(40, 59, version="2")])
    days = ["2026-11-23", DAY, f"{AT:%Y-%m-%d}"]
    for day in (days[0], days[2]):
        survey.answers([{**each, "event_time": f"{day}T11:00:00Z"} for each in people(100, 120, version="1")], day=day)
    for day in days:
        survey.publish(date=day)
    survey.delete(*(f"p{number}" for number in range(40, 52)))
    daily = [row["events"] for row in survey.rows("daily") if f"{row['day']:%Y-%m-%d}" == DAY]
    versions = [row["events"] for row in survey.rows("versions") if f"{row['day']:%Y-%m-%d}" == DAY]
    assert gives_nobody_away(daily[0] if daily else None, *versions)


APPS = {"/apps/*/name": {"type": "string", "do": "keep"}}


def with_apps(rows: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    """The same answers by people who have some applications."""
    return [{**row, "apps": [{"name": name} for name in names]} for row in rows]


@pytest.mark.parametrize("crossing", [False, True])
def test_applications_of_which_a_person_has_several(survey: Survey, crossing: bool) -> None:
    """4,290 − 3,900 = 390 is the score of the one who has no mail: 39 of 40 people have it, and 20 of them have maps, too."""
    survey.policy({**SURVEY_POLICY["fields"], **APPS})
    by_app = {"group_by": {"day": {"event_time": "day"}, "app": "/apps/*/name"}}
    measures = {"measures": {"events": "count", "score": {"sum": "score"}}}
    survey.tables(
        daily=table(["version"] if crossing else [], events="count", score={"sum": "score"}),
        apps={**table(), **by_app, **measures},
    )
    first, others = people(0, 19, score=100.0, version="1"), people(19, 39, score=100.0, version="2")
    last = with_apps(people(39, 40, score=390.0, version="2"), "radio")
    survey.answers([*with_apps(first, "mail"), *with_apps(others, "mail", "maps"), *last])
    survey.publish()
    every = [number(each, "score") for each in survey.rows("daily")]
    mail = number(survey.row("apps", app="mail"), "score")
    assert mail is None or None in every or sum(filter(None, every)) - mail != 390.0


def test_limit_people_in_several_groups(survey: Survey) -> None:
    """40 people a day, 39 of them in version 1: 40 − 39 = 1 used version 2 or 3 alone.

    Both are suppressed. 12 people used them, which is enough for events; but 11 of those are in version 1, too.
    The guide lists this among what is not compared.
    """
    survey.tables(daily=table(people=DEVICES), versions=table(["version"], people=DEVICES))
    second = [{**each, "event_id": f"x{place}"} for place, each in enumerate(people(0, 6, version="2"))]
    third = [{**each, "event_id": f"y{place}"} for place, each in enumerate(people(6, 11, version="3"))]
    survey.answers([*people(0, 39, version="1"), *people(39, 40, version="3"), *second, *third])
    survey.publish()
    assert len(survey.rows("versions")) == 1
    assert survey.row("daily") == {"people": 40}
    assert survey.row("versions", version="1") == {"version": "1", "people": 39}


def test_a_table_that_was_gone_for_a_while(survey: Survey) -> None:
    """40 − 39 = 1, though another pipeline was in force in between, without this table."""
    survey.tables(daily=table())
    survey.answers(people(0, 40, age=30, version="1"))
    survey.publish()
    survey.tables(ages=table(["version"], age={"mean": "age"}))
    survey.publish()
    survey.tables(daily=table())
    survey.answers(people(0, 39, age=30, version="1"))
    survey.publish()
    assert gives_nobody_away(40, number(survey.row("daily"), "events"))
