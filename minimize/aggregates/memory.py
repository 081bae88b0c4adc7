"""Memory of tallies: arrays that stay, in large blocks; and a tally's part of the memory budget.

Small arrays that stay, between arrays that come and go with each batch, would keep the system from taking memory back:
2 million rows in 150 arrays make 50 MB of gaps.
"""

from __future__ import annotations

from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.arrow.codes import Codes
from minimize.spill.hashing import HashWords
from minimize.spill.space import SpillSpace

_BLOCK_BYTES: Final = 36 << 20
"""Bytes of a block: from 32 MiB on the C library asks the system for memory, and gives it back. Only what is used takes place."""
_ALIGNMENT: Final = 64


class Arena:
    """Hands out arrays that are not initialized. A block is given back when none of its arrays is in use.

    >>> arena = Arena()
    >>> arena.array((2, 3), np.int32).shape
    (2, 3)
    """

    def __init__(self) -> None:
        self._free: npt.NDArray[np.uint8] = np.empty(0, np.uint8)

    def __reduce__(self) -> tuple[type[Arena], tuple[()]]:
        """For other processes: nothing."""
        return Arena, ()

    def array(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array of this shape."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if size > len(self._free):
            self._free = np.empty(max(_BLOCK_BYTES, size), np.uint8)
        found = self._free[:size].view(dtype).reshape(shape)
        self._free = self._free[-(-size // _ALIGNMENT) * _ALIGNMENT :]
        return found

    def copy_of(self, values: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Some values in an array of another type."""
        found = self.array(values.shape, dtype)
        found[...] = values
        return found


_MIN_BYTES: Final = 1 << 12
"""Bytes that are held in any case."""


class SpillState:
    """A tally's part of the budget; whether anything was set aside; and the groups that stood by then, which is for good."""

    def __init__(self, space: SpillSpace) -> None:
        self.aside = space
        self.used = False
        self._share = space.budget.share()
        self._stood = np.zeros(0, np.bool_)

    def __getstate__(self) -> dict[str, Any]:
        return {name: held for name, held in self.__dict__.items() if name != "_share"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._share = self.aside.budget.share()

    def is_full(self, size: int) -> bool:
        """Whether so many bytes are too many: setting them aside, a little at a time, takes some more."""
        share = self._share.bytes
        return share is not None and size > max(share * 4 // 5, _MIN_BYTES)

    def hashes(self, subjects: pa.Array) -> HashWords:
        """What stands for each subject in what is set aside."""
        self.used = True
        return self.aside.hasher(subjects)

    def remember_large_groups(self, large: npt.NDArray[np.bool_]) -> None:
        """Takes note of the groups that stand."""
        self._stood = large

    def remembered_large_groups(self, groups: int) -> npt.NDArray[np.bool_]:
        """Which of the first groups stood when something was set aside."""
        return np.append(self._stood, np.zeros(max(0, groups - len(self._stood)), np.bool_))[:groups]

    def merge(self, other: Self, groups: Codes) -> None:
        """Takes in what another shelf knows, which gives up its part of the budget.

        Raises ValueError where its hashes are under another key.
        """
        if other.used and self.aside.hasher.mark != other.aside.hasher.mark:
            raise ValueError("tallies of two keys")
        self.used = self.used or other.used
        stood = self.remembered_large_groups(max(int(groups.max(initial=-1)) + 1, len(self._stood)))
        stood[groups[np.flatnonzero(other._stood)]] = True
        self._stood = stood
        other._share = self._share
