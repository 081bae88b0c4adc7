"""The publications whose power cuts are tried: every way in which an output folder changes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pyarrow.compute as pc

from minimize.output.commit import FolderExchange
from minimize.output.folder import ensure_identity, make_output_folder
from minimize.output.publish import open_output
from minimize.output.sink import index_files, output_files
from minimize.output.subject_index import SubjectIndexer
from minimize.receipts import Receipt, WrittenOutput
from minimize.records import Batch
from minimize.removal.rewrite import rewrite_files
from minimize.removal.rewrite_receipt import RewriteResult
from tests.faults.power_cut_checks import Scenario, nothing
from tests.output.making import DEVICE, Keys
from tests.sources.publishing import FLEET, RECORDS, making, new, old, receipt_for, rows

DAY: Final = "2026-11-24"


def first_run(folder: Path, exchange: FolderExchange) -> None:
    """The first run of an output, which gets its identity before."""
    make_output_folder(folder)
    ensure_identity(folder, new="0123456789abcdef" * 2)
    old(folder, exchange)


def undated(folder: Path, exchange: FolderExchange) -> None:
    """Publishes an output without dates, which replaces the one before."""
    with open_output(folder, exchange=exchange) as output:
        made = making(output, f"run{len(output.receipts()) + 1}")
        made.put("fleet", None, FLEET, rows(FLEET, made.staging.run_id, 2))
        made.publish()


def indexed(folder: Path, exchange: FolderExchange) -> None:
    """Publishes records with an index."""
    with open_output(folder, exchange=exchange) as output:
        made = making(output, f"run{len(output.receipts()) + 1}")
        made.put(
            "records",
            DAY,
            RECORDS,
            rows(RECORDS, made.staging.run_id, 5),
            watch=SubjectIndexer.from_keys(Keys(), DEVICE),
        )
        written = made.written["records"]
        receipt = receipt_for(output, made.staging.run_id, {}, made.staging.current_files())
        stated = WrittenOutput("pseudonymized", 5, files=output_files(written), index=index_files(written))
        made.staging.publish(replace(receipt, outputs={"records": stated}))


def three_files(folder: Path, exchange: FolderExchange) -> None:
    """Publishes one partition of three files, and another one."""
    with open_output(folder, exchange=exchange) as output:
        made = making(output, "run1")
        for part in range(3):
            made.put("records", DAY, RECORDS, rows(RECORDS, f"part{part}-", 2), part=part)
        made.put("records", "2026-11-23", RECORDS, rows(RECORDS, "before", 2))
        made.publish()


def rewritten(folder: Path, exchange: FolderExchange) -> None:
    """Rewrites one file of three, removes one, keeps one; removes the other partition whole."""

    def stage(batch: Batch) -> Batch:
        return batch.with_(raw=batch.raw.filter(pc.not_equal(batch.raw["device"], "part0-1")))

    def receipt(done: RewriteResult) -> Receipt:
        made = receipt_for(output, "run2", done.written, kind="expire")
        return replace(made, replaces=done.replaces, removes=done.removes)

    with open_output(folder, exchange=exchange) as output:
        place = f"records/date={DAY}/run1"
        gone = [f"{place}-1.parquet", "records/date=2026-11-23/run1-0.parquet"]
        rewrite_files(output, "run2", {f"{place}-0.parquet": stage}, receipt, {"settings.csv": b"a,b"}, removes=gone)


def rewritten_without_links(folder: Path, exchange: FolderExchange) -> None:
    """The same on a file system without hard links."""
    with no_links():
        rewritten(folder, exchange)


@contextmanager
def no_links() -> Iterator[None]:
    """A file system without hard links."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    link, os.link = os.link, refuse
    try:
        yield
    finally:
        os.link = link


def adopted(folder: Path, exchange: FolderExchange) -> None:
    """Publishes what other processes wrote; one attempt is not adopted."""
    with open_output(folder, exchange=exchange) as output:
        made = making(output, "run2")
        elsewhere = made.staging.worker_files("records", DAY, RECORDS).prepare()
        for attempt in ("0-t0", "0-t1"):
            sink = elsewhere.sink(attempt)
            sink.write(rows(RECORDS, attempt, 3))
            written = sink.close()
        made.written["records"] = tuple(elsewhere.adopt("0-t1", written))
        made.publish({"policy.yaml": b"new"})


def third(folder: Path, exchange: FolderExchange) -> None:
    """Publishes both days again, after whatever came before."""
    ensure_identity(folder)
    with open_output(folder, exchange=exchange) as output:
        made = making(output, f"later{len(output.receipts()) + 1}")
        for day in (DAY, "2026-11-23"):
            made.put("records", day, RECORDS, rows(RECORDS, "later", 1))
        made.publish()


def rolled_back(folder: Path, exchange: FolderExchange) -> None:
    """Fails before anything is decided, and then publishes."""
    with open_output(folder, exchange=exchange) as output, output.begin("run0") as staging:
        sink = staging.sink("records", DAY, RECORDS)
        sink.write(rows(RECORDS, "lost", 1))
        sink.close()
    new(folder, exchange)


SCENARIOS: Final = (
    Scenario("first run", nothing, first_run),
    Scenario("rerun", old, new),
    Scenario("rerun by two renames", old, new, atomic=False),
    Scenario("first undated run", nothing, undated),
    Scenario("undated rerun", undated, undated, atomic=False),
    Scenario("with an index", indexed, indexed),
    Scenario("rewrite", three_files, rewritten),
    Scenario("rewrite by two renames", three_files, rewritten, atomic=False),
    Scenario("rewrite without links", three_files, rewritten_without_links),
    Scenario("adopted", old, adopted),
    Scenario("after one that failed", old, rolled_back),
)
