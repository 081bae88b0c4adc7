from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.pointers import Pointer
from minimize.records import Chunk
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.files import LineBlock, file_parts
from minimize.sources.ndjson import NdjsonPart, ndjson_source
from minimize.sources.ndjson.flat_reader import (
    MAX_INTEGER_DIGITS,
    MAX_KEYS,
    MAX_NUMBER_BYTES,
    WINDOW_BYTES,
    WINDOW_MARKS,
    ByteLiteral,
    ColumnReader,
    CutLines,
    KeyOrder,
    KeyTexts,
    KnownKeyOrder,
    are_plain_numbers,
    byte_windows,
    cut_lines,
    first_mark,
    learn_order,
    plain_lines,
    read_flat,
)
from minimize.sources.ndjson.line_scan import scan_lines
from minimize.sources.projection import field_tree
from minimize.sources.record_checks import ForbiddenNames

REQUEST = SourceRequest(
    tuple(
        DeclaredField(key, Pointer.parse(key), word, required=key == "id")
        for key, word in {"id": "string", "n": "integer", "/o/k": "string"}.items()
    ),
    never=(Pointer.parse("/pin"),),
    subject=Pointer.parse("id"),
)

GOOD = b'{"id":"a","n":1}'


def at_once(
    folder: Path, lines: list[bytes], known: KnownKeyOrder, position: int = 0
) -> tuple[Chunk | None, list[int]]:
    """The chunk, and the lines that are not in doubt."""
    (folder / "a").write_bytes(b"")
    (part,) = ndjson_source(file_parts([folder / "a"], folder), REQUEST).parts
    assert isinstance(part, NdjsonPart)
    found = read_flat(scan_lines(LineBlock(position, b"\n".join(lines))), part.lines.bound, part.lines.root, known)
    assert len(found) <= 1
    return (found[0][0], found[0][1].tolist()) if found else (None, [])


def test_uniform_lines_are_one_chunk(tmp_path: Path) -> None:
    lines = [GOOD, b'{"n":2}', b'{"id":"b","new":"x"}', b'{"id":"c","n":null,"new":null}', b'{"id":"d","o":null}']
    chunk, rows = at_once(tmp_path, lines, KnownKeyOrder(), 100)
    assert chunk is not None
    assert rows == [0, 1, 2, 3, 4]
    assert chunk.records.to_pylist() == [
        {"id": "a", "n": 1, "o": None},
        {"id": "b", "n": None, "o": None},
        {"id": "c", "n": None, "o": None},
        {"id": "d", "n": None, "o": None},
    ]
    assert [(reject.position, reject.code) for reject in chunk.rejects] == [(117, "missing_field")]
    assert chunk.positions == pa.array([100, 125, 146, 177])
    assert {str(path): (carry.records, carry.subjects) for path, carry in chunk.undeclared.items()} == {
        "/new": (1, frozenset("b"))
    }


@pytest.mark.parametrize(
    "line",
    [
        b'{"id":1}',
        b'{"id":"a","n":"1"}',
        b'{"id":"a","pin":1}',
        b'{"id":"a","o":{"k":"x"}}',
        b'{"id":"\\u0061"}',
        b'{"n":1,"id":"a"}',
        b"x",
    ],
)
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_doubt_about_a_line_is_about_no_other(tmp_path: Path, line: bytes, size: int) -> None:
    chunk, rows = at_once(tmp_path, [GOOD, GOOD, line, GOOD], KnownKeyOrder(size))
    assert chunk is not None
    assert rows == [0, 1, 3]
    assert chunk.records.num_rows == chunk.read == 3


def test_keys_that_were_not_known_are_learned_for_the_next_block(tmp_path: Path) -> None:
    known = KnownKeyOrder()
    lines = [GOOD] * 20 + [b'{"id":"a","late":1,"n":1}']
    assert at_once(tmp_path, lines, known)[1] == [*range(20)]
    assert at_once(tmp_path, lines, known)[1] == [*range(21)]


