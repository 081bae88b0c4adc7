"""Contents and blocks read back as they were packed.
What is hashed of a value, and what a key makes of it.
A section knows of each prefix in which row groups it is.
What an index file is made of.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.pointers import Pointer
from minimize.checkpoints import at_checkpoint
from minimize.output import subject_index
from minimize.output.subject_index import (
    BLOCK_ENTRIES,
    MAGIC,
    SECTION_GROUPS,
    VALUES_PURPOSE,
    IndexContents,
    IndexKey,
    IndexSection,
    RememberedPrefixes,
    SectionExtent,
    SubjectIndexer,
    block_as_section,
    can_be_indexed,
    distinct_subjects,
    index_path,
    section_blocks,
    value_bytes,
)
from minimize.records import FileRef, WrittenFile
from minimize.stores.durable_files import file_digest
from tests.output.making import DEVICE, Keys, table, written


@given(st.integers(1, 64), st.integers(0, 5))
def test_blocks_hold_what_the_section_held(groups: int, first: int) -> None:
    section = IndexSection(first)
    for group in range(groups):
        section.add(np.arange(group, group + 3, dtype=np.uint64))
    extent = SectionExtent(first, groups, len(section.prefixes))
    [block] = section_blocks(section)
    read = block_as_section(block, extent, 0)
    assert (read.first, read.groups) == (first, groups)
    assert read.prefixes.tolist() == section.prefixes.tolist()
    assert read.masks.tolist() == section.masks.tolist()


SUBJECTS = st.sets(st.one_of(st.sampled_from("abcdefgh"), st.text("xy", min_size=126, max_size=131)), max_size=8)


@given(st.lists(SUBJECTS, max_size=6), st.sampled_from([0, 4, 1 << 20]))
def test_remembered_prefixes_are_those_of_the_key(groups: list[set[str]], most: int) -> None:
    lens = IndexKey.from_keys(Keys())
    remembered = RememberedPrefixes(lens)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subject_index, "MAX_REMEMBERED", most)
        for group in groups:
            values = pa.array(sorted(group), pa.string())
            assert remembered.prefixes(values).tolist() == lens.prefixes(values).tolist()


def test_a_subject_of_many_row_groups_is_hashed_once() -> None:
    remembered, hashed = RememberedPrefixes(IndexKey.from_keys(Keys())), list[int]()
    with at_checkpoint("subjects.hashed", lambda _, count: hashed.append(count)):
        for group in ([1, 2, 3], [2, 3, 4], [4, 1]):
            remembered.prefixes(pa.array(group))
    assert hashed == [3, 1, 0]


@pytest.mark.parametrize("entries", [0, 1, BLOCK_ENTRIES - 1, BLOCK_ENTRIES, BLOCK_ENTRIES + 1, 3 * BLOCK_ENTRIES])
def test_a_section_has_as_many_blocks_as_it_takes(entries: int) -> None:
    section = IndexSection()
    section.add(np.arange(entries, dtype=np.uint64))
    extent, blocks = SectionExtent(0, 1, entries), section_blocks(section)
    assert len(blocks) == extent.blocks
    assert [len(block) + 16 for block in blocks] == [extent.block_size(block) for block in range(extent.blocks)]
    assert extent.size == sum(len(block) + 16 for block in blocks)


def test_contents_come_back_as_they_were_packed() -> None:
    extents = (SectionExtent(0, 64, BLOCK_ENTRIES + 1), SectionExtent(64, 2, 5))
    contents = IndexContents("/device/id", extents, np.array([1, 2**63, 10], np.uint64))
    read = IndexContents.from_bytes(contents.to_bytes())
    assert (read.subject, read.extents, read.fences.tolist()) == ("/device/id", extents, [1, 2**63, 10])
    assert read.section_fences(1).tolist() == [10]
    assert read.block_offset(0, 0) == len(MAGIC)
    assert read.block_offset(1, 0) == len(MAGIC) + extents[0].size


def test_a_prefix_is_the_first_eight_bytes_of_the_keyed_hash() -> None:
    hashed = blake2b("é".encode(), key=Keys().subkey("subject", VALUES_PURPOSE), digest_size=16).digest()
    [prefix] = IndexKey.from_keys(Keys()).prefixes_of(["é"])
    assert prefix.tobytes() == hashed[:8]


def test_prefixes_come_in_order_each_once() -> None:
    prefixes = IndexKey.from_keys(Keys()).prefixes_of([f"d{number % 50}" for number in range(100)])
    assert len(prefixes) == 50
    assert np.all(prefixes[1:] > prefixes[:-1])


@pytest.mark.parametrize(
    ("values", "given"),
    [
        (pa.array(["a", "bc", "ü"]), ["a", "bc", "ü"]),
        (pa.array(["a", "bc"], pa.large_string()), ["a", "bc"]),
        (pa.array([0, -7, 2**40]), [0, -7, 2**40]),
        (pa.array([5], pa.uint8()), [5]),
        (pa.array([b"\0", b"ab"]), [b"\0", b"ab"]),
        (pa.array(["x", "a", "bc", "x"])[1:3], ["a", "bc"]),
        (pa.array([], pa.string()), []),
    ],
)
def test_a_column_and_the_same_values_in_python_have_the_same_prefixes(
    values: pa.Array, given: list[str | int | bytes]
) -> None:
    lens = IndexKey.from_keys(Keys())
    assert lens.prefixes(values).tolist() == lens.prefixes_of(given).tolist()
    assert [value_bytes(value) for value in given] == [value_bytes(value) for value in values.to_pylist()]


def test_each_version_of_the_key_gives_other_prefixes() -> None:
    assert IndexKey.from_keys(Keys(2)).version == 2
    assert IndexKey.from_keys(Keys(2)).prefixes_of(["a"]) != IndexKey.from_keys(Keys(2), 1).prefixes_of(["a"])
    assert IndexKey.from_keys(Keys(2), 1).prefixes_of(["a"]) == IndexKey.from_keys(Keys(1)).prefixes_of(["a"])


def test_distinct_values_leave_out_nulls_and_entries_that_no_row_uses() -> None:
    spare = pa.DictionaryArray.from_arrays(pa.array([2, None, 2, 0], pa.int32()), pa.array(["a", "spare", "b"]))
    for values in (spare, spare.cast(pa.string())):
        assert sorted(distinct_subjects(table(values), Pointer.parse("device")).to_pylist()) == ["a", "b"]


def test_distinct_values_are_found_in_structs_lists_and_several_chunks() -> None:
    nested = pa.table({"d": [{"ids": ["a", None]}, None, {"ids": []}, {"ids": ["b", "a"]}]})
    twice = pa.concat_tables([nested, nested.slice(0, 1)])
    assert sorted(distinct_subjects(twice, Pointer.parse("/d/ids/*")).to_pylist()) == ["a", "b"]


@pytest.mark.parametrize("type_", [pa.string(), pa.int32(), pa.binary(), pa.dictionary(pa.int32(), pa.string())])
def test_text_whole_numbers_and_bytes_can_be_indexed(type_: pa.DataType) -> None:
    assert can_be_indexed(type_)


@pytest.mark.parametrize("type_", [pa.float64(), pa.bool_(), pa.timestamp("us"), pa.struct([])])
def test_nothing_else_can(type_: pa.DataType) -> None:
    assert not can_be_indexed(type_)


SETS = st.lists(st.sets(st.sampled_from([0, 1, 2, 5, 2**63, 2**64 - 1])), max_size=9)


def words(values: set[int]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array(sorted(values), np.uint64)


@given(SETS, st.sets(st.sampled_from([0, 1, 3, 2**63, 2**64 - 1])), st.integers(0, 3))
def test_it_gives_exactly_the_groups_that_have_any(groups: list[set[int]], sought: set[int], first: int) -> None:
    section = IndexSection(first)
    for group in groups:
        section.add(words(group))
    due = [first + number for number, group in enumerate(groups) if group & sought]
    assert section.groups_of(words(sought)) == due
    assert section.prefixes.tolist() == sorted(set().union(*groups))


def test_it_is_full_when_its_bits_are_used_up() -> None:
    section = IndexSection()
    for number in range(SECTION_GROUPS):
        assert not section.is_full
        section.add(words({number}))
    assert section.is_full
    assert section.groups_of(words({SECTION_GROUPS - 1})) == [SECTION_GROUPS - 1]
    assert (section.next().first, section.next().groups) == (SECTION_GROUPS, 0)


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
    digest = file_digest(tmp_path / "index/run-0.index")
    assert file.index == FileRef("index/run-0.index", digest)


def test_the_index_contains_no_value_and_no_unencrypted_prefix(tmp_path: Path) -> None:
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


def test_a_finished_file_keeps_its_rows_and_digest(tmp_path: Path) -> None:
    writing = SubjectIndexer.from_keys(Keys(), DEVICE)(tmp_path, "records/date=2026-11-24/t=1/run-0.parquet")
    made = writing.close(WrittenFile("records/date=2026-11-24/t=1/run-0.parquet", 3, "sha256:7"))
    assert (made.rows, made.digest) == (3, "sha256:7")
    assert made.index is not None
    assert made.index.path == "index/date=2026-11-24/t=1/run-0.index"
