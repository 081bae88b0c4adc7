"""Runs whose records can be searched by subject: which files get an index, and that everybody in them is found."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import minimize
from minimize.datasets import reader
from minimize.keys import Keyring, add_key
from minimize.output.folder import list_data_files, read_receipts
from minimize.output.publish import open_output
from minimize.output.sink import index_files, output_files
from minimize.receipts import Receipt, WrittenOutput
from minimize.records import Batch, FileRef
from minimize.removal.rewrite import rewrite_files
from minimize.removal.rewrite_receipt import RewriteResult
from tests.project import AT, BEFORE, DAY, Project, event, events

NESTED = {
    "device_id": None,
    "/device/id": {
        "type": "string",
        "role": "identifier",
        "do": {"pseudonymize": {"key": "device", "per": "tenant_id"}},
    },
    "/device/os": {"type": "string", "do": "keep"},
}


def indexes(project: Project) -> list[str]:
    folder = project.out / "index"
    return [*list_data_files(folder)] if folder.exists() else []


def check_found(project: Project, column: str = "device_id") -> None:
    """Every subject's records are found by the index, as they are without it, and the output verifies."""
    minimize.verify(project.out, keys=project.keys)
    everything = minimize.read(project.out, mixed_keys=True).to_pylist()
    for value in {_at(row, column) for row in everything} - {None}:
        due = [row for row in everything if _at(row, column) == value]
        for keys in (project.keys, None):
            found = minimize.read(project.out, subjects=[value], keys=keys, mixed_keys=True).to_pylist()
            assert sorted(map(str, found)) == sorted(map(str, due))
    assert minimize.read(project.out, subjects=["nobody"], keys=project.keys, mixed_keys=True).num_rows == 0


def _at(row: dict[str, Any], path: str) -> Any:
    value: Any = row
    for part in path.split("/"):
        value = None if value is None else value[part]
    return value


def test_each_file_of_records_has_an_index_that_its_receipt_names(project: Project) -> None:
    project.records(events(40))
    project.records(events(20, 7), day=BEFORE)
    receipt = project.run()
    records = receipt.outputs["records"]
    assert records.index is not None
    assert [each.of for each in records.index] == [file.path for file in records.files]
    assert [each.path for each in records.index] == [f"index/{path}" for path in indexes(project)]
    assert indexes(project) == [f"date={day}/{receipt.run_id}-0.index" for day in (BEFORE, DAY)]
    assert all(output.index is None for name, output in receipt.outputs.items() if name != "records")
    check_found(project)


def test_a_date_that_is_run_again_replaces_its_index(project: Project) -> None:
    project.records(events(40))
    project.records(events(20, 7), day=BEFORE)
    first = project.run()
    project.records(events(5))
    second = project.run(date=DAY, allow_shrink=True)
    assert indexes(project) == [f"date={BEFORE}/{first.run_id}-0.index", f"date={DAY}/{second.run_id}-0.index"]
    check_found(project)


def test_partitions_by_a_field_have_an_index_each(project: Project) -> None:
    project.pipeline(records={"partition_by": ["tenant_id"]})
    project.records(events(40))
    receipt = project.run()
    due = [f"date={DAY}/tenant_id={tenant}/{receipt.run_id}-0.index" for tenant in ("north", "south")]
    assert indexes(project) == due
    check_found(project)
    north = minimize.read(project.out).filter(pa.compute.field("tenant_id") == "north")["device_id"][0].as_py()
    [place] = reader.find_subjects(project.out, [north], keys=project.keys)
    assert "tenant_id=north" in place.file.path


def test_a_nested_subject_is_indexed_at_its_path(project: Project) -> None:
    project.policy(NESTED, subject="/device/id")
    project.pipeline(aggregates=None)
    project.records([event(n, device_id=None, device={"id": f"d{n % 7}", "os": "x"}) for n in range(30)])
    project.run()
    assert len(indexes(project)) == 1
    check_found(project, "device/id")


def test_a_source_without_dates_has_its_indexes_at_the_root(project: Project) -> None:
    project.pipeline(source={"path": "data/*/*.ndjson.gz", "format": "ndjson"}, aggregates=None)
    project.records(events(30))
    receipt = project.run()
    assert indexes(project) == [f"{receipt.run_id}-0.index"]
    check_found(project)


