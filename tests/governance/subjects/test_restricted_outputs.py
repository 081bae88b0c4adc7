"""A restricted subject in outputs of every layout, and on every way out of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.governance.subjects import (
    DataSubject,
    RestrictionLift,
    SubjectRemoval,
    lift_restriction,
    restrict_subjects,
    view_subjects,
)
from minimize.keys.parquet_footer import read_encrypted_columns
from minimize.removal.keys import shred_keys
from minimize.report import create_report
from tests.calls import backfill, replay
from tests.governance.outputs import PER_TENANT, RECORDS, places, run
from tests.project import BEFORE, DAY, Project, event

D3 = DataSubject("d3", "north")
COUNT = sum((each["device_id"], each["tenant_id"]) == ("d3", "north") for each in RECORDS)
USER = {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "device"}}}


def restricted(project: Project, *subjects: DataSubject) -> SubjectRemoval:
    return restrict_subjects(subjects, places(project), datetime.now(UTC), yes=True)


def lifted(project: Project, *subjects: DataSubject) -> RestrictionLift:
    return lift_restriction(subjects, places(project), datetime.now(UTC), yes=True)


def stored(project: Project) -> int:
    return view_subjects([D3], places(project), datetime.now(UTC))[0].rows


def restored(project: Project, **options: Any) -> None:
    """Restricts and lifts a subject, and checks the output each time."""
    before = project.rows(**options)
    assert restricted(project, D3).rows == COUNT
    assert len(project.rows(**options)) == len(RECORDS) - COUNT
    minimize.verify(project.out, keys=project.keys)
    assert lifted(project, D3).rows == COUNT
    assert project.rows(**options) == before
    minimize.verify(project.out, keys=project.keys)


def test_an_output_without_dates(project: Project) -> None:
    project.source("ndjson.gz", "data/all/*.ndjson.gz", aggregates=None)
    project.pipeline(source={"path": "data/all/*.ndjson.gz", "format": "ndjson"}, aggregates=None)
    project.records(RECORDS, "all")
    run(project)
    restored(project)


def test_an_output_in_folders_of_tenants(project: Project) -> None:
    project.pipeline(records={"must_be": "pseudonymized", "partition_by": ["tenant_id"]}, aggregates=None)
    project.records(RECORDS)
    run(project)
    restored(project)


def test_an_encrypted_output_stays_encrypted(project: Project) -> None:
    project.pipeline(records={"encrypt": "by_category"}, aggregates=None)
    project.records(RECORDS)
    run(project)
    restored(project, keys=project.keys)
    assert all(read_encrypted_columns(Path(file)).masters for file in minimize.files(project.out))
    found = minimize.read(project.out, keys=project.keys)
    form = found["device_id"][0].as_py()
    alone = minimize.read(project.out, keys=project.keys, subjects=form)
    assert alone.num_rows == found["device_id"].to_pylist().count(form)


def test_a_destroyed_key_also_destroys_sealed_records(project: Project) -> None:
    project.pipeline(records={"encrypt": "by_category"}, aggregates=None)
    project.records(RECORDS)
    run(project)
    restricted(project, D3)
    shred_keys(places(project), datetime.now(UTC), key="encrypt.pseudonymized/1", yes=True)
    done = lifted(project, D3)
    assert (done.rows, [len(each.closed) for each in done.files.values()]) == (0, [1])


def test_a_user_named_by_another_field(project: Project) -> None:
    project.policy({"user": USER})
    project.pipeline(aggregates=None)
    records = [{**each, "user": f"u{number % 5}"} for number, each in enumerate(RECORDS)]
    project.records(records)
    run(project)
    user = DataSubject("u2", "north", "user")
    count = sum((each["user"], each["tenant_id"]) == ("u2", "north") for each in records)
    assert restricted(project, user).rows == count > 0
    assert run(project, date=DAY).gated_by.restricted == count
    assert lifted(project, user).rows == count
    minimize.verify(project.out, keys=project.keys)


def test_every_output_of_the_ledger(project: Project) -> None:
    project.pipeline(aggregates=None)
    project.records(RECORDS)
    run(project)
    other = project.folder / "other"
    run(project, output=other)
    assert restricted(project, D3).rows == 2 * COUNT
    assert len(project.rows(output=other)) == len(RECORDS) - COUNT
    assert lifted(project, D3).rows == 2 * COUNT
    assert len(project.rows(output=other)) == len(RECORDS)


def test_published_aggregates_stay_and_later_ones_omit_the_records(project: Project) -> None:
    project.pipeline(aggregates=PER_TENANT)
    project.records(RECORDS)
    run(project)
    before = {row["tenant_id"]: row["events"] for row in project.rows("per_tenant")}
    (receipt,) = restricted(project, D3).receipts
    assert receipt.stays is None
    assert {row["tenant_id"]: row["events"] for row in project.rows("per_tenant")} == before
    minimize.verify(project.out, keys=project.keys)
    project.records(RECORDS, BEFORE)
    run(project, date=BEFORE)
    later = {row["tenant_id"]: row["events"] for row in project.rows("per_tenant", dates=BEFORE)}
    assert later == {**before, "north": before["north"] - COUNT}


def test_a_replay_excludes_the_subject(project: Project) -> None:
    project.pipeline(aggregates=None)
    wrong = event(3, storage="much", event_id="wrong", device_id="d3", tenant_id="north")
    project.records([*RECORDS, wrong])
    run(project)
    restricted(project, D3)
    project.policy({"storage": None})
    replay(project.out, keys=project.keys, ledger=project.folder / "organization.db")
    assert stored(project) == 0
    assert len(project.rows()) == len(RECORDS) - COUNT


def test_a_backfill_excludes_the_subject(project: Project) -> None:
    project.pipeline(aggregates=None)
    project.records(RECORDS)
    run(project)
    restricted(project, D3)
    project.policy({"battery": {"type": "double", "do": {"bin": {"width": 50}}}}, version=4)
    body = {"backfill": "coarser", "pipeline": ".", "reason": "bins were too fine", "dates": [DAY]}
    (project.folder / "backfill.yaml").write_text(json.dumps(body))
    ledger = project.folder / "organization.db"
    backfill(project.folder / "backfill.yaml", output=project.out, keys=project.keys, ledger=ledger)
    assert {row["battery"] % 50 for row in project.rows()} == {0.0}
    assert stored(project) == 0
    lifted(project, D3)
    assert stored(project) == COUNT
    minimize.verify(project.out, keys=project.keys)


def test_the_report_counts_restrictions_and_no_restricted_record(project: Project) -> None:
    project.pipeline(aggregates=None)
    project.records(RECORDS)
    run(project)
    restricted(project, D3)
    ledger = project.folder / "organization.db"
    facts = create_report(project.out, keys=project.keys, ledger=ledger).to_json()
    assert [each["kind"] for each in facts["removals"]] == ["restrict"]
    assert [each["rows"] for each in facts["outputs"]] == [len(RECORDS) - COUNT]


def test_an_aggregate_cannot_have_the_name_of_the_folder(project: Project) -> None:
    project.pipeline(aggregates={"restricted": PER_TENANT["per_tenant"]})
    with pytest.raises(minimize.MinimizeError, match="restricted"):
        run(project)
