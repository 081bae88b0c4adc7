"""Internet addresses in text columns: host names (RFC 1123, RFC 5890), IPv4, IPv6."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Bools
from minimize.text import normal_form

_HOST_LABEL = re.compile(r"(?!-)[\w-]{1,63}(?<!-)")


def normalize_hostname(text: str) -> str | None:
    """The name in lower case and without its final dot, or None if it is not a host name.

    >>> normalize_hostname("WWW.Example.com."), normalize_hostname("two words"), normalize_hostname("a..b")
    ('www.example.com', None, None)
    """
    name = normal_form("NFC", text.lower()).removesuffix(".")
    if len(name) > 253 or not all(_HOST_LABEL.fullmatch(label) for label in name.split(".")):
        return None
    return name


Numbers = npt.NDArray[np.uint32]
BLOCK_ROWS = 32_768
_DOT, _ZERO = map(np.uint8, b".0")
_NO_ADDRESSES = (np.empty(0, np.uint32), np.empty(0, np.bool_))


def parse_ipv4(texts: pa.StringArray) -> tuple[Numbers, Bools]:
    """The address of each text as a number, and which texts are addresses: four decimals up to 255 without leading zeros.

    >>> numbers, fine = parse_ipv4(pa.array(["1.2.3.4", "1.2.3", "01.2.3.4", None]))
    >>> int(numbers[0]) == 0x01020304, fine.tolist()
    (True, [True, False, False, False])
    """
    where = _have_three_dots(texts)
    if where.all():
        return _parse_in_blocks(texts)
    numbers, fine = np.zeros(len(texts), np.uint32), np.zeros(len(texts), np.bool_)
    numbers[where], fine[where] = _parse_in_blocks(texts.filter(pa.array(where)))
    return numbers, fine


def _have_three_dots(texts: pa.StringArray) -> Bools:
    """Which texts have three dots."""
    data, offsets = _bytes_and_offsets(texts)
    three = offsets[1:] > offsets[:-1]
    if not len(data):
        return three
    # Empty texts are left out: `reduceat` gives them the byte at their offset, and the last ones have none.
    dots = np.add.reduceat((data == _DOT).view(np.uint8), offsets[:-1][three], dtype=np.int32)
    three[three] = dots == 3
    valid = np.asarray(texts.is_valid().to_numpy(zero_copy_only=False), np.bool_)
    return np.logical_and(three, valid)


def _bytes_and_offsets(texts: pa.StringArray) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes of all texts, and the offset of each text, with the end of the last one."""
    if not len(texts) or texts.buffers()[2] is None:
        return np.empty(0, np.uint8), np.zeros(len(texts) + 1, np.int64)
    offsets = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1, texts.offset * 4).astype(np.int64)
    return np.frombuffer(texts.buffers()[2], np.uint8)[offsets[0] : offsets[-1]], offsets - offsets[0]


def format_ipv4(numbers: Numbers) -> pa.StringArray:
    """The text of each number.

    >>> format_ipv4(np.array([0x01020304], np.uint32)).to_pylist()
    ['1.2.3.4']
    """
    decimals = pa.array([str(number) for number in range(256)])
    octets = np.ascontiguousarray(numbers, ">u4").view(np.uint8).reshape(-1, 4)
    return pc.binary_join_element_wise(*(decimals.take(pa.array(octets[:, place])) for place in range(4)), ".")


def _parse_in_blocks(texts: pa.StringArray) -> tuple[Numbers, Bools]:
    """Parses in blocks, so that intermediate results stay in the cache of the processor."""
    blocks = [_parse_dotted(texts.slice(first, BLOCK_ROWS)) for first in range(0, len(texts), BLOCK_ROWS)] or [
        _NO_ADDRESSES
    ]
    return np.concatenate([block[0] for block in blocks]), np.concatenate([block[1] for block in blocks])


