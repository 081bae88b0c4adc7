"""Keyring: file format, keys in memory, creating and changing a file.

A keyring file is JSON with named keys in integer versions, readable by its owner alone:

    {"keyring": 1, "keys": {"device": [{"version": 1, "created": "2026-11-25T00:00:00Z", "bytes": "<base64>"}]}}

A destroyed version has `destroyed`, a time, in place of its bytes. A file is never overwritten by a new keyring, never half
written, and never open to others. No message contains a byte of a key, and no error keeps the parser's own as its cause.

Content sealed under the `subject` key: it opens only with the keyring, for one purpose and in one place.

Sealed content is a line with the key and its version (`subject/2`), then the sealed bytes.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol, Self

from minimize.checkpoints import checkpoint
from minimize.errors import KeyringError, describe_os_error
from minimize.keys.cryptography import Sealer, derive_subkey, is_valid_signature, public_pem, sign_content
from minimize.stores import PathText, file_operations
from minimize.stores.file_operations import sync, sync_folder
from minimize.times import time_text

KEYRING_FORMAT: Final = 1
MIN_KEY_BYTES: Final = 32
KEY_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One version of one key. It shows its name, never its bytes, and cannot be pickled. A destroyed version has no bytes."""

    name: str
    version: int
    created: datetime
    secret: bytes = field(repr=False)
    destroyed: datetime | None = None

    @property
    def id(self) -> str:
        """The key id that is stored with the result of the key: `device/1`."""
        return f"{self.name}/{self.version}"

    def __reduce__(self) -> NoReturn:
        raise TypeError("the bytes of a key cannot be pickled")


def read_entries(path: Path) -> tuple[KeyEntry, ...]:
    """All versions of all keys in the file, by name and version.

    Raises KeyringError: missing, accessible to group or others, malformed, or with a key below 32 bytes.
    """
    content = _read_content(path)
    document = _parse_document(content)
    if document is None:
        raise KeyringError(f"{path} is not a keyring file", hint="Create a keyring with `minimize keys new`.")
    entries = [_parse_entry(path, name, raw) for name, versions in document.items() for raw in versions]
    if len({entry.id for entry in entries}) != len(entries):
        raise KeyringError(f"the keyring {path} contains a version of a key twice")
    return tuple(sorted(entries, key=lambda entry: (entry.name, entry.version)))


def keyring_bytes(entries: Sequence[KeyEntry]) -> bytes:
    """The content of the file for these entries."""
    keys: dict[str, list[dict[str, Any]]] = {}
    for entry in sorted(entries, key=lambda entry: (entry.name, entry.version)):
        raw = {"version": entry.version, "created": time_text(entry.created), **_secret_or_destroyed(entry)}
        keys.setdefault(entry.name, []).append(raw)
    return (json.dumps({"keyring": KEYRING_FORMAT, "keys": keys}, indent=2) + "\n").encode("ascii")


def _secret_or_destroyed(entry: KeyEntry) -> dict[str, str]:
    if entry.destroyed is not None:
        return {"destroyed": time_text(entry.destroyed)}
    return {"bytes": base64.b64encode(entry.secret).decode("ascii")}


def write_private_file(path: Path, content: bytes) -> None:
    """Creates a file that only its owner can ever read. Raises FileExistsError, OSError."""
    with file_operations.create(path, private=True) as file:
        file.write(content)
        file.flush()
        sync(file.fileno(), "keyring")
    sync_folder(path.parent)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Exclusive lock on a folder during the block."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _read_content(path: Path) -> bytes:
    reason: str | None = None
    content = b""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read() if _is_private(mode) else b""
    except OSError as error:
        is_missing = isinstance(error, FileNotFoundError)
        reason = (
            "the keyring does not exist" if is_missing else f"the keyring cannot be read: {describe_os_error(error)[0]}"
        )
    if reason is not None:
        raise KeyringError(
            f"{path}: {reason}",
            hint="Check the path, or restore the keyring from a backup. Create one with `minimize keys new` only if nothing was"
            " published with it: another keyring makes other pseudonyms.",
        )
    if not _is_private(mode):
        raise KeyringError(f"the keyring {path} is accessible to group or others", hint=f"Run: chmod 600 {path}")
    return content


