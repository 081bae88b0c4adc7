from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from minimize.errors import OutOfMemoryError, SourceError
from minimize.sources.files import FilePart, damaged_file_error, read_error, replace_errors

CANARY = "c4n4ry"


def test_a_part_is_named_below_its_root_and_digested_as_stored(tmp_path: Path) -> None:
    path = tmp_path / "in" / "a.bin"
    path.parent.mkdir()
    path.write_bytes(b"stored")
    part = FilePart(path, tmp_path)
    assert (part.name, part.digest) == ("in/a.bin", f"sha256:{hashlib.sha256(b'stored').hexdigest()}")


def test_the_digest_is_computed_once(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"stored")
    part = FilePart(path, tmp_path)
    first = part.digest
    path.unlink()
    assert part.digest == first


def test_a_file_that_is_gone_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read") as caught:
        _ = FilePart(tmp_path / "gone", tmp_path).digest
    assert caught.value.exit_code == 2


def test_an_iterator_that_fails_is_told_in_our_words_after_what_it_gave() -> None:
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
    with pytest.raises(SourceError, match=r"a\.bin changed while it was read"):
        _ = part.digest


def test_a_file_that_was_replaced_by_an_equal_one_is_another(tmp_path: Path) -> None:
    path, other = tmp_path / "a.bin", tmp_path / "b.bin"
    path.write_bytes(b"stored")
    other.write_bytes(b"stored")
    part = FilePart(path, tmp_path)
    other.rename(path)
    with pytest.raises(SourceError, match="changed while it was read"):
        _ = part.digest