def _parse_dotted(texts: pa.StringArray) -> tuple[Numbers, Bools]:
    """Parses texts with three dots each: computes the number that ends at each byte, then picks the four numbers of each text."""
    data, offsets = _bytes_and_offsets(texts)
    digits = data - _ZERO
    values = _numbers_by_end(digits, offsets[:-1])
    dots = np.flatnonzero(data == _DOT).reshape(-1, 3)
    numbers, only = np.zeros(len(texts), np.uint32), np.ones(len(texts), np.bool_)
    start = offsets[:-1]
    for end in (dots[:, 0], dots[:, 1], dots[:, 2], offsets[1:]):
        value, length = values[end - 1], end - start
        only &= (value < 256) & (length > 0) & (length < 4)
        only &= value >= _LEAST_BY_DIGITS[np.minimum(length, 3)]
        numbers = numbers << np.uint32(8) | value
        start = end + 1
    others = np.flatnonzero((digits > 9) & (data != _DOT))
    only[np.searchsorted(offsets, others, side="right") - 1] = False
    return numbers, only


def _numbers_by_end(digits: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.uint16]:
    """For each byte, the number of up to three digits that ends there, within its text."""
    is_digit = digits < 10
    alone = digits * is_digit
    tens, hundreds = np.zeros(len(digits), np.uint16), np.zeros(len(digits), np.uint16)
    np.multiply(alone[:-1], np.uint16(10), out=tens[1:])
    np.multiply(alone[:-2] * is_digit[1:-1], np.uint16(100), out=hundreds[2:])
    tens[starts], hundreds[starts], hundreds[starts + 1] = 0, 0, 0
    return alone + tens + hundreds


_LEAST_BY_DIGITS = np.array([0, 0, 10, 100], np.uint16)
"""The smallest number without leading zero, by number of digits."""


_HEX_GROUP = "[0-9A-Fa-f]{1,4}"
_CARRIES_IPV4 = "^0*(?:|2002):"
"""Addresses that contain an IPv4 address are not plain: those that begin with zeros, and 6to4."""


def leading_groups(texts: pa.StringArray, groups: int) -> pa.StringArray:
    """The first groups of each plain address that writes them in full; null for all other texts.

    >>> texts = pa.array(["2001:db8:1:2::3", "2001:db8::1", "::1", "2002:c000:204::", "2001:db8:1::2::3"])
    >>> leading_groups(texts, 2).to_pylist()
    ['2001:db8', '2001:db8', None, None, None]
    >>> leading_groups(texts, 3).to_pylist()
    ['2001:db8:1', None, None, None, None]
    """
    leading = pc.extract_regex(texts, _ipv6_pattern(groups)).field("leading")
    whole = pc.match_substring_regex(texts, _ipv6_pattern(groups))
    carrying = pc.match_substring_regex(texts, _CARRIES_IPV4)
    return pc.if_else(pc.and_not(whole, carrying), leading, pa.nulls(len(texts), pa.string()))


def are_written_out(starts: pa.StringArray) -> pa.BooleanArray:
    """Which leading groups are in the form of RFC 5952 without zero groups, so that none of them can be abbreviated.

    >>> are_written_out(pa.array(["2001:db8:1", "2001:0db8:1", "2001:DB8:1", "2001:db8:0"])).to_pylist()
    [True, False, False, False]
    """
    return pc.match_substring_regex(starts, "^[1-9a-f][0-9a-f]{0,3}(?::[1-9a-f][0-9a-f]{0,3})*$")


@lru_cache(maxsize=8)
def _ipv6_pattern(groups: int) -> str:
    """Pattern of the leading groups, followed by the others in full or abbreviated by two colons."""
    other_count = 8 - groups
    tails = [f"(?:{_HEX_GROUP}:){{{other_count - 1}}}{_HEX_GROUP}"]
    for before in range(other_count):
        after = other_count - before - 1
        tail = f"(?:{_HEX_GROUP}(?::{_HEX_GROUP}){{0,{after - 1}}})?" if after else ""
        tails.append(f"(?:{_HEX_GROUP}:){{{before}}}:{tail}")
    return f"^(?P<leading>{_HEX_GROUP}(?::{_HEX_GROUP}){{{groups - 1}}}):(?:{'|'.join(tails)})$"
