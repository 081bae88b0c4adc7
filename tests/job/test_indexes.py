"""Runs whose records can be searched by subject: which files get an index, and that everybody in them is found."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import minimize
from minimize import reading
from minimize.io.history import receipts
from minimize.io.intent import listing
from minimize.io.publish import open_output
from minimize.io.rewrite import Rewritten, rewrite
from minimize.io.stated import files_stated, indexes_stated
from minimize.keys import Keyring, add_key
from minimize.receipt import FileRef, Output, Receipt
from minimize.stage import Batch
from tests.job.house import AT, BEFORE, DAY, House, event, events

NESTED = {
    "device_id": None,
    "/device/id": {
        "type": "string",
        "role": "identifier",
        "do": {"pseudonymize": {"key": "device", "per": "tenant_id"}},
    },
    "/device/os": {"type": "string", "do": "keep"},
}


def indexes(house: House) -> list[str]:
    folder = house.out / "index"
    return [*listing(folder)] if folder.exists() else []


def check_found(house: House, column: str = "device_id") -> None:
    """Every subject's records are found by the index, as they are without it, and the output verifies."""
    minimize.verify(house.out, keys=house.keys)
    everything = minimize.read(house.out, mixed_keys=True).to_pylist()
    for value in {_at(row, column) for row in everything} - {None}:
        due = [row for row in everything if _at(row, column) == value]
        for keys in (house.keys, None):
            found = minimize.read(house.out, subjects=[value], keys=keys, mixed_keys=True).to_pylist()
            assert sorted(map(str, found)) == sorted(map(str, due))
    assert minimize.read(house.out, subjects=["nobody"], keys=house.keys, mixed_keys=True).num_rows == 0


def _at(row: dict[str, Any], path: str) -> Any:
    value: Any = row
    for part in path.split("/"):
        value = None if value is None else value[part]
    return value


def test_each_file_of_records_has_an_index_that_its_receipt_names(house: House) -> None:
    house.brings(events(40))
    house.brings(events(20, 7), day=BEFORE)
    receipt = house.run()
    records = receipt.outputs["records"]
    assert records.index is not None
    assert [each.of for each in records.index] == [file.path for file in records.files]
    assert [each.path for each in records.index] == [f"index/{path}" for path in indexes(house)]
    assert indexes(house) == [f"date={day}/{receipt.run_id}-0.index" for day in (BEFORE, DAY)]
    assert all(output.index is None for name, output in receipt.outputs.items() if name != "records")
    check_found(house)


def test_a_date_that_is_run_anew_replaces_its_index(house: House) -> None:
    house.brings(events(40))
    house.brings(events(20, 7), day=BEFORE)
    first = house.run()
    house.brings(events(5))
    second = house.run(date=DAY)
    assert indexes(house) == [f"date={BEFORE}/{first.run_id}-0.index", f"date={DAY}/{second.run_id}-0.index"]
    check_found(house)


def test_partitions_by_a_field_have_an_index_each(house: House) -> None:
    house.pipeline(records={"partition_by": ["tenant_id"]})
    house.brings(events(40))
    receipt = house.run()
    due = [f"date={DAY}/tenant_id={tenant}/{receipt.run_id}-0.index" for tenant in ("north", "south")]
    assert indexes(house) == due
    check_found(house)
    north = minimize.read(house.out).filter(pa.compute.field("tenant_id") == "north")["device_id"][0].as_py()
    [place] = reading.find(house.out, [north], keys=house.keys)
    assert "tenant_id=north" in place.file.path


def test_a_nested_subject_is_indexed_where_it_stands(house: House) -> None:
    house.policy(NESTED, subject="/device/id")
    house.pipeline(aggregates=None)
    house.brings([event(n, device_id=None, device={"id": f"d{n % 7}", "os": "x"}) for n in range(30)])
    house.run()
    assert len(indexes(house)) == 1
    check_found(house, "device/id")


def test_a_source_without_dates_has_its_indexes_at_the_root(house: House) -> None:
    house.pipeline(source={"path": "data/*/*.ndjson.gz", "format": "ndjson"})
    house.brings(events(30))
    receipt = house.run()
    assert indexes(house) == [f"{receipt.run_id}-0.index"]
    check_found(house)


