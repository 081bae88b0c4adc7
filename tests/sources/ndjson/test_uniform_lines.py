"""Files whose lines look alike, with hostile lines among them: they are read as the strict reader reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from minimize.arrow.pointers import Pointer
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.files import LineBlock, file_parts
from minimize.sources.ndjson import NdjsonPart, NdjsonReader, ndjson_source
from minimize.sources.schema_check import concat_chunks, sort_chunk
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
    "unread": "string",
    "unread_n": "integer",
    "unread_at": "timestamp",
    "/device/os": "string",
    "tags": "list",
}
REQUEST = SourceRequest(
    tuple(
        DeclaredField(key, Pointer.parse(key), word, required=key in ("id", "at"), needed=not key.startswith("unread"))
        for key, word in FIELDS.items()
    ),
    never=(Pointer.parse("/contacts"), Pointer.parse("/sms/text")),
    any_depth=("secret",),
    subject=Pointer.parse("id"),
)
USUAL = {
    "id": '"a"',
    "at": '"2026-11-24T10:00:00Z"',
    "day": '"2026-11-24"',
    "n": "17",
    "x": "1.5",
    "ok": "true",
    "price": "12.50",
    "raw": '"YQ=="',
    "unread": '"u"',
    "unread_n": "1",
    "unread_at": '"2026-11-24T10:00:00Z"',
    "new": "2",
    "newer": '"v"',
}
HOSTILE = [
    "null",
    "true",
    "false",
    "truee",
    "nul",
    '"null"',
    '"true"',
    '"1"',
    '""',
    '"',
    '"a',
    'a"',
    "",
    " ",
    " 1",
    "1 ",
    "\t1",
    "-",
    "-0",
    "+1",
    "0",
    "00",
    "01",
    "-01",
    "1.",
    ".5",
    "-.5",
    "1.2.3",
    "1-",
    "--1",
    "1e3",
    "1E400",
    "0.1",
    "0.10",
    "12.505",
    "123456789.5",
    "NaN",
    "-Infinity",
    "999999999999999999",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "9" * 400,
    "0." + "0" * 200,
    '"\\u0000"',
    '"\\n"',
    '"\\""',
    '"\\ud800"',
    '"\n"',
    '"\t"',
    '"\r"',
    '"\x00"',
    '"\x7f"',
    '"é"',
    '"😀"',
    "[]",
    "{}",
    '["x"]',
    '{"text":1}',
    '{"os":"x"}',
    '{"secret":1}',
    '[{"a":{"secret":null}},{"secret":""}]',
    '"2026-11-24"',
    '"2026-02-30T00:00:00Z"',
    '"2026-11-24T10:00:00+02:00"',
    '"2026-11-24 10:00:00.5Z"',
    '"YQ"',
    '1,"n":2',
    '1,"id":"b"',
    '"x","n":3',
    '1}{"n":1',
    '"}',
    '"{',
    '","',
    '":"',
    '","n":1,"z":"',
    "1//",
    "1;",
    "\udcff",
    '"\udced\udca0\udc80"',
]
KEYS = [*USUAL, "contacts", "sms", "device", "tags", "other", "", "é", "i", "idd", "a b", "n\udcff"]


def written(members: list[tuple[str, str]], blank: str = "") -> bytes:
    text = f",{blank}".join(f'"{key}":{blank}{value}' for key, value in members)
    return ("{" + text + "}").encode("utf-8", "surrogateescape")


members = st.lists(st.sampled_from(list(USUAL.items())), unique_by=lambda one: one[0], min_size=1).map(
    lambda some: sorted(some, key=lambda one: list(USUAL).index(one[0]))
)
hostile = st.tuples(
    st.just([*USUAL.items()]) | members,
    st.lists(st.tuples(st.integers(0, 13), st.sampled_from(KEYS), st.sampled_from(HOSTILE), st.booleans()), max_size=2),
).map(lambda one: changed(*one))
lines = st.one_of(st.just([*USUAL.items()]), members, hostile)
ends = st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b" \n", b"\n\n", b"}\n", b"\r\r\n", b",\n"])
files = st.lists(st.tuples(lines, st.sampled_from(["", "", "", " "]), ends), max_size=24).map(
    lambda some: b"".join(written(line, blank) + end for line, blank, end in some)
)


def changed(line: list[tuple[str, str]], changes: list[tuple[int, str, str, bool]]) -> list[tuple[str, str]]:
    for place, key, value, added in changes:
        at = place % (len(line) + 1)
        line = [
            *line[:at],
            (key, value) if added or at >= len(line) else (line[at][0], value),
            *line[at + (not added) :],
        ]
    return line


def reader(folder: Path, size: int) -> NdjsonReader:
    (folder / "a").write_bytes(b"")
    (part,) = ndjson_source(file_parts([folder / "a"], folder), REQUEST).parts
    assert isinstance(part, NdjsonPart)
    return NdjsonReader(part.lines.bound, part.lines.root, block_bytes=size)


def check(lines: NdjsonReader, data: bytes, strictly: NdjsonReader) -> None:
    schema = lines.bound.schema
    found = lines.chunk(LineBlock(7, data))
    alone = strictly.read_strictly(LineBlock(7, data))
    assert meaning(found) == meaning(sort_chunk(concat_chunks([alone], schema)))


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=files, after=files, size=st.sampled_from([1, 300, 1 << 20]))
@example(data=written([("id", '"a"'), ("n", '"null"')]) * 2, after=b"{}", size=1)
def test_uniform_lines_are_read_as_each_alone(tmp_path: Path, data: bytes, after: bytes, size: int) -> None:
    lines = reader(tmp_path, size)
    for some in (data, after, data):  # what the reader learned of one block serves the next
        if some:
            check(lines, some, lines)


@pytest.mark.parametrize("blank", ["", " "])
@pytest.mark.parametrize("key", [key for key in KEYS if key in USUAL or key in ("contacts", "sms", "device", "tags")])
def test_every_hostile_value_of_a_key_among_many_lines_is_read_as_alone(tmp_path: Path, key: str, blank: str) -> None:
    usual = written([*USUAL.items()], blank)
    odd = [written([*{**USUAL, key: value}.items()], blank) for value in HOSTILE]
    lines = reader(tmp_path, 4000)
    data = b"\n".join([usual] * 40 + [line for one in odd for line in (usual, usual, one)])
    check(lines, data, lines)
    check(lines, data, lines)
