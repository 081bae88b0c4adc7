""""""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.arrow.pointers import Pointer
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.parquet import ParquetFooter, leaf_count
from minimize.sources.projection import field_tree

SCHEMA = pa.schema(
    [
        ("a", pa.int64()),
        ("s", pa.struct([("x", pa.string()), ("t", pa.struct([("y", pa.string())]))])),
        ("l", pa.list_(pa.struct([("n", pa.int8()), ("m", pa.map_(pa.string(), pa.int8()))]))),
        ("b.c", pa.string()),
    ]
)
ROWS = [
    {"a": 1, "s": {"x": None, "t": {"y": "u"}}, "l": [{"n": 1, "m": [("k", 1)]}], "b.c": "v"},
    {"a": None, "s": None, "l": None, "b.c": "v"},
]


@pytest.fixture
def foot(tmp_path: Path) -> ParquetFooter:
    pq.write_table(pa.Table.from_pylist(ROWS, SCHEMA), tmp_path / "a.parquet")
    file = pq.ParquetFile(tmp_path / "a.parquet")
    return ParquetFooter(file.metadata, file.schema_arrow)


def needed(foot: ParquetFooter, *keys: tuple[str, str]) -> list[str]:
    request = SourceRequest(tuple(DeclaredField(key, Pointer.parse(key), word) for key, word in keys))
    return foot.paths(foot.needed_leaves(field_tree(request)))


def test_a_type_takes_a_column_for_each_leaf() -> None:
    assert leaf_count(pa.struct(list(SCHEMA))) == 7


def test_only_needed_leaves_are_chosen_by_their_paths(foot: ParquetFooter) -> None:
    assert needed(foot, ("a", "integer"), ("/s/t/y", "string")) == ["a", "s.t.y"]
    assert needed(foot, ("/l/*/n", "integer")) == ["l.list.element.n"]
    assert needed(foot, ("/l/*/m/*", "integer")) == [
        "l.list.element.m.key_value.key",
        "l.list.element.m.key_value.value",
    ]
    assert needed(foot, ("b.c", "string")) == ["b.c"]
    assert needed(foot) == []


def test_a_hollow_container_takes_one_leaf(foot: ParquetFooter) -> None:
    assert needed(foot, ("l", "list"), ("s", "struct")) == ["s.x", "l.list.element.n"]
    assert needed(foot, ("/l/*/m", "map")) == ["l.list.element.m.key_value.key"]


def test_the_leaves_under_a_path_are_all_of_them(foot: ParquetFooter) -> None:
    assert foot.paths(foot.leaves_below(Pointer.parse("/s"))) == ["s.x", "s.t.y"]
    assert foot.leaves_below(Pointer.parse("/nope")) == []


def test_a_flat_leaf_is_one_that_a_path_names_itself_outside_of_lists(foot: ParquetFooter) -> None:
    found = {path: foot.flat_leaf(Pointer.parse(path)) for path in ("/a", "/s/t/y", "/s/t", "/l/*/n", "/nope")}
    assert found == {"/a": 0, "/s/t/y": 2, "/s/t": None, "/l/*/n": None, "/nope": None}
    assert (foot.is_single_valued(Pointer.parse("/s")), foot.is_single_valued(Pointer.parse("/l"))) == (True, False)


def test_statistics_say_how_many_values_are_not_null(foot: ParquetFooter) -> None:
    assert (foot.groups, foot.rows(0)) == (1, 2)
    assert [foot.count_non_null(0, leaf) for leaf in (0, 1, 2, 6)] == [1, 0, 1, 2]


def test_without_statistics_nothing_is_said(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet", write_statistics=False)
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert ParquetFooter(file.metadata, file.schema_arrow).count_non_null(0, 0) is None
