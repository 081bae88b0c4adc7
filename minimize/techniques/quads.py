"""IPv4 addresses as people write them (four decimals), many at once: text to numbers and back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bools = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.uint32]
BLOCK = 32_768
_DOT, _ZERO = map(np.uint8, b".0")
_NOTHING = (np.empty(0, np.uint32), np.empty(0, np.bool_))


def parsed(texts: pa.StringArray) -> tuple[Numbers, Bools]:
    """The address of each text as a number, and which texts are one: four decimals up to 255, no leading zeros, no more.

    >>> numbers, fine = parsed(pa.array(["1.2.3.4", "1.2.3", "01.2.3.4", None]))
    >>> int(numbers[0]) == 0x01020304, fine.tolist()
    (True, [True, False, False, False])
    """
    where = _dotted(texts)
    if where.all():
        return _in_blocks(texts)
    numbers, fine = np.zeros(len(texts), np.uint32), np.zeros(len(texts), np.bool_)
    numbers[where], fine[where] = _in_blocks(texts.filter(pa.array(where)))
    return numbers, fine


def _dotted(texts: pa.StringArray) -> Bools:
    """Which texts have three dots."""
    data, offsets = _bytes(texts)
    three = offsets[1:] > offsets[:-1]
    if not len(data):
        return three
    # Empty texts are left out: `reduceat` gives them the byte at their offset, and the last ones have none.
    dots = np.add.reduceat((data == _DOT).view(np.uint8), offsets[:-1][three], dtype=np.int32)
    three[three] = dots == 3
    valid = np.asarray(texts.is_valid().to_numpy(zero_copy_only=False), np.bool_)
    return np.logical_and(three, valid)


def _bytes(texts: pa.StringArray) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes of all texts, and where in them each begins; the last one ends at the end."""
    if not len(texts) or texts.buffers()[2] is None:
        return np.empty(0, np.uint8), np.zeros(len(texts) + 1, np.int64)
    offsets = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1, texts.offset * 4).astype(np.int64)
    return np.frombuffer(texts.buffers()[2], np.uint8)[offsets[0] : offsets[-1]], offsets - offsets[0]


def written(numbers: Numbers) -> pa.StringArray:
    """The text of each number.

    >>> written(np.array([0x01020304], np.uint32)).to_pylist()
    ['1.2.3.4']
    """
    decimals = pa.array([str(number) for number in range(256)])
    octets = np.ascontiguousarray(numbers, ">u4").view(np.uint8).reshape(-1, 4)
    return pc.binary_join_element_wise(*(decimals.take(pa.array(octets[:, place])) for place in range(4)), ".")


def _in_blocks(texts: pa.StringArray) -> tuple[Numbers, Bools]:
    """Some thousands at a time: what is worked out on the way stays in the processor's cache."""
    blocks = [_quads(texts.slice(first, BLOCK)) for first in range(0, len(texts), BLOCK)] or [_NOTHING]
    return np.concatenate([block[0] for block in blocks]), np.concatenate([block[1] for block in blocks])


def _quads(texts: pa.StringArray) -> tuple[Numbers, Bools]:
    """The same for texts with three dots each: at every byte the number that ends there is worked out, then the four are read."""
    data, offsets = _bytes(texts)
    digits = data - _ZERO
    values = _ending(digits, offsets[:-1])
    dots = np.flatnonzero(data == _DOT).reshape(-1, 3)
    numbers, only = np.zeros(len(texts), np.uint32), np.ones(len(texts), np.bool_)
    start = offsets[:-1]
    for end in (dots[:, 0], dots[:, 1], dots[:, 2], offsets[1:]):
        value, length = values[end - 1], end - start
        only &= (value < 256) & (length > 0) & (length < 4)
        only &= value >= _LEAST[np.minimum(length, 3)]
        numbers = numbers << np.uint32(8) | value
        start = end + 1
    others = np.flatnonzero((digits > 9) & (data != _DOT))
    only[np.searchsorted(offsets, others, side="right") - 1] = False
    return numbers, only


def _ending(digits: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.uint16]:
    """At each byte the number of up to three digits that ends there, as far back as its text goes."""
    is_digit = digits < 10
    alone = digits * is_digit
    tens, hundreds = np.zeros(len(digits), np.uint16), np.zeros(len(digits), np.uint16)
    np.multiply(alone[:-1], np.uint16(10), out=tens[1:])
    np.multiply(alone[:-2] * is_digit[1:-1], np.uint16(100), out=hundreds[2:])
    tens[starts], hundreds[starts], hundreds[starts + 1] = 0, 0, 0
    return alone + tens + hundreds


_LEAST = np.array([0, 0, 10, 100], np.uint16)
"""The least number of so many digits that does not begin with a zero."""