def _is_private(mode: int) -> bool:
    return not mode & (stat.S_IRWXG | stat.S_IRWXO)


def _parse_document(content: bytes) -> Mapping[str, Sequence[Any]] | None:
    try:
        document = json.loads(content.decode("utf-8"), object_pairs_hook=_unique_names)
    except ValueError:
        return None
    keys = document.get("keys") if isinstance(document, dict) and document.get("keyring") == KEYRING_FORMAT else None
    if not isinstance(keys, dict) or not all(isinstance(versions, list) for versions in keys.values()):
        return None
    return keys if all(KEY_NAME.fullmatch(name) for name in keys) else None


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key is repeated")
    return dict(pairs)


def _parse_entry(path: Path, name: str, raw: Any) -> KeyEntry:
    version = raw.get("version") if isinstance(raw, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise KeyringError(f"a version of the key {name} in the keyring {path} is not a positive integer")
    secret, created, destroyed = (
        _decode_base64(raw.get("bytes")),
        _parse_time(raw.get("created")),
        _parse_time(raw.get("destroyed")),
    )
    if created is not None and destroyed is not None and "bytes" not in raw:
        return KeyEntry(name, version, created, b"", destroyed)
    if secret is None or created is None:
        raise KeyringError(f"the key {name}/{version} in the keyring {path} is malformed")
    if len(secret) < MIN_KEY_BYTES:
        raise KeyringError(f"the key {name}/{version} in the keyring {path} is shorter than {MIN_KEY_BYTES} bytes")
    return KeyEntry(name, version, created, secret)


def _decode_base64(text: Any) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except (binascii.Error, ValueError):
        return None


def _parse_time(text: Any) -> datetime | None:
    try:
        time = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return time if time is not None and time.tzinfo is not None else None


SIGNING_KEY: Final = "signing"
SUBJECT_KEY: Final = "subject"
NOISE_KEY: Final = "noise"
"""The key of the noise of published statistics. It always has one version: with a second one, a row's noise could be averaged
with its former noise."""
KEY_DESTROYED: Final = "E210"
"""Code of errors about destroyed keys."""


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """Public information about a key: name, version, and times of creation and destruction."""

    name: str
    version: int
    created: datetime
    destroyed: datetime | None = None


class Keyring:
    """The keys of one keyring file: for pseudonyms and tokens, signatures, encryption and noise. Its `repr` shows names only.

    The holder of a keyring can test a guess against any pseudonym, and can reverse any token. A pickle contains the path only,
    and unpickling reads the file again. Copies are the keyring itself.

    Args:
        path: The path of the file. Use `Keyring.load` to read one.
        entries: The keys of the file.

    Example:
        In the folder that `minimize sample demo --out demo` makes:

        >>> import minimize
        >>> keyring = minimize.Keyring.load("demo.keys")
        >>> [(key.name, key.version) for key in keyring.listing() if key.name in ("device", "signing")]
        [('device', 1), ('signing', 1)]
    """

    def __init__(self, path: Path, entries: Sequence[KeyEntry]) -> None:
        self.path = path
        self._entries = tuple(entries)

    @classmethod
    def load(cls, path: PathText) -> Self:
        """Reads the keyring of a file.

        Args:
            path: The path of the file. `~` stands for your home folder.

        Returns:
            The keyring.

        Raises:
            KeyringError: The file is missing, accessible to group or others, or malformed; or a key has fewer than 32 bytes.
        """
        resolved = Path(path).expanduser().absolute()
        return cls(resolved, read_entries(resolved))

    def bytes_of(self, name: str, version: int | None = None) -> bytes:
        """The bytes of a key.

        Args:
            name: The name of the key.
            version: Its version (default: the newest).

        Returns:
            At least 32 bytes. Keep them secret.

        Raises:
            KeyringError: There is no such key, or it was destroyed.
        """
        return self._entry(name, version).secret

    def version_of(self, name: str) -> int:
        """The newest version of a key.

        Args:
            name: The name of the key.

        Raises:
            KeyringError: There is no such key, or it was destroyed.
        """
        return self._entry(name, None).version

    def names(self) -> tuple[str, ...]:
        """The names of all keys, sorted."""
        return tuple(sorted({entry.name for entry in self._entries}))

    def listing(self) -> tuple[KeyInfo, ...]:
        """Every version of every key, without bytes."""
        return tuple(KeyInfo(entry.name, entry.version, entry.created, entry.destroyed) for entry in self._entries)

    def subkey(self, name: str, purpose: str, version: int | None = None) -> bytes:
        """Derives 32 bytes from a key for one purpose (HKDF-SHA-256, RFC 5869). They reveal nothing about other purposes.

        Args:
            name: The name of the key.
            purpose: What the bytes are for.
            version: Its version (default: the newest).

        Raises:
            KeyringError: There is no such key, or it was destroyed.
        """
        return derive_subkey(self._entry(name, version).secret, purpose)

    def check_value(self, name: str, version: int | None = None) -> str:
        """What distinguishes a key from every other one under the same id, and reveals nothing else: 16 hexadecimal digits.

        Args:
            name: The name of the key.
            version: Its version (default: the newest).

        Raises:
            KeyringError: There is no such key, or it was destroyed.
        """
        return self.subkey(name, "check value", version)[:8].hex()

    def wrong_keys(self, check_values: Mapping[str, str]) -> list[str]:
        """The ids (`device/2`) of which the keyring has no key, or one with another check value. A destroyed key is right.

        Args:
            check_values: The expected check value of each id.
        """
        entries = {entry.id: entry for entry in self._entries}
        return [
            id_
            for id_, value in check_values.items()
            if id_ not in entries
            or (entries[id_].destroyed is None and self.check_value(entries[id_].name, entries[id_].version) != value)
        ]

    def sign(self, content: bytes) -> tuple[str, bytes]:
        """Signs content with the newest signing key (Ed25519, RFC 8032).

        Args:
            content: The bytes to sign.

        Returns:
            The id of the key, such as `signing/1`, and the signature of 64 bytes.

        Raises:
            KeyringError: There is no signing key.
        """
        entry = self._entry(SIGNING_KEY, None)
        return entry.id, sign_content(entry.secret, content)

    def verify_signature(self, content: bytes, signature: bytes, key: str) -> bool:
        """Whether a signing key of this keyring made a signature.

        Args:
            content: The signed bytes.
            signature: The signature.
            key: The id of the signing key, such as `signing/1`.
        """
        checkpoint("signature.verified")
        entries = [entry for entry in self._entries if entry.name == SIGNING_KEY and entry.id == key and entry.secret]
        return any(is_valid_signature(public_pem(entry.secret), content, signature) for entry in entries)

    def public_key_pem(self) -> bytes:
        """The public keys of all signing versions, newest first, as PEM, for verification without the keyring."""
        self._entry(SIGNING_KEY, None)
        entries = [entry for entry in self._entries if entry.name == SIGNING_KEY and entry.secret]
        return b"".join(public_pem(entry.secret) for entry in reversed(entries))

    def _entry(self, name: str, version: int | None) -> KeyEntry:
        entries = [entry for entry in self._entries if entry.name == name and version in (None, entry.version)]
        if not entries and name == NOISE_KEY:
            hint = f"Run `minimize keys add {self.path} {name}`, or restore the key from a backup if there was one."
            message = f"the keyring {self.path} has no key `{name}`, which tables with noise need"
            raise KeyringError(message, hint=hint)
        if not entries:
            key = name if version is None else f"{name}/{version}"
            hint = (
                f"Check that this is the right keyring. If the key is new, run `minimize keys add {self.path} {name}`."
            )
            if version is not None:
                hint = "Restore the keyring from a backup: a new key with this id would be another key."
            raise KeyringError(f"key {key} is not in the keyring {self.path}", hint=hint)
        if entries[-1].destroyed is not None:
            message = f"key {entries[-1].id} of the keyring {self.path} was destroyed"
            hint = (
                "Data that only this key decrypts is lost. Run `minimize keys rotate` for new files; if the tenant of the key "
                "has left, run `minimize events add TENANT tenant_closed`."
            )
            raise KeyringError(message, code=KEY_DESTROYED, hint=hint)
        return entries[-1]

    def __repr__(self) -> str:
        return f"Keyring({str(self.path)!r}, names={list(self.names())})"

    def __reduce__(self) -> tuple[Callable[[str], Keyring], tuple[str]]:
        return (type(self).load, (str(self.path),))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self


_LEFTOVER: Final = re.compile(r"[0-9a-f]{16}")
KeyEntries = tuple[KeyEntry, ...]


def new_keyring(path: PathText, names: Iterable[str] = (), *, now: datetime) -> Keyring:
    """Creates a keyring file with these keys at version 1, and a `signing`, a `subject` and a `noise` key.

    Raises KeyringError if the file exists (it is never overwritten) or a name is invalid.
    """
    target = Path(path).expanduser().absolute()
    key_names = sorted({*names, SIGNING_KEY, SUBJECT_KEY, NOISE_KEY})
    content = keyring_bytes([_new_entry(name, 1, now) for name in key_names])
    reason: str | None = None
    try:
        _create_file(target, content)
    except FileExistsError:
        reason = "it exists, and an existing keyring is not overwritten"
    except OSError as error:
        reason = describe_os_error(error)[0]
    if reason is not None:
        raise KeyringError(f"the keyring {target} was not created: {reason}", hint="Pass another path.")
    return Keyring.load(target)


def add_key(path: PathText, name: str, *, now: datetime) -> Keyring:
    """Adds a key, or a new version of it. The file is replaced in one step.

    Raises KeyringError, also for a second version of the key `noise`.
    """

    def added(entries: KeyEntries) -> KeyEntries:
        if name == NOISE_KEY and any(entry.name == name for entry in entries):
            raise KeyringError(
                f"the keyring has the key `{NOISE_KEY}` already, and a second version is refused",
                hint="Keep the key: with new noise next to the former one, the statistics of a row could be averaged.",
            )
        version = 1 + max((entry.version for entry in entries if entry.name == name), default=0)
        return (*entries, _new_entry(name, version, now))

    return _change_keyring(path, added)


def ensure_key(path: PathText, name: str, *, now: datetime) -> Keyring:
    """Adds a key unless the file has a version of it, including destroyed ones. Raises KeyringError."""

    def added(entries: KeyEntries) -> KeyEntries:
        exists = any(entry.name == name for entry in entries)
        return entries if exists else (*entries, _new_entry(name, 1, now))

    return _change_keyring(path, added)


def destroy_key(path: PathText, name: str, version: int, *, now: datetime) -> Keyring:
    """Destroys the bytes of one version of a key. The version number stays recorded and is never used again.

    Raises KeyringError if there is no such version or it was already destroyed.
    """

    def destroyed(entries: KeyEntries) -> KeyEntries:
        live = [each for each in entries if (each.name, each.version) == (name, version) and each.destroyed is None]
        if not live:
            raise KeyringError(
                f"key {name}/{version} does not exist or was already destroyed", hint="Run `minimize keys list`."
            )
        return tuple(replace(each, secret=b"", destroyed=now) if each in live else each for each in entries)

    return _change_keyring(path, destroyed)


def _change_keyring(path: PathText, change: Callable[[KeyEntries], KeyEntries]) -> Keyring:
    target = Path(path).expanduser().absolute().resolve()
    reason: str | None = None
    try:
        with folder_lock(target.parent):
            _remove_leftovers(target)
            before = read_entries(target)
            after = change(before)
            if after != before:
                _replace_file(target, keyring_bytes(after))
    except OSError as error:
        reason = describe_os_error(error)[0]
    if reason is not None:
        raise KeyringError(f"the keyring {target} was not changed: {reason}")
    return Keyring.load(target)


def _new_entry(name: str, version: int, now: datetime) -> KeyEntry:
    if not KEY_NAME.fullmatch(name):
        raise KeyringError(
            "the name of a key must start with a letter or `_` and contain at most 64 letters, digits, `_`, `.`, `-`"
        )
    return KeyEntry(name, version, now, secrets.token_bytes(MIN_KEY_BYTES))


def _create_file(target: Path, content: bytes) -> None:
    """Creates the file completely, or not at all."""
    temporary = _temporary_path(target)
    try:
        write_private_file(temporary, content)
        _link_file(temporary, target, content)
    finally:
        file_operations.remove(temporary, missing=True)
    sync_folder(target.parent)


def _link_file(source: Path, target: Path, content: bytes) -> None:
    try:
        file_operations.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        write_private_file(target, content)


def _replace_file(target: Path, content: bytes) -> None:
    temporary = _temporary_path(target)
    try:
        write_private_file(temporary, content)
        file_operations.rename(temporary, target)
    finally:
        file_operations.remove(temporary, missing=True)
    sync_folder(target.parent)


def _remove_leftovers(target: Path) -> None:
    """Removes temporary files of killed processes next to a keyring. They may contain keys that are destroyed later."""
    start = f".{target.name}."
    for path in target.parent.iterdir():
        if path.name.startswith(start) and _LEFTOVER.fullmatch(path.name.removeprefix(start)):
            file_operations.remove(path, missing=True)


def _temporary_path(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(8)}")


SealPurposes = tuple[str, str]
"""The purposes of the two subkeys that make up the key of a sealer."""


class Subkeys(Protocol):
    """Source of keys for one purpose (a keyring)."""

    def version_of(self, name: str) -> int:
        """The newest version of a key. Raises KeyringError."""
        ...

    def subkey(self, name: str, purpose: str, version: int | None = None) -> bytes:
        """32 bytes for one purpose. Raises KeyringError."""
        ...


def subject_sealer(keys: Subkeys, purposes: SealPurposes, version: int) -> Sealer:
    """The sealer of one version of the `subject` key. Raises KeyringError."""
    first, second = (keys.subkey(SUBJECT_KEY, purpose, version) for purpose in purposes)
    return Sealer(first + second)


def seal_content(content: bytes, keys: Subkeys, purposes: SealPurposes, *place: bytes) -> bytes:
    """Sealed content under the newest version of the key. Raises KeyringError."""
    version = keys.version_of(SUBJECT_KEY)
    return f"{SUBJECT_KEY}/{version}\n".encode() + subject_sealer(keys, purposes, version).seal(content, *place)


def open_content(sealed: bytes, keys: Subkeys, purposes: SealPurposes, *place: bytes) -> bytes | None:
    """The content; None if it was not sealed with this key for this place.

    Raises KeyringError if the keyring does not have the version, and ValueError if the first line names no version.
    """
    version, body = sealed_version(sealed), sealed.partition(b"\n")[2]
    return subject_sealer(keys, purposes, version).open(body, *place)


def sealed_version(sealed: bytes) -> int:
    """The version of the `subject` key under which content is sealed. Raises ValueError if the first line names none.

    >>> sealed_version(b"subject/2\\n...")
    2
    """
    key, _, version = sealed.partition(b"\n")[0].decode("ascii", "replace").rpartition("/")
    if key != SUBJECT_KEY or not version.isdecimal():
        raise ValueError("the sealed content names no version of the key `subject`")
    return int(version)
