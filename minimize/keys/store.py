"""The keyring's file: JSON with named keys in integer versions, readable by its owner alone.

    {"keyring": 1, "keys": {"device": [{"version": 1, "created": "2026-11-25T00:00:00Z", "bytes": "<base64>"}]}}

A version that was destroyed has `destroyed`, a time, in the place of its bytes.
Nothing here puts a byte of a key into a message, and no error keeps the parser's own behind it.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn

from minimize import file_operations
from minimize.errors import KeyringError
from minimize.file_operations import sync, sync_folder

FORMAT: Final = 1
SHORTEST: Final = 32
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of one key. It shows its name, never its bytes, and refuses to be pickled. One that was destroyed has none."""

    name: str
    version: int
    created: datetime
    secret: bytes = field(repr=False)
    destroyed: datetime | None = None

    @property
    def id(self) -> str:
        """The key id that stands beside what was made with it: `device/1`."""
        return f"{self.name}/{self.version}"

    def __reduce__(self) -> NoReturn:
        raise TypeError("the bytes of a key are not pickled")


def read_entries(path: Path) -> tuple[Entry, ...]:
    """All versions of all keys in the file, by name and version.

    Raises KeyringError: missing, open to group or others, malformed, or with a key below 32 bytes.
    """
    content = _content(path)
    document = _document(content)
    if document is None:
        raise KeyringError(f"the keyring {path} is not a keyring file", hint="make one with `minimize keys new`")
    entries = [_entry(path, name, raw) for name, versions in document.items() for raw in versions]
    if len({entry.id for entry in entries}) != len(entries):
        raise KeyringError(f"the keyring {path} holds one version of a key twice")
    return tuple(sorted(entries, key=lambda entry: (entry.name, entry.version)))


def as_bytes(entries: Sequence[Entry]) -> bytes:
    """The file's content for these entries."""
    keys: dict[str, list[dict[str, Any]]] = {}
    for entry in sorted(entries, key=lambda entry: (entry.name, entry.version)):
        raw = {"version": entry.version, "created": _time_text(entry.created), **_state(entry)}
        keys.setdefault(entry.name, []).append(raw)
    return (json.dumps({"keyring": FORMAT, "keys": keys}, indent=2) + "\n").encode("ascii")


def _state(entry: Entry) -> dict[str, str]:
    if entry.destroyed is not None:
        return {"destroyed": _time_text(entry.destroyed)}
    return {"bytes": base64.b64encode(entry.secret).decode("ascii")}


def write_new(path: Path, content: bytes) -> None:
    """Writes a file that only its owner can read, from its first moment on. Raises FileExistsError, OSError."""
    with file_operations.create(path, private=True) as file:
        file.write(content)
        file.flush()
        sync(file.fileno(), "keyring")
    sync_folder(path.parent)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps others who lock the same folder out for a while."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _content(path: Path) -> bytes:
    reason: str | None = None
    content = b""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read() if _is_closed(mode) else b""
    except OSError as error:
        reason = error.strerror or "it cannot be opened"
    if reason is not None:
        raise KeyringError(f"the keyring {path} cannot be read: {reason}", hint="make one with `minimize keys new`")
    if not _is_closed(mode):
        raise KeyringError(f"the keyring {path} is open to group or others", hint=f"chmod 600 {path}")
    return content


def _is_closed(mode: int) -> bool:
    return not mode & (stat.S_IRWXG | stat.S_IRWXO)


def _document(content: bytes) -> Mapping[str, Sequence[Any]] | None:
    try:
        document = json.loads(content.decode("utf-8"), object_pairs_hook=_once)
    except ValueError:
        return None
    keys = document.get("keys") if isinstance(document, dict) and document.get("keyring") == FORMAT else None
    if not isinstance(keys, dict) or not all(isinstance(versions, list) for versions in keys.values()):
        return None
    return keys if all(NAME.fullmatch(name) for name in keys) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)


def _entry(path: Path, name: str, raw: Any) -> Entry:
    version = raw.get("version") if isinstance(raw, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise KeyringError(f"the keyring {path} has a version of the key {name} that is no positive integer")
    secret, created, destroyed = _decoded(raw.get("bytes")), _time(raw.get("created")), _time(raw.get("destroyed"))
    if created is not None and destroyed is not None and "bytes" not in raw:
        return Entry(name, version, created, b"", destroyed)
    if secret is None or created is None:
        raise KeyringError(f"the key {name}/{version} in the keyring {path} is malformed")
    if len(secret) < SHORTEST:
        raise KeyringError(f"the key {name}/{version} in the keyring {path} is shorter than {SHORTEST} bytes")
    return Entry(name, version, created, secret)


def _decoded(text: Any) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except (binascii.Error, ValueError):
        return None


def _time(text: Any) -> datetime | None:
    try:
        time = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return time if time is not None and time.tzinfo is not None else None


def _time_text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
