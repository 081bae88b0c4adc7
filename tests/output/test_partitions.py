"""Partition folders: rows go where their keys say, and names read back to the same values.
Records whose value cannot name a folder are rejected, and no others.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minimize
from minimize.errors import SchemaError
from minimize.output.folder import (
    MAX_FOLDER_BYTES,
    check_partition_key,
    null_partition,
    parse_partition_folder,
    split_by_partition,
)
from minimize.stages.record_limits import is_too_long
from tests.calls import recheck_quarantine
from tests.project import Project, event, new_project

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


def test_partition_names_keep_letters_beyond_ascii_and_older_names_are_read() -> None:
    """Spark and Hive decode `%C3%9C` byte by byte, to other letters."""
    batch = pa.record_batch({"w": ["Ünï/é"], "n": [1]})
    [(folder, _)] = split_by_partition(batch, ["w"])
    assert folder == "w=Ünï%2Fé"
    assert parse_partition_folder(folder) == parse_partition_folder("w=%C3%9Cn%C3%AF%2F%C3%A9") == ("w", "Ünï/é")


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


ROOM = MAX_FOLDER_BYTES - len("tenant_id=")
VALUES = ["x" * ROOM, "x" * (ROOM + 1), "é" * (ROOM // 2), "é" * (ROOM // 2 + 1), None, "short"]


@pytest.mark.parametrize("encoded", [False, True])
def test_a_name_is_too_long_from_its_256th_byte_on(encoded: bool) -> None:
    values = pa.array(VALUES)
    found = is_too_long(values.dictionary_encode() if encoded else values, "tenant_id")
    assert found.tolist() == [False, True, False, True, False, False]


def test_a_record_whose_value_is_too_long_is_quarantined_and_the_others_are_written(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    project.pipeline(aggregates=None, records={"partition_by": ["tenant_id"]})
    project.records(
        [*(event(number) for number in range(20)), event(20, tenant_id=VALUES[0]), event(21, tenant_id="y" * 300)]
    )
    receipt = project.run()
    assert (receipt.rows.written, receipt.quarantine.by_code) == (21, {"too_long": 1})
    minimize.verify(project.out, keys=project.keys)
    (quarantined,) = quarantine(project)
    assert (quarantined["field"], quarantined["code"], quarantined["unit"]) == ("/tenant_id", "too_long", "byte")
    (found,) = recheck_quarantine(project.out, keys=project.keys)
    assert found.rows == 0


def quarantine(project: Project) -> list[dict[str, object]]:
    (path,) = (project.out / "quarantine").rglob("*.parquet")
    found: list[dict[str, object]] = pq.read_table(path, partitioning=None).to_pylist()
    return found
