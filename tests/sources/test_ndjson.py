from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minimize.arrow.pointers import Pointer
from minimize.errors import SourceError
from minimize.records import Chunk
from minimize.sources.base import SourceRequest
from minimize.sources.files import LineBlock, file_parts
from minimize.sources.ndjson import NdjsonPart, NdjsonReader, ndjson_source
from minimize.sources.projection import FieldNode, field_tree, prune_schema
from minimize.sources.schema_check import BoundRequest, concat_chunks
from minimize.stores.durable_files import file_digest
from tests.hypothesis_profiles import examples
from tests.sources.declared import declared

CANARY = "c4n4ry"


REQUEST = SourceRequest(
    fields=(
        declared("id", "string", required=True),
        declared("n", "integer"),
        declared("x", "double"),
        declared("ok", "boolean"),
        declared("at", "timestamp", required=True),
        declared("day", "date", needed=False),
        declared("raw", "binary"),
        declared("/device/os/version", "string"),
        declared("/apps/*/name", "string"),
        declared("/apps/*/size", "integer", needed=False),
        declared("/apps/*/since", "timestamp"),
        declared("/tags/*", "string"),
        declared("/photos", "list"),
        declared("/who", "struct"),
    ),
    never=(Pointer.parse("/contacts"), Pointer.parse("/sms/*"), Pointer.parse("/apps/*/secret")),
    subject=Pointer.parse("id"),
)
GOOD = {"id": "a", "at": "2026-11-24T10:00:00Z"}


def write(folder: Path, data: bytes, name: str = "a.ndjson") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def chunks(folder: Path, data: bytes, request: SourceRequest = REQUEST) -> list[Chunk]:
    source = ndjson_source(file_parts([write(folder, data)], folder), request)
    found = list(source.parts[0].read())
    assert all(chunk.records.schema.equals(source.schema) for chunk in found)
    return found


def line(**values: object) -> bytes:
    return json.dumps({**GOOD, **values}).encode()


def fault(folder: Path, data: bytes, request: SourceRequest = REQUEST) -> tuple[str | None, str]:
    found = chunks(folder, data, request)
    rejects = [reject for chunk in found for reject in chunk.rejects]
    assert [chunk.read for chunk in found] == [1]
    assert len(rejects) == 1
    return rejects[0].field, rejects[0].code


