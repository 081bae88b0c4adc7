from __future__ import annotations

import json

import numpy as np
import pytest

from minimize.sources.files import LineBlock
from minimize.sources.ndjson.line_cutter import CutLines, KeyOrder, cut_lines
from minimize.sources.ndjson.line_scan import lines_with_controls, scan_without_depth

ORDER = KeyOrder((b"a", b"b", b"long name of a key"), b",", b":")
GOOD = b'{"a":"x","b":1.5,"long name of a key":"y"}'


def cuts(lines: list[bytes], order: KeyOrder = ORDER) -> CutLines | None:
    scanned = scan_without_depth(LineBlock(0, b"\n".join(lines)))
    return cut_lines(scanned, np.arange(len(scanned.starts)), ~(scanned.odd | lines_with_controls(scanned)), order)


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
    scanned = scan_without_depth(LineBlock(0, b"\n".join([GOOD] * 3)))
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