def test_the_key_order_is_learned_again_if_few_lines_match(tmp_path: Path) -> None:
    known = KnownKeyOrder()
    other = [b'{"n": 1, "id": "a"}'] * 20
    assert at_once(tmp_path, [GOOD] * 20, known)[1] == [*range(20)]
    assert at_once(tmp_path, other, known)[1] == []
    assert at_once(tmp_path, other, known)[1] == [*range(20)]


@pytest.mark.parametrize("line", [b'{"id":"a","o":{"k":"x"}}', b"{}", b"x", b'{"id":"\\t"}'])
def test_lines_in_no_order_are_left_to_others(tmp_path: Path, line: bytes) -> None:
    assert at_once(tmp_path, [line] * 4, KnownKeyOrder()) == (None, [])


WORDS = {
    "s": "string",
    "at": "timestamp",
    "n": "integer",
    "x": "double",
    "ok": "boolean",
    "d": "decimal(4,2)",
    "raw": "binary",
    "l": "list",
    "/o/k": "string",
}

ROOT = field_tree(SourceRequest(tuple(DeclaredField(key, Pointer.parse(key), word) for key, word in WORDS.items())))


def values(*texts: str | None) -> KeyTexts:
    """Takes texts as they stand in a line, with their quotes; None where the key is not there."""
    there, quoted = (
        np.array([text is not None for text in texts]),
        np.array([(text or "")[:1] == '"' for text in texts]),
    )
    held = [(text or "").strip('"') for text in texts]
    return KeyTexts([pa.array(held[:2], pa.string()), pa.array(held[2:], pa.string())], there, quoted)


def read(name: str, *texts: str | None) -> tuple[pa.Array | None, list[bool]]:
    reading = ColumnReader(ROOT, frozenset({"never"}), ForbiddenNames((), frozenset()), np.ones(len(texts), bool))
    column = reading.column(name, values(*texts))
    return column, reading.certain.tolist()


@pytest.mark.parametrize(
    ("name", "texts", "expected"),
    [
        ("s", ['"x"', '"null"', "null", None, '""'], ["x", "null", None, None, ""]),
        ("n", ["1", "-7", "null", None, "0"], [1, -7, None, None, 0]),
        ("x", ["1", "0.5", "null", None, "-0"], [1.0, 0.5, None, None, 0.0]),
        ("ok", ["true", "false", "null", None], [True, False, None, None]),
        ("raw", ['"YQ=="', "null", None], [b"a", None, None]),
        ("other", ['"x"', "1", "true", "false", "null", None, '"null"'], [True, True, True, True, None, None, True]),
    ],
)
def test_texts_are_read_as_what_is_declared(name: str, texts: list[str | None], expected: list[object]) -> None:
    column, sure = read(name, *texts)
    assert column is not None
    column.validate(full=True)
    assert column.to_pylist() == expected
    assert all(sure)


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("s", ["1", "true", "", "nul"]),
        ("at", ['"noon"', '"2026-02-30T00:00:00Z"', "1", ""]),
        ("n", ['"1"', '"null"', "1.5", "1e3", "9223372036854775808", "01", "", "true"]),
        ("x", ['"1"', "NaN", "1e3", ".5", "1.", "-", "", "9" * 400]),
        ("ok", ['"true"', "1", "True", "truefalse", ""]),
        ("d", ["1.234", "123.4", '"1.5"', "1e1", "true"]),
        ("raw", ['"%"', "1"]),
        ("l", ["1", '"x"', '"null"', "[]"]),
        ("o", ["1", '"x"', '"null"']),
        ("never", ["1", '"x"', '"null"', '""']),
        ("other", ["nul", "NaN", "01", "1e3", "", "truefalse"]),
    ],
)
def test_a_text_that_does_not_fit_its_declared_type_is_uncertain(name: str, texts: list[str | None]) -> None:
    _, sure = read(name, None, *texts, "null")
    assert sure == [True, *(False for _ in texts), True]


def test_decimals_are_exact() -> None:
    column, sure = read("d", "12.5", "7", None, "1.500")
    assert column is not None
    assert [value and str(value) for value in column.to_pylist()] == ["12.50", "7.00", None, "1.50"]
    assert all(sure)


