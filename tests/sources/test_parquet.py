from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.arrow.pointers import Pointer
from minimize.errors import SchemaError, SourceError
from minimize.records import Chunk
from minimize.runs.inputs import PathMask
from minimize.sources.base import DeclaredField, Source, SourceRequest
from minimize.sources.files import file_parts
from minimize.sources.parquet import ParquetFooter, leaf_count, parquet_source
from minimize.sources.projection import field_tree
from tests.keys.files import keyring
from tests.keys.files import written as encrypted
from tests.sources.declared import declared

CANARY = "c4n4ry"


def request(*fields: DeclaredField, never: tuple[str, ...] = (), subject: str | None = None) -> SourceRequest:
    return SourceRequest(fields, tuple(map(Pointer.parse, never)), None if subject is None else Pointer.parse(subject))


def source(folder: Path, asked: SourceRequest, name: str = "a.parquet", /, **columns: Any) -> Source:
    return written(folder, asked, pa.table(columns), name)


def written(folder: Path, asked: SourceRequest, table: pa.Table, name: str = "a.parquet", **how: Any) -> Source:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **how)
    return parquet_source(file_parts([path], folder), asked)


def read(one: Source) -> list[Chunk]:
    chunks = [chunk for part in one.parts for chunk in part.read()]
    assert all(chunk.records.schema.equals(one.schema) for chunk in chunks)
    return chunks


def carried(chunk: Chunk) -> dict[str, tuple[int, set[str]]]:
    return {str(pointer): (carry.records, set(carry.subjects)) for pointer, carry in chunk.undeclared.items()}


def spoil(path: Path, column: int) -> None:
    """Overwrites the bytes of one column chunk."""
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(column)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + chunk.total_compressed_size] = b"\xaa" * chunk.total_compressed_size
    path.write_bytes(data)


def test_an_undeclared_column_is_never_decoded_and_yet_counted(tmp_path: Path) -> None:
    asked = request(declared("a", "integer"), declared("gone", "string", needed=False))
    table = pa.table({"a": [1, 2], "gone": ["x", "y"], "new": ["u", None]})
    one = written(tmp_path, asked, table)
    for column in (1, 2):
        spoil(tmp_path / "a.parquet", column)
    (chunk,) = read(one)
    assert chunk.records.to_pylist() == [{"a": 1}, {"a": 2}]
    assert carried(chunk) == {"/new": (1, set())}


def test_a_damaged_column_that_is_needed_stops_the_reading_and_names_the_file(tmp_path: Path) -> None:
    one = source(tmp_path, request(declared("a", "string")), a=[CANARY] * 10)
    spoil(tmp_path / "a.parquet", 0)
    with pytest.raises(SourceError, match=r"a\.parquet") as caught:
        read(one)
    assert CANARY not in f"{caught.value!r}{caught.value.__context__!r}"


@pytest.mark.parametrize("data", [b"", b"PAR1", b"not parquet at all"])
def test_a_file_that_is_no_parquet_is_an_error_of_the_source(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(data)
    with pytest.raises(SourceError, match=r"a\.parquet"):
        parquet_source(file_parts([tmp_path / "a.parquet"], tmp_path), request(declared("a", "string")))


def test_all_differences_from_the_schema_are_reported_together(tmp_path: Path) -> None:
    asked = request(
        declared("Model", "string"),
        declared("n", "integer"),
        declared("/device/os", "string"),
        declared("/apps/*/name", "string"),
        declared("extra", "string", optional=True),
    )
    with pytest.raises(SchemaError) as caught:
        source(tmp_path, asked, model=["x"], n=["1"], device=[{"oss": "y"}], apps=["z"])
    told = {finding.field: (finding.code, finding.hint) for finding in caught.value.findings}
    assert {field: code for field, (code, _) in told.items()} == {
        "Model": "S001",
        "n": "S002",
        "/device/os": "S001",
        "/apps/*/name": "S002",
    }
    assert told["Model"][1] == "Did you mean 'model'? Names are case-sensitive."
    assert told["/device/os"][1] == "Did you mean 'oss'?"
    assert caught.value.findings[0].file == "a.parquet"


def test_an_optional_column_that_is_missing_is_null_in_its_declared_type(tmp_path: Path) -> None:
    asked = request(declared("a", "integer"), declared("b", "timestamp", optional=True))
    one = source(tmp_path, asked, a=pa.array([1], pa.int16()))
    assert one.schema.types == [pa.int16(), pa.timestamp("us", "UTC")]
    assert read(one)[0].records.to_pylist() == [{"a": 1, "b": None}]


def test_nested_leaves_are_pruned_to_the_declared_parts(tmp_path: Path) -> None:
    asked = request(declared("/apps/*/name", "string"), declared("/device/os/build", "integer"), declared("/l", "list"))
    one = source(
        tmp_path,
        asked,
        apps=[[{"name": "A", "size": 1}], None, []],
        device=[{"os": {"build": 1, "name": "w"}, "x": 1}, None, {"os": None, "x": 2}],
        l=[["p", "q"], [], None],
        labels=pa.array([[("k", 1)]] * 3, pa.map_(pa.string(), pa.int64())),
    )
    chunk = read(one)[0]
    assert chunk.records.to_pylist() == [
        {"apps": [{"name": "A"}], "device": {"os": {"build": 1}}, "l": [None, None]},
        {"apps": None, "device": None, "l": []},
        {"apps": [], "device": {"os": None}, "l": None},
    ]
    counts = {key: count for key, (count, _) in carried(chunk).items()}
    assert counts.keys() == {"/apps/*/size", "/device/os/name", "/device/x", "/labels"}
    assert (counts["/device/os/name"], counts["/device/x"], counts["/labels"]) == (1, 2, 3)
    assert 1 <= counts["/apps/*/size"] <= 3, "for what stands in lists the metadata gives no more than a bound"


def test_maps_are_read_with_their_values_or_only_their_lengths(tmp_path: Path) -> None:
    table = pa.table({"m": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64()))})
    values = written(tmp_path, request(declared("/m/*", "integer")), table)
    hollow = written(tmp_path, request(declared("/m", "map")), table)
    assert [record["m"] for record in read(values)[0].records.to_pylist()] == [[("k", 1)], None, []]
    assert [record["m"] for record in read(hollow)[0].records.to_pylist()] == [[("", None)], None, []]


