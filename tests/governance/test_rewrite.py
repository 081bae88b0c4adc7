"""Files through a stage: rows gone, columns emptied, everything else as it was; old or new at every crash."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from minimize.datasets.reader import file_paths, load_receipts, read_output
from minimize.errors import OutputError
from minimize.output.commit import FolderExchange, exchange_folders
from minimize.output.folder import list_data_files
from minimize.output.publish import open_output
from minimize.output.stored_file import StoredFile
from minimize.receipts import Receipt
from minimize.records import Batch, BatchCounts, Stage
from minimize.removal.rewrite import rewrite_files
from minimize.removal.rewrite_receipt import RewriteResult
from tests.sources.publishing import RECORDS, check_whole, making, receipt_for, rows, snapshot

DAY = "records/date=2026-11-24"
FIRST, SECOND = f"{DAY}/run1-0.parquet", f"{DAY}/run1-1.parquet"


def without(device: str) -> Stage:
    """A stage that drops the rows of a device, and counts them."""

    def stage(batch: Batch) -> Batch:
        stays = pc.not_equal(batch.raw["device"], device)
        kept = batch.raw.filter(stays)
        return batch.with_(raw=kept, counts=BatchCounts(gated={"erased": batch.raw.num_rows - kept.num_rows}))

    return stage


def nothing(batch: Batch) -> Batch:
    """A stage that drops everything."""
    return batch.with_(raw=batch.raw.slice(0, 0))


def emptied(batch: Batch) -> Batch:
    """A stage that makes a column null."""
    return batch.with_(released={"device": pa.nulls(batch.raw.num_rows, pa.string())})


def kept(batch: Batch) -> Batch:
    """A stage that changes nothing."""
    return batch


def source(folder: Path) -> None:
    with open_output(folder) as output:
        made = making(output, "run1")
        for part, word in enumerate("ab"):
            made.put("records", "2026-11-24", RECORDS, rows(RECORDS, word, 3), part=part)
        made.put("records", "2026-11-25", RECORDS, rows(RECORDS, "c", 3))
        made.publish()


def apply(folder: Path, stage: Stage, *paths: str, exchange: FolderExchange = exchange_folders) -> RewriteResult:
    seen: list[RewriteResult] = []
    with open_output(folder, exchange=exchange) as output:

        def receipt(done: RewriteResult) -> Receipt:
            seen.append(done)
            gone, replaced = ([file.path for file in each] for each in (done.removes, done.replaces))
            return receipt_for(output, "run2", done.written, tuple(replaced), tuple(gone), "delete")

        rewrite_files(output, "run2", dict.fromkeys(paths, stage), receipt, {"reason.txt": b"asked"})
    return seen[0]


@dataclass
class Seen:
    """Somebody who is shown what is read: the rows of each file, once it was read to its end."""

    rows: dict[str, int] = field(default_factory=dict)

    def __call__(self, stored: StoredFile) -> Seeing | None:
        return Seeing(self.rows, stored.path) if stored.path != SECOND else None


@dataclass
class Seeing:
    rows: dict[str, int]
    path: str
    count: int = 0

    def __call__(self, batch: pa.RecordBatch) -> None:
        self.count += batch.num_rows

    def close(self) -> None:
        self.rows[self.path] = self.count


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source(tmp_path / "out")
    return tmp_path / "out"


def test_rows_are_gone_and_the_rest_is_as_it_was(folder: Path) -> None:
    done = apply(folder, without("a1"), FIRST)
    check_whole(folder)
    assert sorted(read_output(folder)["device"].to_pylist()) == ["a0", "a2", "b0", "b1", "b2", "c0", "c1", "c2"]
    assert (done.read, done.counts.gated) == (3, {"erased": 1})
    assert [file.path for file in done.replaces] == [FIRST]
    assert list_data_files(folder / DAY) == ("run1-1.parquet", "run2-0.parquet")


def test_the_rows_read_are_passed_on_and_stored_with_the_receipt(folder: Path) -> None:
    seen, beside = Seen(), dict[str, bytes]()
    with open_output(folder) as output:

        def receipt(done: RewriteResult) -> Receipt:
            beside["rows.json"] = json.dumps(seen.rows).encode()
            gone, replaced = ([file.path for file in each] for each in (done.removes, done.replaces))
            return receipt_for(output, "run2", done.written, tuple(replaced), tuple(gone), "delete")

        stages = dict.fromkeys([FIRST, SECOND], without("a1"))
        rewrite_files(output, "run2", stages, receipt, beside, shown=seen)
    assert json.loads((folder / "runs" / "run2" / "rows.json").read_bytes()) == {FIRST: 3}


def test_files_that_were_not_named_keep_their_bytes(folder: Path) -> None:
    before = snapshot(folder)
    apply(folder, without("a1"), FIRST)
    after = snapshot(folder)
    for path in (SECOND, "records/date=2026-11-25/run1-0.parquet", "runs/run1/receipt.json"):
        assert after[path] == before[path]


def test_a_column_can_be_emptied_and_its_metadata_stays(folder: Path) -> None:
    apply(folder, emptied, FIRST)
    schema = pq.read_schema(folder / DAY / "run2-0.parquet")
    assert schema.equals(RECORDS, check_metadata=True)
    assert read_output(folder, dates="2026-11-24")["device"].to_pylist().count(None) == 3


def test_a_stage_that_changes_nothing_gives_equal_files(folder: Path) -> None:
    before = read_output(folder)
    apply(folder, kept, FIRST, SECOND)
    check_whole(folder)
    assert read_output(folder).equals(before, check_metadata=True)


def test_an_empty_file_is_removed(folder: Path) -> None:
    done = apply(folder, nothing, FIRST)
    check_whole(folder)
    assert [file.path for file in done.removes] == [FIRST]
    assert done.replaces == ()
    assert list_data_files(folder / DAY) == ("run1-1.parquet",)


def test_an_empty_partition_is_removed(folder: Path) -> None:
    apply(folder, nothing, FIRST, SECOND)
    check_whole(folder)
    assert not (folder / DAY).exists()
    assert read_output(folder).num_rows == 3


def test_several_partitions_change_together(folder: Path) -> None:
    apply(folder, nothing, FIRST, "records/date=2026-11-25/run1-0.parquet")
    check_whole(folder)
    assert len(file_paths(folder)) == 1


def test_a_rewrite_adds_a_receipt_and_its_attachments(folder: Path) -> None:
    apply(folder, without("a1"), FIRST)
    assert [receipt.kind for receipt in load_receipts(folder)] == ["run", "delete"]
    assert (folder / "runs/run2/reason.txt").read_bytes() == b"asked"


def test_columns_that_are_folders_can_be_read_and_stay(tmp_path: Path) -> None:
    schema = pa.schema([("tenant", pa.string()), ("device", pa.string())])
    with open_output(tmp_path) as output:
        made = making(output, "run1")
        batch = pa.record_batch([["t/1", "t2", "t2"], ["a", "a", "b"]], schema=schema)
        made.put("records", "2026-11-24", schema, batch, partition_by=["tenant"])
        made.publish()

    def stage(batch: Batch) -> Batch:
        return batch.with_(raw=batch.raw.filter(pc.not_equal(batch.raw["tenant"], "t/1")))

    apply(tmp_path, stage, *[str(Path(path).relative_to(tmp_path)) for path in file_paths(tmp_path)])
    check_whole(tmp_path)
    assert read_output(tmp_path).drop_columns("date").to_pydict() == {"tenant": ["t2", "t2"], "device": ["a", "b"]}
    assert read_output(tmp_path).schema.names == ["tenant", "device", "date"]


def test_quarantine_files_can_be_rewritten_too(tmp_path: Path) -> None:
    from tests.sources.publishing import old

    old(tmp_path)
    done = apply(tmp_path, kept, "quarantine/date=2026-11-24/run1.parquet")
    check_whole(tmp_path)
    assert [*done.written] == ["quarantine"]


def test_a_file_that_was_changed_behind_our_back_is_refused(folder: Path) -> None:
    (folder / FIRST).write_bytes((folder / SECOND).read_bytes())
    with pytest.raises(OutputError):
        apply(folder, kept, FIRST)
    assert not (folder / "runs/run2").exists()


@pytest.mark.parametrize("paths", [(), ("records/none.parquet",), ("runs/run1/receipt.json",)])
def test_files_that_are_not_in_force_are_refused(folder: Path, paths: tuple[str, ...]) -> None:
    with pytest.raises(OutputError):
        apply(folder, kept, *paths)


def test_a_stage_that_fails_leaves_everything_as_it_was(folder: Path) -> None:
    before = snapshot(folder)

    def stage(batch: Batch) -> Batch:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        apply(folder, stage, FIRST)
    assert snapshot(folder) == before


def test_a_file_that_is_to_be_removed_is_not_read(folder: Path) -> None:
    (folder / FIRST).write_bytes(b"no parquet")
    with open_output(folder) as output:

        def receipt(done: RewriteResult) -> Receipt:
            gone, replaced = ([file.path for file in each] for each in (done.removes, done.replaces))
            return receipt_for(output, "run2", done.written, tuple(replaced), tuple(gone), "expire")

        rewrite_files(output, "run2", {}, receipt, removes=[FIRST])
    assert list_data_files(folder / DAY) == ("run1-1.parquet",)


def test_each_file_can_have_a_stage_of_its_own(folder: Path) -> None:
    with open_output(folder) as output:

        def receipt(done: RewriteResult) -> Receipt:
            return receipt_for(output, "run2", done.written, tuple(file.path for file in done.replaces), kind="delete")

        rewrite_files(output, "run2", {FIRST: without("a1"), SECOND: without("b0")}, receipt)
    assert sorted(read_output(folder)["device"].to_pylist()) == ["a0", "a2", "b1", "b2", "c0", "c1", "c2"]