def test_the_good_records_come_with_the_declared_parts_only(tmp_path: Path) -> None:
    data = line(
        n=1, x=2, device={"os": {"version": "10", "name": "w"}, "y": 1}, apps=[{"name": "A", "size": 3}], photos=["p"]
    )
    (chunk,) = chunks(tmp_path, data)
    (record,) = chunk.records.to_pylist()
    assert (record["n"], record["x"], record["device"], record["apps"]) == (
        1,
        2.0,
        {"os": {"version": "10"}},
        [{"name": "A", "since": None}],
    )
    assert "day" not in record
    assert record["photos"] == [None]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"[1]", (None, "malformed")),
        (b'{"id": ', (None, "malformed")),
        (b'{"id":"a","id":"b","at":"2026-11-24T10:00:00Z"}', (None, "malformed")),
        (b'{"id":"a","at":"2026-11-24T10:00:00Z","u":{"k":1,"k":2}}', (None, "malformed")),
        (b'{"id":"\xff","at":"2026-11-24T10:00:00Z"}', (None, "malformed")),
        (b'{"id":"\\ud800","at":"2026-11-24T10:00:00Z"}', (None, "malformed")),
        (b'{"id":"a","at":"2026-11-24T10:00:00Z","u":NaN}', (None, "malformed")),
        (b'{"id":"a","at":"2026-11-24T10:00:00Z","u":-Infinity}', (None, "malformed")),
        (b'{"id":"a","at":"2026-11-24T10:00:00Z"} {}', (None, "malformed")),
        (b'{"id":"a","at":"2026-11-24T10:00:00Z","u":' + b"[" * 200 + b"]" * 200 + b"}", (None, "malformed")),
        (line(contacts=""), ("/contacts", "forbidden_field")),
        (line(contacts=[]), ("/contacts", "forbidden_field")),
        (line(sms=[None, "x"]), ("/sms/*", "forbidden_field")),
        (line(sms={"k": 1}), ("/sms/*", "forbidden_field")),
        (line(apps=[{"secret": {}}]), ("/apps/*/secret", "forbidden_field")),
        (line(n="1"), ("/n", "wrong_type")),
        (line(n=1.5), ("/n", "wrong_type")),
        (b'{"id":"a","at":"2026-11-24T10:00:00Z","n":1e3}', ("/n", "wrong_type")),
        (line(n=2**63), ("/n", "wrong_type")),
        (line(n=True), ("/n", "wrong_type")),
        (b'{"id":"a","at":"2026-11-24T10:00:00Z","x":1e999}', ("/x", "wrong_type")),
        (line(ok=1), ("/ok", "wrong_type")),
        (line(id=7), ("/id", "wrong_type")),
        (line(raw="%%%"), ("/raw", "wrong_type")),
        (line(at=1700000000), ("/at", "wrong_type")),
        (line(at="yesterday"), ("/at", "bad_time")),
        (line(at="2026-02-30T00:00:00Z"), ("/at", "bad_time")),
        (line(at="2026-12-31T23:59:60Z"), ("/at", "bad_time")),
        (line(day="2026-13-01"), ("/day", "bad_time")),
        (line(day=5), ("/day", "wrong_type")),
        (line(apps=[{"name": "A"}, {"size": "big"}]), ("/apps/*/size", "wrong_type")),
        (line(apps={"name": "A"}), ("/apps/*/name", "wrong_type")),
        (line(device="phone"), ("/device/os/version", "wrong_type")),
        (line(photos="p"), ("/photos", "wrong_type")),
        (line(who=[1]), ("/who", "wrong_type")),
        (line(id=None), ("/id", "missing_field")),
        (b"{}", ("/id", "missing_field")),
        (line(n="1", contacts=1, id=None), ("/contacts", "forbidden_field")),
        (line(n="1", id=None), ("/n", "wrong_type")),
    ],
)
def test_a_faulty_record_is_rejected_by_the_first_of_its_faults(
    tmp_path: Path, data: bytes, expected: tuple[str | None, str]
) -> None:
    assert fault(tmp_path, data) == expected


@pytest.mark.parametrize(
    "data",
    [
        line(contacts=None),
        line(sms=[]),
        line(sms=[None]),
        line(n=None, apps=None, device={"os": None}),
        line(n=-(2**63)),
        b'{"id":"\\ud83d\\ude00","at":"2026-11-24T10:00:00Z"}',
        line(u=[1, "x", None]),
        line(apps=[None, {}]),
        b"  " + line() + b"  ",
        b"\xef\xbb\xbf" + line(),
        line() + b"\r\n\r\n \n",
    ],
)
def test_a_harmless_irregularity_is_accepted(tmp_path: Path, data: bytes) -> None:
    (chunk,) = chunks(tmp_path, data)
    assert (chunk.read, chunk.records.num_rows, len(chunk.rejects)) == (1, 1, 0)


