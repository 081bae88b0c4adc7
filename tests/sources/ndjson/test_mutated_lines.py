"""Whole files of valid lines that were changed a little: the reader gives what the strict reader gives of each line alone."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minimize.arrow.pointers import Pointer
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.files import MAX_LINE_BYTES, file_parts, line_blocks
from minimize.sources.ndjson import NdjsonPart, NdjsonReader, ndjson_source
from minimize.sources.schema_check import concat_chunks, sort_chunk
from tests.hypothesis_profiles import examples
from tests.sources.test_ndjson import meaning

FIELDS = {
    "id": "string",
    "at": "timestamp",
    "day": "date",
    "n": "integer",
    "x": "double",
    "ok": "boolean",
    "price": "decimal(8,2)",
    "raw": "binary",
    "/device/os": "string",
    "/apps/*/name": "string",
    "/apps/*/size": "integer",
}
FLAT = b'{"id":"a","at":"2026-11-24T10:00:00Z","n":17,"x":1.5,"ok":true,"price":12.50,"day":"2026-11-24","raw":"YQ=="}'
NESTED = (
    b'{"id":"b","at":"2026-11-24T10:00:00Z","device":{"os":"17.1","new":1},"apps":[{"name":"c","size":3},{"name":"d"}]}'
)
MAPPED = b'{"id": "c", "at": "2026-11-24T10:00:00Z", "labels": {"k": "v", "j": null}, "n": 3, "apps": []}'
Mutation = Callable[[bytes, int], bytes]


def request(mapped: bool) -> SourceRequest:
    fields = FIELDS | ({"labels": "map", "/labels/*": "string"} if mapped else {})
    return SourceRequest(
        tuple(
            DeclaredField(key, Pointer.parse(key), word, required=key in ("id", "at")) for key, word in fields.items()
        ),
        never=(Pointer.parse("/contacts"), Pointer.parse("/device/pin")),
        any_depth=("passcode", "secret"),
        subject=Pointer.parse("id"),
    )


def inserted(what: bytes) -> Mutation:
    return lambda line, place: line[: place % (len(line) + 1)] + what + line[place % (len(line) + 1) :]


def added(member: bytes) -> Mutation:
    return lambda line, place: line[:-1] + b"," + member + b"}" if place % 2 else b"{" + member + b"," + line[1:]


def replaced(value: bytes) -> Mutation:
    def change(line: bytes, place: int) -> bytes:
        start = line.find(b":", place % len(line)) + 1
        end = min((found for mark in b",}" if (found := line.find(mark, start)) > 0), default=len(line))
        return line[:start] + value + line[end:]

    return change


def cut(line: bytes, place: int) -> bytes:
    return line[: place % len(line)]


def returned(line: bytes, place: int) -> bytes:
    return line + b"\r"


VALUES = [
    b"null", b"true", b"-0", b"01", b"1.", b".5", b"+1", b"1e3", b"1E400", b"-1e-400", b"0.1", b"12", b"NaN", b"Infinity",
    b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809", b"9" * 400, b'""', b'"\\u0000"', b'"\\ud800"',
    b'"\\ud83d\\ude00"', b'"\xf0\x9f\x98\x80"', b'"\xed\xa0\x80"', b'"\xff"', b'"\\n"', b'"\n"', b'"\t"', b'"\x00"', b"[]", b"{}",
    b"[[1]]", b"[" * 127 + b"]" * 127, b"[" * 200 + b"]" * 200, b'"2026-02-30T00:00:00Z"', b'"2026-11-24"', b'"YQ"', b'"1"',
]  # fmt: skip
MEMBERS = [
    b'"id":"z"', b'"\\u0069d":"z"', b'"n":1', b'"new":1', b'"new":"x"', b'"new":null', b'"new":{"k":1,"k":1}', b'"contacts":[]',
    b'"contacts":null', b'"cont\\u0061cts":1', b'"device":{"pin":0}', b'"labels":{"k":1}', b'"labels":{"k":"x"}', b'"labels":"x"',
    b'"l\\u0061bels":{"k":"x"}', b'"":0', b'"\xc3\xa9":0', b'"device":{"secret":0}', b'"new":{"x":[{"secret":1,"passcode":2}]}',
    b'"labels":{"secret":"x"}', b'"labels":{"secret":null}', b'"apps":[{"secret":null},{"size":1}]',
    b'"apps":[{"s\\u0065cret":[]}]',
]  # fmt: skip
mutations = st.one_of(
    st.sampled_from(VALUES).map(replaced),
    st.sampled_from(MEMBERS).map(added),
    st.sampled_from(
        [b'"', b"\\", b"}", b"{", b"]", b",", b" ", b"\t", b"\r", b"\x00", b"\xff", b"\n", b"0", b"e9"]
    ).map(inserted),
    st.sampled_from([cut, returned]),
)
changed = st.tuples(
    st.sampled_from([FLAT, FLAT, NESTED, MAPPED]), st.lists(st.tuples(mutations, st.integers(0, 200)), max_size=2)
).map(lambda one: mutated(*one))
files = st.tuples(
    st.sampled_from([b"", b"", b"\xef\xbb\xbf", b"\n\n"]),
    st.lists(
        st.sampled_from([FLAT, NESTED, MAPPED]) | changed | st.sampled_from([b"", b" ", b"\r", b"{}"]), max_size=20
    ),
    st.sampled_from([b"", b"\n", b"\r\n"]),
).map(lambda one: one[0] + b"\n".join(one[1]) + one[2])


def mutated(line: bytes, changes: list[tuple[Mutation, int]]) -> bytes:
    for change, place in changes:
        line = change(line, place) if line else line
    return line


def check(path: Path, mapped: bool) -> None:
    (part,) = ndjson_source(file_parts([path], path.parent), request(mapped)).parts
    assert isinstance(part, NdjsonPart)
    schema = part.lines.bound.schema
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        alone = [
            part.lines.read_strictly(block) if not block.too_large else part.lines.chunk(block)
            for block in line_blocks(stream)
        ]
    chunks = list(part.read())
    assert bool(chunks) == bool(alone)
    if chunks:
        assert meaning(sort_chunk(concat_chunks(chunks, schema))) == meaning(sort_chunk(concat_chunks(alone, schema)))


@settings(max_examples=examples(300), suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=files, size=st.integers(3, 3000), together=st.sampled_from([1, 300, 1 << 20]), mapped=st.booleans())
def test_changed_lines_are_read_as_each_alone_in_any_cut_into_blocks(
    tmp_path: Path, data: bytes, size: int, together: int, mapped: bool
) -> None:
    (tmp_path / "a.ndjson").write_bytes(data)
    (part,) = ndjson_source(file_parts([tmp_path / "a.ndjson"], tmp_path), request(mapped)).parts
    assert isinstance(part, NdjsonPart)
    lines, schema = part.lines, part.lines.bound.schema
    reader = NdjsonReader(lines.bound, lines.root, block_bytes=together)
    for _ in range(2):  # the second time with what the first has learned
        found = [reader.chunk(block) for block in line_blocks(BytesIO(data), size)]
        alone = [lines.read_strictly(block) for block in line_blocks(BytesIO(data))]
        assert bool(found) == bool(alone)
        if found:
            assert meaning(concat_chunks(found, schema)) == meaning(sort_chunk(concat_chunks(alone, schema)))


@settings(max_examples=examples(300), suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=files, mapped=st.booleans())
def test_changed_lines_are_read_as_each_alone(tmp_path: Path, data: bytes, mapped: bool) -> None:
    (tmp_path / "a.ndjson").write_bytes(data)
    check(tmp_path / "a.ndjson", mapped)


@pytest.mark.parametrize("mapped", [False, True])
def test_many_lines_with_every_change_among_them_are_read_as_each_alone(tmp_path: Path, mapped: bool) -> None:
    members = [added(member) for member in MEMBERS]
    values = [replaced(value) for value in VALUES]
    odd = [
        change(line, place) for line in (FLAT, NESTED, MAPPED) for change in members + values for place in (1, 40, 75)
    ]
    usual = [FLAT, NESTED, MAPPED] * 400
    lines = [line for at, one in enumerate(odd) for line in (*usual[at % 3 : at % 3 + 24], one)]
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(b"\n".join(lines), 1))
    check(tmp_path / "a.ndjson.gz", mapped)


def test_lines_about_the_limit_are_read_as_each_alone(tmp_path: Path) -> None:
    start = b'{"id":"a","at":"2026-11-24T10:00:00Z","new":"'
    longest = start + b"x" * (MAX_LINE_BYTES - len(start) - 2) + b'"}'
    (tmp_path / "a.ndjson").write_bytes(b"\n".join([FLAT, longest, NESTED, b" " + longest, MAPPED, longest[:-1], FLAT]))
    check(tmp_path / "a.ndjson", mapped=False)