@pytest.mark.parametrize("name", ["l", "o", "never"])
def test_where_a_container_may_be_or_nothing_there_is_no_column(name: str) -> None:
    column, sure = read(name, "null", None)
    assert column is None
    assert all(sure)


def test_a_text_that_is_not_needed_is_checked_and_not_read() -> None:
    unread = SourceRequest((DeclaredField("s", Pointer.parse("s"), "string", needed=False),))
    reading = ColumnReader(field_tree(unread), frozenset(), ForbiddenNames((), frozenset()), np.ones(3, bool))
    column = reading.column("s", values('"x"', None, "1"))
    assert column is not None
    assert column.to_pylist() == [True, None, None]
    assert reading.certain.tolist() == [True, True, False]


@pytest.mark.parametrize("out", [[], [0], [1, 2], [199], [57, 150], [*range(0, 200, 3)]])
def test_lines_in_doubt_are_left_out(tmp_path: Path, out: list[int]) -> None:
    lines = [b'{"id":"%s%d","n":%s}' % ((b"secret", n, b"1.5") if n in out else (b"a", n, b"1")) for n in range(200)]
    chunk, rows = at_once(tmp_path, lines, KnownKeyOrder())
    assert chunk is not None
    assert rows == [row for row in range(200) if row not in out]
    assert chunk.records.column("id").to_pylist() == [f"a{row}" for row in rows]
    assert b"secret" not in chunk.records.column("id").buffers()[2].to_pybytes()


def test_lines_with_a_backslash_or_a_control_character_are_not_plain() -> None:
    texts = [b"{}", b'{"a":"\t"}', b"{}", b"{\x01}", b"{a\rb}", b"{}\r", b"{}\r\r", b"{\x7f}", b'{"a":"\\n"}']
    plain = [True, False, True, False, False, True, False, True, False]
    for end in (b"\n", b"\n\n"):
        assert plain_lines(scan_lines(LineBlock(0, end.join(texts)))).tolist() == plain


def test_lines_with_nested_values_are_not_tried(tmp_path: Path) -> None:
    assert at_once(tmp_path, [b'{"id":"a","o":{"k":"x"}}'] * 9 + [GOOD], KnownKeyOrder()) == (None, [])


NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")

texts = st.lists(
    st.text("0123456789.-e+ ", max_size=6)
    | st.from_regex(NUMBER, fullmatch=True).filter(lambda one: len(one) < 90)
    | st.sampled_from(
        [
            "1" * 18,
            "-" + "1" * 18,
            "1" * 19,
            "0." + "1" * 98,
            "0." + "1" * 99,
            "." * 256 + "1",
            "1" + "." * 257 + "1",
            "é",
            "٣",
        ]
    )
)


def expected(text: str, whole: bool) -> bool:
    match = NUMBER.fullmatch(text)
    if match is None or (whole and match[2]):
        return False
    return len(text.lstrip("-")) <= (MAX_INTEGER_DIGITS if whole else MAX_NUMBER_BYTES)


@given(values=texts)
def test_plain_numbers_are_recognized_by_their_grammar(values: list[str]) -> None:
    array = pa.array(values, pa.string())
    assert are_plain_numbers(array).tolist() == [expected(value, whole=False) for value in values]
    assert are_plain_numbers(array, whole=True).tolist() == [expected(value, whole=True) for value in values]


def test_a_part_of_an_array_is_looked_at_alone() -> None:
    array = pa.array(["x", "1", "2.5", "", "y"]).slice(1, 3)
    assert are_plain_numbers(array).tolist() == [True, True, False]
    assert are_plain_numbers(array, whole=True).tolist() == [True, False, False]


@given(values=st.lists(st.from_regex(r"-?(0|[1-9][0-9]{0,17})", fullmatch=True)))
def test_recognized_whole_numbers_are_read_by_arrow_with_the_same_value(values: list[str]) -> None:
    array = pa.array(values, pa.string())
    assert are_plain_numbers(array, whole=True).all()
    assert array.cast(pa.int64()).to_pylist() == [int(value) for value in values]


