"""Numbers and times as words in the order of the values."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

OrderedWords = npt.NDArray[np.uint64]
_SIGN_BIT: Final = np.uint64(1 << 63)


def to_ordered_words(values: pa.Array) -> OrderedWords:
    """One word for each value: smaller values have smaller words. NaN is the largest.

    Takes a plain column of numbers of at most 64 bits or of times, without nulls.
    """
    if pa.types.is_floating(values.type):
        return _double_words(values.cast(pa.float64()).to_numpy())
    whole = values.cast(pa.int32()) if pa.types.is_date32(values.type) else values
    numbers: npt.NDArray[np.int64] = whole.cast(pa.int64()).to_numpy()
    return np.asarray(numbers.view(np.uint64) ^ _SIGN_BIT)


def _double_words(values: npt.NDArray[Any]) -> OrderedWords:
    canonical = np.where(np.isnan(values), np.nan, values + 0.0)
    bits = canonical.view(np.uint64)
    return np.where(bits & _SIGN_BIT, ~bits, bits | _SIGN_BIT)
