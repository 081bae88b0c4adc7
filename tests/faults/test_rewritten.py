"""Rewriting and taking in: a partition of which one file is rewritten and the other kept, and files that others wrote, killed."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from minimize.governance.rewrite import rewrite_files
from minimize.governance.rewrite_receipt import RewriteResult
from minimize.output.publish import open_output
from minimize.output.reader import read_output
from minimize.output.recovery import FolderExchange, exchange_folders
from minimize.receipts import Receipt
from tests.sources.publishing import RECORDS, check_whole, dies_at, making, old, receipt_for, recovered, rows, snapshot

pytestmark = pytest.mark.nightly

POINTS = ("keep.before", "keep.after", "file.closed", "sync.data.before", "sync.folder.before#6", "swap.after")


@pytest.mark.parametrize("point", POINTS)
def test_a_rewrite_that_is_killed_leaves_old_or_new(tmp_path: Path, point: str) -> None:
    two_files(tmp_path / "out")
    before = snapshot(tmp_path / "out")
    assert dies_at(point, rewrites_one, tmp_path / "out")
    recovered(tmp_path / "out")
    check_whole(tmp_path / "out")
    is_old = not (tmp_path / "out/runs/run2").exists()
    assert (snapshot(tmp_path / "out") == before) == is_old
    if is_old:
        rewrites_one(tmp_path / "out")
    check_whole(tmp_path / "out")
    assert read_output(tmp_path / "out").num_rows == 4


@pytest.mark.parametrize("point", ["sync.copy.before", "sync.copy.after"])
def test_without_links_a_kept_file_is_copied_and_that_may_be_killed(tmp_path: Path, point: str) -> None:
    two_files(tmp_path / "out")
    before = snapshot(tmp_path / "out")
    assert dies_at(point, rewrites_one_without_links, tmp_path / "out")
    recovered(tmp_path / "out")
    assert snapshot(tmp_path / "out") == before
    rewrites_one(tmp_path / "out")
    check_whole(tmp_path / "out")


@pytest.mark.parametrize("point", ["adopt.before", "adopt.after"])
def test_a_run_that_is_killed_while_it_takes_in_what_others_wrote_leaves_the_old(tmp_path: Path, point: str) -> None:
    old(tmp_path / "out")
    before = snapshot(tmp_path / "out")
    assert dies_at(point, adopts, tmp_path / "out")
    recovered(tmp_path / "out")
    check_whole(tmp_path / "out")
    assert snapshot(tmp_path / "out") == before


def two_files(folder: Path, exchange: FolderExchange = exchange_folders) -> None:
    """One partition of two files."""
    with open_output(folder, exchange=exchange) as output:
        made = making(output, "run1")
        for part in range(2):
            made.put("records", "2026-11-24", RECORDS, rows(RECORDS, f"old{part}", 2), part=part)
        made.publish()


def rewrites_one(folder: Path, exchange: FolderExchange = exchange_folders) -> None:
    """Rewrites one of them; the other is kept."""

    def receipt(done: RewriteResult) -> Receipt:
        found = receipt_for(output, "run2", done.written, kind="expire")
        return replace(found, replaces=done.replaces, removes=done.removes)

    with open_output(folder, exchange=exchange) as output:
        rewrite_files(output, "run2", {"records/date=2026-11-24/run1-0.parquet": lambda batch: batch}, receipt)


def rewrites_one_without_links(folder: Path, exchange: FolderExchange = exchange_folders) -> None:
    """The same on a file system that has no links."""

    def refuses(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    os.link = refuses  # in a process that is about to die
    rewrites_one(folder, exchange)


def adopts(folder: Path, exchange: FolderExchange = exchange_folders) -> None:
    """Takes in what another process wrote."""
    with open_output(folder, exchange=exchange) as output, output.begin("run2") as staging:
        elsewhere = staging.worker_files("records", "2026-11-24", RECORDS).prepare()
        sink = elsewhere.sink("0-t0")
        sink.write(rows(RECORDS, "new", 3))
        elsewhere.adopt("0-t0", sink.close())