@pytest.mark.parametrize(
    ("fields", "records"),
    [
        ({}, {"index": False}),
        ({"device_id": {"type": "string", "role": "identifier", "do": "drop"}}, {}),
        ({"device_id": {"type": "string", "role": "identifier", "do": "presence"}}, {}),
    ],
)
def test_there_is_no_index_where_the_pipeline_says_so_or_nothing_is_released_to_find_a_subject_by(
    house: House, fields: dict[str, Any], records: dict[str, Any]
) -> None:
    house.policy(fields)
    house.pipeline(records=records)
    house.brings(events(30))
    receipt = house.run()
    assert receipt.outputs["records"].index is None
    assert not (house.out / "index").exists()
    minimize.verify(house.out, keys=house.keys)


def test_an_index_that_a_later_run_does_not_make_is_gone(house: House) -> None:
    house.brings(events(30))
    house.run()
    assert indexes(house)
    house.pipeline(records={"index": False})
    house.run()
    assert not indexes(house)
    check_found(house)


def test_indexes_made_with_an_older_key_are_still_read(house: House) -> None:
    house.brings(events(30), day=BEFORE)
    house.run()
    add_key(house.keys, "subject", now=AT)
    house.brings(events(30))
    house.run(date=DAY)
    check_found(house)


def test_results_do_not_depend_on_how_the_input_is_cut(house: House) -> None:
    records = events(200)
    random.Random(1).shuffle(records)
    for number in range(4):
        house.brings(records[number::4], name=f"part{number}")
    house.run()
    check_found(house)


def erased(values: set[str]) -> Any:
    def stage(batch: Batch) -> Batch:
        column = batch.raw["device_id"]
        stays = pa.array([value.as_py() not in values for value in column])
        return batch.with_(raw=batch.raw.filter(stays))

    return stage


def after(receipt: Receipt, run_id: str, done: Rewritten, keys: Keyring) -> Receipt:
    written = done.written.get("records", ())
    output = Output(
        "pseudonymized",
        sum(file.rows for file in written),
        files=files_stated(written),
        index=indexes_stated(written),
    )
    return replace(
        receipt,
        kind="delete",
        run_id=run_id,
        sequence=receipt.sequence + 1,
        previous=receipt.digest,
        inputs=(),
        rows=replace(receipt.rows, read=output.rows, written=output.rows, gated=0, quarantined=0, deduplicated=0),
        gated_by=type(receipt.gated_by)(),
        quarantine=type(receipt.quarantine)(),
        fields={},
        outputs={"records": output},
        replaces=done.replaces,
        removes=done.removes,
        signature=None,
    ).signed(keys)


def test_a_rewrite_keeps_the_index_right(house: House) -> None:
    house.brings(events(60))
    house.brings(events(20, 7), day=BEFORE)
    first = house.run()
    keys = Keyring.load(house.keys)
    gone = minimize.read(house.out, dates=DAY)["device_id"][0].as_py()
    [place] = reading.find(house.out, [gone], dates=DAY, keys=house.keys)
    run_id = "20261126T000000Z-000000000000"
    run = house.out / "runs" / first.run_id
    beside = {path: (run / path).read_bytes() for path in first.files}
    with open_output(house.out) as output:
        rewrite(
            output,
            run_id,
            [place.file.path],
            erased({gone}),
            lambda done: after(first, run_id, done, keys),
            beside,
            keys=keys,
        )
    assert indexes(house) == [f"date={BEFORE}/{first.run_id}-0.index", f"date={DAY}/{run_id}-0.index"]
    assert reading.find(house.out, [gone], dates=DAY, keys=house.keys) == []
    check_found(house)


def test_a_rewrite_without_keys_leaves_files_without_an_index(house: House) -> None:
    house.brings(events(60))
    first = house.run()
    keys = Keyring.load(house.keys)
    [file] = first.outputs["records"].files
    run_id = "20261126T000000Z-000000000000"
    beside = {path: (house.out / "runs" / first.run_id / path).read_bytes() for path in first.files}
    with open_output(house.out) as output:
        rewrite(output, run_id, [file.path], erased(set()), lambda done: after(first, run_id, done, keys), beside)
    assert indexes(house) == []
    assert [place.groups for place in reading.find(house.out, ["x"], keys=house.keys)] == [None]
    check_found(house)


def test_the_receipt_keeps_its_indexes_when_it_is_read_again(house: House) -> None:
    house.brings(events(20))
    made = house.run()
    [read] = receipts(Path(house.out))
    assert read.outputs["records"].index == made.outputs["records"].index
    [file] = reading.find(house.out, [minimize.read(house.out)["device_id"][0].as_py()], keys=house.keys)
    assert isinstance(file.file.index, FileRef)
