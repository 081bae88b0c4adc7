"""The erasure list of an output: who must not come back, sealed and stored with it, beside what the ledger has.

Each entry has a tenant, the keyed token of a subject, and the time up to which its records go; no id and no form of one. The list
is a file in `erasures/`, named by its digest. A new list is written before the one that it replaces is removed, so that a crash
leaves one or both, and of two processes that write at once neither removes what the other added: all files count.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from minimize import file_operations
from minimize.errors import OutputError
from minimize.io.durable import make_folder, there, write_file, written
from minimize.keys import Keyring
from minimize.keys.seal import Seal
from minimize.ledger.event import moment_text
from minimize.ledger.tokens import KEY
from minimize.settings.erased import ERASING
from minimize.stores import Place, Remote

if TYPE_CHECKING:
    from minimize.ledger.happened import Happened

FOLDER: Final = "erasures"
SUFFIX: Final = ".sealed"
_PURPOSES: Final = ("erasures/1", "erasures/2")
_TRIES: Final = 5


def stored(output: Place, keys: Keyring) -> tuple[Happened, ...]:
    """The erasures that are stored with an output, in the order in which they were recorded.

    Raises KeyringError if a list was sealed with a version of the `subject` key that the keyring does not have, and OutputError
    if one cannot be read or opened: an output of which nobody can say who was erased is not written to.
    """
    from minimize.ledger.happened import Happened

    rows = {tuple(entry): None for _, entries in _lists(output, keys) for entry in entries}
    found = (
        Happened(
            tenant, token, kind, datetime.fromisoformat(at), "recorded", "{}", datetime.fromisoformat(told), "", field
        )
        for tenant, token, field, kind, at, told in rows
    )
    return tuple(sorted(found, key=lambda row: (row.recorded_at, row.id)))


def united(recorded: Sequence[Happened], listed: Iterable[Happened]) -> tuple[Happened, ...]:
    """What the ledger has, after those erasures of a list that it does not know. If it knows one, its last row decides."""
    known = {row.id for row in recorded}
    return (*(row for row in listed if row.id not in known), *recorded)


def store(output: Place, recorded: Sequence[Happened], keys: Keyring) -> None:
    """Stores the erasures of the ledger with an output, beside those that are stored there; does nothing if none is new.

    An erasure that the ledger says was taken back is removed. Raises KeyringError, OutputError.
    """
    if KEY not in keys.names():
        return
    before = list(_lists(output, keys))
    last = {row.id: row for row in united(recorded, stored(output, keys))}
    entries = sorted(_entry(row) for row in last.values() if row.kind in ERASING and row.state == "recorded")
    if not entries and not before:
        return
    content = _sealed(entries, keys)
    name = f"{hashlib.sha256(content).hexdigest()[:32]}{SUFFIX}"
    if [path.name for path, _ in before] != [name]:
        written(_replaced, output / FOLDER, name, content, [path for path, _ in before if path.name != name])


def _replaced(folder: Place, name: str, content: bytes, before: Iterable[Place]) -> None:
    make_folder(folder)
    try:
        write_file(folder / name, content)
    except FileNotFoundError:  # another process wrote the same list, and gave it its name before
        if not there(folder / name):
            raise
    for path in before:
        if isinstance(path, Remote):
            path.unlink()
        else:
            file_operations.remove(path, missing=True)


def _lists(output: Place, keys: Keyring) -> Iterator[tuple[Place, list[list[Any]]]]:
    """Each file with its entries. One that another process removed meanwhile is replaced by another, which is looked for."""
    for _ in range(_TRIES):
        paths = _paths(output / FOLDER)
        contents = {path: _bytes(path) for path in paths}
        if None not in contents.values():
            for path, content in contents.items():
                yield path, _opened(content or b"", keys)
            return
    raise OutputError(f"{FOLDER}/ changes while it is read", hint="try again")


def _paths(folder: Place) -> list[Place]:
    if isinstance(folder, Remote):
        return [path for path in folder.below() if path.name.endswith(SUFFIX) and there(path)]
    return sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []


def _bytes(path: Place) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError:
        pass
    raise OutputError(f"{FOLDER}/{path.name} cannot be read", hint="may you read it?")


def _entry(row: Happened) -> list[Any]:
    return [
        row.tenant_id,
        row.subject or "",
        row.field or "",
        row.kind,
        moment_text(row.at),
        moment_text(row.recorded_at),
    ]


def _sealed(entries: Sequence[Sequence[Any]], keys: Keyring) -> bytes:
    version = keys.version_of(KEY)
    body = zlib.compress(json.dumps({"erasures": 1, "entries": entries}, ensure_ascii=False).encode())
    return f"{KEY}/{version}\n".encode() + _seal(keys, version).seal(body, FOLDER.encode())


def _opened(content: bytes, keys: Keyring) -> list[list[Any]]:
    head, _, body = content.partition(b"\n")
    key, _, version = head.decode("ascii", "replace").rpartition("/")
    found: bytes | None = None
    if key == KEY and version.isdecimal():
        found = _seal(keys, int(version)).opened(body, FOLDER.encode())
    try:
        said = {} if found is None else json.loads(zlib.decompress(found))
        return [[each or None for each in entry] for entry in said["entries"]]
    except (ValueError, KeyError, zlib.error):
        pass
    hint = "put the file back from a copy of the output"
    raise OutputError(f"a list of erasures in {FOLDER}/ does not open with this keyring", hint=hint)


def _seal(keys: Keyring, version: int) -> Seal:
    one, two = (keys.subkey(KEY, purpose, version) for purpose in _PURPOSES)
    return Seal(one + two)
