"""Arrays that stay, next to each other in large blocks.

Between arrays that come and go with each batch, those that stay would keep the system from taking memory back: 2 million rows
in 150 arrays make 50 MB of gaps.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

_BLOCK: Final = 36 << 20
"""Bytes of a block: from 32 MiB on the C library asks the system for memory, and gives it back. Only what is used takes place."""
_ALIGNED: Final = 64


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
            self._free = np.empty(max(_BLOCK, size), np.uint8)
        found = self._free[:size].view(dtype).reshape(shape)
        self._free = self._free[-(-size // _ALIGNED) * _ALIGNED :]
        return found

    def copy_of(self, values: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Some values in an array of another type."""
        found = self.array(values.shape, dtype)
        found[...] = values
        return found
