from __future__ import annotations

import gzip
import hashlib
import pickle
import random
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.checkpoints import at_checkpoint
from minimize.errors import OutOfMemoryError, SourceError
from minimize.sources.files import (
    FilePart,
    LineBlock,
    damaged_file_error,
    line_blocks,
    nonblank_lines,
    open_stream,
    read_error,
    replace_errors,
)
from minimize.stores.durable_files import file_digest
from tests.hypothesis_profiles import examples

SIZE, LIMIT = 16, 40


def cut(data: bytes) -> list[LineBlock]:
    return list(line_blocks(BytesIO(data), SIZE, LIMIT))


def test_blocks_end_at_line_ends_and_know_their_position() -> None:
    data = b"first line\nsecond\nthird, a longer line\nlast"
    found = cut(data)
    assert b"".join(block.data for block in found) == data
    assert [block.position for block in found] == [0, 11, 18]
    assert all(block.data.endswith(b"\n") for block in found[:-1])


def test_a_line_above_the_limit_is_reported_by_its_position_only() -> None:
    long = b"x" * (LIMIT + 1)
    assert cut(b"a\n" + long + b"\nb\n") == [
        LineBlock(0, b"a\n"),
        LineBlock(2, b"", too_large=True),
        LineBlock(44, b"b\n"),
    ]
    assert cut(b"a\n" + long * 5) == [LineBlock(0, b"a\n"), LineBlock(2, b"", too_large=True)]


def test_a_line_of_exactly_the_limit_is_no_fault() -> None:
    assert not any(block.too_large for block in cut(b"x" * LIMIT + b"\n" + b"y" * LIMIT))


def test_a_byte_order_mark_is_left_out_at_the_start_and_nowhere_else() -> None:
    found = cut(b"\xef\xbb\xbf{}\n\xef\xbb\xbf{}")
    assert found[0].position == 3
    assert b"".join(block.data for block in found) == b"{}\n\xef\xbb\xbf{}"


def test_blank_lines_are_no_lines() -> None:
    assert list(nonblank_lines(LineBlock(5, b"a\n\n \t\r\nb\r\n"))) == [(5, b"a"), (12, b"b\r")]


@settings(max_examples=examples(200))
@given(st.lists(st.binary(max_size=60).map(lambda line: line.replace(b"\n", b"")), max_size=12), st.booleans())
def test_every_line_is_returned_whole_or_marked_as_too_large(texts: list[bytes], ended: bool) -> None:
    data = b"\n".join(texts) + (b"\n" if ended else b"")
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    given_: dict[int, bytes | None] = {}
    for block in cut(data):
        given_.update({block.position: None} if block.too_large else dict(nonblank_lines(block)))
    expected = {}
    for position, line in nonblank_lines(LineBlock(0, data)):
        expected[position] = line if len(line) <= LIMIT else None
    assert {at: line for at, line in given_.items() if at in expected} == expected
    assert all(line is None for at, line in given_.items() if at not in expected)


