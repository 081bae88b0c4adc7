"""The section of a report on what can still be learned: measured, attacked, and next to the bound."""

from __future__ import annotations

from typing import Any

import pytest

from minimize.report import remaining_risk
from minimize.report.facts import RiskFacts, RoundedCount
from minimize.report.figures import attributes_figure, sizes_figure
from tests.project import BEFORE, DAY, Project, event, events
from tests.report.telling import facts, report

VERSIONED: dict[str, Any] = {
    "os": {"type": "string", "role": "quasi", "optional": True, "do": "keep"},
    "model": {"type": "string", "role": "quasi", "do": "keep"},
    "battery": {"type": "double", "role": "sensitive", "do": {"bin": {"width": 50}}},
    "event_time": {"type": "timestamp", "do": "drop"},
    "latitude": None,
}


def check_ins(*versions: tuple[str, int]) -> list[dict[str, Any]]:
    """For each version as many devices of one tenant, with two records each. Every other device has another model."""
    devices = [version for version, count in versions for _ in range(count)]
    return [
        event(2 * number + half, tenant_id="north", device_id=f"d{number}", os=version, model="AB"[number % 2])
        for number, version in enumerate(devices)
        for half in (0, 1)
    ]


def measured(project: Project, records: list[dict[str, Any]], **bound: Any) -> RiskFacts:
    """The risk of a run of these records."""
    project.policy(VERSIONED | bound.pop("fields", {}))
    wanted = {"quasi_identifiers": ["os"], "require": {"k": 3}, **bound} if bound else None
    project.pipeline(aggregates=None, settings=None, records={"risk": wanted} if wanted else {})
    project.records(records)
    project.run()
    risk = facts(project).risk
    assert risk is not None
    return risk


def test_persons_and_rows_are_counted_by_the_fields_that_attackers_may_know(project: Project) -> None:
    risk = measured(project, check_ins(("17", 8), ("18", 24)))
    assert (risk.quasi_identifiers, risk.sensitive, risk.person) == (("model", "os"), ("battery",), "device_id")
    assert (str(risk.persons), str(risk.records), risk.k, risk.k_of_rows) == ("30", "65", 4, 8)
    assert {each.shared_by: str(each.persons) for each in risk.sizes} == {"4–7": "10", "8–15": "25"}
    assert {name: str(count) for name, count in risk.unique_without.items()} == {"model": "0", "os": "0"}


def test_numbers_of_few_persons_are_not_shown(project: Project) -> None:
    project.policy(VERSIONED)
    project.pipeline(aggregates=None, settings=None, records={})
    project.records(check_ins(("17", 8), ("18.4.77", 1), ("19", 1)))
    project.run()
    shown = report(project)
    assert shown.facts.risk is not None
    assert str(shown.facts.risk.unique_persons) == "fewer than 5"
    assert "fewer than 5 of 10 persons are unique by model, os (k 1); no bound" in " ".join(shown.summary().split())
    assert "fewer than 5 of 10 persons are unique: no other person has their values of model, os." in shown.html()
    assert "18.4.77" not in shown.html()


def test_attacks_are_next_to_their_control(project: Project) -> None:
    risk = measured(project, check_ins(("17", 8), ("18", 24)))
    assert [(each.name, each.sensitive) for each in risk.attacks] == [
        ("singling_out", ""),
        ("linkage", ""),
        ("inference", "battery"),
    ]
    linkage, inference = risk.attacks[1:]
    assert (linkage.rate, linkage.control) == (0.12, None)  # four classes of 32 persons
    assert inference.control is not None
    html = report(project).html()
    assert "<caption>Attacks on the records, with the 95 % interval of their success</caption>" in html


def test_many_records_are_measured_and_not_attacked(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remaining_risk, "MOST_ATTACKED", 20)
    risk = measured(project, check_ins(("17", 8), ("18", 24)))
    assert (risk.k, risk.attacks) == (4, ())
    assert risk.notes == ("the records are not attacked, because they are more than 20",)


def test_a_bound_is_shown_with_the_figures_of_each_date(project: Project) -> None:
    project.policy(VERSIONED)
    bound = {
        "quasi_identifiers": ["os"],
        "require": {"k": 3},
        "otherwise": "suppress",
        "suppress_at_most": 0.5,
    }
    project.pipeline(aggregates=None, settings=None, records={"risk": bound})
    project.records(check_ins(("17", 8), ("18", 2)))
    project.records(check_ins(("17", 5)), BEFORE)
    project.run(date=DAY)
    project.run(date=BEFORE)
    risk = facts(project).risk
    assert risk is not None
    assert risk.bound.startswith("bound on combinations of os: k 3 of persons;")
    assert [(each.date, dict(each.measures), str(each.removed)) for each in risk.bound_by_date] == [
        (BEFORE, {"k": 5}, "0"),
        (DAY, {"k": 8}, "fewer than 5"),
    ]
    assert risk.quasi_identifiers == ("os",)


def test_levels_that_a_search_chose_are_named_with_their_proof(project: Project) -> None:
    fields = {
        "os": {"type": "string", "role": "quasi", "optional": True, "do": {"truncate_version": {"parts": "auto"}}}
    }
    records = check_ins(("17.1", 2), ("17.2", 3), ("18.1", 4))
    risk = measured(project, records, fields=fields, otherwise="generalize")
    assert risk.bound_by_date[0].levels == {"os": "only the first part"}
    assert risk.bound_by_date[0].proven is True
    html = report(project).html()
    assert "proven: no other levels lose less" in html
    assert "Levels" in html


def test_without_a_field_that_attackers_may_know_nothing_is_measured(project: Project) -> None:
    project.policy({name: field and {**field, "role": "plain"} for name, field in VERSIONED.items()})
    project.pipeline(aggregates=None, settings=None, records={})
    project.records(check_ins(("17", 4)))
    project.run()
    shown = report(project)
    assert shown.facts.risk == RiskFacts(())
    assert "no released field has the role <code>quasi</code>" in shown.html()
    assert "can be learned" not in shown.summary()


def test_an_output_without_records_has_nothing_to_measure(project: Project) -> None:
    project.pipeline(records=None)
    project.records(events(60))
    project.run()
    assert facts(project).risk is None


def sized(unique: int, **without: int) -> RiskFacts:
    """Measured facts with a number of unique persons of 100."""
    rounded = RoundedCount.rounded
    return RiskFacts(
        tuple(without),
        persons=rounded(100),
        k=1 if unique else 5,
        unique_persons=rounded(unique),
        unique_without={name: rounded(count) for name, count in without.items()},
    )


def test_the_chart_of_attributes_begins_with_the_one_that_contributes_most() -> None:
    figure = attributes_figure(sized(40, os=30, model=10))
    assert figure is not None
    assert [row.label for row in figure.rows] == ["with all fields", "without model", "without os"]
    assert [round(row.bars[0].width) for row in figure.rows] == [100, 25, 75]
    assert "without model, 10 persons stay unique." in figure.sentence


def test_there_is_no_chart_of_attributes_if_no_person_is_unique() -> None:
    assert attributes_figure(sized(0, os=0, model=0)) is None
    assert sizes_figure(sized(0, os=0)) is None
