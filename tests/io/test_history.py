"""Receipts are read from their files, in order, and nothing else counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.errors import OutputError
from minimize.output.folder import has_unfinished_publication, published_runs, read_receipts
from minimize.stores.durable_files import file_exists
from tests.buckets import Bucket
from tests.io.publishing import dies_at, new, old, recovered


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
