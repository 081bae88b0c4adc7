"""Runs whose records are encrypted by category."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import minimize
from minimize.auditing import log_entries
from minimize.encryption import material_of, open_parquet
from minimize.errors import KeyringError, PolicyError, RefusedError
from minimize.keys import Keyring, find_kms, new_keyring
from minimize.keys.create import destroy_key
from minimize.ledger.audit import Wanted
from tests.job.house import AGGREGATES, AT, DAY, House, events

ENCRYPTED: dict[str, Any] = {"must_be": "pseudonymized", "encrypt": "by_category"}
PER_TENANT = {"partition_by": ["tenant_id"], "encrypt": {"by_category": {"per": "tenant_id"}}}


def closed(house: House) -> set[str]:
    """The columns of records that are encrypted."""
    return {column for file in minimize.files(house.out) for column in material_of(Path(file)).masters}


def test_by_default_nothing_is_encrypted(house: House) -> None:
    house.brings(events(50))
    receipt = house.run()
    assert closed(house) == set()
    assert receipt.outputs["records"].files[0].keys is None


def test_records_are_encrypted_and_read_with_keys(house: House) -> None:
    house.brings(events(50))
    house.run()
    plain = house.rows()
    house.pipeline(records=ENCRYPTED)
    house.run()
    assert house.rows(keys=house.keys) == plain
    assert closed(house) == set(plain[0]) - {"date"}


def test_aggregates_stay_open(house: House) -> None:
    house.brings(events(50))
    house.pipeline(records=ENCRYPTED, aggregates={"per_model": AGGREGATES["per_model"] | {"encrypt": "by_category"}})
    house.run()
    assert house.rows("per_model")
    assert all(not material_of(Path(file)).masters for file in minimize.files(house.out, "per_model"))


def test_without_keys_reading_says_what_is_missing(house: House) -> None:
    house.brings(events(50))
    house.pipeline(records=ENCRYPTED)
    house.run()
    with pytest.raises(KeyringError, match=r"records/date=.*encrypt\.pseudonymized/1"):
        minimize.read(house.out)


def test_identified_and_pseudonymized_columns_have_separate_keys(house: House) -> None:
    house.policy({"event_id": {"type": "string", "role": "identifier", "do": {"mask": {"keep_last": 1}}}})
    house.pipeline(records={"encrypt": "by_category"})
    house.brings(events(50))
    house.run()
    masters = dict(material_of(Path(minimize.files(house.out)[0])).masters)
    assert masters.pop("event_id") == "encrypt.identified/1"
    assert set(masters.values()) == {"encrypt.pseudonymized/1"}


def test_the_receipt_says_per_file_which_keys_and_lists_them(house: House) -> None:
    house.brings(events(50))
    house.pipeline(records=ENCRYPTED)
    receipt = house.run()
    keys = ("encrypt.footer/1", "encrypt.pseudonymized/1")
    assert [file.keys for file in receipt.outputs["records"].files] == [keys]
    assert receipt.keys == ("device/1", *keys)
    assert [file.keys for file in receipt.outputs["per_model"].files] == [None]


def test_each_tenant_has_keys_of_its_own(house: House) -> None:
    house.brings(events(50))
    house.pipeline(records=PER_TENANT)
    receipt = house.run()
    assert {key for key in receipt.keys if key.startswith("encrypt.pseudonymized")} == {
        "encrypt.pseudonymized.t-north/1",
        "encrypt.pseudonymized.t-south/1",
    }
    assert len(house.rows(keys=house.keys)) == 50


def test_a_tenant_whose_key_is_destroyed_is_gone_and_the_other_stays(house: House) -> None:
    house.brings(events(50))
    house.pipeline(records=PER_TENANT)
    house.run()
    destroy_key(house.keys, "encrypt.pseudonymized.t-north", 1, now=AT)
    north, south = sorted(minimize.files(house.out))
    assert open_parquet(Path(south), find_kms(house.keys)).read().num_rows == 25
    with pytest.raises(KeyringError, match="was destroyed"):
        open_parquet(Path(north), find_kms(house.keys))


def test_a_whole_output_is_read_without_what_nobody_can_read(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.brings(events(50))
    house.pipeline(records=PER_TENANT)
    house.run()
    destroy_key(house.keys, "encrypt.pseudonymized.t-north", 1, now=AT)
    with pytest.raises(KeyringError, match="was destroyed") as error:
        house.rows(keys=house.keys)
    assert "without_destroyed=True reads the other 1 of 2 files" in error.value.hint
    assert {row["tenant_id"] for row in house.rows(keys=house.keys, without_destroyed=True)} == {"south"}
    assert [(each.code, each.getMessage()) for each in caplog.records if hasattr(each, "code")][-1] == (
        "W028",
        "1 of 2 files are left out: their keys were destroyed",
    )


def test_a_run_with_rows_of_a_tenant_whose_key_was_destroyed_says_what_to_do(house: House) -> None:
    house.brings(events(50))
    house.pipeline(records=PER_TENANT)
    house.run()
    destroy_key(house.keys, "encrypt.pseudonymized.t-north", 1, now=AT)
    with pytest.raises(KeyringError, match="was destroyed") as error:
        house.run()
    assert "minimize events add TENANT tenant_closed" in error.value.hint
    assert "minimize keys rotate" in error.value.hint


def test_keys_for_each_tenant_need_a_folder_for_each(house: House) -> None:
    house.brings(events(5))
    house.pipeline(records={"encrypt": {"by_category": {"per": "tenant_id"}}})
    with pytest.raises(PolicyError, match="need a folder for each") as caught:
        house.run()
    assert caught.value.exit_code == 2
    assert [finding.code for finding in caught.value.findings] == ["P020"]


@pytest.mark.parametrize("said", ["by-category", "yes", 1, ["by_category"], {"by_category": 1}, {"none": {}}, {}])
def test_another_word_for_encryption_is_a_fault(house: House, said: Any) -> None:
    house.pipeline(records={"encrypt": said})
    with pytest.raises(PolicyError):
        house.run()


def test_the_house_may_demand_it_where_the_pipeline_says_nothing(house: House) -> None:
    (house.folder / "minimize.yaml").write_text("access: {encrypt: by_category}\n")
    house.brings(events(50))
    house.run()
    assert closed(house)


def test_the_house_refuses_a_pipeline_that_leaves_it_out(house: House) -> None:
    (house.folder / "minimize.yaml").write_text("access: {encrypt: by_category}\n")
    house.pipeline(records={"encrypt": "none"})
    house.brings(events(50))
    with pytest.raises(RefusedError) as caught:
        house.run()
    assert [finding.code for finding in caught.value.findings] == ["R005"]
    assert not house.files()


def test_what_the_house_says_wrong_is_a_fault_of_its_file(house: House) -> None:
    (house.folder / "minimize.yaml").write_text("access: {encrypt: all, crypt: none}\n")
    with pytest.raises(PolicyError) as caught:
        house.run()
    assert [(finding.code, Path(finding.file or "").name) for finding in caught.value.findings] == [
        ("P004", "minimize.yaml"),
        ("P007", "minimize.yaml"),
    ]


def test_an_access_file_demands_nothing(house: House) -> None:
    (house.folder / "minimize.yaml").write_text("access: access.yaml\n")
    house.brings(events(5))
    house.run()
    assert closed(house) == set()


def test_a_name_that_cannot_be_encrypted_is_a_fault_before_anything_is_read(house: House) -> None:
    house.policy({"odd,name": {"type": "string", "do": "keep"}})
    house.pipeline(records=ENCRYPTED)
    house.brings(events(5))
    with pytest.raises(PolicyError) as caught:
        house.run()
    assert [(finding.code, finding.field) for finding in caught.value.findings] == [("P117", "odd,name")]


def test_a_destroyed_master_key_stops_a_run_before_anything_is_read(house: House) -> None:
    house.pipeline(records=ENCRYPTED)
    house.brings(events(5))
    house.run()
    destroy_key(house.keys, "encrypt.pseudonymized", 1, now=AT)
    house.brings(["this is no record"])
    with pytest.raises(KeyringError, match="was destroyed"):
        house.run(date=DAY)


def test_master_keys_are_made_when_they_are_first_needed(house: House) -> None:
    house.brings(events(5))
    house.run()
    before = Keyring.load(house.keys).names()
    house.pipeline(records=ENCRYPTED)
    house.run()
    made = set(Keyring.load(house.keys).names()) - set(before)
    assert made == {"encrypt.footer", "encrypt.pseudonymized"}


def test_another_keyring_is_told_apart(house: House) -> None:
    house.brings(events(5))
    house.pipeline(records=ENCRYPTED)
    house.run()
    new_keyring(house.folder / "other.keys", now=AT)
    with pytest.raises(KeyringError, match="is not in the keyring"):
        minimize.read(house.out, keys=house.folder / "other.keys")


def test_an_empty_day_is_an_empty_typed_partition(house: House) -> None:
    house.brings([])
    house.pipeline(records=ENCRYPTED)
    house.run()
    found = minimize.read(house.out, keys=house.keys)
    assert found.num_rows == 0
    assert pq.read_schema(minimize.files(house.out)[0]).names == found.column_names[:-1]


def test_the_audit_log_tells_of_master_keys_that_a_run_made(house: House) -> None:
    house.pipeline(records=ENCRYPTED)
    house.brings(events(5))
    receipt = house.run(ledger=house.folder / "house.db")
    house.run(ledger=house.folder / "house.db")
    [entry] = log_entries(house.folder / "house.db", Wanted(activity="keys"))
    told = json.loads(entry.event)
    assert (told["operation"], told["correlation_id"]) == ("make", receipt.run_id)
    assert [each["name"] for each in told["resources"]] == ["encrypt.footer/1", "encrypt.pseudonymized/1"]