@given(values=st.lists(st.from_regex(r"-?(0|[1-9][0-9]{0,20})\.[0-9]{1,20}", fullmatch=True)))
def test_recognized_numbers_are_read_by_arrow_with_the_same_value(values: list[str]) -> None:
    array = pa.array(values, pa.string())
    assert are_plain_numbers(array).all()
    assert array.cast(pa.float64()).to_pylist() == [float(value) for value in values]


ORDER = KeyOrder((b"a", b"b", b"long name of a key"), b",", b":")

GOOD_LINE = b'{"a":"x","b":1.5,"long name of a key":"y"}'


def cuts(lines: list[bytes], order: KeyOrder = ORDER) -> CutLines | None:
    scanned = scan_lines(LineBlock(0, b"\n".join(lines)))
    return cut_lines(scanned, np.arange(len(scanned.starts)), plain_lines(scanned), order)


def told(lines: list[bytes], order: KeyOrder = ORDER) -> list[dict[bytes, str]]:
    found = cuts(lines, order)
    assert found is not None
    return [
        {
            key: json.dumps(found.texts_of_key(place)[row].as_py())
            if found.quoted[place, row]
            else found.texts_of_key(place)[row].as_py()
            for place, key in enumerate(order.keys)
            if found.present[place, row]
        }
        for row in range(len(found.rows))
    ]


def test_lines_are_cut_into_the_texts_of_their_values() -> None:
    assert told([GOOD_LINE, b'{"b":null}', b'{"a":"","long name of a key":-7}\r', GOOD_LINE]) == [
        {b"a": '"x"', b"b": "1.5", b"long name of a key": '"y"'},
        {b"b": "null"},
        {b"a": '""', b"long name of a key": "-7"},
        {b"a": '"x"', b"b": "1.5", b"long name of a key": '"y"'},
    ]


def test_a_key_may_have_values_in_quotes_and_others() -> None:
    assert told([b'{"a":"x"}', b'{"a":1}', b'{"a":"","b":"y"}', b'{"a":null,"b":2}']) == [
        {b"a": '"x"'},
        {b"a": "1"},
        {b"a": '""', b"b": '"y"'},
        {b"a": "null", b"b": "2"},
    ]


def test_blanks_between_may_be_part_of_the_order() -> None:
    order = KeyOrder((b"a", b"b"), b", ", b": ")
    assert told([b'{"a": 1, "b": "x"}', b'{"b": "y"}'], order) == [{b"a": "1", b"b": '"x"'}, {b"b": '"y"'}]


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"x",
        b'{"b":1,"a":"x"}',
        b'{"a":1,"a":2}',
        b'{"a":1,"c":2}',
        b'{"a":1, "b":2}',
        b'{"a"}',
        b'{"a":"x}',
        b'{"a":"x"y}',
        b'{"a":"x"}"}',
        b'{"a":"x""b":1}',
        b'{"a":"x",,"b":1}',
        b'{"a":"x"},"b":1}',
        b'{"aa":1}',
        b'{"long name of a kex":1}',
        b'{"Long name of a key":1}',
        b'{"a":"\t"}',
        b'{"a":\x001}',
        b'{"a":"x"} {"b":1}',
        b'{,"a":1}',
        b'{"a":"x",}',
        b'{"a":"x" }',
        b'{"a":1}\r\r',
        b'{"a":"\xff"}',
        b' {"a":1}',
        b'{"a":[1,"b"]}',
        b'{"a":{"b":1}}',
        b'{"a":"b":1}',
        b'{"a":1,}',
        b'{"a":}}',
        b'{"a":1}{}',
        b'{"a":"' + b"x" * 500 + b"}",
        b'{"a":' + b"1" * 500 + b"}",
    ],
)
def test_any_other_line_is_not_cut_and_its_neighbours_are(line: bytes) -> None:
    found = cuts([GOOD_LINE, line, GOOD_LINE, b"", line, GOOD_LINE])
    assert found is not None
    assert found.rows.tolist() == [0, 2, 4]