def test_a_forbidden_path_rejects_its_records_and_no_other(tmp_path: Path) -> None:
    asked = request(declared("a", "integer"), never=("/pin", "/apps/*/secret", "/all", "/none", "/contacts"))
    one = source(
        tmp_path,
        asked,
        a=[1, 2, 3, 4],
        pin=[None, "x", None, None],
        apps=[None, None, [{"secret": 1}, {"secret": None}], [{"secret": None}]],
        none=pa.nulls(4, pa.string()),
    )
    (chunk,) = read(one)
    assert [(reject.position, reject.field, reject.code) for reject in chunk.rejects] == [
        (1, "/pin", "forbidden_field"),
        (2, "/apps/*/secret", "forbidden_field"),
    ]
    assert chunk.positions is not None
    assert chunk.positions.to_pylist() == [0, 3]


def test_a_forbidden_column_without_nulls_rejects_all_rows_without_being_decoded(tmp_path: Path) -> None:
    asked = request(declared("a", "integer"), never=("/pin",))
    one = source(tmp_path, asked, a=[1, 2], pin=["x", "y"])
    spoil(tmp_path / "a.parquet", 1)
    (chunk,) = read(one)
    assert [reject.code for reject in chunk.rejects] == ["forbidden_field"] * 2
    assert chunk.records.num_rows == 0


def test_a_null_in_a_required_column_rejects_its_row_even_if_the_column_is_not_read(tmp_path: Path) -> None:
    asked = request(declared("a", "integer"), declared("t", "string", required=True, needed=False))
    one = source(tmp_path, asked, a=[1, 2], t=["x", None])
    (chunk,) = read(one)
    assert [(reject.position, reject.field, reject.code) for reject in chunk.rejects] == [(1, "/t", "missing_field")]
    assert one.schema.names == ["a"]


def test_positions_count_rows_over_row_groups(tmp_path: Path) -> None:
    asked = request(declared("a", "integer", required=True))
    table = pa.table({"a": [None if number % 7 == 0 else number for number in range(50)]})
    one = written(tmp_path, asked, table, row_group_size=8)
    chunks = read(one)
    places = [at for chunk in chunks if chunk.positions is not None for at in chunk.positions.to_pylist()]
    assert len(chunks) == 7
    assert places == [number for number in range(50) if number % 7]
    assert [reject.position for chunk in chunks for reject in chunk.rejects] == list(range(0, 50, 7))


def test_a_file_without_needed_columns_still_has_its_rows(tmp_path: Path) -> None:
    one = source(tmp_path, request(declared("a", "integer", needed=False)), a=[1, 2, 3])
    assert [(chunk.read, chunk.records.num_rows) for chunk in read(one)] == [(3, 3)]


def test_a_low_cardinality_string_is_read_as_a_dictionary_and_a_unique_one_is_not(tmp_path: Path) -> None:
    asked = request(declared("model", "string"), declared("id", "string"))
    one = source(tmp_path, asked, model=["a", "b"] * 4000, id=[f"device-{number:012}" for number in range(8000)])
    assert one.schema.types == [pa.dictionary(pa.int32(), pa.string()), pa.string()]
    assert read(one)[0].records.column("model").to_pylist()[:3] == ["a", "b", "a"]


def test_files_with_other_widths_are_read_as_one_schema(tmp_path: Path) -> None:
    asked = request(declared("a", "integer"), declared("b", "string", optional=True))
    pq.write_table(pa.table({"a": pa.array([1], pa.int16())}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"b": ["x"], "a": pa.array([2], pa.int64())}), tmp_path / "2.parquet")
    one = parquet_source(file_parts(sorted(tmp_path.iterdir()), tmp_path), asked)
    rows = [row for chunk in read(one) for row in chunk.records.to_pylist()]
    assert rows == [{"a": 1, "b": None}, {"a": 2, "b": "x"}]
    assert [part.name for part in one.parts] == ["1.parquet", "2.parquet"]


