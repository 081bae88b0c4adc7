"""The identity of an output folder: a random name in it, which stays with it wherever it is moved or mounted."""

from __future__ import annotations

import fcntl
import hashlib
import re
import secrets
from pathlib import Path
from typing import Final

from minimize import file_operations
from minimize.file_operations import sync, sync_folder
from minimize.io.durable import written
from minimize.io.history import RUNS
from minimize.stores import Place, Remote

IDENTITY: Final = ".id"
_TEXT: Final = re.compile(rb"[0-9a-f]{32}\n")


def identity_of(output: Place) -> str | None:
    """The identity of an output folder; None where it has none yet."""
    try:
        content = (output / RUNS / IDENTITY).read_bytes()
    except OSError:
        return None
    return content.decode().strip() if _TEXT.fullmatch(content) else None


def new_identity() -> str:
    """An identity that no output has."""
    return secrets.token_hex(16)


def identified(output: Place, *, other_than: str | None = None, new: str | None = None) -> str:
    """The identity of an output folder whose `runs` is there; it is given one where it has none, or the one it may not have.

    Takes the identity it may not have, and the one it is to get. In a bucket, where nobody can wait for another, all who come
    first give it the same: one that is made from its name. Raises OutputError.
    """
    path = output / RUNS / IDENTITY
    if isinstance(path, Remote):
        found = identity_of(output)
        return found if found not in (None, other_than) else _put(path, new or _of_name(output))
    return written(_given, path, other_than, new or new_identity())


def _of_name(output: Place) -> str:
    return hashlib.sha256(str(output).encode()).hexdigest()[:32]


def _put(path: Remote, identity: str) -> str:
    path.write_bytes(f"{identity}\n".encode())
    return identity


def _given(path: Path, other_than: str | None, new: str) -> str:
    """Whoever comes while another writes it waits; where that one died half way, it is written anew.

    It is synced each time: the process that wrote it may have been killed before it did so.
    """
    with file_operations.open_or_create(path) as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        content = file.read()
        if not _TEXT.fullmatch(content) or content.decode().strip() == other_than:
            content = new.encode() + b"\n"
            file.seek(0)
            file.truncate()
            file.write(content)
        sync(file.fileno(), "identity")
        sync_folder(path.parent)
    return content.decode().strip()
