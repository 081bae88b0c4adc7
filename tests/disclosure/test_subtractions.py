"""Subtractions that would give one person away, and what is published instead. To be read from top to bottom.

Each test states the arithmetic of an attacker who keeps every table that was ever published. In all of them a group has about
40 people, and a figure must rest on at least 10. `p39` is the person whom the attacker is after.
"""

from __future__ import annotations

from typing import Any

import pytest

import minimize
from tests.disclosure.survey import DEVICES, SURVEY_POLICY, SYMPTOMS, Survey, people, share, table
from tests.project import DAY

MEAN = {"mean": "score"}


# Two releases of one row: after a feature was switched off.


def test_retract_after_one_person_switched_a_feature_off(survey: Survey) -> None:
    """40 × 5.2 − 39 × 3.0 = 91 would be this person's value; there are 40 events both times."""
    survey.tables(daily=table(events="count", stress={"mean": "stress"}))
    survey.answers([*people(0, 39, stress=3.0), *people(39, 40, stress=91.0)])
    survey.publish()
    assert survey.row("daily") == {"events": 40, "stress": 5.2}
    survey.switch_off("p39")
    receipt = survey.retract()["receipts"][0]
    assert survey.row("daily") == {"events": 40, "stress": 5.2}
    assert receipt["outputs"]["daily"]["deferred"] == 1


def test_the_mean_follows_once_enough_people_switched_the_feature_off(survey: Survey) -> None:
    """40 × 5.2 − 20 × 3.0 = 148 is what 20 people come to."""
    survey.tables(daily=table(events="count", stress={"mean": "stress"}))
    survey.answers([*people(0, 39, stress=3.0), *people(39, 40, stress=91.0)])
    survey.publish()
    survey.switch_off(*(f"p{number}" for number in range(20, 40)))
    receipt = survey.retract()["receipts"][0]
    assert survey.row("daily") == {"events": 40, "stress": 3.0}
    assert receipt["outputs"]["daily"]["deferred"] == 0


def test_as_many_people_in_as_out(survey: Survey) -> None:
    """40 people both times: 4 left, and 4 came. 40 × 14.0 − 40 × 10.0 = 160 would be what those 8 people make out."""
    survey.tables(daily=table(people=DEVICES, score=MEAN))
    survey.answers(people(0, 40, score=10.0))
    survey.publish()
    survey.answers([*people(4, 40, score=10.0), *people(40, 44, score=50.0)])
    assert survey.publish().outputs["daily"].deferred == 1
    assert survey.row("daily") == {"people": 40, "score": 10.0}


# Two releases of one row: after people were deleted, or left.


@pytest.mark.parametrize("verb", ["delete", "leave"])
def test_fewer_than_ten_people_leave_no_trace_together(survey: Survey, verb: str) -> None:
    """40 × 9.0 − 31 × 0.0 = 360 would be the scores of 9 people: 40 each."""
    survey.tables(daily=table(people=DEVICES, score=MEAN))
    survey.answers([*people(0, 31, score=0.0), *people(31, 40, score=40.0)])
    survey.publish()
    getattr(survey, verb)(*(f"p{number}" for number in range(31, 40)))
    assert len(survey.rows()) == 31
    assert survey.row("daily") == {"people": 40, "score": 9.0}


def test_fewer_than_ten_people_and_then_some_more(survey: Survey) -> None:
    """The figures follow when 20 people are gone in all: 40 − 20 are enough not to be recognized."""
    survey.tables(daily=table(people=DEVICES, score=MEAN))
    survey.answers([*people(0, 31, score=0.0), *people(31, 40, score=40.0)])
    survey.publish()
    survey.leave(*(f"p{number}" for number in range(31, 40)))
    assert survey.row("daily") == {"people": 40, "score": 9.0}
    survey.leave(*(f"p{number}" for number in range(20, 40)))
    assert survey.row("daily") == {"people": 20, "score": 0.0}