@pytest.mark.parametrize("text", ["", " 1", "1 ", "[]", "tru", "{", '1"', "9" * 20])
def test_an_unquoted_value_is_returned_unchanged(text: str) -> None:
    assert told([GOOD_LINE, f'{{"a":"x","b":{text}}}'.encode()])[1] == {b"a": '"x"', b"b": text}


def test_a_line_marked_as_unfit_is_not_cut() -> None:
    scanned = scan_lines(LineBlock(0, b"\n".join([GOOD_LINE] * 3)))
    found = cut_lines(scanned, np.arange(3), np.array([True, False, True]), ORDER)
    assert found is not None
    assert found.rows.tolist() == [0, 2]


def test_where_nothing_is_cut_there_are_no_texts() -> None:
    found = cuts([b"x" * 100, b"{}"])
    assert found is not None
    assert (len(found.rows), len(found.texts)) == (0, 0)


def test_where_lines_are_short_and_keys_many_nothing_is_tried() -> None:
    order = KeyOrder(tuple(b"k%d" % key for key in range(100)), b",", b":")
    assert cuts([b'{"k1":1}'] * 100, order) is None
    assert told([b'{"k1":1,"k2":"' + b"x" * 400 + b'"}'], order) == [{b"k1": "1", b"k2": json.dumps("x" * 400)}]


@pytest.mark.parametrize("many", [1, 40])
@pytest.mark.parametrize("size", [40, 50, 62, 63, 64, 65, 126, 127, 500])
def test_texts_may_be_longer_than_what_is_looked_at_together(size: int, many: int) -> None:
    long = b"x" * size
    lines = [b'{"a":"%s","b":"y%s"}' % (long, long), b'{"a":"%s"' % long, GOOD_LINE, b'{"b":"%s"}' % long]
    assert (
        told(lines * many)
        == [
            {b"a": json.dumps("x" * size), b"b": json.dumps("y" + "x" * size)},
            {b"a": '"x"', b"b": "1.5", b"long name of a key": '"y"'},
            {b"b": json.dumps("x" * size)},
        ]
        * many
    )


def test_a_key_may_be_longer_than_what_is_looked_at_together() -> None:
    key = b"k" * 200
    order = KeyOrder((b"a", key), b",", b":")
    assert told([b'{"a":1,"%s":"x"}' % key, b'{"a":1,"%s":2}' % key, b'{"a":1,"%sk":2}' % key], order) == [
        {b"a": "1", key: '"x"'},
        {b"a": "1", key: "2"},
    ]


@given(text=st.binary(max_size=60), data=st.binary(min_size=1, max_size=20), inside=st.integers(0, 59))
def test_a_byte_literal_matches_exactly_at_its_positions(text: bytes, data: bytes, inside: int) -> None:
    text = text[:inside] + data + text[inside:]
    padded = np.frombuffer(text.ljust(len(text) + len(data) + 8, b"\0"), np.uint8)
    literal = ByteLiteral.from_bytes(data)
    found = literal.matches(byte_windows(padded, np.arange(len(text)), literal.width))
    assert found.tolist() == [bytes(padded[at : at + len(data)]) == data for at in range(len(text))]


@pytest.mark.parametrize("size", [1, 7, 8, 9, 16, 17])
def test_one_byte_that_differs_is_seen_wherever_it_is(size: int) -> None:
    data = bytes(range(65, 65 + size))
    changed = [data[:at] + b"\0" + data[at + 1 :] for at in range(size)]
    texts = np.frombuffer(b"".join(one.ljust(32, b"x") for one in [data, *changed]), np.uint8)
    found = byte_windows(texts, np.arange(size + 1) * 32, 32)
    assert ByteLiteral.from_bytes(data).matches(found).tolist() == [True] + [False] * size