@pytest.mark.parametrize(
    ("fields", "records"),
    [
        ({}, {"index": False}),
        ({"device_id": {"type": "string", "role": "identifier", "do": "drop"}}, {}),
        ({"device_id": {"type": "string", "role": "identifier", "do": "presence"}}, {}),
    ],
)
def test_there_is_no_index_if_the_pipeline_disables_it_or_no_identifier_is_released(
    project: Project, fields: dict[str, Any], records: dict[str, Any]
) -> None:
    project.policy(fields)
    project.pipeline(records=records)
    project.records(events(30))
    receipt = project.run()
    assert receipt.outputs["records"].index is None
    assert not (project.out / "index").exists()
    minimize.verify(project.out, keys=project.keys)


def test_an_index_that_a_later_run_does_not_make_is_gone(project: Project) -> None:
    project.records(events(30))
    project.run()
    assert indexes(project)
    project.pipeline(records={"index": False})
    project.run()
    assert not indexes(project)
    check_found(project)


def test_indexes_made_with_an_older_key_are_still_read(project: Project) -> None:
    project.records(events(30), day=BEFORE)
    project.run()
    add_key(project.keys, "subject", now=AT)
    project.records(events(30))
    project.run(date=DAY)
    check_found(project)


def test_results_do_not_depend_on_how_the_input_is_cut(project: Project) -> None:
    records = events(200)
    random.Random(1).shuffle(records)
    for number in range(4):
        project.records(records[number::4], name=f"part{number}")
    project.run()
    check_found(project)


def erased(values: set[str]) -> Any:
    def stage(batch: Batch) -> Batch:
        column = batch.raw["device_id"]
        stays = pa.array([value.as_py() not in values for value in column])
        return batch.with_(raw=batch.raw.filter(stays))

    return stage


def after(receipt: Receipt, run_id: str, done: RewriteResult, keys: Keyring) -> Receipt:
    written = done.written.get("records", ())
    output = WrittenOutput(
        "pseudonymized",
        sum(file.rows for file in written),
        files=output_files(written),
        index=index_files(written),
    )
    return replace(
        receipt,
        kind="delete",
        run_id=run_id,
        sequence=receipt.sequence + 1,
        files={name: digest for name, digest in receipt.files.items() if name != "counts.sealed"},
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
    ).with_signature(keys)


def test_a_rewrite_keeps_the_index_right(project: Project) -> None:
    project.records(events(60))
    project.records(events(20, 7), day=BEFORE)
    first = project.run()
    keys = Keyring.load(project.keys)
    gone = minimize.read(project.out, dates=DAY)["device_id"][0].as_py()
    [place] = reader.find_subjects(project.out, [gone], dates=DAY, keys=project.keys)
    run_id = "20261126T000000Z-000000000000"
    run = project.out / "runs" / first.run_id
    beside = {path: (run / path).read_bytes() for path in first.files if path != "counts.sealed"}
    with open_output(project.out) as output:
        rewrite_files(
            output,
            run_id,
            {place.file.path: erased({gone})},
            lambda done: after(first, run_id, done, keys),
            beside,
            keys=keys,
        )
    assert indexes(project) == [f"date={BEFORE}/{first.run_id}-0.index", f"date={DAY}/{run_id}-0.index"]
    assert reader.find_subjects(project.out, [gone], dates=DAY, keys=project.keys) == []
    check_found(project)


def test_a_rewrite_without_keys_leaves_files_without_an_index(project: Project) -> None:
    project.records(events(60))
    first = project.run()
    keys = Keyring.load(project.keys)
    [file] = first.outputs["records"].files
    run_id = "20261126T000000Z-000000000000"
    run = project.out / "runs" / first.run_id
    beside = {path: (run / path).read_bytes() for path in first.files if path != "counts.sealed"}
    with open_output(project.out) as output:
        rewrite_files(output, run_id, {file.path: erased(set())}, lambda done: after(first, run_id, done, keys), beside)
    assert indexes(project) == []
    assert [place.groups for place in reader.find_subjects(project.out, ["x"], keys=project.keys)] == [None]
    check_found(project)


def test_the_receipt_keeps_its_indexes_when_it_is_read_again(project: Project) -> None:
    project.records(events(20))
    made = project.run()
    [read] = read_receipts(Path(project.out))
    assert read.outputs["records"].index == made.outputs["records"].index
    [file] = reader.find_subjects(project.out, [minimize.read(project.out)["device_id"][0].as_py()], keys=project.keys)
    assert isinstance(file.file.index, FileRef)
