""""""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.sources.files import LineBlock
from minimize.sources.ndjson.flat_reader import (
    MAX_KEYS,
    WINDOW_BYTES,
    WINDOW_MARKS,
    ByteLiteral,
    CutLines,
    KeyOrder,
    byte_windows,
    cut_lines,
    first_mark,
    learn_order,
    plain_lines,
)
from minimize.sources.ndjson.line_scan import scan_lines

ORDER = KeyOrder((b"a", b"b", b"long name of a key"), b",", b":")
GOOD = b'{"a":"x","b":1.5,"long name of a key":"y"}'


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
    assert told([GOOD, b'{"b":null}', b'{"a":"","long name of a key":-7}\r', GOOD]) == [
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
    found = cuts([GOOD, line, GOOD, b"", line, GOOD])
    assert found is not None
    assert found.rows.tolist() == [0, 2, 4]


@pytest.mark.parametrize("text", ["", " 1", "1 ", "[]", "tru", "{", '1"', "9" * 20])
def test_what_stands_in_no_quotes_is_given_as_it_stands(text: str) -> None:
    assert told([GOOD, f'{{"a":"x","b":{text}}}'.encode()])[1] == {b"a": '"x"', b"b": text}


def test_a_line_that_is_said_not_to_fit_is_not_cut() -> None:
    scanned = scan_lines(LineBlock(0, b"\n".join([GOOD] * 3)))
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
    lines = [b'{"a":"%s","b":"y%s"}' % (long, long), b'{"a":"%s"' % long, GOOD, b'{"b":"%s"}' % long]
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
def test_bytes_are_met_where_they_stand_and_nowhere_else(text: bytes, data: bytes, inside: int) -> None:
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
def test_the_order_of_a_line_is_its_keys_and_what_stands_between_them(line: bytes, order: KeyOrder) -> None:
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


def test_keys_of_other_lines_are_put_where_they_stand_there() -> None:
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


def test_what_is_known_stays_whatever_other_lines_are() -> None:
    known = KeyOrder((b"a",), b",", b":")
    assert learn_order([b"x", b"{}", b'{"a":[]}'], known) is known