def test_hive_partitions_are_columns_where_they_are_declared(tmp_path: Path) -> None:
    asked = request(declared("a", "integer"), declared("site", "integer"), declared("region", "string"), subject="a")
    table = pa.table({"a": [1, 2]})
    one = written(tmp_path, asked, table, "date=2026-11-24/site=7/region=north%2Feast/other=x/a.parquet")
    (chunk,) = read(one)
    assert chunk.records.to_pylist() == [{"a": number, "site": 7, "region": "north/east"} for number in (1, 2)]
    assert carried(chunk) == {"/other": (2, {"1", "2"})}


def test_a_partition_of_another_type_is_reported_without_its_value(tmp_path: Path) -> None:
    one = written(tmp_path, request(declared("site", "integer")), pa.table({"a": [1]}), f"site={CANARY}/a.parquet")
    with pytest.raises(SchemaError) as caught:
        read(one)
    assert [finding.field for finding in caught.value.findings] == ["site"]
    assert CANARY not in caught.value.findings[0].message


def test_a_partition_that_is_not_plain_is_shown_as_a_hash(tmp_path: Path) -> None:
    written(tmp_path, request(declared("a", "integer")), pa.table({"a": [1]}), f"user={CANARY}/a.parquet")
    path = tmp_path / f"user={CANARY}" / "a.parquet"
    one = parquet_source(file_parts([path], tmp_path, PathMask(b"")), request(declared("a", "integer")))
    assert [part.name for part in one.parts] == ["user=#?/a.parquet"]


def test_subjects_are_named_only_where_the_metadata_leaves_no_doubt(tmp_path: Path) -> None:
    asked = request(declared("id", "string"), subject="id")
    ids = [f"d{number}" for number in range(40)]
    one = source(tmp_path, asked, id=ids, most=[None, *[1] * 39], few=[1] * 5 + [None] * 35, full=[1] * 40)
    counted = carried(read(one)[0])
    assert {key: (count, len(some)) for key, (count, some) in counted.items()} == {
        "/most": (39, 10),
        "/few": (5, 0),
        "/full": (40, 10),
    }


def test_no_files_are_a_source_of_the_declared_types(tmp_path: Path) -> None:
    one = parquet_source(file_parts([], tmp_path), request(declared("a", "integer"), declared("/l/*/x", "string")))
    assert one.schema == pa.schema([("a", pa.int64()), ("l", pa.list_(pa.struct([("x", pa.string())])))])
    assert not one.parts


def test_text_that_is_not_utf8_is_damage(tmp_path: Path) -> None:
    broken = pa.array([b"\xff\xfe"], pa.binary()).cast(pa.string(), safe=False)
    one = source(tmp_path, request(declared("a", "string")), a=broken)
    with pytest.raises(SourceError, match=r"a\.parquet"):
        read(one)


def test_encrypted_columns_are_refused_before_any_is_touched(tmp_path: Path) -> None:
    path = encrypted(tmp_path, keyring(tmp_path))
    with pytest.raises(SourceError, match=r"f\.parquet has encrypted columns") as told:
        parquet_source(file_parts([path], path.parent), request(declared("device", "string")))
    assert told.value.exit_code == 2


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


def test_a_container_without_read_parts_reads_one_leaf(foot: ParquetFooter) -> None:
    assert needed(foot, ("l", "list"), ("s", "struct")) == ["s.x", "l.list.element.n"]
    assert needed(foot, ("/l/*/m", "map")) == ["l.list.element.m.key_value.key"]


def test_the_leaves_under_a_path_are_all_of_them(foot: ParquetFooter) -> None:
    assert foot.paths(foot.leaves_below(Pointer.parse("/s"))) == ["s.x", "s.t.y"]
    assert foot.leaves_below(Pointer.parse("/nope")) == []


def test_a_flat_leaf_is_one_that_a_path_names_itself_outside_of_lists(foot: ParquetFooter) -> None:
    found = {path: foot.flat_leaf(Pointer.parse(path)) for path in ("/a", "/s/t/y", "/s/t", "/l/*/n", "/nope")}
    assert found == {"/a": 0, "/s/t/y": 2, "/s/t": None, "/l/*/n": None, "/nope": None}
    assert (foot.is_single_valued(Pointer.parse("/s")), foot.is_single_valued(Pointer.parse("/l"))) == (True, False)


def test_statistics_give_the_number_of_values_that_are_not_null(foot: ParquetFooter) -> None:
    assert (foot.groups, foot.rows(0)) == (1, 2)
    assert [foot.count_non_null(0, leaf) for leaf in (0, 1, 2, 6)] == [1, 0, 1, 2]


def test_without_statistics_the_number_of_values_is_unknown(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet", write_statistics=False)
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert ParquetFooter(file.metadata, file.schema_arrow).count_non_null(0, 0) is None