class Trickle(BytesIO):
    """A stream that gives three bytes at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 3))


def test_a_stream_that_gives_little_at_a_time_is_cut_like_any_other() -> None:
    data = b"\xef\xbb\xbffirst line\nsecond\nthird, a longer line\nlast"
    assert list(line_blocks(Trickle(data), SIZE, LIMIT)) == cut(data)
    assert len(cut(data)) < 5


CANARY = "c4n4ry"


def test_a_part_is_named_below_its_root_and_digested_as_stored(tmp_path: Path) -> None:
    path = tmp_path / "in" / "a.bin"
    path.parent.mkdir()
    path.write_bytes(b"stored")
    part = FilePart(path, tmp_path)
    assert (part.name, part.digest) == ("in/a.bin", f"blake3:{blake3(b'stored').hexdigest()}")


@pytest.fixture(name="hashed")
def _hashed() -> Iterator[list[Path]]:
    """The files that are read only to be hashed."""
    found: list[Path] = []
    with at_checkpoint("file.hashed", lambda _, content: found.extend([content] * isinstance(content, Path))):
        yield found


def test_the_digest_is_computed_once(tmp_path: Path, hashed: list[Path]) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"stored")
    part = FilePart(path, tmp_path)
    assert [part.digest, part.digest] == 2 * [file_digest(b"stored")]
    assert hashed == [path]


def compressed(ending: str, text: bytes) -> bytes:
    return {"": text, ".gz": gzip.compress(text) + gzip.compress(text), ".zst": zstandard.compress(text)}[ending]


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_reading_a_file_to_its_end_computes_its_digest(tmp_path: Path, hashed: list[Path], ending: str) -> None:
    path = tmp_path / f"a.ndjson{ending}"
    path.write_bytes(compressed(ending, b"one\ntwo\n" * 300_000))
    part = FilePart(path, tmp_path)
    with open_stream(part) as stream:
        while stream.read(1 << 20):
            pass
    assert part.digest == file_digest(path.read_bytes())
    assert hashed == []


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_a_file_that_is_read_in_part_is_hashed_whole(tmp_path: Path, hashed: list[Path], ending: str) -> None:
    path = tmp_path / f"a.ndjson{ending}"
    path.write_bytes(compressed(ending, random.Random(1).randbytes(5 << 20)))
    part = FilePart(path, tmp_path)
    with open_stream(part) as stream:
        stream.read(1 << 16)
    assert part.digest == file_digest(path.read_bytes())
    assert hashed == [path]


def test_a_file_that_changes_after_it_was_read_has_no_digest(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"stored")
    part = FilePart(path, tmp_path)
    assert part.digest
    path.write_bytes(b"stored and more")
    with pytest.raises(SourceError, match="changed while the run read it"):
        _ = part.digest


def test_a_digest_of_an_earlier_version_is_compared_by_its_algorithm(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"a")
    part, digest = FilePart(path, tmp_path), f"sha256:{hashlib.sha256(b'a').hexdigest()}"
    assert [part.has_digest(each) for each in (digest, digest[:-1] + "0", "md5:0", "")] == [True, False, False, False]


def test_a_file_that_is_gone_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read") as caught:
        _ = FilePart(tmp_path / "gone", tmp_path).digest
    assert caught.value.exit_code == 2


def test_a_failing_iterator_raises_a_source_error_after_its_items() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise ValueError(CANARY)

    got = replace_errors(failing(), damaged_file_error("a.bin"))
    assert next(got) == 1
    with pytest.raises(SourceError, match="damaged") as caught:
        next(got)
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)


@pytest.mark.parametrize("error", [MemoryError(CANARY), pa.lib.ArrowMemoryError(CANARY)])
def test_a_file_is_not_called_damaged_if_memory_is_used_up(error: Exception) -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise error

    got = replace_errors(failing(), damaged_file_error("a.bin"), "a.bin")
    assert next(got) == 1
    with pytest.raises(OutOfMemoryError, match=r"while a\.bin was read") as caught:
        next(got)
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)
    assert isinstance(read_error("a.bin", error), OutOfMemoryError)


def test_an_iterator_that_ends_ends() -> None:
    assert list(replace_errors(iter([1, 2]), damaged_file_error("a.bin"))) == [1, 2]


def test_a_file_that_changed_since_it_was_first_seen_has_no_digest(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"stored")
    part = FilePart(path, tmp_path)
    path.write_bytes(b"stored and more")
    with pytest.raises(SourceError, match=r"a\.bin changed while the run read it"):
        _ = part.digest


def test_a_file_that_was_replaced_by_an_equal_one_is_another(tmp_path: Path) -> None:
    path, other = tmp_path / "a.bin", tmp_path / "b.bin"
    path.write_bytes(b"stored")
    other.write_bytes(b"stored")
    part = FilePart(path, tmp_path)
    other.rename(path)
    with pytest.raises(SourceError, match="changed while the run read it"):
        _ = part.digest


def test_another_process_finds_that_the_file_changed_since_this_one_first_saw_it(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"stored")
    sent = pickle.dumps(FilePart(path, tmp_path))
    path.write_bytes(b"stored and more")
    part = pickle.loads(sent)
    assert (part.name, part.size) == ("a.bin", 6)
    with pytest.raises(SourceError, match="changed while the run read it"):
        _ = part.digest
