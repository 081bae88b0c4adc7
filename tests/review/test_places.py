"""Lines of a file and the bytes that stand in them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from minimize.review import trial
from minimize.review.trial import LineIndex

TEXTS = [
    *(b"", b"\n", b"a", b"a\n", b"a\n\n b\r\n\t\nc", b"\xef\xbb\xbfa\nb\n", b"\xef\xbb\xbf\nb"),
    b"abc" * 50 + b"\n" + b"d" * 99,
]


def expected(text: bytes) -> tuple[list[int], list[int]]:
    lines = text.split(b"\n")
    filled = [number for number, line in enumerate(lines, 1) if line.removeprefix(b"\xef\xbb\xbf").strip()]
    return [sum(len(line) + 1 for line in lines[:number]) for number in range(len(lines))], filled


@pytest.mark.parametrize("text", TEXTS, ids=repr)
@pytest.mark.parametrize("piece", [4, 7, 1000])
def test_lines_are_those_of_the_text_however_it_is_read(
    text: bytes, piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "BLOCK_SIZE", piece)
    (tmp_path / "a.ndjson").write_bytes(text)
    found = LineIndex.from_file(tmp_path / "a.ndjson")
    assert (list(found.starts), list(found.filled)) == expected(text)


def test_a_compressed_file_has_the_lines_of_its_text(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(b"a\n\nbc\n"))
    found = LineIndex.from_file(tmp_path / "a.ndjson.gz")
    assert [found.line_of(position) for position in (0, 1, 2, 3, 4)] == [1, 1, 2, 3, 3]
    assert list(found.filled) == [1, 3]
