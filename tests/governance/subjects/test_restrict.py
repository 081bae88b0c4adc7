"""Records of a restricted subject are sealed outside the data roots, until the restriction is lifted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest

import minimize
from minimize.errors import ConfigurationError, OutputError, RefusedError, VerificationError
from minimize.governance.events import list_events, withdraw_event
from minimize.governance.subjects import (
    CorrectionEvidence,
    DataSubject,
    RestrictionLift,
    SubjectRemoval,
    correct_subject,
    delete_subjects,
    export_then_delete,
    lift_restriction,
    load_subjects,
    request_statuses,
    restrict_subjects,
    view_subjects,
    with_unconfirmed_outputs,
)
from minimize.keys.keyring import new_keyring
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from minimize.removal.expire import expire
from minimize.removal.retract import Retraction, retract
from minimize.runs.verify import check_output
from tests.calls import rebuild_index, void_run
from tests.governance.outputs import RECORDS, places, run
from tests.project import BEFORE, DAY, SCHEMA, Project, event, table

D3, D4 = DataSubject("d3", "north"), DataSubject("d4", "south")
NORTH = DataSubject(None, "north")
CASE = CorrectionEvidence("subject_request", "CASE-7")


def restricted(project: Project, *subjects: DataSubject, yes: bool = True) -> SubjectRemoval:
    return restrict_subjects(subjects, places(project), datetime.now(UTC), yes=yes)


def lifted(project: Project, *subjects: DataSubject, yes: bool = True) -> RestrictionLift:
    return lift_restriction(subjects, places(project), datetime.now(UTC), yes=yes)


def deleted(project: Project, *subjects: DataSubject) -> SubjectRemoval:
    return delete_subjects(subjects, places(project), datetime.now(UTC), yes=True)


def lifted_at(project: Project) -> datetime | None:
    with open_ledger(find_ledger(project.folder / "organization.db")) as book:
        (restriction,) = [each for each in request_statuses(book) if each.last.kind == "restrict"]
    return restriction.lifted_at


def count(*subjects: DataSubject) -> int:
    return sum(
        each["tenant_id"] == subject.tenant and subject.id in (None, each["device_id"])
        for each in RECORDS
        for subject in subjects
    )


def sealed_files(project: Project) -> list[str]:
    return sorted(path.relative_to(project.out).as_posix() for path in project.out.glob("restricted/**/*.sealed"))


def restored_from_before(project: Project, change: Callable[[], object]) -> None:
    """The output as it was before a change, while the ledger has the change."""
    older = shutil.copytree(project.out, project.folder / "older")
    change()
    shutil.rmtree(project.out)
    older.rename(project.out)


def request_lines(project: Project) -> str:
    now = datetime.now(UTC)
    with open_ledger(find_ledger(project.folder / "organization.db")) as book:
        return "\n".join(
            str(line) for each in with_unconfirmed_outputs(request_statuses(book), book) for line in each.lines(now)
        )


def states(project: Project) -> list[tuple[str, str]]:
    with open_ledger(find_ledger(project.folder / "organization.db")) as book:
        return [(each.last.kind, each.last.state) for each in request_statuses(book)]


def verified(project: Project) -> None:
    minimize.verify(project.out, keys=project.keys)


def test_without_yes_nothing_is_changed(filled: Project) -> None:
    before = filled.files()
    plan = restricted(filled, D3, yes=False)
    assert (plan.rows, plan.receipts, filled.files()) == (2 * count(D3), (), before)
    assert sealed_files(filled) == []


def test_a_restriction_seals_the_records_and_lifting_it_publishes_them_again(filled: Project) -> None:
    before = filled.rows()
    done = restricted(filled, D3)
    (receipt,) = done.receipts
    assert (receipt.kind, receipt.gated_by.restricted, receipt.gated_by.erased) == ("restrict", 2 * count(D3), 0)
    assert len(filled.rows()) == len(before) - 2 * count(D3)
    assert [each.path for each in receipt.restricted or ()] == sealed_files(filled)
    assert {path.split("/")[1] for path in sealed_files(filled)} == {f"date={DAY}", f"date={BEFORE}"}
    verified(filled)
    back = lifted(filled, D3)
    assert (back.rows, [each.kind for each in back.receipts]) == (2 * count(D3), ["lift"])
    assert filled.rows() == before
    assert sealed_files(filled) == []
    assert states(filled) == [("restrict", "done"), ("lift", "done")]
    verified(filled)


def test_no_reader_of_the_folder_finds_a_restricted_subject(filled: Project) -> None:
    before = {row["device_id"] for row in filled.rows()}
    restricted(filled, D3)
    (form,) = before - {row["device_id"] for row in filled.rows()}
    paths = f"{filled.out}/**/*.parquet"
    query = f"select distinct device_id from read_parquet('{paths}', union_by_name=true)"
    found = duckdb.connect().execute(query).fetchall()
    assert {row[0] for row in found} == before - {form}
    assert not any(form.encode() in path.read_bytes() for path in filled.out.rglob("*") if path.is_file())


def test_runs_reruns_and_late_files_exclude_a_restricted_subject(filled: Project) -> None:
    restricted(filled, D3)
    receipt = run(filled, date=DAY)
    assert (receipt.gated_by.restricted, receipt.gated_by.erased) == (count(D3), 0)
    future = event(1, device_id="d3", tenant_id="north", event_id="late")
    filled.records([future], name="late")
    assert run(filled, date=DAY).gated_by.restricted == count(D3) + 1
    verified(filled)
    lifted(filled, D3)
    assert len(filled.rows()) == 2 * len(RECORDS)
    assert run(filled, date=DAY).gated_by.restricted is None
    assert len(filled.rows()) == 2 * len(RECORDS) + 1
    verified(filled)


def test_data_in_memory_excludes_a_restricted_subject(filled: Project) -> None:
    restricted(filled, D3)
    given: dict[str, Any] = {"ledger": filled.folder / "organization.db", "keys": filled.keys}
    ready = minimize.prepare(filled.folder / "policy.yaml", SCHEMA, purpose="service_maintenance", **given)
    assert ready(table(RECORDS)).num_rows == len(RECORDS) - count(D3)
    assert ready.last is not None
    assert ready.last.gated["restricted"] == count(D3)


def test_expire_seals_a_restricted_subject_again_in_an_output_from_a_backup(
    filled: Project, caplog: pytest.LogCaptureFixture
) -> None:
    published = filled.rows()
    restored_from_before(filled, lambda: restricted(filled, D3))
    assert filled.rows() == published
    assert f"not confirmed in {filled.out}" in request_lines(filled)
    assert "in force" not in request_lines(filled)

    options: dict[str, Any] = {"keys": filled.keys, "ledger": filled.folder / "organization.db"}
    assert expire(filled.out, **options).sealed == 2 * count(D3)
    assert "restricted subjects would be sealed again" in "\n".join(map(str, expire(filled.out, **options).lines()))
    assert "W017" in {getattr(record, "code", "") for record in caplog.records}
    assert expire(filled.out, yes=True, **options).sealed == 2 * count(D3)
    assert len(filled.rows()) == len(published) - 2 * count(D3)
    (finding,) = check_output(filled.out, **options)
    assert finding.code == "V009"
    again = expire(filled.out, yes=True, **options)
    assert (again.sealed, again.receipts) == (0, ())

    rebuild_index([filled.out], options["ledger"], keys=filled.keys, now=datetime.now(UTC))
    assert "in force" in request_lines(filled)
    assert check_output(filled.out, **options) == []
    assert lifted(filled, D3).rows == 2 * count(D3)
    assert sorted(filled.rows(), key=str) == sorted(published, key=str)
    assert check_output(filled.out, **options) == []


def test_expire_seals_nothing_after_a_restriction_was_lifted(filled: Project) -> None:
    restricted(filled, D3)
    lifted(filled, D3)
    found = expire(filled.out, yes=True, keys=filled.keys, ledger=filled.folder / "organization.db")
    assert (found.sealed, found.receipts) == (0, ())


def test_the_status_names_a_correction_that_an_output_from_a_backup_lacks(filled: Project) -> None:
    now = datetime.now(UTC)
    values = {"storage": "3000000000"}
    restored_from_before(filled, lambda: correct_subject(D3, values, CASE, places(filled), now, yes=True))
    assert "which lacks its receipts: correct the values again" in request_lines(filled)


def test_restricting_twice_records_one_restriction(filled: Project) -> None:
    restricted(filled, D3)
    again = restricted(filled, D3)
    assert (again.rows, again.receipts, again.restricted) == (0, (), 1)
    assert "1 subject is restricted already" in "\n".join(map(str, again.lines()))
    assert [each.row.kind for each in list_events(places(filled))] == ["restriction"]
    assert lifted(filled, D3).rows == 2 * count(D3)


def test_a_restriction_by_a_clock_that_was_ahead_ends_when_it_is_lifted(filled: Project) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    (receipt,) = restrict_subjects([D3], places(filled), tomorrow, yes=True).receipts
    assert lifted_at(filled) is None
    own = {"output": filled.out, "keys": filled.keys, "ledger": filled.folder / "organization.db"}
    void_run(receipt.run_id, "the clock was ahead", **own)
    assert lifted(filled, D3).rows == 2 * count(D3)
    assert lifted_at(filled) is not None


def test_lifting_twice_is_refused(filled: Project) -> None:
    restricted(filled, D3)
    lifted(filled, D3)
    with pytest.raises(ConfigurationError, match="no restriction is in force") as caught:
        lifted(filled, D3)
    assert "lifted before needs nothing more; `minimize subject status` shows when" in str(caught.value.hint)
    with pytest.raises(ConfigurationError, match="no restriction is in force"):
        lifted(filled, D4)


def test_only_lifting_ends_a_restriction(filled: Project) -> None:
    restricted(filled, D3)
    (entry,) = list_events(places(filled))
    with pytest.raises(ConfigurationError, match="lifted"):
        withdraw_event(entry.row.id, places(filled), datetime.now(UTC))


def test_a_subject_can_be_lifted_without_its_tenant(filled: Project) -> None:
    restricted(filled, D3, D4)
    assert lifted(filled, DataSubject("d3")).rows == 2 * count(D3)
    assert len(filled.rows()) == 2 * (len(RECORDS) - count(D4))
    verified(filled)
    assert lifted(filled, D4).rows == 2 * count(D4)
    assert sealed_files(filled) == []


def test_a_tenant_stays_restricted_if_one_of_its_subjects_is_lifted(filled: Project) -> None:
    restricted(filled, D3)
    restricted(filled, NORTH)
    assert {row["tenant_id"] for row in filled.rows()} == {"south"}
    assert lifted(filled, D3).rows == 0
    verified(filled)
    assert lifted(filled, NORTH).rows == 2 * count(NORTH)
    assert len(filled.rows()) == 2 * len(RECORDS)
    verified(filled)


def test_a_subject_stays_restricted_if_its_tenant_is_lifted(filled: Project) -> None:
    restricted(filled, NORTH)
    restricted(filled, D3)
    assert lifted(filled, NORTH).rows == 2 * (count(NORTH) - count(D3))
    verified(filled)
    assert lifted(filled, D3).rows == 2 * count(D3)


def test_ids_that_differ_in_case_are_different_subjects(filled: Project) -> None:
    upper = DataSubject("D3", "north")
    assert restrict_subjects([upper], places(filled), datetime.now(UTC), yes=True, allow_unknown=True).rows == 0
    assert run(filled, date=DAY).gated_by.restricted is None
    with pytest.raises(ConfigurationError):
        lifted(filled, D3)


def test_a_deletion_reaches_sealed_records(filled: Project) -> None:
    restricted(filled, D3, D4)
    done = deleted(filled, D3)
    assert done.rows == 2 * count(D3)
    assert [(each.kind, each.gated_by.erased) for each in done.receipts] == [("delete", 2 * count(D3))]
    verified(filled)
    back = lifted(filled, D3, D4)
    assert (back.rows, back.removal_counts) == (2 * count(D4), {})
    assert sealed_files(filled) == []
    verified(filled)


def test_retention_reaches_sealed_records(filled: Project) -> None:
    restricted(filled, D3)
    filled.policy(retention="1d")
    later = datetime.now(UTC) + timedelta(days=4000)
    plan = expire(
        filled.out, at=later, keys=filled.keys, ledger=filled.folder / "organization.db", yes=True, allow_shrink=True
    )
    assert any(each.name == "restricted" for each in plan.plan.due)
    assert sealed_files(filled) == []
    assert filled.rows() == []
    verified(filled)


def test_lifting_removes_records_past_their_retention(filled: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIMIZE_ALLOW_TIME", "1")
    restricted(filled, D3)
    filled.policy(retention="1d")
    back = lift_restriction([D3], places(filled), datetime.now(UTC) + timedelta(days=4000), yes=True)
    assert (back.rows, back.removal_counts) == (0, {"retention": 2 * count(D3)})
    assert sealed_files(filled) == []
    verified(filled)


def test_records_return_under_the_policy_that_they_were_written_under(filled: Project) -> None:
    before = filled.rows()
    restricted(filled, D3)
    filled.policy(fields={"model": {"type": "string", "do": "drop"}}, version=4)
    assert lifted(filled, D3).rows == 2 * count(D3)
    assert filled.rows() == before
    verified(filled)


@pytest.mark.parametrize("fault", ["changed", "missing", "foreign"])
def test_verify_checks_sealed_files(filled: Project, fault: str) -> None:
    restricted(filled, D3)
    path = filled.out / sealed_files(filled)[0]
    if fault == "changed":
        path.write_bytes(path.read_bytes() + b"x")
    elif fault == "missing":
        path.unlink()
    else:
        path.with_name("foreign.sealed").write_bytes(path.read_bytes())
    with pytest.raises(VerificationError):
        verified(filled)


def test_a_sealed_file_of_another_place_is_refused(filled: Project) -> None:
    restricted(filled, D3)
    one, other = (filled.out / path for path in sealed_files(filled))
    one.write_bytes(other.read_bytes())
    before = len(filled.rows())
    with pytest.raises(OutputError, match="damaged"):
        lifted(filled, D3)
    assert len(filled.rows()) == before


def test_with_another_ledger_neither_is_done(filled: Project) -> None:
    restricted(filled, D3)
    (filled.folder / "organization.db").rename(filled.folder / "lost.db")
    named = [filled.out]
    with pytest.raises(RefusedError, match="name a ledger"):
        restrict_subjects([D4], places(filled), datetime.now(UTC), named=named, yes=True)
    with pytest.raises(RefusedError, match="name a ledger"):
        lift_restriction([D3], places(filled), datetime.now(UTC), named=named, yes=True)
    assert not (filled.folder / "organization.db").exists()


def test_with_a_lost_ledger_neither_is_planned(filled: Project) -> None:
    restricted(filled, D3)
    (filled.folder / "organization.db").rename(filled.folder / "lost.db")
    own = replace(places(filled), output=filled.out)
    for make in (restrict_subjects, lift_restriction):
        with pytest.raises(RefusedError, match="name a ledger") as caught:
            make([D3], own, datetime.now(UTC))
        assert caught.value.code == "E303"


def test_a_subject_of_which_no_data_is_held_is_restricted_only_on_request(filled: Project) -> None:
    nobody = DataSubject("d99", "north")
    plan = restricted(filled, D3, nobody, yes=False)
    assert "no data is held of 1 named subject" in "\n".join(map(str, plan.lines()))
    with pytest.raises(ConfigurationError, match="nothing was restricted") as caught:
        restricted(filled, D3, nobody)
    assert "--allow-unknown-subject" in caught.value.hint
    assert (list_events(places(filled)), sealed_files(filled)) == ([], [])
    restrict_subjects([nobody], places(filled), datetime.now(UTC), yes=True, allow_unknown=True)
    filled.records([event(1, device_id="d99", tenant_id="north", event_id="late")], name="late")
    assert run(filled, date=DAY).gated_by.restricted == 1


def test_errors_name_the_line_of_a_file_of_subjects(filled: Project) -> None:
    restricted(filled, D3)
    file = filled.folder / "subjects.csv"
    file.write_text("subject,tenant_id\nd3,north\nd99,north\n")
    subjects = load_subjects(file)
    for make, code in ((restrict_subjects, "Q012"), (lift_restriction, "Q011")):
        with pytest.raises(ConfigurationError) as caught:
            make(subjects, places(filled), datetime.now(UTC), yes=True)
        assert [(each.code, each.line) for each in caught.value.findings] == [(code, 3)]
        assert "d99" not in str(caught.value)


def test_with_another_keyring_the_error_names_the_keyring(filled: Project) -> None:
    restricted(filled, D3)
    new_keyring(filled.folder / "other.keys", ["device"], now=datetime.now(UTC))
    other = replace(places(filled), keys=filled.folder / "other.keys")
    for make in (restrict_subjects, lift_restriction):
        with pytest.raises(RefusedError, match="not signed by a known key") as caught:
            make([D3], other, datetime.now(UTC), yes=True)
        assert caught.value.code == "E316"
        assert "the keyring (--keys, MINIMIZE_KEYS)" in str(caught.value.hint)
    with pytest.raises(RefusedError, match="not signed by a known key"):
        correct_subject(D3, {"battery": "42"}, CASE, other, datetime.now(UTC))


def test_plans_with_another_keyring_are_refused_like_their_execution(filled: Project) -> None:
    """The plan and the execution of every request ask for the permission, under acts that the keyring must prove."""
    restricted(filled, D3)
    new_keyring(filled.folder / "other.keys", ["device"], now=datetime.now(UTC))
    right = places(filled)
    other = replace(right, keys=filled.folder / "other.keys")
    for make in (restrict_subjects, delete_subjects, lift_restriction):
        make([D3], right, datetime.now(UTC), yes=False)
        with pytest.raises(RefusedError, match="not signed by a known key"):
            make([D3], other, datetime.now(UTC), yes=False)


def values_of_d3(project: Project, name: str) -> set[Any]:
    (found,) = view_subjects([D3], places(project), datetime.now(UTC), restricted=True)
    return {value for each in (*found.records, *found.restricted) for value in each.rows[name].to_pylist()}


def retracted(project: Project) -> Retraction:
    return retract(project.out, keys=project.keys, ledger=project.folder / "organization.db", yes=True)


def test_a_deletion_counts_the_sealed_records_that_its_plan_counted(filled: Project) -> None:
    sealed = restricted(filled, D3).rows
    planned = delete_subjects([D3], places(filled), datetime.now(UTC))
    done = delete_subjects([D3], places(filled), datetime.now(UTC), yes=True)
    assert planned.rows == done.rows == sealed > 0
    assert [each.partitions for each in done.plans.values()] == [each.partitions for each in planned.plans.values()]
    minimize.verify(filled.out, keys=filled.keys)


def test_a_correction_reaches_sealed_records(filled: Project) -> None:
    restricted(filled, D3)
    before = filled.rows()
    done = correct_subject(D3, {"storage": "3000000000"}, CASE, places(filled), datetime.now(UTC), yes=True)
    assert [(each.kind, len(each.restricted or ())) for each in done.receipts] == [("correct", 2)]
    assert (filled.rows(), len(values_of_d3(filled, "storage"))) == (before, 1)
    verified(filled)
    (corrected,) = values_of_d3(filled, "storage")
    lifted(filled, D3)
    assert values_of_d3(filled, "storage") == {corrected}
    run(filled, date=DAY)
    assert values_of_d3(filled, "storage") == {corrected}
    verified(filled)


def test_todays_policy_reaches_sealed_records(filled: Project) -> None:
    restricted(filled, D3)
    filled.policy(fields={"model": {"type": "string", "do": "drop"}}, version=4)
    done = retracted(filled)
    assert sorted((each.kind, each.from_) for each in done.receipts) == [
        ("retract", "output"),
        ("retract", "source"),
        ("retract", "source"),
    ]
    assert values_of_d3(filled, "model") == {None}
    assert retracted(filled).is_empty
    verified(filled)
    assert lifted(filled, D3).rows == 2 * count(D3)
    assert {row.get("model") for row in filled.rows()} == {None}
    verified(filled)


def test_sealed_records_keep_a_form_that_is_coarser_than_todays(filled: Project) -> None:
    restricted(filled, D3)
    before = values_of_d3(filled, "battery")
    filled.policy(fields={"battery": {"type": "double", "do": "keep"}}, version=4)
    assert {each.from_ for each in retracted(filled).receipts} == {"source"}
    assert values_of_d3(filled, "battery") == before
    assert retracted(filled).is_empty


def test_todays_policy_reaches_records_that_were_sealed_while_it_came_into_force(filled: Project) -> None:
    restricted(filled, D3)
    filled.policy(fields={"model": {"type": "string", "do": "drop"}}, version=4)
    run(filled, date=DAY)
    run(filled, date=BEFORE)
    lifted(filled, D3)
    assert values_of_d3(filled, "model") != {None}
    assert retracted(filled).rerun_dates == (BEFORE, DAY)
    assert "model" not in filled.rows()[0]
    assert len(filled.rows()) == 2 * len(RECORDS)
    assert retracted(filled).is_empty
    verified(filled)


def test_a_feature_past_its_retention_is_removed_from_sealed_records(filled: Project) -> None:
    restricted(filled, D3)
    assert values_of_d3(filled, "latitude") != {None}
    filled.policy(features={"location": {"about": "position", "retention": "1h"}}, version=4)
    later = datetime.now(UTC) + timedelta(days=2)
    ledger = filled.folder / "organization.db"
    expire(filled.out, at=later, keys=filled.keys, ledger=ledger, yes=True, allow_shrink=True)
    assert values_of_d3(filled, "latitude") == {None}
    verified(filled)


def test_an_export_that_would_leave_out_sealed_records_deletes_nothing(filled: Project) -> None:
    restricted(filled, D3)
    for yes in (False, True):
        with pytest.raises(RefusedError, match="restricted") as caught:
            export_then_delete([D3], filled.folder / "export", places(filled), datetime.now(UTC), yes=yes)
        assert "subject lift" in str(caught.value.hint)
    assert not (filled.folder / "export").exists()
    assert lifted(filled, D3).rows == 2 * count(D3)


def test_a_restricted_subject_is_deleted_without_its_tenant(filled: Project) -> None:
    restricted(filled, D3)
    south = DataSubject("d3", "south")
    assert deleted(filled, DataSubject("d3")).rows == 2 * count(D3, south)
    assert sealed_files(filled) == []
