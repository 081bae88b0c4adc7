"""An output folder in two versions, old and new, for the tests of publication; and how a process that makes it is killed."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pyarrow as pa

from minimize.output.commit import REPLACED, STAGING, FolderExchange, exchange_folders
from minimize.output.folder import INTENT, list_data_files, output_and_date, read_receipts
from minimize.output.publish import LeaseCheck, OpenOutput, Staging, open_output
from minimize.receipts import (
    DigestRef,
    PolicyRef,
    QuarantineEntry,
    Receipt,
    ReceiptFile,
    ReceiptKind,
    files_in_force,
    quarantine_files_in_force,
)
from minimize.receipts import WrittenOutput as OutputReceipt
from minimize.records import RUNS, FileRef, Reject, WrittenFile
from minimize.stores import Location
from minimize.stores.durable_files import file_digest
from tests.faults.process import kill_at

NOW = datetime(2026, 11, 25, tzinfo=UTC)
RECORDS = pa.schema([pa.field("device", pa.string(), metadata={"minimize:key": "device/1"}), pa.field("n", pa.int64())])
FLEET = pa.schema([pa.field("version", pa.string()), pa.field("devices", pa.int64())])


def rows(schema: pa.Schema, word: str, count: int) -> pa.RecordBatch:
    return pa.record_batch([[f"{word}{number}" for number in range(count)], [*range(count)]], schema=schema)


def receipt_for(
    output: OpenOutput,
    run_id: str,
    written: Mapping[str, tuple[WrittenFile, ...]],
    replaces: tuple[str, ...] = (),
    removes: tuple[str, ...] = (),
    kind: ReceiptKind = "run",
) -> Receipt:
    said = output.receipts()
    files = {
        name: tuple(ReceiptFile(each.path, each.rows, each.digest) for each in each_of)
        for name, each_of in written.items()
    }
    quarantine = files.pop("quarantine", ())
    return Receipt(
        kind=kind,
        run_id=run_id,
        sequence=len(said) + 1,
        previous=said[-1].digest if said else None,
        pipeline="p",
        purpose="operations",
        engine="local",
        at=NOW,
        started=NOW,
        finished=NOW,
        policy=PolicyRef("p", 1, "sha256:0"),
        plan=DigestRef("sha256:0"),
        outputs={
            name: OutputReceipt("pseudonymized", sum(f.rows for f in each), files=each) for name, each in files.items()
        },
        quarantine=QuarantineEntry(sum(file.rows for file in quarantine), {}, quarantine),
        replaces=tuple(FileRef(path, file_digest(output.folder / path)) for path in replaces),
        removes=tuple(FileRef(path, file_digest(output.folder / path)) for path in removes),
    )


@dataclass
class Making:
    """One run being made, its files noted for the receipt."""

    output: OpenOutput
    staging: Staging
    written: dict[str, tuple[WrittenFile, ...]]
    pause: float = 0

    def put(self, name: str, date: str | None, schema: pa.Schema, *batches: pa.RecordBatch, **options: Any) -> None:
        sink = self.staging.sink(name, date, schema, **options)
        for batch in batches:
            time.sleep(self.pause)
            sink.write(batch)
        self.written[name] = (*self.written.get(name, ()), *sink.close())

    def reject(self, date: str | None, *rejects: Reject) -> None:
        quarantine = self.staging.quarantine(date)
        quarantine.write("a.ndjson", rejects)
        self.written["quarantine"] = (*self.written.get("quarantine", ()), *quarantine.close())

    def publish(self, attachments: Mapping[str, bytes] | None = None) -> Receipt:
        receipt = receipt_for(self.output, self.staging.run_id, self.written, self.staging.current_files())
        self.staging.publish(receipt, attachments)
        return receipt


def making(output: OpenOutput, run_id: str, pause: float = 0) -> Making:
    return Making(output, output.begin(run_id), {}, pause)


def old(folder: Location, exchange: FolderExchange = exchange_folders, lease: LeaseCheck | None = None) -> None:
    with open_output(folder, exchange=exchange, lease=lease) as output:
        made = making(output, "run1")
        for day in ("2026-11-23", "2026-11-24"):
            made.put("records", day, RECORDS, rows(RECORDS, "old", 2))
        made.put("fleet", "2026-11-24", FLEET, rows(FLEET, "old", 1))
        made.reject("2026-11-24", Reject(1, "byte", None, "malformed"))
        made.publish({"policy.yaml": b"old"})


def new(
    folder: Location, exchange: FolderExchange = exchange_folders, pause: float = 0, lease: LeaseCheck | None = None
) -> None:
    with open_output(folder, exchange=exchange, lease=lease) as output:
        made = making(output, "run2", pause)
        for day in ("2026-11-24", "2026-11-25"):
            made.put("records", day, RECORDS, *[rows(RECORDS, "new", 3)] * 3)
        made.put("fleet", "2026-11-24", FLEET, rows(FLEET, "new", 2))
        made.reject("2026-11-24")
        made.publish({"policy.yaml": b"new", "hierarchies/os.csv": b"a;b"})


def new_slowly(folder: Path, exchange: FolderExchange = exchange_folders) -> None:
    new(folder, exchange, pause=0.02)


def recovered(folder: Path, exchange: FolderExchange = exchange_folders) -> None:
    with open_output(folder, create=False, exchange=exchange):
        pass


def snapshot(folder: Path) -> dict[str, str]:
    """Every file below the output folder with its digest, the lock aside."""
    return {path: file_digest(folder / path) for path in list_data_files(folder) if path != f"{RUNS}/.lock"}


def check_whole(folder: Path) -> None:
    """Exactly the files in force stand, with the bytes of their receipts; each partition says that it is whole.

    No run has left anything of its publication behind.
    """
    said = read_receipts(folder)
    force = [file for each in files_in_force(said).values() for file in each] + quarantine_files_in_force(said)
    found = {path: digest for path, digest in snapshot(folder).items() if not path.startswith(f"{RUNS}/")}
    indexes = [file.index for file in force if file.index is not None]
    expected = {file.path: file.digest for file in force} | {file.path: file.digest for file in indexes}
    assert found == expected
    places = {output_and_date(file.path) for file in force}
    partitions = [folder / name if date is None else folder / name / f"date={date}" for name, date in places]
    assert all((partition / "_SUCCESS").stat().st_size == 0 for partition in partitions)
    runs = {
        path.split("/")[1] for path in list_data_files(folder) if path.startswith(f"{RUNS}/") and path.count("/") > 1
    }
    assert runs == {receipt.run_id for receipt in said}
    for run in runs:
        assert not {INTENT, STAGING, REPLACED} & {path.name for path in (folder / RUNS / run).iterdir()}


def no_exchange(one: Path, other: Path) -> bool:
    """A file system on which nothing can be swapped in one step."""
    return False


def _child(
    environment: dict[str, str], point: str | None, act: Callable[..., None], folder: Path, atomic: bool
) -> None:
    os.environ.clear()  # the server that forks this process keeps the variables of the test that started it
    os.environ.update(environment)
    with kill_at(point):
        act(folder, exchange_folders if atomic else no_exchange)


def start(act: Callable[..., None], folder: Path, point: str | None = None, atomic: bool = True) -> BaseProcess:
    """A process of its own that does this and dies at that point."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "tests.sources.publishing", "tests.sources.warm"])
    process = context.Process(target=_child, args=(dict(os.environ), point, act, folder, atomic))
    process.start()
    return process


def dies_at(point: str, act: Callable[..., None], folder: Path, atomic: bool = True) -> bool:
    """Whether the process came to the point and died there; it must end well otherwise."""
    process = start(act, folder, point, atomic)
    process.join()
    assert process.exitcode in (0, 137)
    return process.exitcode == 137
