"""Messages and hints for errors of the operating system.

A message names the kind of the error and its errno, never the system's own text, which contains paths.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Final

_FREE_SPACE_HINT: Final = "make room, and run again"
_PERMISSION_HINT: Final = "see who owns it, and who may write there"
_MESSAGES: Final[Mapping[int, tuple[str, str]]] = {
    errno.ENOSPC: ("the disk is full", _FREE_SPACE_HINT),
    errno.EDQUOT: ("the quota is used up", _FREE_SPACE_HINT),
    errno.EFBIG: ("a file grows larger than it may", "see `ulimit -f`, and what the file system allows"),
    errno.EROFS: ("the file system is read-only", "mount it for writing, or name another folder"),
    errno.EACCES: ("permission is denied", _PERMISSION_HINT),
    errno.EPERM: ("permission is denied", _PERMISSION_HINT),
    errno.EIO: ("the disk fails", "see the system's log; is the disk sound?"),
    errno.ENOENT: ("something is gone", "is another program at work there?"),
    errno.ESTALE: ("something is gone", "is the network's file system up?"),
    errno.EEXIST: ("something is in the way", "is another program at work there?"),
    errno.ENOTDIR: ("a file stands where a folder should", "move it away"),
    errno.EISDIR: ("a folder stands where a file should", "move it away"),
    errno.EMFILE: ("too many files are open", "see `ulimit -n`"),
    errno.ENFILE: ("too many files are open", "see the system's log"),
    errno.ENAMETOOLONG: ("a name is too long", "choose shorter names"),
    errno.ENOMEM: ("memory is used up", "give it more, or lower MINIMIZE_MEMORY"),
}


def describe_os_error(error: OSError) -> tuple[str, str]:
    """What happened, and a hint.

    >>> describe_os_error(OSError(errno.ENOSPC, "No space left on device", "/srv/out/date=2026-11-24"))
    ('the disk is full (ENOSPC)', 'make room, and run again')
    """
    what, hint = _MESSAGES.get(error.errno or 0, ("the system refuses", "see the system's log"))
    return f"{what} ({errno_name(error)})", hint


def errno_name(error: OSError) -> str:
    """The name of its number."""
    return errno.errorcode.get(error.errno or 0, "unknown error")
