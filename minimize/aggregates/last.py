"""Where each code was last seen: mostly a device is in the group it was in before, and such rows need no sorting."""

from __future__ import annotations

from typing import Final, Self

import numpy as np
import numpy.typing as npt

from minimize.aggregates.base import Codes

BITS: Final = 4
"""Fields of which a row may lack a value."""
_GROUPS: Final = 1 << (32 - BITS)
"""Groups that can be remembered; with more, nothing is."""
_NOWHERE: Final = np.uint32(2**32 - 1)


class Last:
    """The last group of each code, and what its row lacked.

    Exact in one direction: of a row that it leaves out, another came before in the same group, of the same code, that lacked
    nothing else.

    >>> last = Last()
    >>> last.news(np.array([0, 0]), np.array([7, 8])).tolist(), last.news(np.array([0, 1]), np.array([7, 8])).tolist()
    ([0, 1], [1])
    """

    def __init__(self) -> None:
        self._groups: npt.NDArray[np.uint32] = np.empty(0, np.uint32)

    def __reduce__(self) -> tuple[type[Last], tuple[()]]:
        """For other processes: nothing."""
        return Last, ()

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return int(self._groups.nbytes)

    def copy(self) -> Self:
        """The same, to go on by itself."""
        other = type(self)()
        other._groups = self._groups.copy()
        return other

    def news(self, groups: Codes, codes: Codes, lacking: Codes | None = None) -> Codes:
        """The rows that may say something new, in order. Takes for each a group, a code and the bits of what it lacks."""
        if not len(groups) or int(groups.max()) >= _GROUPS - 1:
            return np.arange(len(groups))
        self._reach(int(codes.max()) + 1)
        now = (groups << BITS if lacking is None else groups << BITS | lacking).astype(np.uint32)
        before = self._groups.take(codes)
        differs = before ^ now
        new = np.flatnonzero((differs >> BITS != 0) | (differs & before != 0))
        self._groups[codes[new]] = now[new]
        return new

    def _reach(self, codes: int) -> None:
        if codes > len(self._groups):
            grown = np.full(max(codes, len(self._groups) * 5 // 4), _NOWHERE, np.uint32)
            grown[: len(self._groups)] = self._groups
            self._groups = grown
