from __future__ import annotations

import pytest

from minimize.sources.ndjson.line_cutter import MAX_KEYS, KeyOrder, learn_order


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
