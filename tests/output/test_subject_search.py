"""The rows of some subjects in one file, whatever type its subjects have and wherever they stand.
Looking subjects up: nobody who is there is missed, and little is read.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.pointers import Pointer
from minimize.errors import KeyringError, OutputError
from minimize.output.sink import ParquetSink
from minimize.output.stored_file import StoredFile, open_stored_file
from minimize.output.subject_index import SECTION_GROUPS, IndexKey
from minimize.output.subject_search import (
    CandidateFile,
    find_candidate_files,
    open_index_file,
    read_index,
    subject_rows,
)
from minimize.receipts import ReceiptFile
from minimize.records import FileRef
from tests.output.making import Keys, written

NUMBERS = pa.array(range(4), pa.int64())


def stored(root: Path, subjects: pa.Array, row_group_size: int = 2) -> StoredFile:
    (root / "records").mkdir()
    table = pa.table({"s": subjects, "n": NUMBERS})
    pq.write_table(table, root / "records/run-0.parquet", row_group_size=row_group_size)
    return open_stored_file(root, "records/run-0.parquet")


@pytest.mark.parametrize(
    ("subjects", "path", "wanted", "due"),
    [
        (pa.array(["a", "b", None, "a"]), "s", ["a"], [0, 3]),
        (pa.array(["a", "b", None, "a"]).dictionary_encode(), "s", ["b", "x"], [1]),
        (pa.array(["a", "b", "c", "a"]), "s", [1, b"a"], []),
        (pa.array([1, 2, None, 2**40]), "s", [2**40, 2**70, "1"], [3]),
        (pa.array([1, 2, 3, 4], pa.int8()), "s", [300, 4], [3]),
        (pa.array([b"a", b"b", None, b"c"]), "s", [b"a", "b"], [0]),
        (pa.array([{"id": "a"}, None, {"id": None}, {"id": "a"}]), "/s/id", ["a"], [0, 3]),
        (pa.array([["a", "b"], None, [], ["b", "b"]]), "/s/*", ["b"], [0, 3]),
    ],
)
@pytest.mark.parametrize("groups", [None, [0, 1]])
def test_the_rows_about_them_are_given(
    tmp_path: Path, subjects: pa.Array, path: str, wanted: list[Any], due: list[int], groups: list[int] | None
) -> None:
    found = subject_rows(stored(tmp_path, subjects), Pointer.parse(path), wanted, groups)
    assert found["n"].to_pylist() == due


def test_no_other_row_group_is_read_than_those_named(tmp_path: Path) -> None:
    file = stored(tmp_path, pa.array(["a", "a", "a", "b"]))
    assert subject_rows(file, Pointer.parse("s"), ["a"], [1])["n"].to_pylist() == [2]
    assert subject_rows(file, Pointer.parse("s"), ["a"], [])["n"].to_pylist() == []


def test_a_subject_that_is_a_folder_is_found(tmp_path: Path) -> None:
    schema = pa.schema([("s", pa.string()), ("n", pa.int64())])
    sink = ParquetSink(tmp_path, "records", "run-0", schema, partition_by=("s",))
    sink.write(pa.record_batch([["a", "b", "a", "b"], NUMBERS], schema=schema))
    for file, due in zip(sink.close(), ([0, 2], []), strict=True):
        found = subject_rows(open_stored_file(tmp_path, file.path), Pointer.parse("s"), ["a"], None)
        assert found["n"].to_pylist() == due


@pytest.mark.parametrize("path", ["gone", "/s/id"])
def test_a_file_without_the_subject_column_is_reported(tmp_path: Path, path: str) -> None:
    with pytest.raises(OutputError, match="has no column of its subject"):
        subject_rows(stored(tmp_path, pa.array(["a", "b", "c", "d"])), Pointer.parse(path), ["a"], None)


NAMES = st.sampled_from([*"abcdefgh", "", "ü", "a\0", "long " * 40])


def groups_found(root: Path, file: ReceiptFile, values: list[str | int | bytes], keys: Keys) -> tuple[int, ...] | None:
    places = find_candidate_files(root, [file], values, keys)
    return places[0].groups if places else ()


@given(st.lists(st.lists(st.one_of(st.none(), NAMES), max_size=8), max_size=6), st.lists(NAMES, max_size=4))
def test_the_row_groups_that_hold_any_of_the_values_are_found_and_no_others(
    groups: list[list[str | None]], sought: list[str]
) -> None:
    due = tuple(number for number, group in enumerate(groups) if {*group} & {*sought})
    with TemporaryDirectory() as folder:
        for coded in (False, True):
            arrays = [pa.array(group, pa.string()) for group in groups]
            arrays = [each.dictionary_encode() for each in arrays] if coded else arrays
            file = written(Path(folder), arrays, Keys(), name=f"run-{coded}")
            assert groups_found(Path(folder), file, [*sought], Keys()) == due


@pytest.mark.parametrize(
    ("values", "sought", "due"),
    [
        ([pa.array([1, 2]), pa.array([2**40, None])], 2**40, (1,)),
        ([pa.array([b"\0\1"]), pa.array([b"x"])], b"\0\1", (0,)),
        ([pa.array(["7"])], 7, (0,)),  # as good as any prefix that two values share: the row group is read in vain
    ],
)
def test_whole_numbers_and_bytes_are_found(
    tmp_path: Path, values: list[pa.Array], sought: int | bytes, due: tuple[int, ...]
) -> None:
    assert groups_found(tmp_path, written(tmp_path, values, Keys()), [sought], Keys()) == due


def test_more_row_groups_and_subjects_than_a_section_or_block_has_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minimize.output.subject_index.SECTION_ENTRIES", 20_000)
    groups = [
        pa.array([f"d{group}-{n}" for n in range(100 if group else 30_000)]) for group in range(SECTION_GROUPS + 6)
    ]
    file = written(tmp_path, groups, Keys())
    with open_index_file(tmp_path, file) as handle:
        extents = read_index(handle, file, lambda version: IndexKey.from_keys(Keys(), version)).contents.extents
    assert [each.groups for each in extents] == [1, SECTION_GROUPS, 5]
    assert extents[0].blocks == 8
    for group in (0, 1, SECTION_GROUPS, SECTION_GROUPS + 5):
        assert groups_found(tmp_path, file, [f"d{group}-7"], Keys()) == (group,)
    assert groups_found(tmp_path, file, ["d0-29999", "d3-99", "d69-100"], Keys()) == (0, 3)


def test_a_file_that_holds_none_of_them_is_not_named(tmp_path: Path) -> None:
    files = [written(tmp_path, [pa.array([name])], Keys(), name=f"run-{name}") for name in "ab"]
    assert find_candidate_files(tmp_path, files, ["b"], Keys()) == [CandidateFile(files[1], (0,))]
    assert find_candidate_files(tmp_path, files, [], Keys()) == []


def test_a_file_without_an_index_may_hold_any_subject(tmp_path: Path) -> None:
    file = written(tmp_path, [pa.array(["a"])])
    assert find_candidate_files(tmp_path, [file], ["b"], Keys()) == [CandidateFile(file, None)]


def test_without_a_keyring_every_file_may(tmp_path: Path) -> None:
    file = written(tmp_path, [pa.array(["a"])], Keys())
    assert find_candidate_files(tmp_path, [file], ["b"], None) == [CandidateFile(file, None)]


def test_files_of_several_key_versions_are_looked_up_together(tmp_path: Path) -> None:
    old = written(tmp_path, [pa.array(["a"])], Keys(1), name="run-0")
    new = written(tmp_path, [pa.array(["b"]), pa.array(["a"])], Keys(2), name="run-1")
    assert find_candidate_files(tmp_path, [old, new], ["a"], Keys(2)) == [
        CandidateFile(old, (0,)),
        CandidateFile(new, (1,)),
    ]


def test_few_bytes_are_read_of_a_large_index(tmp_path: Path) -> None:
    file = written(tmp_path, [pa.array([f"d{n}" for n in range(100_000)])], Keys())
    assert file.index is not None
    size = (tmp_path / file.index.path).stat().st_size
    with open_index_file(tmp_path, file) as handle:
        index = read_index(handle, file, lambda version: IndexKey.from_keys(Keys(), version))
        assert index.contents.extents[0].block_size(0) < size / 20
        assert len(index.contents.fences) == 25


def test_a_missing_index_is_reported(tmp_path: Path) -> None:
    file = ReceiptFile("records/run-0.parquet", 1, "sha256:0", FileRef("index/run-0.index", "sha256:1"))
    with pytest.raises(OutputError, match="missing or damaged") as caught:
        find_candidate_files(tmp_path, [file], ["a"], Keys())
    assert caught.value.__context__ is None


def test_the_index_of_another_file_or_another_digest_does_not_open(tmp_path: Path) -> None:
    one, other = (written(tmp_path, [pa.array(["a"])], Keys(), name=name) for name in ("run-0", "run-1"))
    swapped = ReceiptFile(one.path, one.rows, one.digest, other.index)
    changed = ReceiptFile(one.path, one.rows, "sha256:0", one.index)
    for file in (swapped, changed):
        with pytest.raises(OutputError, match="missing or damaged"):
            find_candidate_files(tmp_path, [file], ["a"], Keys())


@pytest.mark.parametrize("where", [0.3, 0.9, -4])
def test_a_changed_byte_is_noticed(tmp_path: Path, where: float) -> None:
    file = written(tmp_path, [pa.array(["a", "b"])], Keys())
    assert file.index is not None
    path = tmp_path / file.index.path
    content = bytearray(path.read_bytes())
    content[int(where * len(content)) if where > 0 else int(where)] ^= 1
    path.write_bytes(content)
    with pytest.raises(OutputError, match="missing or damaged"):
        find_candidate_files(tmp_path, [file], ["a"], Keys())


@pytest.mark.parametrize("content", [b"", b"MZINDEX2", b"\xff" * 100])
def test_a_file_that_is_no_index_is_reported_as_damaged(tmp_path: Path, content: bytes) -> None:
    file = written(tmp_path, [pa.array(["a"])], Keys())
    assert file.index is not None
    (tmp_path / file.index.path).write_bytes(content)
    with pytest.raises(OutputError, match="missing or damaged"):
        find_candidate_files(tmp_path, [file], ["a"], Keys())


def test_another_keyring_opens_nothing(tmp_path: Path) -> None:
    file = written(tmp_path, [pa.array(["a"])], Keys())
    with pytest.raises(OutputError, match="missing or damaged"):
        find_candidate_files(tmp_path, [file], ["a"], Keys(seed="other"))


def test_a_key_version_missing_from_the_keyring_is_reported(tmp_path: Path) -> None:
    class Lost(Keys):
        def subkey(self, name: str, purpose: str, version: int | None = None) -> bytes:
            raise KeyringError(f"key {name}/{version} is not in the keyring")

    file = written(tmp_path, [pa.array(["a"])], Keys(3))
    with pytest.raises(KeyringError, match="subject/3"):
        find_candidate_files(tmp_path, [file], ["a"], Lost())