def test_deletions_are_seen_together_by_the_next_run(survey: Survey) -> None:
    """As above, but by a run after deletions of 9 and of 11."""
    survey.tables(daily=table(people=DEVICES, score=MEAN))
    survey.answers([*people(0, 31, score=0.0), *people(31, 40, score=40.0)])
    survey.publish()
    survey.delete(*(f"p{number}" for number in range(31, 40)))
    survey.delete(*(f"p{number}" for number in range(20, 31)))
    assert survey.publish().outputs["daily"].deferred == 0
    assert survey.row("daily") == {"people": 20, "score": 0.0}


def test_a_plain_run_after_a_deletion(survey: Survey) -> None:
    """40 × 11.925 − 39 × 10.0 = 87 would be the value of a person who was deleted."""
    survey.tables(daily=table(events="count", score=MEAN))
    survey.answers([*people(0, 39, score=10.0), *people(39, 40, score=87.0)])
    survey.publish()
    survey.delete("p39")
    assert survey.row("daily") == {"events": 40, "score": 11.925}
    receipt = survey.publish()
    assert receipt.gated_by.erased == 1
    assert receipt.outputs["daily"].deferred == 1
    assert survey.row("daily") == {"events": 40, "score": 11.925}


def test_a_row_that_vanished_does_not_return_without_one_person(survey: Survey) -> None:
    """40, then nothing, then 39: 40 − 39 = 1."""
    survey.tables(daily=table(events="count"))
    survey.answers(people(0, 40))
    survey.publish()
    survey.answers(people(0, 5))
    survey.publish(allow_shrink=True)
    assert survey.row("daily") is None
    survey.answers(people(0, 39))
    survey.publish()
    assert survey.row("daily") is None
    survey.answers(people(20, 80))
    survey.publish()
    assert survey.row("daily") == {"events": 60}


def test_the_first_release_is_not_forgotten_for_the_second(survey: Survey) -> None:
    """60 people, then 40 of them, then 59: the third differs from the second by 19, but 60 − 59 = 1."""
    survey.tables(daily=table(events="count"))
    for last, published in ((60, 60), (40, 40), (59, 40)):
        survey.answers(people(0, last))
        survey.publish(allow_shrink=True)
        assert survey.row("daily") == {"events": published}


# Two releases of one row: after a row came late.


def test_one_row_that_comes_late(survey: Survey) -> None:
    """41 × (463 ÷ 41) − 40 × 10.0 = 63 would be the value of the person who came late."""
    survey.tables(daily=table(events="count", score=MEAN))
    survey.answers(people(0, 40, score=10.0))
    survey.publish()
    survey.answers(people(40, 41, score=63.0), name="late")
    receipt = survey.run(pending=True, at=None)
    assert (receipt.rows.read, receipt.outputs["daily"].deferred) == (41, 1)
    assert survey.row("daily") == {"events": 40, "score": 10.0}


def test_late_rows_of_enough_people(survey: Survey) -> None:
    """60 × 11.0 − 40 × 10.0 = 260 is what 20 people come to."""
    survey.tables(daily=table(events="count", score=MEAN))
    survey.answers(people(0, 40, score=10.0))
    survey.publish()
    survey.answers(people(40, 60, score=13.0), name="late")
    assert survey.run(pending=True, at=None).outputs["daily"].deferred == 0
    assert survey.row("daily") == {"events": 60, "score": 11.0}


def test_equal_data_are_no_new_release(survey: Survey) -> None:
    survey.tables(daily=table(events="count", score=MEAN))
    survey.answers(people(0, 40, score=10.0))
    for _ in range(3):
        assert survey.publish().outputs["daily"].deferred == 0
        assert survey.row("daily") == {"events": 40, "score": 10.0}


