"""Putting one folder in the place of another, in one step where the system has one."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Final

from minimize import file_operations
from minimize.errors import DECIDED, OutputError
from minimize.system import said

Exchange = Callable[[Path, Path], bool]
"""Swaps two folders atomically, or says that this cannot be done here."""

_UNSUPPORTED: Final = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM})


def exchange(one: Path, other: Path) -> bool:
    """Swaps two folders of one file system in one step (Linux `renameat2`, RENAME_EXCHANGE).

    Gives false where the system or the file system has no such step. Raises OutputError (E208: what is swapped is decided)
    for any other failure.
    """
    try:
        return file_operations.exchange(one, other)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return False
        what, hint = said(error)
    message = (
        f"a partition that is decided could not be put in place: {what}; nothing is lost, the next command does it"
    )
    raise OutputError(message, code=DECIDED, hint=hint)


def no_exchange(one: Path, other: Path) -> bool:
    """Says that nothing can be swapped in one step: two renames do it then."""
    return False
