"""Texts that are numbers as JSON writes them (RFC 8259), in plain digits: told and read by whole columns.

Numbers with an exponent, and long ones, are not among them; they are rare, and somebody else's.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.io.rows import Mask

DIGITS = 18
"""The most digits of a whole number that is surely one of 64 bits."""
LENGTH = 100
"""The most bytes of any other number."""
_ZERO, _POINT, _MINUS = b"0.-"


def plain(texts: pa.StringArray, whole: bool = False) -> Mask:
    """Whether each text is a number in plain digits, and a whole one. Takes texts without nulls.

    >>> plain(pa.array(["0", "-1.50", "01", "1.", ".5", "-", "1e3", "", "NaN", "1.2.3"])).tolist()
    [True, True, False, False, False, False, False, False, False, False]
    """
    bounds, marks = _parts(texts)
    lengths = bounds[1:] - bounds[:-1]
    if not len(lengths) or not lengths.all():
        return _some(texts, lengths > 0, whole)
    first, last = bounds[:-1], bounds[1:] - 1
    digit = marks - np.uint8(_ZERO) < 10
    minus = marks[first] == _MINUS
    lead = np.minimum(first + minus, last)
    long = lengths - minus > (DIGITS if whole else LENGTH)
    padded = (marks[lead] == _ZERO) & (lead < last) & digit[np.minimum(lead + 1, last)]
    odd = ~digit
    odd[first] &= ~minus
    sound: Mask = digit[lead] & digit[last] & ~long & ~padded
    return sound & _at_most_a_point(odd, marks, first, whole)


def _at_most_a_point(odd: Mask, marks: npt.NDArray[np.uint8], first: npt.NDArray[np.int64], whole: bool) -> Mask:
    """Whether what is odd in each text is one point at most, or nothing. How many there are in all often settles it."""
    if not np.count_nonzero(odd):
        return np.ones(len(first), bool)
    many = np.add.reduceat(odd.view(np.uint8), first)
    found: Mask = many <= (not whole)
    points = odd & (marks == _POINT)
    if not whole and np.count_nonzero(points) < np.count_nonzero(odd):
        found &= np.add.reduceat(points.view(np.uint8), first) == many
    return found


def _some(texts: pa.StringArray, filled: Mask, whole: bool) -> Mask:
    """The same, where some texts are empty."""
    if filled.any():
        filled[filled] = plain(texts.filter(pa.array(filled)), whole)
    return filled


def _parts(texts: pa.StringArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Where each text begins, and the last ends, in their bytes."""
    _, ends, data = texts.buffers()
    bounds = np.frombuffer(ends, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    marks = np.frombuffer(data or b"", np.uint8)[bounds[0] : bounds[-1]]
    return bounds - bounds[0], marks
