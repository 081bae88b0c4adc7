"""Ids that differ in padding, normalization or (where the policy folds) case are one subject, whatever asks about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import minimize
from minimize.errors import PolicyError
from tests.project import AT, BEFORE, DAY, FIELDS, SETTINGS, Project, event, new_project, table

VARIANTS = {
    "trailing space": "B-1 ",
    "leading no-break space": "\u00a0B-1",
    "zero-width space": "B-1\u200b",
    "byte order mark": "\ufeffB-1",
    "tab and line feed": "\tB-1\n",
}
EXACT = {"exact": {"because": "the test compares figures"}}
PADDINGS = ["B-1", " B-1", "B-1 ", " B-1 ", "\tB-1", "B-1\t", "\u00a0B-1", "B-1\u2003", "B-1\u200b", "\ufeffB-1"]
OFF = "north,{subject},location,off,user,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n"
FOLDED = {
    "device_id": {**FIELDS["device_id"], "do": {"pseudonymize": {"key": "device", "per": "tenant_id", "fold": True}}}
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    new = new_project(tmp_path)
    new.pipeline(aggregates=None)
    return new


def of(*devices: Any, **changes: Any) -> list[dict[str, Any]]:
    """One event a device, at the same place."""
    return [
        event(number, **{"tenant_id": "north", "device_id": device, "latitude": 48.0, "model": "A"} | changes)
        for number, device in enumerate(devices)
    ]


def released(project: Project, name: str) -> set[Any]:
    return {row[name] for row in project.rows()}


def switch_off(project: Project, *subjects: str) -> None:
    rows = "".join(OFF.format(subject=subject) for subject in subjects)
    (project.folder / "settings.csv").write_text(SETTINGS + rows, encoding="utf-8")


@pytest.mark.parametrize("kind", ["ndjson", "csv", "parquet"])
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=list(VARIANTS))
def test_a_padded_id_has_the_settings_of_its_subject(project: Project, variant: str, kind: str) -> None:
    switch_off(project, "B-1")
    if kind == "ndjson":
        project.records(of("B-1", variant, "B-2"))
    else:
        project.columns(table(of("B-1", variant, "B-2")), kind=kind)
        project.source(kind, aggregates=None)
    project.run()
    rows = [(row["device_id"], row["latitude"]) for row in project.rows()]
    assert len(rows) == 3
    assert len({device for device, _ in rows}) == 2
    assert sorted(latitude is None for _, latitude in rows) == [False, True, True]


@pytest.mark.parametrize(("one", "other"), [("caf\u00e9", "cafe\u0301"), ("cafe\u0301", "caf\u00e9")])
def test_decomposed_and_composed_ids_are_one_subject(project: Project, one: str, other: str) -> None:
    switch_off(project, one)
    project.records(of(one, other))
    project.run()
    assert len(released(project, "device_id")) == 1
    assert released(project, "latitude") == {None}


def test_ids_that_differ_in_case_are_one_subject_where_the_policy_folds(project: Project) -> None:
    project.policy(FOLDED)
    switch_off(project, "b-1")
    project.records(of("B-1", "b-1", "B-1 "))
    project.run()
    assert len(released(project, "device_id")) == 1
    assert released(project, "latitude") == {None}


def test_ids_that_differ_in_case_are_two_subjects_otherwise(project: Project) -> None:
    switch_off(project, "b-1")
    project.records(of("B-1", "b-1"))
    project.run()
    assert len(released(project, "device_id")) == 2
    assert released(project, "latitude") == {None, 48.0}


@pytest.mark.parametrize("padded", ["B-1 ", "\u00a0B-1", "B-1\u200b"])
def test_padding_in_a_settings_file_changes_nothing(project: Project, padded: str) -> None:
    switch_off(project, padded)
    project.records(of("B-1", "B-1 "))
    project.run()
    assert released(project, "latitude") == {None}


def test_a_padded_tenant_is_the_tenant(project: Project) -> None:
    (project.folder / "settings.csv").write_text(SETTINGS.replace("north,", "north\u00a0,"), encoding="utf-8")
    project.records([*of("B-1"), *of("B-1", tenant_id="north "), *of("B-1", tenant_id="\u200bnorth")])
    project.run()
    assert [(row["tenant_id"], row["latitude"]) for row in project.rows()] == 3 * [("north", 48.0)]
    assert len(released(project, "device_id")) == 1


def test_tenants_are_written_to_partitions_in_one_form(project: Project) -> None:
    project.pipeline(aggregates=None, records={"must_be": "pseudonymized", "partition_by": ["tenant_id"]})
    project.records([*of("B-1"), *of("B-1", tenant_id="north ")])
    project.run()
    assert {Path(name).parent.name for name in project.files() if name.startswith("records/")} == {"tenant_id=north"}


@pytest.mark.parametrize("kind", ["ndjson", "csv", "parquet"])
@pytest.mark.parametrize("blank", ["", " ", "\u200b", "\u00a0\ufeff"])
@pytest.mark.parametrize("name", ["tenant_id", "device_id"])
def test_a_blank_id_is_a_missing_field(project: Project, name: str, blank: str, kind: str) -> None:
    given = [*of("B-1"), *of("B-2", **{name: blank})]
    project.source(kind, "data/{date}/*" if kind == "ndjson" else None, aggregates=None, quarantine={"fail_above": 0.9})
    if kind == "ndjson":
        project.records(given)
    else:
        project.columns(table(given), kind=kind)
    receipt = project.run()
    assert (receipt.rows.quarantined, receipt.rows.written) == (1, 1)
    (rejected,) = pq.read_table(next((project.out / "quarantine").rglob("*.parquet"))).to_pylist()
    assert (rejected["code"], rejected["field"]) == ("missing_field", f"/{name}")


def test_a_blank_subject_in_settings_is_an_error_with_its_line(project: Project) -> None:
    switch_off(project, "\u200b")
    project.records(of("B-1"))
    with pytest.raises(PolicyError) as caught:
        project.run()
    (finding,) = caught.value.findings
    assert (finding.code, finding.line, finding.field) == ("C003", 3, "subject")
    assert str(finding.file).endswith("settings.csv")


def test_ten_paddings_of_one_id_are_one_subject_of_an_aggregate(project: Project) -> None:
    suppress = {"below": 10, "counting": "device_id"}
    measures = {"events": "count", "devices": {"count_distinct": "device_id"}}
    group = {"group_by": {"tenant_id": "tenant_id"}, "measures": measures, "suppress": suppress} | EXACT
    project.pipeline(aggregates={"per_tenant": group})
    project.records(of(*PADDINGS))
    project.run()
    assert project.rows("per_tenant") == []
    minimize.verify(project.out, keys=project.keys)


def test_ten_paddings_of_another_counted_id_are_one(project: Project) -> None:
    project.policy({"user_id": {"type": "string", "role": "identifier", "do": "drop"}})
    suppress = {"below": 10, "counting": "user_id"}
    group = {"group_by": {"tenant_id": "tenant_id"}, "measures": {"events": "count"}, "suppress": suppress}
    group |= EXACT
    project.pipeline(aggregates={"per_tenant": group})
    project.records([event | {"user_id": user} for event, user in zip(of(*map(str, range(10))), PADDINGS, strict=True)])
    project.run()
    assert project.rows("per_tenant") == []


def test_paddings_of_one_id_do_not_make_a_value_frequent(project: Project) -> None:
    others = [*of("d1", "d2", "d3", model="common"), *of("d4", model="x"), *of("d5", model="y")]
    project.records([*of(*PADDINGS, model="rare"), *others])
    project.run()
    assert released(project, "model") == {"common", "other"}
    minimize.verify(project.out, keys=project.keys)


def test_duplicates_are_found_under_any_padding(project: Project) -> None:
    rule = {"by": ["device_id"], "per": "day"}
    project.pipeline(aggregates=None, records={"must_be": "pseudonymized", "deduplicate": rule})
    project.records(of(*PADDINGS))
    project.run()
    assert len(project.rows()) == 1


def test_folded_duplicates_are_found_in_any_case(project: Project) -> None:
    project.policy(FOLDED)
    rule = {"by": ["device_id"], "per": "day"}
    project.pipeline(aggregates=None, records={"must_be": "pseudonymized", "deduplicate": rule})
    project.records(of("B-1", "b-1", "B-1 "))
    project.run()
    assert len(project.rows()) == 1


def test_pseudonyms_of_clean_ids_do_not_depend_on_other_ids_of_the_batch(project: Project) -> None:
    project.records(of("B-1", "B-2"), day=BEFORE)
    project.records(of("B-1", "B-2 ", "\u200bB-1"))
    for day in (BEFORE, DAY):
        project.run(date=day)
    written: dict[str, set[str]] = {}
    for name in project.files():
        if name.startswith("records/"):
            written.setdefault(Path(name).parent.name, set()).update(
                pq.read_table(project.out / name)["device_id"].to_pylist()
            )
    assert written[f"date={BEFORE}"] == written[f"date={DAY}"]


def test_in_memory_a_padded_id_has_the_settings_of_its_subject(project: Project) -> None:
    switch_off(project, "B-1")
    project.policy({"model": {"type": "string", "do": "keep"}})
    data = table(of("B-1", "B-1 ", "\u00a0B-1"))
    for column in (data, data.set_column(2, "device_id", data["device_id"].dictionary_encode())):
        found: pa.Table = minimize.apply(
            project.folder / "policy.yaml", column, settings=project.folder / "settings.csv", keys=project.keys, at=AT
        )
        assert found["latitude"].to_pylist() == [None, None, None]
        assert len(set(found["device_id"].to_pylist())) == 1


def test_lint_reports_rows_of_settings_that_are_not_canonical(project: Project) -> None:
    switch_off(project, "B-1", "B-2 ", "caf\u00e9", "cafe\u0301")
    project.records(of("B-1"))
    found = [each for each in minimize.lint(project.folder) if each.code == "L046"]
    assert [(each.severity, each.line) for each in found] == [("warning", 4), ("warning", 6)]
    assert all(str(each.file).endswith("settings.csv") and "B-2" not in each.message for each in found)


@pytest.mark.parametrize("kind", ["ndjson", "parquet"])
def test_ten_spellings_of_one_id_do_not_name_an_undeclared_field(project: Project, kind: str) -> None:
    given = of(*PADDINGS, "b-1", *(f"d{number}" for number in range(10)))
    for record in given[:11]:
        record["secret_hobby"] = "x"
    if kind == "ndjson":
        project.records(given)
    else:
        extra = pa.array([record.get("secret_hobby") for record in given])
        project.columns(table(given).append_column("secret_hobby", extra))
        project.source(kind, aggregates=None)
    assert project.run().undeclared == {"/*": 11}
