"""Receipts are read from their files, in order, and nothing else counts.
An output folder keeps its identity, wherever it is.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from minimize.errors import OutputError
from minimize.output.folder import (
    ensure_identity,
    has_unfinished_publication,
    identity_of,
    make_output_folder,
    published_runs,
    read_receipts,
)
from minimize.stores.durable_files import file_exists
from tests.buckets import Bucket
from tests.sources.publishing import dies_at, new, old, recovered


def test_no_folder_has_no_history(tmp_path: Path) -> None:
    assert read_receipts(tmp_path) == ()
    assert published_runs(tmp_path) == frozenset()
    assert not has_unfinished_publication(tmp_path)


def test_runs_are_known_once_they_are_published(tmp_path: Path) -> None:
    old(tmp_path)
    new(tmp_path)
    (tmp_path / "runs/run3").mkdir()
    assert published_runs(tmp_path) == {"run1", "run2"}
    assert [receipt.sequence for receipt in read_receipts(tmp_path)] == [1, 2]


def test_an_intent_is_unsettled_until_it_is_done(tmp_path: Path) -> None:
    assert dies_at("swap.after", old, tmp_path)
    assert has_unfinished_publication(tmp_path)
    recovered(tmp_path)
    assert not has_unfinished_publication(tmp_path)


def test_a_receipt_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    old(tmp_path)
    (tmp_path / "runs/run1/receipt.json").write_text("SECRET")
    with pytest.raises(OutputError, match=r"runs/run1/receipt\.json") as caught:
        read_receipts(tmp_path)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__context__ is None


def test_an_object_whose_bytes_are_not_there_yet_is_no_intent_and_no_receipt(bucket: Bucket) -> None:
    bucket.put("out/runs/run1/intent.json", b"")
    bucket.put("out/runs/run1/receipt.json", b"")
    out = bucket.at("out")
    assert read_receipts(out) == ()
    assert published_runs(out) == frozenset()
    assert not has_unfinished_publication(out)
    assert not file_exists(out / "runs/run1/intent.json")
    bucket.put("out/runs/run1/intent.json", b"{}")
    assert has_unfinished_publication(out)
    assert file_exists(out / "runs/run1/intent.json")


def test_a_folder_gets_an_identity_once(tmp_path: Path) -> None:
    make_output_folder(tmp_path / "out")
    assert identity_of(tmp_path / "out") is None
    given = ensure_identity(tmp_path / "out")
    assert len(given) == 32
    assert ensure_identity(tmp_path / "out") == identity_of(tmp_path / "out") == given


def test_it_stays_where_the_folder_is_moved(tmp_path: Path) -> None:
    make_output_folder(tmp_path / "out")
    given = ensure_identity(tmp_path / "out")
    shutil.move(tmp_path / "out", tmp_path / "elsewhere")
    assert identity_of(tmp_path / "elsewhere") == given


def test_concurrent_calls_create_one_identity(tmp_path: Path) -> None:
    make_output_folder(tmp_path / "out")
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: ensure_identity(tmp_path / "out"), range(16)))) == 1


@pytest.mark.parametrize("content", [b"", b"0123", b"x" * 33, b"0" * 40])
def test_half_an_identity_is_none_and_is_made_whole(tmp_path: Path, content: bytes) -> None:
    make_output_folder(tmp_path)
    (tmp_path / "runs" / ".id").write_bytes(content)
    assert identity_of(tmp_path) is None
    assert ensure_identity(tmp_path) == identity_of(tmp_path)
    assert (tmp_path / "runs" / ".id").stat().st_size == 33


def test_a_copy_can_get_another(tmp_path: Path) -> None:
    make_output_folder(tmp_path)
    first = ensure_identity(tmp_path)
    second = ensure_identity(tmp_path, other_than=first)
    assert second != first
    assert ensure_identity(tmp_path, other_than=first) == second


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    make_output_folder(tmp_path / "out")
    os.symlink(tmp_path / "elsewhere", tmp_path / "out" / "runs" / ".id")
    with pytest.raises(OutputError, match="ELOOP"):
        ensure_identity(tmp_path / "out")
    assert not (tmp_path / "elsewhere").exists()


def test_an_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(OutputError, match="the output is a file"):
        make_output_folder(tmp_path / "out")
