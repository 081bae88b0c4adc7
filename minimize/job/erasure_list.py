"""The erasure list of an output: who must not come back, sealed and stored with it, beside what the ledger has.

Each entry has a tenant, the keyed token of a subject, and the time up to which its records go; no id and no form of one. The list
is a file in `erasures/`, named by its digest. A new list is written before the one that it replaces is removed, so that a crash
leaves one or both, and of two processes that write at once neither removes what the other added: all files count.

A list also names the lists that it replaced. A receipt names the list that was used, so that a list that is gone, or an older
copy, is recognized: no list that is there is the one of the receipt, or replaced it.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from minimize import file_operations
from minimize.errors import OutputError, RefusedError
from minimize.io.durable import make_folder, there, write_file, written
from minimize.keys import Keyring
from minimize.keys.seal import Seal
from minimize.ledger.event import moment_text
from minimize.ledger.tokens import KEY
from minimize.receipt import Digest, Receipt, sha256_text
from minimize.settings.erased import ERASING, united
from minimize.stores import Place, Remote

if TYPE_CHECKING:
    from minimize.ledger.happened import Happened

FOLDER: Final = "erasures"
SUFFIX: Final = ".sealed"
_PURPOSES: Final = ("erasures/1", "erasures/2")
_TRIES: Final = 5
_DIGITS: Final = 32
"""How much of its digest names a list."""


def stored(output: Place, keys: Keyring) -> tuple[Happened, ...]:
    """The erasures that are stored with an output, in the order in which they were recorded.

    Raises KeyringError if a list was sealed with a version of the `subject` key that the keyring does not have, and OutputError
    if one cannot be read or opened: an output of which nobody can say who was erased is not written to.
    """
    from minimize.ledger.happened import Happened

    rows = {tuple(entry): None for each in _lists(output, keys) for entry in each.entries}
    found = (
        Happened(
            tenant,
            token or None,
            kind,
            datetime.fromisoformat(at),
            "recorded",
            "{}",
            datetime.fromisoformat(told),
            "",
            named_by or None,
        )
        for tenant, token, named_by, kind, at, told in rows
    )
    return tuple(sorted(found, key=lambda row: (row.recorded_at, row.id)))


def store(output: Place, recorded: Sequence[Happened], keys: Keyring) -> Digest | None:
    """Stores the erasures of the ledger with an output, beside those that are stored there, and gives the digest of the list.

    Does nothing if none is new, and gives None if there is none. An erasure that the ledger says was taken back is removed.
    Raises KeyringError, OutputError.
    """
    if KEY not in keys.names():
        return None
    before = _lists(output, keys)
    last = {row.id: row for row in united(recorded, stored(output, keys))}
    entries = sorted(_entry(row) for row in last.values() if row.kind in ERASING and row.state == "recorded")
    if not entries and not before:
        return None
    version = keys.version_of(KEY)
    if [(sorted(each.entries), each.version) for each in before] == [(entries, version)]:
        return before[0].digest
    replaced = {each.path.name.removesuffix(SUFFIX) for each in before}.union(*(each.replaced for each in before))
    content = _sealed(entries, sorted(replaced), keys)
    name = f"{_name(content)}{SUFFIX}"
    written(_replaced, output / FOLDER, name, content, [each.path for each in before if each.path.name != name])
    return Digest(sha256_text(content))


def stored_digest(output: Place) -> Digest | None:
    """The digest of the list that is stored with an output; None if there is none."""
    found = [content for path in _paths(output / FOLDER) if (content := _bytes(path)) is not None]
    return Digest(sha256_text(found[0])) if found else None


def check_list(chain: Sequence[Receipt], output: Place, keys: Keyring) -> None:
    """Raises RefusedError (E303) if the list of erasures that the receipts of an output name is gone, or older."""
    if lost_list(chain, output, keys):
        message = "the list of erasures that the last receipt of this output names is gone, or is an older copy"
        hint = (
            f"restore `{FOLDER}/`, or, if it is lost, record that: minimize runs adopt-ledger OUTPUT --reason TEXT"
            " --allow-lost-erasures (a run may then bring erased records back)"
        )
        raise RefusedError(message, code="E303", hint=hint)


def lost_list(chain: Sequence[Receipt], output: Place, keys: Keyring) -> bool:
    """Whether the list that the last receipt names is gone. A receipt of an adoption says which list there was left."""
    last = next((each for each in reversed(chain) if each.erasures is not None or each.kind == "adopt"), None)
    if last is None or last.erasures is None:
        return False
    name = last.erasures.digest.removeprefix("sha256:")[:_DIGITS]
    return not any(
        name == each.path.name.removesuffix(SUFFIX) or name in each.replaced for each in _lists(output, keys)
    )


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


@dataclass(frozen=True, slots=True)
class _List:
    """One file: the version of its key, its entries, and the names of the lists that it replaced."""

    path: Place
    digest: Digest
    version: int
    entries: list[list[Any]] = field(repr=False)
    replaced: frozenset[str] = field(repr=False)


def _lists(output: Place, keys: Keyring) -> list[_List]:
    """The lists that are there. One that another process removed meanwhile is replaced by another, which is looked for."""
    for _ in range(_TRIES):
        contents = {path: _bytes(path) for path in _paths(output / FOLDER)}
        if None not in contents.values():
            return [_opened(path, content or b"", keys) for path, content in contents.items()]
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


def _name(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGITS]


def _sealed(entries: Sequence[Sequence[Any]], replaced: Sequence[str], keys: Keyring) -> bytes:
    version = keys.version_of(KEY)
    said = {"erasures": 1, "entries": entries, "replaced": replaced}
    body = zlib.compress(json.dumps(said, ensure_ascii=False).encode())
    return f"{KEY}/{version}\n".encode() + _seal(keys, version).seal(body, FOLDER.encode())


def _opened(path: Place, content: bytes, keys: Keyring) -> _List:
    head, _, body = content.partition(b"\n")
    key, _, version = head.decode("ascii", "replace").rpartition("/")
    found: bytes | None = None
    if key == KEY and version.isdecimal():
        found = _seal(keys, int(version)).opened(body, FOLDER.encode())
    try:
        said = {} if found is None else json.loads(zlib.decompress(found))
        entries = [[each or "" for each in entry] for entry in said["entries"]]
        replaced = frozenset(said.get("replaced", ()))
        return _List(path, Digest(sha256_text(content)), int(version), entries, replaced)
    except (ValueError, KeyError, zlib.error):
        pass
    hint = "put the file back from a copy of the output"
    raise OutputError(f"a list of erasures in {FOLDER}/ does not open with this keyring", hint=hint)


def _seal(keys: Keyring, version: int) -> Seal:
    one, two = (keys.subkey(KEY, purpose, version) for purpose in _PURPOSES)
    return Seal(one + two)
