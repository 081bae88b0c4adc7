from __future__ import annotations

import pytest

from minimize.io.json_order import MOST, Order, learned


@pytest.mark.parametrize(
    ("line", "order"),
    [
        (b'{"a":1,"b":"x","c":null}', Order((b"a", b"b", b"c"), b",", b":")),
        (b'{"a": 1, "b": true}\r', Order((b"a", b"b"), b", ", b": ")),
        (b'{"a" :1}', Order((b"a",), b",", b" :")),
        (b'{"":"","\xc3\xa9":-1.5e9}', Order((b"", b"\xc3\xa9"), b",", b":")),
    ],
)
def test_the_order_of_a_line_is_its_keys_and_what_stands_between_them(line: bytes, order: Order) -> None:
    assert Order.of(line) == order


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
    assert Order.of(line) is None


def test_a_line_of_very_many_keys_has_no_order() -> None:
    assert Order.of(b"{" + b",".join(b'"k%d":1' % key for key in range(MOST + 1)) + b"}") is None


def test_keys_of_other_lines_are_put_where_they_stand_there() -> None:
    order = learned([b'{"b":1,"d":1}', b'{"b":1,"c":1,"d":1}', b'{"a":1,"b":1}', b'{"d":1,"e":1}'])
    assert order is not None
    assert order.keys == (b"a", b"b", b"c", b"d", b"e")


def test_a_line_in_another_order_or_with_other_blanks_adds_nothing() -> None:
    order = learned([b'{"a":1,"b":1}'] * 4 + [b'{"b":1,"n":1,"a":1}', b'{"a": 1, "m": 1}'])
    assert order == Order((b"a", b"b"), b",", b":")


def test_an_order_does_not_grow_beyond_its_limit() -> None:
    order = Order(tuple(b"k%d" % key for key in range(MOST)), b",", b":")
    assert order.joined(Order((b"k1", b"new"), b",", b":")) is order


@pytest.mark.parametrize(
    "lines",
    [[], [b"{}"], [b'{"a":1}', b"x"], [b'{"a":1,"b":1}', b'{"b":1,"a":1}'], [b'{"a":[]}', b'{"a":{}}', b'{"a":1}']],
)
def test_lines_of_which_most_are_in_no_common_order_teach_nothing(lines: list[bytes]) -> None:
    assert learned(lines) is None


def test_what_is_known_stays_whatever_other_lines_are() -> None:
    known = Order((b"a",), b",", b":")
    assert learned([b"x", b"{}", b'{"a":[]}'], known) is known
