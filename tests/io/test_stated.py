"""What a sink wrote, as receipts say it."""

from __future__ import annotations

from minimize.io.base import Written
from minimize.io.stated import files_stated, indexes_stated
from minimize.receipt import CompanionFile, FileRef, Output, OutputFile, with_companions

PLAIN = Written("records/a.parquet", 3, "sha256:1")
INDEXED = Written("records/b.parquet", 2, "sha256:2", FileRef("index/b.index", "sha256:3"))


def test_files_are_stated_without_their_indexes() -> None:
    assert files_stated([PLAIN, INDEXED]) == (
        OutputFile("records/a.parquet", 3, "sha256:1"),
        OutputFile("records/b.parquet", 2, "sha256:2"),
    )


def test_indexes_are_stated_with_the_files_that_they_are_of() -> None:
    assert indexes_stated([PLAIN, INDEXED]) == (CompanionFile("index/b.index", "sha256:3", "records/b.parquet"),)
    assert indexes_stated([PLAIN]) is None


def test_files_and_indexes_find_each_other_again() -> None:
    written = [PLAIN, INDEXED]
    output = Output("pseudonymized", 5, files=files_stated(written), index=indexes_stated(written))
    assert [file.index for file in with_companions(output)] == [None, INDEXED.index]
