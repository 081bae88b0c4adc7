"""Receipts are read from their files, in order, and nothing else counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.errors import OutputError
from minimize.io.durable import there
from minimize.io.history import is_unsettled, known_runs, receipts
from tests.buckets import Bucket
from tests.io.publishing import dies_at, new, old, recovered


def test_no_folder_has_no_history(tmp_path: Path) -> None:
    assert receipts(tmp_path) == ()
    assert known_runs(tmp_path) == frozenset()
    assert not is_unsettled(tmp_path)


def test_runs_are_known_once_they_are_published(tmp_path: Path) -> None:
    old(tmp_path)
    new(tmp_path)
    (tmp_path / "runs/run3").mkdir()
    assert known_runs(tmp_path) == {"run1", "run2"}
    assert [receipt.sequence for receipt in receipts(tmp_path)] == [1, 2]


def test_an_intent_is_unsettled_until_it_is_done(tmp_path: Path) -> None:
    assert dies_at("swap.after", old, tmp_path)
    assert is_unsettled(tmp_path)
    recovered(tmp_path)
    assert not is_unsettled(tmp_path)


def test_a_receipt_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    old(tmp_path)
    (tmp_path / "runs/run1/receipt.json").write_text("SECRET")
    with pytest.raises(OutputError, match=r"runs/run1/receipt\.json") as caught:
        receipts(tmp_path)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__context__ is None


def test_an_object_whose_bytes_are_not_there_yet_is_no_intent_and_no_receipt(bucket: Bucket) -> None:
    bucket.put("out/runs/run1/intent.json", b"")
    bucket.put("out/runs/run1/receipt.json", b"")
    out = bucket.at("out")
    assert receipts(out) == ()
    assert known_runs(out) == frozenset()
    assert not is_unsettled(out)
    assert not there(out / "runs/run1/intent.json")
    bucket.put("out/runs/run1/intent.json", b"{}")
    assert is_unsettled(out)
    assert there(out / "runs/run1/intent.json")
