"""Putting one folder in the place of another, in one step where the system has one."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from minimize.errors import DECIDED, OutputError
from minimize.system import said

Exchange = Callable[[Path, Path], bool]
"""Swaps two folders atomically, or says that this cannot be done here."""

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2
_UNSUPPORTED: Final = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM})


def exchange(one: Path, other: Path) -> bool:
    """Swaps two folders of one file system in one step (Linux `renameat2`, RENAME_EXCHANGE).

    Gives false where the system or the file system has no such step. Raises OutputError (E208: what is swapped is decided)
    for any other failure.
    """
    call = _renameat2()
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    what, hint = said(OSError(code, ""))
    message = (
        f"a partition that is decided could not be put in place: {what}; nothing is lost, the next command does it"
    )
    raise OutputError(message, code=DECIDED, hint=hint)


def no_exchange(one: Path, other: Path) -> bool:
    """Says that nothing can be swapped in one step: two renames do it then."""
    return False


def _renameat2() -> Callable[..., int] | None:
    if sys.platform != "linux":
        return None
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is not None:
        call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
        call.restype = ctypes.c_int
    return call
