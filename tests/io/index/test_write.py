"""What an index file is made of."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa

from minimize.output.subject_index import SubjectIndexer, index_path
from minimize.receipts import FileRef
from minimize.sources.base import WrittenFile
from tests.io.index.making import DEVICE, Keys, table, written

VALUES = [pa.array([f"device-{number}" for number in range(2000)]), pa.array(["device-1", None])]


def content(root: Path, name: str = "run-0") -> bytes:
    file = written(root, VALUES, Keys(), name=name)
    assert file.index is not None
    return (root / file.index.path).read_bytes()


def test_the_same_values_path_digest_and_key_give_the_same_bytes(tmp_path: Path) -> None:
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert content(tmp_path / "a", name="run-1") != content(tmp_path / "c")


def test_its_digest_is_that_of_its_bytes(tmp_path: Path) -> None:
    file = written(tmp_path, VALUES, Keys())
    digest = "sha256:" + hashlib.sha256((tmp_path / "index/run-0.index").read_bytes()).hexdigest()
    assert file.index == FileRef("index/run-0.index", digest)


def test_no_value_stands_in_it_and_no_prefix_in_the_clear(tmp_path: Path) -> None:
    from minimize.output.subject_index import IndexKey

    stored = content(tmp_path)
    prefixes = IndexKey.from_keys(Keys()).prefixes(VALUES[0])
    assert b"device" not in stored
    assert not any(prefix.tobytes() in stored for prefix in prefixes)


def test_it_takes_about_nine_bytes_a_subject(tmp_path: Path) -> None:
    assert len(content(tmp_path)) < 2000 * 9 + 300


def test_a_file_without_rows_has_an_index_without_subjects(tmp_path: Path) -> None:
    file = written(tmp_path, [], Keys())
    assert file.index is not None
    assert (tmp_path / file.index.path).exists()


def test_an_index_that_is_abandoned_closes_its_file(tmp_path: Path) -> None:
    writing = SubjectIndexer.from_keys(Keys(), DEVICE)(tmp_path, "records/run-0.parquet")
    writing.abandon()
    for _ in range(64):
        writing.group(table(VALUES[1]))
    writing.abandon()
    assert (tmp_path / index_path("records/run-0.parquet")).exists()


def test_a_file_that_is_finished_keeps_what_was_said_of_it(tmp_path: Path) -> None:
    writing = SubjectIndexer.from_keys(Keys(), DEVICE)(tmp_path, "records/date=2026-11-24/t=1/run-0.parquet")
    made = writing.close(WrittenFile("records/date=2026-11-24/t=1/run-0.parquet", 3, "sha256:7"))
    assert (made.rows, made.digest) == (3, "sha256:7")
    assert made.index is not None
    assert made.index.path == "index/date=2026-11-24/t=1/run-0.index"