@given(
    rows=st.lists(st.lists(st.sampled_from(b'a",\xff'), min_size=WINDOW_BYTES, max_size=WINDOW_BYTES), max_size=5),
    skip=st.integers(0, WINDOW_MARKS - 1),
    marks=st.sampled_from([b'"', b",\xff"]),
)
def test_of_each_row_the_first_mark_is_found_where_so_many_bytes_are_skipped(
    rows: list[list[int]], skip: int, marks: bytes
) -> None:
    text = np.array(rows, np.uint8).ravel()
    found = first_mark(
        byte_windows(np.append(text, np.zeros(WINDOW_BYTES, np.uint8)), np.arange(len(rows)) * WINDOW_BYTES),
        skip,
        marks,
    )
    places = [next((at for at in range(skip, WINDOW_MARKS) if row[at] in marks), -1) for row in rows]
    assert np.maximum(found, -1).tolist() == places


@pytest.mark.parametrize(
    ("line", "order"),
    [
        (b'{"a":1,"b":"x","c":null}', KeyOrder((b"a", b"b", b"c"), b",", b":")),
        (b'{"a": 1, "b": true}\r', KeyOrder((b"a", b"b"), b", ", b": ")),
        (b'{"a" :1}', KeyOrder((b"a",), b",", b" :")),
        (b'{"":"","\xc3\xa9":-1.5e9}', KeyOrder((b"", b"\xc3\xa9"), b",", b":")),
    ],
)
def test_the_key_order_of_a_line_includes_the_text_between_keys(line: bytes, order: KeyOrder) -> None:
    assert KeyOrder.from_line(line) == order


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[1]",
        b'{"a":[1]}',
        b'{"a":{}}',
        b'{"a":1,"a":2}',
        b'{"a":1, "b":2,"c":3}',
        b'{"a":1,"b": 2}',
        b'{ "a":1}',
        b'{"a":1 }',
        b'{"a":"\\n"}',
        b'{"\\u0061":1}',
        b'{"a":1',
        b'{"a":"x',
        b',"a":1}',
        b'{"a":1{"b":2}',
        b'{"a":"x"y"}',
        b'{"a":1}}',
        b'{"a":"\t"}',
        b'{"a":\t\t1}',
    ],
)
def test_a_line_that_is_no_plain_object_has_no_order(line: bytes) -> None:
    assert KeyOrder.from_line(line) is None


def test_a_line_of_very_many_keys_has_no_order() -> None:
    assert KeyOrder.from_line(b"{" + b",".join(b'"k%d":1' % key for key in range(MAX_KEYS + 1)) + b"}") is None


def test_keys_of_other_lines_are_inserted_in_their_order() -> None:
    order = learn_order([b'{"b":1,"d":1}', b'{"b":1,"c":1,"d":1}', b'{"a":1,"b":1}', b'{"d":1,"e":1}'])
    assert order is not None
    assert order.keys == (b"a", b"b", b"c", b"d", b"e")


def test_a_line_in_another_order_or_with_other_blanks_adds_nothing() -> None:
    order = learn_order([b'{"a":1,"b":1}'] * 4 + [b'{"b":1,"n":1,"a":1}', b'{"a": 1, "m": 1}'])
    assert order == KeyOrder((b"a", b"b"), b",", b":")


def test_an_order_does_not_grow_beyond_its_limit() -> None:
    order = KeyOrder(tuple(b"k%d" % key for key in range(MAX_KEYS)), b",", b":")
    assert order.merge(KeyOrder((b"k1", b"new"), b",", b":")) is order


@pytest.mark.parametrize(
    "lines",
    [[], [b"{}"], [b'{"a":1}', b"x"], [b'{"a":1,"b":1}', b'{"b":1,"a":1}'], [b'{"a":[]}', b'{"a":{}}', b'{"a":1}']],
)
def test_lines_of_which_most_are_in_no_common_order_teach_nothing(lines: list[bytes]) -> None:
    assert learn_order(lines) is None


def test_a_known_key_order_stays_for_any_other_lines() -> None:
    known = KeyOrder((b"a",), b",", b":")
    assert learn_order([b"x", b"{}", b'{"a":[]}'], known) is known
