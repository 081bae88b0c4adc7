"""Collection is asked again of an output, row by row: what a row still tells decides, and what it no longer tells stays."""

from __future__ import annotations

from typing import Any

import pytest

import minimize
from minimize.errors import NotPermitted
from minimize.governance.sharing.released_output import reduce_condition, reevaluate_field
from minimize.policy.condition import NEVER, AllOf, AnyOf, FeatureOn, FieldEquals
from minimize.policy.model import Field, FieldCase
from minimize.policy.treatments import DROP
from minimize.techniques.keep import Keep
from tests.governance.sharing.sender import published, shared
from tests.project import AT, FIELDS, Builds, Project

CORPORATE, MANAGED, LOCATION = (
    FieldEquals("owner", ("corporate",)),
    FieldEquals("managed", (True,)),
    FeatureOn("location"),
)
KEEP = (Keep(),)


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        (CORPORATE, CORPORATE),
        (MANAGED, NEVER),
        (LOCATION, LOCATION),
        (AnyOf((CORPORATE, MANAGED)), CORPORATE),
        (AnyOf((MANAGED,)), NEVER),
        (AllOf((CORPORATE, MANAGED)), NEVER),
        (AllOf((CORPORATE, LOCATION)), AllOf((CORPORATE, LOCATION))),
        (AnyOf((CORPORATE, AllOf((LOCATION, MANAGED)))), CORPORATE),
    ],
)
def test_an_absent_field_never_matches(condition: Any, left: Any) -> None:
    assert reduce_condition(condition, {"owner"}) == left


def test_a_gate_that_cannot_be_asked_any_more_loses_the_field() -> None:
    assert reevaluate_field(Field(key="a", type="string", do=KEEP, collect_if=MANAGED), {"owner"}) is None


def test_an_undecidable_case_that_keeps_is_skipped() -> None:
    cases = (FieldCase(when=MANAGED, do=KEEP), FieldCase(when=CORPORATE, do=KEEP))
    found = reevaluate_field(Field(key="a", type="string", cases=cases), {"owner"})
    assert found is not None
    assert [case.when for case in found.cases] == [CORPORATE]
    assert found.otherwise == DROP


def test_an_undecidable_case_that_drops_removes_the_field() -> None:
    field = Field(key="a", type="string", cases=(FieldCase(when=MANAGED, do=DROP),), otherwise=KEEP)
    assert reevaluate_field(field, {"owner"}) is None


def test_cases_that_all_keep_need_no_decision() -> None:
    field = Field(key="a", type="string", cases=(FieldCase(when=MANAGED, do=KEEP),), otherwise=KEEP)
    found = reevaluate_field(field, {"owner"})
    assert found is not None
    assert (found.do, found.cases) == (KEEP, ())


KEPT = {"model": {"type": "string", "role": "quasi", "do": "keep"}}
HEAD = "tenant_id,subject,setting,value,holder,valid_from,recorded_at\n"
ON = "north,,location,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n"
LATER = "2026-11-24T23:30:00Z,2026-11-24T23:30:00Z\n"


def content(project: Project) -> None:
    """A pipeline that has run and keeps models as they come; north agrees."""
    project.policy(KEPT)
    published(project)


@pytest.fixture(name="home")
def _home(builds: Builds, project: Project) -> Project:
    return builds.fill(project, content)


def rows(home: Project) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shared(home, home.out).to_pylist()
    return found


def test_a_condition_on_stored_columns_is_evaluated_again(home: Project) -> None:
    home.policy({**KEPT, "battery": {**FIELDS["battery"], "collect_if": {"model": "A"}}})
    assert {(row["model"], row["battery"] is None) for row in rows(home)} == {("A", False), ("C", True)}


def test_a_condition_on_what_is_gone_leaves_nothing(home: Project) -> None:
    home.policy({**KEPT, "battery": {**FIELDS["battery"], "collect_if": {"storage": 13}}})
    assert "battery" not in shared(home, home.out).column_names
    with pytest.raises(NotPermitted) as caught:
        shared(home, home.out, fields=["battery"])
    assert "unaskable" in {each.rule for each in caught.value.reasons}


def test_a_case_that_drops_today_drops_what_an_earlier_run_released(home: Project) -> None:
    cases = {"cases": [{"if": {"model": "C"}, "do": "drop"}], "otherwise": FIELDS["battery"]["do"]}
    battery = {key: value for key, value in FIELDS["battery"].items() if key != "do"}
    home.policy({**KEPT, "battery": {**battery, **cases}})
    assert {(row["model"], row["battery"] is None) for row in rows(home)} == {("A", False), ("C", True)}


@pytest.mark.parametrize(("model", "left"), [("A", {"A"}), ("C", {"C"})])
def test_a_condition_on_whole_records_is_asked_again(home: Project, model: str, left: set[str]) -> None:
    home.policy(KEPT, records={"collect_if": {"model": model}})
    assert {row["model"] for row in rows(home)} == left


def test_the_pipeline_s_own_condition_on_records_is_asked_again(home: Project) -> None:
    home.pipeline(
        aggregates=None, records={"collect_if": {"model": "A"}, "deduplicate": {"by": ["model"], "per": "day"}}
    )
    found = rows(home)
    assert ({row["model"] for row in found}, len(found) > 1) == ({"A"}, True)


def test_a_subject_s_own_off_counts_by_its_pseudonym(home: Project) -> None:
    before = len({row["device_id"] for row in rows(home) if row["latitude"] is not None})
    (home.folder / "settings.csv").write_text(f"{HEAD}{ON}north,d0,location,off,user,{LATER}")
    after = rows(home)
    gone = {row["device_id"] for row in after if row["latitude"] is None}
    left = {row["device_id"] for row in after if row["latitude"] is not None}
    assert (len(gone), len(left)) == (1, before - 1)


@pytest.mark.parametrize("do", ["drop", {"pseudonymize": {"key": "device", "per": "tenant_id", "rotate": "day"}}])
def test_an_opt_out_of_an_unidentifiable_subject_counts_for_its_tenant(home: Project, do: Any) -> None:
    home.policy({**KEPT, "device_id": {**FIELDS["device_id"], "do": do}})
    minimize.run(home.folder, date="2026-11-24", at=AT, output=home.out, keys=home.keys)
    assert {row["latitude"] is None for row in rows(home)} == {False}
    (home.folder / "settings.csv").write_text(f"{HEAD}{ON}north,d0,location,off,user,{LATER}")
    assert {row["latitude"] is None for row in rows(home)} == {True}


def test_a_withdrawn_opt_out_does_not_count(home: Project) -> None:
    home.policy({**KEPT, "device_id": {**FIELDS["device_id"], "do": "drop"}})
    minimize.run(home.folder, date="2026-11-24", at=AT, output=home.out, keys=home.keys)
    back = "north,d0,location,on,user,2026-11-24T23:40:00Z,2026-11-24T23:40:00Z\n"
    (home.folder / "settings.csv").write_text(f"{HEAD}{ON}north,d0,location,off,user,{LATER}{back}")
    assert {row["latitude"] is None for row in rows(home)} == {False}


def test_an_opt_in_of_one_subject_collects_no_other(home: Project) -> None:
    home.policy({**KEPT, "device_id": {**FIELDS["device_id"], "do": "drop"}})
    minimize.run(home.folder, date="2026-11-24", at=AT, output=home.out, keys=home.keys)
    (home.folder / "settings.csv").write_text(f"{HEAD}north,d0,location,on,user,{LATER}")
    assert {row["latitude"] is None for row in rows(home)} == {True}