def test_one_record_that_is_replayed(survey: Survey) -> None:
    """41 × (463 ÷ 41) − 40 × 10.0 = 63 would be the value of the person whose age was not a number, and is dropped now."""
    survey.tables(daily=table(events="count", score=MEAN))
    survey.answers([*people(0, 40, score=10.0, age=30), *people(40, 41, score=63.0, age="thirty")])
    survey.publish()
    survey.policy({**SURVEY_POLICY["fields"], "age": None})
    receipt = survey.do("replay", survey.out)["receipts"][0]
    assert (receipt["rows"]["written"], receipt["outputs"]["daily"]["deferred"]) == (41, 1)
    assert survey.row("daily") == {"events": 40, "score": 10.0}


def test_one_value_that_is_corrected(survey: Survey) -> None:
    """40 × 31.0 − 40 × 30.0 = 40: one person is 40 years older than they were."""
    survey.tables(daily=table(events="count", age={"mean": "age"}))
    survey.answers(people(0, 40, age=30))
    survey.publish()
    cited = ("--source-correction", "registry-12")
    survey.do("subject", "correct", "p39", "--tenant", "A", "--set", "age=70", *cited, "--output", survey.out, "--yes")
    survey.publish()
    assert {row["age"] for row in survey.rows()} == {30, 70}
    assert survey.row("daily") == {"events": 40, "age": 30.0}


def test_a_run_that_is_void_was_published_all_the_same(survey: Survey) -> None:
    """60 people, then 30 by mistake, then 59: 60 − 59 = 1, whatever run counts."""
    survey.tables(daily=table(events="count"))
    survey.answers(people(0, 60))
    first = survey.publish()
    survey.answers(people(0, 30))
    second = survey.publish(allow_shrink=True)
    for receipt in (first, second):
        survey.do("runs", "void", receipt.run_id, "--output", survey.out, "--reason", "a mistake")
    survey.answers(people(0, 59))
    survey.publish()
    assert survey.row("daily") == {"events": 30}


# One figure that is one person's value.


def test_a_quantile_near_one_is_the_value_of_one_person(survey: Survey) -> None:
    """The value at rank 0.999 of 40 is the oldest person's age, 97."""
    survey.tables(daily=table(events="count", oldest={"quantile": {"of": "age", "q": 0.999}}))
    survey.answers([*people(0, 39, age=30), *people(39, 40, age=97)])
    survey.publish()
    assert survey.row("daily") == {"events": 40, "oldest": None}


def test_a_quantile_that_is_many_peoples_value(survey: Survey) -> None:
    survey.tables(daily=table(median={"quantile": {"of": "age", "q": 0.5}}))
    survey.answers([*people(0, 15, age=20), *people(15, 30, age=30), *people(30, 40, age=40)])
    survey.publish()
    assert survey.row("daily") == {"median": 30}


def test_a_quantile_of_kept_values_that_only_a_few_people_have(survey: Survey) -> None:
    """20 people on either side of the median, but it is the age of one of them."""
    survey.tables(daily=table(median={"quantile": {"of": "age", "q": 0.5}}))
    survey.answers([{**each, "age": 20 + place} for place, each in enumerate(people(0, 40))])
    survey.publish()
    assert survey.row("daily") == {"median": None}


@pytest.mark.parametrize("q", [0.0, 1.0])
def test_the_smallest_and_the_largest_value_are_a_fault_of_the_pipeline(survey: Survey, q: float) -> None:
    survey.tables(daily=table(oldest={"quantile": {"of": "age", "q": q}}))
    assert "L068" in {finding.code for finding in minimize.lint(survey.folder) if finding.severity == "error"}


# Several figures of one group.


