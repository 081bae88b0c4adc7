from __future__ import annotations

import ipaddress

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minimize.techniques.addresses import BLOCK_ROWS, format_ipv4, leading_groups, parse_ipv4

ADDRESSES = st.ip_addresses(v=6)
TEXTS = (
    ADDRESSES.map(str)
    | ADDRESSES.map(lambda address: address.exploded.upper())
    | st.text(alphabet="0123af:.%", max_size=24)
    | st.lists(st.sampled_from(["", "0", "a", "2002", "ffff"]), max_size=9).map(":".join)
)


@given(st.lists(TEXTS, max_size=20), st.integers(1, 7))
def test_leading_groups_agree_with_the_address(texts: list[str], groups: int) -> None:
    for text, start in zip(texts, leading_groups(pa.array(texts, pa.string()), groups).to_pylist(), strict=True):
        if start is not None:
            address, network = ipaddress.IPv6Address(text), ipaddress.IPv6Address(f"{start}::")
            assert int(address) >> (128 - 16 * groups) == int(network) >> (128 - 16 * groups)


@given(ADDRESSES, st.integers(1, 7))
def test_an_address_written_out_is_plain_unless_it_carries_another(address: ipaddress.IPv6Address, groups: int) -> None:
    (start,) = leading_groups(pa.array([address.exploded]), groups).to_pylist()
    first = int(address) >> 112
    assert (start is None) == (first in (0, 0x2002))


@example(["....", None])
@example(["....", ""])
@given(st.lists(st.ip_addresses(v=4).map(str) | st.text(alphabet="0129.", max_size=16) | st.none(), max_size=30))
def test_it_takes_for_an_address_what_the_standard_library_does(texts: list[str | None]) -> None:
    numbers, fine = parse_ipv4(pa.array(texts, pa.string()))
    assert fine.tolist() == [_number(text) is not None for text in texts]
    assert numbers[fine].tolist() == [number for number in map(_number, texts) if number is not None]


@given(st.lists(st.ip_addresses(v=4), max_size=30), st.integers(0, 5))
def test_a_slice_is_read_as_itself(addresses: list[ipaddress.IPv4Address], start: int) -> None:
    numbers, fine = parse_ipv4(pa.array([str(address) for address in addresses], pa.string()).slice(start))
    assert numbers.tolist() == [int(address) for address in addresses[start:]]
    assert fine.all()


@given(st.lists(st.ip_addresses(v=4), max_size=30))
def test_a_formatted_address_equals_the_parsed_one(addresses: list[ipaddress.IPv4Address]) -> None:
    texts = pa.array([str(address) for address in addresses], pa.string())
    assert format_ipv4(parse_ipv4(texts)[0]) == texts


@pytest.mark.parametrize("rows", [BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1])
def test_blocks_leave_no_seam(rows: int) -> None:
    numbers, fine = parse_ipv4(pa.array(["10.0.0.1"] * rows))
    assert (len(numbers), bool(fine.all()), set(numbers.tolist())) == (rows, True, {0x0A000001})


def _number(text: str | None) -> int | None:
    try:
        return int(ipaddress.IPv4Address(text)) if text is not None else None
    except ipaddress.AddressValueError:
        return None


def test_bytes_behind_a_null_are_not_parsed_as_an_address() -> None:
    texts = pa.array(["1.2.3.4", "5.6.7.8", ""])
    hidden = pa.StringArray.from_buffers(3, *texts.buffers()[1:], pa.py_buffer(b"\x05"))
    assert parse_ipv4(hidden)[1].tolist() == [True, False, False]


def test_many_dots_are_not_three() -> None:
    assert parse_ipv4(pa.array(["." * 259, "", "1.2.3.4", "." * 65_539]))[1].tolist() == [False, False, True, False]


@pytest.mark.parametrize("last", [[""], [None], ["", None, ""]])
def test_four_dots_before_an_empty_last_text_are_not_three(last: list[str | None]) -> None:
    assert parse_ipv4(pa.array(["1.2.3.4", "....", *last], pa.string()))[1].tolist() == [True, False] + [False] * len(
        last
    )


@pytest.mark.parametrize("last", [[""], [None], ["", None, ""]])
def test_an_address_before_an_empty_last_text_is_read(last: list[str | None]) -> None:
    numbers, found = parse_ipv4(pa.array(["1.2.3.4", *last], pa.string()))
    assert (int(numbers[0]), found.tolist()) == (0x01020304, [True] + [False] * len(last))


@pytest.mark.parametrize("texts", [[], [""], [None], ["", ""], [None, None], ["", None]])
def test_texts_without_bytes_are_no_addresses(texts: list[str | None]) -> None:
    assert not parse_ipv4(pa.array(texts, pa.string()))[1].any()


def test_a_slice_with_an_empty_end_is_read_as_itself() -> None:
    texts = pa.array(["....", "1.2.3.4", "....", None, "5.6.7.8"], pa.string())
    assert parse_ipv4(texts.slice(1, 3))[1].tolist() == [True, False, False]
