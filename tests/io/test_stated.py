"""What a sink wrote, as receipts say it."""

from __future__ import annotations

from minimize.output.sink import index_files, output_files
from minimize.receipts import CompanionFile, FileRef, ReceiptFile, WrittenOutput, files_with_companions
from minimize.sources.base import WrittenFile

PLAIN = WrittenFile("records/a.parquet", 3, "sha256:1")
INDEXED = WrittenFile("records/b.parquet", 2, "sha256:2", FileRef("index/b.index", "sha256:3"))


def test_files_are_stated_without_their_indexes() -> None:
    assert output_files([PLAIN, INDEXED]) == (
        ReceiptFile("records/a.parquet", 3, "sha256:1"),
        ReceiptFile("records/b.parquet", 2, "sha256:2"),
    )


def test_indexes_are_stated_with_the_files_that_they_are_of() -> None:
    assert index_files([PLAIN, INDEXED]) == (CompanionFile("index/b.index", "sha256:3", "records/b.parquet"),)
    assert index_files([PLAIN]) is None


def test_files_and_indexes_find_each_other_again() -> None:
    written = [PLAIN, INDEXED]
    output = WrittenOutput("pseudonymized", 5, files=output_files(written), index=index_files(written))
    assert [file.index for file in files_with_companions(output)] == [None, INDEXED.index]
