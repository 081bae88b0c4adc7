"""The encrypted erasure list stored with an output: read, replace, and compare it with the receipts."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from minimize.errors import OutputError, RefusedError
from minimize.keys import Keyring
from minimize.keys.keyring import SUBJECT_KEY, open_content, seal_content, sealed_version
from minimize.ledger.audit_event import utc_text
from minimize.ledger.subject_kinds import LifecycleEvent, last_lifecycle_events
from minimize.receipts import DigestRef, Receipt, sha256_text
from minimize.settings.erasures import ERASURE_EVENTS, merge_erasures
from minimize.stores import Location, ObjectPath, file_operations
from minimize.stores.durable_files import file_exists, make_folder, with_output_errors, write_file

ERASURES_FOLDER: Final = "erasures"
SEALED_SUFFIX: Final = ".sealed"
ERASURES_FORMAT: Final = 1
_SUBKEY_PURPOSES: Final = ("erasures/1", "erasures/2")
_TRIES: Final = 5
_NAME_DIGITS: Final = 32
"""Number of digits of a list's digest that form its name."""


@dataclass(frozen=True, slots=True)
class StoredErasures:
    """The erasures that are stored with an output, in sealed lists, so that they outlive the ledger."""

    output: Location
    keys: Keyring = field(repr=False)

    def read(self) -> tuple[LifecycleEvent, ...]:
        """The stored erasures, in the order in which they were recorded.

        Raises KeyringError if a list was encrypted with a version of the `subject` key that the keyring does not have, and
        OutputError if a list cannot be read or decrypted. An output with unknown erasures is not written to.
        """
        return _listed_erasures(self._files())

    def store(self, recorded: Sequence[LifecycleEvent], now: datetime) -> DigestRef | None:
        """Stores the erasures of the ledger, in addition to those already stored. Returns the digest of the list.

        Writes nothing if no erasure is new; returns None if there is none. An erasure that was withdrawn in the ledger is
        removed. Raises KeyringError, OutputError.
        """
        if SUBJECT_KEY not in self.keys.names():
            return None
        before = self._files()
        last = last_lifecycle_events(merge_erasures(recorded, _listed_erasures(before)), now)
        entries = sorted(_list_entry(row) for row in last if row.kind in ERASURE_EVENTS and row.state == "recorded")
        if not entries and not before:
            return None
        version = self.keys.version_of(SUBJECT_KEY)
        if [(sorted(each.entries), each.version) for each in before] == [(entries, version)]:
            return before[0].digest
        replaced = {each.path.name.removesuffix(SEALED_SUFFIX) for each in before}.union(
            *(each.replaced for each in before)
        )
        content = _seal_list(entries, sorted(replaced), self.keys)
        name = f"{_list_name(content)}{SEALED_SUFFIX}"
        with_output_errors(
            _replace_lists,
            self.output / ERASURES_FOLDER,
            name,
            content,
            [each.path for each in before if each.path.name != name],
        )
        return DigestRef(sha256_text(content))

    def check(self, chain: Sequence[Receipt]) -> None:
        """Raises RefusedError (E303) if the erasure list that the receipts of the output name is missing, or is an older copy."""
        if self.is_lost(chain):
            message = "the erasure list that the last receipt of this output names is missing, or is an older copy"
            hint = (
                f"Restore `{ERASURES_FOLDER}/`. If it is lost, run `minimize runs adopt-ledger OUTPUT --reason TEXT"
                " --allow-lost-erasures`; a later run may then publish erased records again."
            )
            raise RefusedError(message, code="E303", hint=hint)

    def is_lost(self, chain: Sequence[Receipt]) -> bool:
        """Whether the list that the last receipt names is missing. A receipt of an adoption names the list that was left."""
        last = next((each for each in reversed(chain) if each.erasures is not None or each.kind == "adopt"), None)
        if last is None or last.erasures is None:
            return False
        name = last.erasures.digest.removeprefix("sha256:")[:_NAME_DIGITS]
        return not any(
            name == file.path.name.removesuffix(SEALED_SUFFIX) or name in file.replaced for file in self._files()
        )

    def _files(self) -> list[_ErasureListFile]:
        """The stored lists. If another process replaces a list during the read, all are read again."""
        for _ in range(_TRIES):
            contents = {path: _read_bytes(path) for path in _list_paths(self.output / ERASURES_FOLDER)}
            if None not in contents.values():
                return [_open_list(path, content or b"", self.keys) for path, content in contents.items()]
        raise OutputError(f"{ERASURES_FOLDER}/ changed while it was read", hint="Try again.")


