"""Texts that are all alike: of one length, digits where the first has digits, and the same character everywhere else.

One look at the bytes of a column tells it, where a pattern would be matched text by text.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_ZERO, _TEN = b"0"[0], 10
_ZONE = re.compile(r"[-+][0-9:]*$")


def alike(times: pa.StringArray, shape: str) -> bool:
    """Whether every text is a time or day like the first, and that one of this shape. Nulls do not matter.

    The first digit and those of an offset from UTC are the same in all, for they may not be any.

    >>> alike(pa.array(["2026-11-24", None, "2025-01-02"]), "^[12][0-9]{3}-[0-9]{2}-[0-9]{2}$")
    True
    >>> alike(pa.array(["2026-11-24", "yesterday!"]), "^[12][0-9]{3}-[0-9]{2}-[0-9]{2}$")
    False
    """
    there = times.drop_null() if times.null_count else times
    if not len(there):
        return True
    first = there[0].as_py()
    if re.fullmatch(shape, first) is None:
        return False
    rows = _rows(there, len(first))
    return rows is not None and bool((rows - _least(first) < _kinds(first)).all())


def _rows(texts: pa.StringArray, width: int) -> npt.NDArray[np.uint8] | None:
    """The bytes of texts, a row each; None where they are not all of one length."""
    _, ends, data = texts.buffers()
    offsets = np.frombuffer(ends, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    if (offsets[1:] - offsets[:-1] != width).any():
        return None
    return np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]].reshape(-1, width)


def _least(text: str) -> npt.NDArray[np.uint8]:
    """The least byte at each place."""
    free = _free(text)
    return np.array([_ZERO if place in free else ord(mark) for place, mark in enumerate(text)], np.uint8)


def _kinds(text: str) -> npt.NDArray[np.uint8]:
    """How many bytes from there on may stand at each place."""
    free = _free(text)
    return np.array([_TEN if place in free else 1 for place in range(len(text))], np.uint8)


def _free(text: str) -> set[int]:
    """The places of digits that may be any."""
    zone = _ZONE.search(text, 11)
    end = zone.start() if zone else len(text)
    return {place for place, mark in enumerate(text[:end]) if place and mark.isdigit()}
