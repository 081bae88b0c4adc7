"""People in encrypted outputs: found, seen and deleted with the keyring that the act is asked with."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

import minimize
from minimize.governance.subjects import DataSubject, delete_subjects, view_subjects
from minimize.keys.parquet_footer import read_encrypted_columns
from minimize.removal.keys import shred_keys
from tests.governance.outputs import places, run
from tests.project import Builds, Project, events

RECORDS = events(120)
DEVICE = DataSubject("d3", "north")
HIS = sum(each["tenant_id"] == "north" and each["device_id"] == "d3" for each in RECORDS)


def filled_content(project: Project) -> None:
    project.pipeline(aggregates=None, records={"encrypt": "by_category"})
    project.records(RECORDS)
    run(project)


@pytest.fixture(name="filled")
def _filled(builds: Builds, project: Project) -> Project:
    return builds.fill(project, filled_content)


def test_a_device_is_seen(filled: Project) -> None:
    assert view_subjects([DEVICE], places(filled), datetime.now(UTC))[0].rows == HIS > 0


def test_a_device_is_deleted_and_the_rest_stays_encrypted(filled: Project) -> None:
    [receipt] = delete_subjects([DEVICE], places(filled), datetime.now(UTC), yes=True).receipts
    assert len(filled.rows(keys=filled.keys)) == len(RECORDS) - HIS
    assert view_subjects([DEVICE], places(filled), datetime.now(UTC))[0].rows == 0
    assert receipt.outputs["records"].files[0].keys == ("encrypt.footer/1", "encrypt.pseudonymized/1")
    assert all(read_encrypted_columns(Path(file)).masters for file in minimize.files(filled.out))
    minimize.verify(filled.out, keys=filled.keys)


def test_a_pseudonym_is_looked_up_by_the_index(filled: Project) -> None:
    found = minimize.read(filled.out, keys=filled.keys)
    pseudonym = found["device_id"][0].as_py()
    alone = minimize.read(filled.out, keys=filled.keys, subjects=pseudonym)
    assert alone.num_rows == found["device_id"].to_pylist().count(pseudonym)


def test_files_with_destroyed_keys_are_named_and_give_no_record(filled: Project) -> None:
    shred_keys(places(filled), datetime.now(UTC), key="encrypt.pseudonymized/1", yes=True)
    [seen] = view_subjects([DEVICE], places(filled), datetime.now(UTC))
    assert seen.rows == 0
    assert [each.reason for each in seen.unsearchable] == ["its keys were destroyed; it can no longer be read"]


def test_a_deletion_is_carried_out_where_other_files_cannot_be_read_any_more(filled: Project) -> None:
    shred_keys(places(filled), datetime.now(UTC), key="encrypt.pseudonymized/1", yes=True)
    done = delete_subjects([DEVICE], places(filled), datetime.now(UTC), yes=True)
    assert not done.receipts
