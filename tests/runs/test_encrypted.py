"""Runs whose records are encrypted by category."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import minimize
from minimize.errors import KeyringError, PolicyError, RefusedError
from minimize.keys import Keyring, find_kms, new_keyring
from minimize.keys.keyring import destroy_key
from minimize.keys.parquet_encryption import open_parquet
from minimize.keys.parquet_footer import read_encrypted_columns
from minimize.ledger.audit_event import EntryFilter
from tests.calls import log_entries
from tests.project import AGGREGATES, AT, DAY, Project, events

ENCRYPTED: dict[str, Any] = {"must_be": "pseudonymized", "encrypt": "by_category"}
PER_TENANT = {"partition_by": ["tenant_id"], "encrypt": {"by_category": {"per": "tenant_id"}}}


def closed(project: Project) -> set[str]:
    """The columns of records that are encrypted."""
    return {column for file in minimize.files(project.out) for column in read_encrypted_columns(Path(file)).masters}


def test_by_default_nothing_is_encrypted(project: Project) -> None:
    project.records(events(50))
    receipt = project.run()
    assert closed(project) == set()
    assert receipt.outputs["records"].files[0].keys is None


def test_records_are_encrypted_and_read_with_keys(project: Project) -> None:
    project.records(events(50))
    project.run()
    plain = project.rows()
    project.pipeline(records=ENCRYPTED)
    project.run()
    assert project.rows(keys=project.keys) == plain
    assert closed(project) == set(plain[0]) - {"date"}


def test_aggregates_stay_open(project: Project) -> None:
    project.records(events(50))
    project.pipeline(records=ENCRYPTED, aggregates={"per_model": AGGREGATES["per_model"] | {"encrypt": "by_category"}})
    project.run()
    assert project.rows("per_model")
    assert all(not read_encrypted_columns(Path(file)).masters for file in minimize.files(project.out, "per_model"))


def test_reading_without_keys_names_the_missing_key(project: Project) -> None:
    project.records(events(50))
    project.pipeline(records=ENCRYPTED)
    project.run()
    with pytest.raises(KeyringError, match=r"records/date=.*encrypt\.pseudonymized/1"):
        minimize.read(project.out)


def test_identified_and_pseudonymized_columns_have_separate_keys(project: Project) -> None:
    project.policy({"event_id": {"type": "string", "role": "identifier", "do": {"mask": {"keep_last": 1}}}})
    project.pipeline(records={"encrypt": "by_category"})
    project.records(events(50))
    project.run()
    masters = dict(read_encrypted_columns(Path(minimize.files(project.out)[0])).masters)
    assert masters.pop("event_id") == "encrypt.identified/1"
    assert set(masters.values()) == {"encrypt.pseudonymized/1"}


def test_the_receipt_lists_the_keys_of_each_file(project: Project) -> None:
    project.records(events(50))
    project.pipeline(records=ENCRYPTED)
    receipt = project.run()
    keys = ("encrypt.footer/1", "encrypt.pseudonymized/1")
    assert [file.keys for file in receipt.outputs["records"].files] == [keys]
    assert receipt.keys == ("device/1", *keys)
    assert [file.keys for file in receipt.outputs["per_model"].files] == [None]


def test_each_tenant_has_keys_of_its_own(project: Project) -> None:
    project.records(events(50))
    project.pipeline(records=PER_TENANT)
    receipt = project.run()
    assert {key for key in receipt.keys if key.startswith("encrypt.pseudonymized")} == {
        "encrypt.pseudonymized.t-north/1",
        "encrypt.pseudonymized.t-south/1",
    }
    assert len(project.rows(keys=project.keys)) == 50


def test_a_tenant_whose_key_is_destroyed_is_gone_and_the_other_stays(project: Project) -> None:
    project.records(events(50))
    project.pipeline(records=PER_TENANT)
    project.run()
    destroy_key(project.keys, "encrypt.pseudonymized.t-north", 1, now=AT)
    north, south = sorted(minimize.files(project.out))
    assert open_parquet(Path(south), find_kms(project.keys)).read().num_rows == 25
    with pytest.raises(KeyringError, match="was destroyed"):
        open_parquet(Path(north), find_kms(project.keys))


def test_an_output_is_read_without_its_unreadable_files(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    project.records(events(50))
    project.pipeline(records=PER_TENANT)
    project.run()
    destroy_key(project.keys, "encrypt.pseudonymized.t-north", 1, now=AT)
    with pytest.raises(KeyringError, match="was destroyed") as error:
        project.rows(keys=project.keys)
    assert "Pass without_destroyed=True to read the other 1 of 2 files" in error.value.hint
    assert {row["tenant_id"] for row in project.rows(keys=project.keys, without_destroyed=True)} == {"south"}
    assert [(each.code, each.getMessage()) for each in caplog.records if hasattr(each, "code")][-1] == (
        "W028",
        "1 of 2 files are skipped: their keys were destroyed",
    )


def test_rows_of_a_tenant_with_a_destroyed_key_stop_the_run_with_the_remedies(project: Project) -> None:
    project.records(events(50))
    project.pipeline(records=PER_TENANT)
    project.run()
    destroy_key(project.keys, "encrypt.pseudonymized.t-north", 1, now=AT)
    with pytest.raises(KeyringError, match="was destroyed") as error:
        project.run()
    assert "minimize events add TENANT tenant_closed" in error.value.hint
    assert "minimize keys rotate" in error.value.hint


def test_keys_for_each_tenant_need_a_folder_for_each(project: Project) -> None:
    project.records(events(5))
    project.pipeline(records={"encrypt": {"by_category": {"per": "tenant_id"}}})
    with pytest.raises(PolicyError, match="need a folder for each") as caught:
        project.run()
    assert caught.value.exit_code == 2
    assert [finding.code for finding in caught.value.findings] == ["P020"]


@pytest.mark.parametrize("said", ["by-category", "yes", 1, ["by_category"], {"by_category": 1}, {"off": {}}, {}])
def test_another_word_for_encryption_is_a_fault(project: Project, said: Any) -> None:
    project.pipeline(records={"encrypt": said})
    with pytest.raises(PolicyError):
        project.run()


def test_the_configuration_may_require_encryption_as_the_default(project: Project) -> None:
    (project.folder / "minimize.yaml").write_text("access: {encrypt: by_category}\n")
    project.records(events(50))
    project.run()
    assert closed(project)


def test_the_configuration_refuses_a_pipeline_that_leaves_it_out(project: Project) -> None:
    (project.folder / "minimize.yaml").write_text("access: {encrypt: by_category}\n")
    project.pipeline(records={"encrypt": "off"})
    project.records(events(50))
    with pytest.raises(RefusedError) as caught:
        project.run()
    assert [finding.code for finding in caught.value.findings] == ["R005"]
    assert not project.files()


def test_a_fault_of_the_configuration_names_its_file(project: Project) -> None:
    (project.folder / "minimize.yaml").write_text("access: {encrypt: all, crypt: none}\n")
    with pytest.raises(PolicyError) as caught:
        project.run()
    assert [(finding.code, Path(finding.file or "").name) for finding in caught.value.findings] == [
        ("P004", "minimize.yaml"),
        ("P007", "minimize.yaml"),
    ]


def test_an_access_file_demands_nothing(project: Project) -> None:
    (project.folder / "minimize.yaml").write_text("access: access.yaml\n")
    project.records(events(5))
    project.run()
    assert closed(project) == set()


def test_a_name_that_cannot_be_encrypted_is_a_fault_before_anything_is_read(project: Project) -> None:
    project.policy({"odd,name": {"type": "string", "do": "keep"}})
    project.pipeline(records=ENCRYPTED)
    project.records(events(5))
    with pytest.raises(PolicyError) as caught:
        project.run()
    assert [(finding.code, finding.field) for finding in caught.value.findings] == [("P117", "odd,name")]


def test_a_destroyed_master_key_stops_a_run_before_anything_is_read(project: Project) -> None:
    project.pipeline(records=ENCRYPTED)
    project.records(events(5))
    project.run()
    destroy_key(project.keys, "encrypt.pseudonymized", 1, now=AT)
    project.records(["this is no record"])
    with pytest.raises(KeyringError, match="was destroyed"):
        project.run(date=DAY)


def test_master_keys_are_made_when_they_are_first_needed(project: Project) -> None:
    project.records(events(5))
    project.run()
    before = Keyring.load(project.keys).names()
    project.pipeline(records=ENCRYPTED)
    project.run()
    made = set(Keyring.load(project.keys).names()) - set(before)
    assert made == {"encrypt.footer", "encrypt.pseudonymized"}


def test_a_keyring_without_the_files_key_is_refused(project: Project) -> None:
    project.records(events(5))
    project.pipeline(records=ENCRYPTED)
    project.run()
    new_keyring(project.folder / "other.keys", now=AT)
    with pytest.raises(KeyringError, match="is not in the keyring"):
        minimize.read(project.out, keys=project.folder / "other.keys")


def test_an_empty_day_is_an_empty_typed_partition(project: Project) -> None:
    project.records([])
    project.pipeline(records=ENCRYPTED)
    project.run()
    found = minimize.read(project.out, keys=project.keys)
    assert found.num_rows == 0
    assert pq.read_schema(minimize.files(project.out)[0]).names == found.column_names[:-1]


def test_master_keys_that_a_run_made_are_in_the_audit_log(project: Project) -> None:
    project.pipeline(records=ENCRYPTED)
    project.records(events(5))
    receipt = project.run(ledger=project.folder / "organization.db")
    project.run(ledger=project.folder / "organization.db")
    [entry] = log_entries(project.folder / "organization.db", EntryFilter(activity="keys"))
    told = json.loads(entry.event)
    assert (told["operation"], told["correlation_id"]) == ("make", receipt.run_id)
    assert [each["name"] for each in told["resources"]] == ["encrypt.footer/1", "encrypt.pseudonymized/1"]