def test_a_position_is_the_byte_where_the_line_begins(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbf" + line() + b"\r\n\n" + b"broken\n" + line()
    (chunk,) = chunks(tmp_path, data)
    assert chunk.positions is not None
    assert [data[at : at + 1] for at in chunk.positions.to_pylist()] == [b"{", b"{"]
    assert data[chunk.rejects[0].position :].startswith(b"broken")
    assert chunk.rejects[0].unit == "byte"


def test_an_undeclared_path_is_counted_at_its_top_and_null_is_absent(tmp_path: Path) -> None:
    data = b"\n".join(
        [
            line(new={"a": {"b": 1}}, apps=[{"name": "A", "vendor": 1}, {"vendor": 2}]),
            line(id="b", new="x", device={"os": {"build": 1}}, none=None),
            line(id="c", none=None),
        ]
    )
    (chunk,) = chunks(tmp_path, data)
    counted = {str(pointer): (carry.records, set(carry.subjects)) for pointer, carry in chunk.undeclared.items()}
    assert counted == {
        "/new": (2, {"a", "b"}),
        "/apps/*/vendor": (1, {"a"}),
        "/device/os/build": (1, {"b"}),
    }


def test_a_part_lists_at_most_a_thousand_undeclared_paths(tmp_path: Path) -> None:
    data = b"\n".join(line(**{f"k{number}_{extra}": 1 for extra in range(3)}) for number in range(500))
    (chunk,) = chunks(tmp_path, data)
    assert len(chunk.undeclared) == 1001
    assert {str(pointer): carry.records for pointer, carry in chunk.undeclared.items()}["/*"] == 500


def test_an_undeclared_container_is_what_it_first_occurs_as(tmp_path: Path) -> None:
    request = SourceRequest((declared("/labels/*", "string"), declared("/apps/*", "integer")))
    path = write(tmp_path, b'{}\n{"labels":null}\n{"labels":{"k":"v"},"apps":[1]}\n{"labels":["v"]}')
    source = ndjson_source(file_parts([path], tmp_path), request)
    (chunk,) = source.parts[0].read()
    assert source.schema.field("labels").type == pa.map_(pa.string(), pa.string())
    assert chunk.records.to_pylist()[2] == {"labels": [("k", "v")], "apps": [1]}
    assert [(reject.field, reject.code) for reject in chunk.rejects] == [("/labels/*", "wrong_type")]


def test_a_declared_map_is_read_without_its_keys_where_only_its_size_is_wanted(tmp_path: Path) -> None:
    request = SourceRequest((declared("/labels", "map"),))
    source = ndjson_source(file_parts([write(tmp_path, b'{"labels":{"k":"v","l":1}}')], tmp_path), request)
    (chunk,) = source.parts[0].read()
    assert chunk.records.to_pylist() == [{"labels": [("", None), ("", None)]}]


def test_a_decimal_is_read_exactly_and_refused_where_it_has_more_digits(tmp_path: Path) -> None:
    request = SourceRequest((declared("d", "decimal(6,2)"),))
    data = b'{"d":1.10}\n{"d":3}\n{"d":0.005}\n{"d":12345.0}\n{"d":"1.0"}\n{"d":1e2}\n{"d":99999}'
    (chunk,) = chunks(tmp_path, data, request)
    assert [str(record["d"]) for record in chunk.records.to_pylist()] == ["1.10", "3.00", "100.00"]
    assert {reject.code for reject in chunk.rejects} == {"wrong_type"}


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_members_of_a_compressed_file_are_one_stream(tmp_path: Path, ending: str) -> None:
    pack = gzip.compress if ending == ".gz" else zstandard.compress
    path = write(tmp_path, pack(line() + b"\n") + pack(line(id="b")), f"a.ndjson{ending}")
    (chunk,) = ndjson_source(file_parts([path], tmp_path), REQUEST).parts[0].read()
    assert chunk.records.column("id").to_pylist() == ["a", "b"]
    assert chunk.positions is not None
    assert chunk.positions.to_pylist() == [0, len(line()) + 1]


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@pytest.mark.parametrize("damage", ["cut", "foreign"])
def test_a_damaged_file_stops_the_reading_and_is_named(tmp_path: Path, ending: str, damage: str) -> None:
    pack = gzip.compress if ending == ".gz" else zstandard.compress
    whole = pack(b"\n".join(line(id=f"{CANARY}{number}") for number in range(1000)))
    path = write(tmp_path, whole[:-9] if damage == "cut" else whole + b"junk of another kind", f"a.ndjson{ending}")
    request = SourceRequest((declared("id", "string"),))
    with pytest.raises(SourceError, match=r"a\.ndjson") as caught:
        list(ndjson_source(file_parts([path], tmp_path), request).parts[0].read())
    assert caught.value.exit_code == 2
    assert CANARY not in f"{caught.value!r}{caught.value.__context__!r}"


def test_a_file_that_is_not_there_is_an_error_of_the_source(tmp_path: Path) -> None:
    source = ndjson_source(file_parts([tmp_path / "none.ndjson"], tmp_path), SourceRequest((declared("id", "string"),)))
    with pytest.raises(SourceError, match=r"none\.ndjson"):
        list(source.parts[0].read())


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    assert sum(chunk.read for chunk in chunks(tmp_path, b"")) == 0


def test_many_lines_are_read_in_several_chunks_with_the_positions_of_one(tmp_path: Path) -> None:
    data = b"\n".join(line(id=f"d{number}", pad="x" * 900) for number in range(12_000))
    found = chunks(tmp_path, data)
    places = [at for chunk in found for at in (chunk.positions or pa.array([], pa.int64())).to_pylist()]
    assert len(found) > 1
    assert places == [number for number in range(len(data)) if number == 0 or data[number - 1 : number] == b"\n"]


@pytest.mark.parametrize("size", [1, 7, 40, 41, 100, 1000])
def test_pieces_hold_each_line_once_in_order_and_at_its_position(tmp_path: Path, size: int) -> None:
    data = b"\xef\xbb\xbf" + b"\n".join(
        [line(), b"", line(id="b" * 90) + b"\r", b"broken", b"\n", line(id="c"), line(id="d", u=1)]
    )
    (part,) = ndjson_source(file_parts([write(tmp_path, data)], tmp_path), REQUEST).parts
    assert isinstance(part, NdjsonPart)
    pieces = part.pieces(size)
    found = concat_chunks([chunk for piece in pieces for chunk in piece.read()], part.lines.bound.schema)
    assert meaning(found) == meaning(concat_chunks(list(part.read()), part.lines.bound.schema))
    assert sum(piece.size for piece in pieces) == len(data)
    assert {piece.name for piece in pieces} == {"a.ndjson"}


def test_a_piece_is_not_cut_again_and_neither_is_a_compressed_file(tmp_path: Path) -> None:
    (part,) = ndjson_source(file_parts([write(tmp_path, line() + b"\n" + line())], tmp_path), REQUEST).parts
    (packed,) = ndjson_source(
        file_parts([write(tmp_path, gzip.compress(line() * 9), "a.ndjson.gz")], tmp_path), REQUEST
    ).parts
    assert isinstance(part, NdjsonPart)
    assert isinstance(packed, NdjsonPart)
    piece = part.pieces(10)[0]
    assert list(piece.pieces(10)) == [piece]
    assert list(packed.pieces(10)) == [packed]


def test_a_piece_of_a_file_that_is_not_there_is_an_error_of_the_source(tmp_path: Path) -> None:
    path = write(tmp_path, line() + b"\n" + line())
    (part,) = ndjson_source(file_parts([path], tmp_path), REQUEST).parts
    assert isinstance(part, NdjsonPart)
    piece = part.pieces(10)[1]
    path.unlink()
    with pytest.raises(SourceError, match=r"a\.ndjson"):
        list(piece.read())


def test_the_digest_is_of_the_stored_bytes(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(b"{}", mtime=0), "a.ndjson.gz")
    (part,) = ndjson_source(file_parts([path], tmp_path), REQUEST).parts
    assert part.digest == file_digest(path.read_bytes())


keys = st.sampled_from(
    [*(field.pointer.top for field in REQUEST.fields), "contacts", "sms", "secret", "name", "new", "", "é"]
)
numbers = st.integers() | st.floats(allow_nan=True, allow_infinity=True) | st.integers(-3, 3)
texts = st.text(max_size=4) | st.sampled_from(
    [
        "2026-11-24T10:00:00Z",
        "2026-11-24 10:00:00.123456789+02:00",
        "2026-11-24",
        "2026-02-30T00:00:00Z",
        "YQ==",
        CANARY,
    ]
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
near = st.fixed_dictionaries(
    {"id": st.just("a") | st.text(max_size=2), "at": st.just("2026-11-24T10:00:00Z")},
    optional={
        "n": st.integers(-5, 5),
        "x": st.floats() | st.integers(),
        "apps": st.lists(
            st.fixed_dictionaries(
                {}, optional={"name": st.text(max_size=2), "size": st.integers(0, 9), "since": texts, "new": values}
            ),
            max_size=2,
        ),
        "tags": st.lists(st.text(max_size=2) | st.none(), max_size=2),
        "device": st.fixed_dictionaries({}, optional={"os": st.dictionaries(keys, values, max_size=2), "u": values}),
        "photos": st.lists(values, max_size=2) | values,
        "who": st.dictionaries(keys, values, max_size=2),
        "day": texts,
        "raw": texts,
        "new": values,
        "sms": st.lists(values, max_size=1) | values,
    },
)
jsons = (near | near | near | st.dictionaries(keys, values, max_size=4) | values).map(
    lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
)
odd = st.sampled_from(
    [
        b"",
        b" ",
        b"{}",
        b"{}{}",
        b'{"id":"a"',
        b'"id":1}',
        b'{"n":{',
        b"\x00",
        b'{"id":"\\ud800"}',
        b'{"id":"a","at":"2026-11-24T10:00:00Z","n":-0}',
        b'{"id":"a","at":"2026-11-24T10:00:00Z","x":' + b"9" * 400 + b"}",
        b'{"id":"a","at":"2026-11-24T10:00:00Z","x":1e-999,"u":1e999}',
        b'{"id":"a","id":"b","at":"2026-11-24T10:00:00Z"}',
        b'{"id":"a","at":"2026-11-24T10:00:00Z","u":{"k":1,"k":1}}',
        b'{"id":"a","at":"2026-11-24T10:00:00Z","\\u006e":1}\r',
        b"\xef\xbb\xbf{}",
        b"{} ",
        b"\xff",
        b'{"id":"a","at":"2026-11-24T10:00:00Z","u":' + b'[{"k":' * 70 + b"1" + b"}]" * 70 + b"}",
        b'{"id":"a","at":"2026-11-24T10:00:00Z","tags":[' + b'"[",' * 140 + b'"{"]}',
    ]
)
everything = st.lists(jsons | jsons | odd | st.binary(max_size=8), max_size=12).map(b"\n".join)


def bound_of(request: SourceRequest) -> tuple[BoundRequest, FieldNode]:
    shape = field_tree(request)
    required = tuple(field for field in request.fields if field.required)
    return BoundRequest(request, prune_schema(pa.schema([]), shape), (), (), required), shape


def lines_of(request: SourceRequest, folder: Path) -> NdjsonReader:
    (folder / "empty").write_bytes(b"")
    (part,) = ndjson_source(file_parts([folder / "empty"], folder), request).parts
    assert isinstance(part, NdjsonPart)
    return part.lines


def meaning(chunk: Chunk) -> tuple[object, ...]:
    places: Sequence[int] = [] if chunk.positions is None else chunk.positions.to_pylist()
    carried = {
        str(pointer): (carry.records, min(10, len(carry.subjects))) for pointer, carry in chunk.undeclared.items()
    }
    return repr(chunk.records.to_pylist()), places, tuple(chunk.rejects), chunk.read, carried


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> NdjsonReader:
    return lines_of(REQUEST, tmp_path_factory.mktemp("lines"))


def same(lines: NdjsonReader, data: bytes) -> None:
    block = LineBlock(7, data)
    for size in (1 << 20, 40):
        fresh = replace(lines, block_bytes=size)
        for _ in range(2):  # the second time with the columns of the first
            assert meaning(fresh.chunk(block)) == meaning(lines.read_strictly(block))


@settings(max_examples=examples(250))
@given(everything)
@example(b'{"id": "", "new": 1}\n')
def test_the_fast_reader_gives_what_the_strict_reader_gives(lines: NdjsonReader, data: bytes) -> None:
    same(lines, data)


NUMBERS = SourceRequest(
    fields=(
        declared("id", "string", required=True),
        declared("d", "decimal(6,2)"),
        declared("big", "decimal(40,3)"),
        declared("all", "decimal(38,38)"),
        declared("/price/net", "decimal(4,1)", needed=False),
        declared("/sold/*/sum", "decimal(6,2)"),
        declared("n", "integer"),
        declared("labels", "map", needed=False),
    ),
    never=(Pointer.parse("/labels/secret"), Pointer.parse("/sold/*/pin")),
    subject=Pointer.parse("id"),
)
MAPS = SourceRequest(
    fields=(
        declared("id", "string", required=True),
        declared("n", "integer"),
        declared("at", "timestamp"),
        declared("size", "map"),
        declared("labels", "map"),
        declared("/labels/*/v", "string"),
        declared("/labels/*/t", "timestamp", needed=False),
        declared("list", "list"),
        declared("d", "decimal(76,39)"),
    ),
    never=(Pointer.parse("/labels/*/pin"),),
    subject=Pointer.parse("id"),
)
numerals = st.from_regex(
    r"-?(0|[1-9][0-9]{0,7})(\.[0-9]{1,4})?([eE][-+]?[0-9]{1,2})?", fullmatch=True
) | st.sampled_from(
    [
        '"1.5"',
        "1e999",
        "0e999",
        "1e-999",
        "0." + "0" * 500,
        "1" + "0" * 60,
        "-11",
        "9" * 38,
        "0.25",
        "1e-77",
        "1e-70000",
        "NaN",
        "-Infinity",
        "null",
        "true",
        "[1]",
        "9" * 39,
    ]
)
plain = st.sampled_from(
    ["1", "-7", "null", '"x"', "1.0", "1e3", "9223372036854775808", "9223372036854775807", "-0", "01"]
)
inner = st.sampled_from(
    ["{}", "null", "[]", '"x"', '{"secret":1}', '{"k":null}', '{"k":1}', '{"k":"x"}', '{"k":{"j":1}}', '{"k":1,"k":1}',
     '{"k":NaN}', '{"b":1,"a":2}', '{"k":{"v":"x","u":1}}', '{"k":{"v":1}}', '{"k":{"pin":0}}', '{"k":{"t":"x"}}',
     '{"k":{"v":null,"t":"2026-11-24T10:00:00Z"},"j":null}', '{"k":[null,"x"]}']
)  # fmt: skip
members = st.one_of(
    st.tuples(st.sampled_from(["d", "big", "all"]), numerals),
    st.tuples(st.just("n"), plain),
    st.tuples(st.just("price"), numerals.map('{{"net":{}}}'.format) | inner),
    st.tuples(
        st.just("sold"),
        st.lists(numerals.map('{{"sum":{}}}'.format), max_size=2).map(lambda some: f"[{','.join(some)}]"),
    ),
    st.tuples(st.sampled_from(["labels", "size", "list", "new", "newer"]), inner),
    st.tuples(st.sampled_from(["sold", "list", "new"]), inner.map("[{}]".format)),
    st.tuples(st.just("at"), st.sampled_from(['"2026-11-24T10:00:00Z"', '"2026-11-24"', "5"])),
    st.tuples(st.just("new"), numerals | plain),
)
rendered = st.lists(members, max_size=4).map(
    lambda some: ("{" + ",".join(['"id":"a"', *(f'"{key}":{value}' for key, value in some)]) + "}").encode()
)
unlike = st.lists(rendered | rendered | rendered | odd, max_size=12).map(b"\n".join)


@pytest.mark.parametrize("request_", [NUMBERS, MAPS], ids=["decimals", "maps"])
@settings(max_examples=examples(250))
@given(data=unlike)
def test_decimals_maps_and_undeclared_columns_are_read_fast_as_strictly(request_: SourceRequest, data: bytes) -> None:
    same(NdjsonReader(*bound_of(request_)), data)


@given(everything)
def test_every_line_that_is_not_blank_is_a_record_or_a_reject(lines: NdjsonReader, data: bytes) -> None:
    chunk = lines.chunk(LineBlock(0, data))
    assert chunk.read == chunk.records.num_rows + len(chunk.rejects)
    assert chunk.read == sum(bool(line.strip(b" \t\r")) for line in data.split(b"\n"))
    assert CANARY not in repr(chunk.rejects)
