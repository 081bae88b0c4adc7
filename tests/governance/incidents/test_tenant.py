"""What an incident came to for one tenant."""

from __future__ import annotations

from minimize.governance.incidents.exposed_columns import ExposedColumn, ExposedForm
from minimize.governance.incidents.scope import AffectedTenant, PersonCount, TenantFinding

DAY_US = 86_400_000_000


def column(name: str = "model", form: ExposedForm = "pseudonymized") -> ExposedColumn:
    return ExposedColumn(name, "pseudonymized", form, "keep")


def found(
    place: str = "a", *columns: ExposedColumn, rows: int = 3, since: int | None = 0, until: int | None = 0
) -> TenantFinding:
    return TenantFinding("output:out", place, frozenset(columns or [column()]), rows, since, until)


def test_records_that_were_exposed_twice_count_once() -> None:
    assert AffectedTenant("north", None, (found(rows=3), found(rows=2), found("b", rows=4))).rows == 7


def test_of_several_forms_of_a_column_the_one_that_tells_most_counts() -> None:
    here = found("a", column(form="encrypted")), found("b", column(form="identified"), column("os", "encrypted"))
    this = AffectedTenant("north", None, here)
    assert [(each.name, each.form) for each in this.columns] == [("model", "identified"), ("os", "encrypted")]
    assert (this.form, this.needs_notice) == ("identified", True)


def test_what_is_encrypted_or_names_nobody_needs_no_notice() -> None:
    assert not AffectedTenant(
        "north", None, (found("a", column(form="encrypted"), column("os", "aggregated")),)
    ).needs_notice


def test_the_period_goes_from_the_first_to_the_last() -> None:
    said = AffectedTenant("north", None, (found(since=0, until=DAY_US), found("b", since=-DAY_US, until=0))).as_json()
    assert said["period"] == {"from": "1969-12-31T00:00:00Z", "to": "1970-01-02T00:00:00Z"}


def test_where_one_beginning_is_not_known_none_is_said() -> None:
    said = AffectedTenant("north", None, (found(), found("b", since=None, until=DAY_US))).as_json()
    assert said["period"] == {"from": None, "to": "1970-01-02T00:00:00Z"}


def test_how_many_is_said_as_it_is_known() -> None:
    assert [str(PersonCount(1200, exact)) for exact in (True, False)] == ["1,200", "at most 1,200"]