@pytest.mark.parametrize(
    ("name", "measure"),
    [("score", MEAN), ("score", {"sum": "score"}), ("score", {"count_distinct": "score"})],
)
def test_a_histogram_with_a_hidden_cell_and_a_figure_of_all_cells(
    survey: Survey, name: str, measure: dict[str, Any]
) -> None:
    """39 people have a score of 10, which the histogram shows. One has 87, which it hides.

    40 × 11.925 − 39 × 10 = 87. The sum alone is enough, too: 477 − 390. Two distinct values say that one cell is hidden.
    """
    survey.tables(daily=table(people=DEVICES, scores={"histogram": "score"}, **{name: measure}))
    survey.answers([*people(0, 39, score=10.0), *people(39, 40, score=87.0)])
    survey.publish()
    assert survey.row("daily") == {
        "people": 40,
        "scores": [{"value": 10.0, "count": 39}, {"value": None, "count": None}],
        name: None,
    }


def test_a_histogram_without_hidden_cells_and_the_mean(survey: Survey) -> None:
    survey.tables(daily=table(scores={"histogram": "score"}, score=MEAN))
    survey.answers([*people(0, 30, score=10.0), *people(30, 40, score=50.0)])
    survey.publish()
    row = survey.row("daily")
    assert row is not None
    assert (len(row["scores"]), row["score"]) == (2, 20.0)


def test_a_histogram_with_a_hidden_cell_and_a_share(survey: Survey) -> None:
    """40 × 0.7 = 28 have flu or a rare disease; the histogram shows 27 of flu: 28 − 27 = 1 has the rare disease."""
    survey.tables(daily=table(people=DEVICES, symptoms=SYMPTOMS, ill=share("flu", "rare")))
    survey.answers([*people(0, 27, symptom="flu"), *people(27, 39, symptom="none"), *people(39, 40, symptom="rare")])
    survey.publish()
    row = survey.row("daily")
    assert row is not None
    assert {cell["value"]: cell["count"] for cell in row["symptoms"]} == {"flu": 27, "none": 12, None: None}
    assert row["ill"] is None


def test_shares_of_which_one_has_a_value_more(survey: Survey) -> None:
    """40 × 0.325 − 40 × 0.3 = 1 person has the rare disease."""
    survey.tables(daily=table(people=DEVICES, flu=share("flu"), ill=share("flu", "rare")))
    survey.answers([*people(0, 12, symptom="flu"), *people(12, 39, symptom="none"), *people(39, 40, symptom="rare")])
    survey.publish()
    assert survey.row("daily") == {"people": 40, "flu": 0.3, "ill": None}


def test_shares_that_leave_one_person_of_the_whole(survey: Survey) -> None:
    """40 × (1 − 0.3 − 0.675) = 1 person has neither flu nor nothing. Of two shares with as many values one becomes null."""
    survey.tables(daily=table(people=DEVICES, flu=share("flu"), well=share("none", "cold")))
    survey.answers([*people(0, 12, symptom="flu"), *people(12, 39, symptom="none"), *people(39, 40, symptom="rare")])
    survey.publish()
    assert survey.row("daily") == {"people": 40, "flu": 0.3, "well": None}


# Two tables of one run.


def test_people_in_one_table_and_events_in_a_finer_one(survey: Survey) -> None:
    """40 people a day, and 39 events of version 1: 40 − 39 = 1 person has version 2, which is suppressed."""
    survey.tables(daily=table(people=DEVICES), versions=table(["version"], events="count"))
    survey.answers([*people(0, 39, version="1"), *people(39, 40, version="2")])
    assert survey.exact(survey.publish()).outputs["daily"].groups_suppressed == 1
    assert survey.row("daily") is None
    assert survey.row("versions") == {"version": "1", "events": 39}


def test_the_mean_of_a_day_and_the_sums_of_its_versions(survey: Survey) -> None:
    """40 × 11.925 − 390 = 87 would be the value of the only person with version 2."""
    survey.tables(daily=table(score=MEAN), versions=table(["version"], total={"sum": "score"}))
    survey.answers([*people(0, 39, version="1", score=10.0), *people(39, 40, version="2", score=87.0)])
    survey.publish()
    assert survey.row("daily") is None
    assert survey.row("versions") == {"version": "1", "total": 390.0}


