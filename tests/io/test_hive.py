"""Partition folders: rows go where their keys say, and names read back to the same values."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.errors import SchemaError
from minimize.output.partitions import check_partition_key, null_partition, parse_partition_folder, split_by_partition

WORDS = st.none() | st.text("ab/%=_ äH.", max_size=8) | st.just("__HIVE_DEFAULT_PARTITION__")


@given(st.lists(st.tuples(WORDS, st.none() | st.integers(-3, 3)), min_size=1, max_size=30), st.booleans())
def test_every_row_arrives_once_in_order_under_its_own_keys(
    rows: list[tuple[str | None, int | None]], coded: bool
) -> None:
    words = pa.array([word for word, _ in rows], pa.string())
    batch = pa.record_batch(
        [
            words.dictionary_encode() if coded else words,
            pa.array([number for _, number in rows], pa.int64()),
            pa.array(range(len(rows))),
        ],
        names=["w", "n", "row"],
    )
    seen: dict[int, tuple[str | None, str | None]] = {}
    folders = []
    for folder, part in split_by_partition(batch, ["w", "n"]):
        assert part.schema.names == ["row"]
        places = part["row"].to_pylist()
        assert places == sorted(places)
        (_, word), (_, number) = (parse_partition_folder(level) for level in folder.split("/"))
        seen |= dict.fromkeys(places, (word, number))
        folders.append(folder)
    assert len(folders) == len(set(folders))
    assert seen == {place: (word, None if n is None else str(n)) for place, (word, n) in enumerate(rows)}


def test_names_hold_no_character_that_a_path_gives_a_meaning_to() -> None:
    batch = pa.record_batch({"w": ["../a\\b c%/="], "n": [1]})
    [(folder, _)] = split_by_partition(batch, ["w"])
    assert folder == "w=..%2Fa%5Cb%20c%25%2F%3D"


def test_a_value_that_is_spelt_like_null_is_no_null() -> None:
    [(folder, _)] = split_by_partition(pa.record_batch({"w": ["__HIVE_DEFAULT_PARTITION__"], "n": [1]}), ["w"])
    assert folder != null_partition(["w"])


def test_booleans_and_dates_are_written_as_readers_expect() -> None:
    batch = pa.record_batch([pa.array([True]), pa.array([0], pa.date32()), pa.array([1])], names=["b", "d", "n"])
    assert [folder for folder, _ in split_by_partition(batch, ["b", "d"])] == ["b=true/d=1970-01-01"]


def test_doubles_and_nested_values_name_no_folders() -> None:
    for type_ in (pa.float64(), pa.list_(pa.string()), pa.timestamp("us")):
        with pytest.raises(SchemaError):
            check_partition_key("f", type_)