def _listed_erasures(lists: Iterable[_ErasureListFile]) -> tuple[LifecycleEvent, ...]:
    rows = {tuple(entry): None for list_file in lists for entry in list_file.entries}
    events = (
        LifecycleEvent(
            tenant_id=tenant,
            subject=token or None,
            kind=kind,
            at=datetime.fromisoformat(at),
            state="recorded",
            forms="{}",
            recorded_at=datetime.fromisoformat(recorded),
            actor="",
            field=named_by or None,
        )
        for tenant, token, named_by, kind, at, recorded in rows
    )
    return tuple(sorted(events, key=lambda row: (row.recorded_at, row.id)))


def erasure_list_digest(output: Location) -> DigestRef | None:
    """The digest of the list stored with an output; None if there is none."""
    contents = [content for path in _list_paths(output / ERASURES_FOLDER) if (content := _read_bytes(path)) is not None]
    return DigestRef(sha256_text(contents[0])) if contents else None


def _replace_lists(folder: Location, name: str, content: bytes, before: Iterable[Location]) -> None:
    make_folder(folder)
    try:
        write_file(folder / name, content)
    except FileNotFoundError:  # another process has already written the same list
        if not file_exists(folder / name):
            raise
    for path in before:
        if isinstance(path, ObjectPath):
            path.unlink()
        else:
            file_operations.remove(path, missing=True)


@dataclass(frozen=True, slots=True)
class _ErasureListFile:
    """One file: the version of its key, its entries, and the names of the lists that it replaced."""

    path: Location
    digest: DigestRef
    version: int
    entries: list[list[Any]] = field(repr=False)
    replaced: frozenset[str] = field(repr=False)


def _list_paths(folder: Location) -> list[Location]:
    if isinstance(folder, ObjectPath):
        return [path for path in folder.objects_below() if path.name.endswith(SEALED_SUFFIX) and file_exists(path)]
    return sorted(folder.glob(f"*{SEALED_SUFFIX}")) if folder.is_dir() else []


def _read_bytes(path: Location) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError:
        pass
    raise OutputError(f"{ERASURES_FOLDER}/{path.name} cannot be read", hint="Check its permissions.")


def _list_entry(row: LifecycleEvent) -> list[Any]:
    return [
        row.tenant_id,
        row.subject or "",
        row.field or "",
        row.kind,
        utc_text(row.at),
        utc_text(row.recorded_at),
    ]


def _list_name(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_NAME_DIGITS]


def _seal_list(entries: Sequence[Sequence[Any]], replaced: Sequence[str], keys: Keyring) -> bytes:
    document = {"erasures": ERASURES_FORMAT, "entries": entries, "replaced": replaced}
    body = zlib.compress(json.dumps(document, ensure_ascii=False).encode())
    return seal_content(body, keys, _SUBKEY_PURPOSES, ERASURES_FOLDER.encode())


def _open_list(path: Location, content: bytes, keys: Keyring) -> _ErasureListFile:
    try:
        version = sealed_version(content)
        plaintext = open_content(content, keys, _SUBKEY_PURPOSES, ERASURES_FOLDER.encode())
        document = {} if plaintext is None else json.loads(zlib.decompress(plaintext))
        entries = [[each or "" for each in entry] for entry in document["entries"]]
        replaced = frozenset(document.get("replaced", ()))
        return _ErasureListFile(path, DigestRef(sha256_text(content)), version, entries, replaced)
    except (ValueError, KeyError, zlib.error):
        pass
    hint = (
        "Check that the keyring (--keys, MINIMIZE_KEYS) is the one of this output. If it is, the file is damaged: restore it from"
        " a copy of the output."
    )
    raise OutputError(f"an erasure list in {ERASURES_FOLDER}/ cannot be decrypted with this keyring", hint=hint)