def test_a_total_stays_if_the_suppressed_groups_have_enough_people_together(survey: Survey) -> None:
    """59 − 40 = 19 people have the versions 2, 3 and 4."""
    survey.tables(daily=table(), versions=table(["version"]))
    few = [*people(40, 47, version="2"), *people(47, 53, version="3"), *people(53, 59, version="4")]
    survey.answers([*people(0, 40, version="1"), *few])
    survey.publish()
    assert survey.row("daily") == {"events": 59}
    assert survey.row("versions") == {"version": "1", "events": 40}


def test_tables_that_cross(survey: Survey) -> None:
    """By version: 30 + 10. By symptom: 27 + 12, and 1 is suppressed. (30 + 10) − (27 + 12) = 1. The smallest row gives way."""
    survey.tables(versions=table(["version"]), symptoms=table(["symptom"]))
    survey.answers(
        [
            *people(0, 27, version="1", symptom="flu"),
            *people(27, 30, version="1", symptom="none"),
            *people(30, 39, version="2", symptom="none"),
            *people(39, 40, version="2", symptom="rare"),
        ]
    )
    survey.publish()
    versions = {row["version"]: row["events"] for row in survey.rows("versions")}
    symptoms = {row["symptom"]: row["events"] for row in survey.rows("symptoms")}
    difference = sum(versions.values()) - sum(symptoms.values())
    assert abs(difference) == 0 or abs(difference) >= 10
    assert sum(versions.values()) + sum(symptoms.values()) > 40


# Three tables of one run.


def test_a_day_its_tenants_and_their_versions(survey: Survey) -> None:
    """Each pair passes, but three tables together give one person away.

    Version 1 of tenant A has 40 people, version 2 has 1: tenant A is withheld, for 41 − 40 = 1. Version 1 of tenant B has 30
    people, versions 2 and 3 have 13 together, so tenant B is published: 43 − 30 = 13. The day less its tenants is 84 − 43 = 41,
    the day less its versions 84 − 40 − 30 = 14; but the day less tenant B and version 1 of A is 84 − 43 − 40 = 1.
    """
    survey.tables(daily=table(), tenants=table(["tenant_id"]), versions=table(["tenant_id", "version"]))
    b = {"tenant_id": "B"}
    survey.answers(
        [
            *people(0, 40, version="1"),
            *people(40, 41, version="2"),
            *people(50, 80, version="1", **b),
            *people(80, 86, version="2", **b),
            *people(86, 93, version="3", **b),
        ]
    )
    survey.publish()
    assert survey.row("daily") is None
    assert survey.row("tenants") == {"tenant_id": "B", "events": 43}
    assert {(row["tenant_id"], row["events"]) for row in survey.rows("versions")} == {("A", 40), ("B", 30)}


def test_a_table_that_keeps_its_former_row_next_to_one_that_does_not(survey: Survey) -> None:
    """12 people of version 2 are deleted, and 7 are left: version 2 vanishes. 47 − 40 = 7, so the day keeps its 59."""
    survey.tables(daily=table(), versions=table(["version"]))
    survey.answers([*people(0, 40, version="1"), *people(40, 59, version="2")])
    survey.publish()
    assert survey.row("daily") == {"events": 59}
    survey.delete(*(f"p{number}" for number in range(40, 52)))
    assert survey.row("daily") == {"events": 59}
    assert survey.row("versions") == {"version": "1", "events": 40}


def test_the_controls_of_these_tests_publish_what_is_safe(survey: Survey) -> None:
    """40 people in a day, all of one version: nothing is withheld, deferred or suppressed."""
    survey.tables(daily=table(events="count", score=MEAN), versions=table(["version"], events="count", score=MEAN))
    survey.answers(people(0, 40, version="1", score=10.0))
    receipt = survey.exact(survey.publish(date=DAY))
    assert [(each.rows, each.groups_suppressed, each.deferred) for each in receipt.outputs.values() if each.files] == [
        (40, None, None),
        (1, 0, 0),
        (1, 0, 0),
    ]
