"""Key rotation (`keys rotate`) and crypto-shredding (`keys shred`).

Audit events, re-encryption of files under the newest versions, new versions of master keys, destruction of versions with a
list of the files that become unreadable.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import ClassVar, Final
from urllib.parse import quote, unquote

from minimize.datasets.ledger_check import check_keyring
from minimize.datasets.pipelines import find_pipeline
from minimize.datasets.published_output import OutputFile, PublishedOutput
from minimize.datasets.reader import load_receipts
from minimize.errors import ConfigurationError, KeyringError, MinimizeError, RefusedError, call_redacted
from minimize.keys import Keyring, Kms, MasterKey
from minimize.keys.discovery import KeyListing, add_listed_key, key_lifecycle
from minimize.keys.keyring import KEY_DESTROYED, NOISE_KEY, SUBJECT_KEY
from minimize.keys.master_keys import KeyLifecycle, key_state, master_key_name
from minimize.ledger import PropertyChange, Resource, current_actor
from minimize.ledger.audit_event import KEY_ACTIVITY
from minimize.ledger.runs import output_locations
from minimize.output.folder import batch_date_of
from minimize.receipts import Receipt, ReceiptKind, files_in_force
from minimize.removal import Removal
from minimize.removal.rewrite_receipt import PlannedFile
from minimize.results import JsonResult, Line, json_member
from minimize.runs.execution import ProgressCallback
from minimize.runs.guards import check_change_time
from minimize.runs.runner import no_progress
from minimize.stores import Location, LocationLike, PathText, parse_output_location
from minimize.text import count_noun
from minimize.workspace import Workspace


def record_key_event(
    workspace: Workspace, operation: str, masters: Iterable[MasterKey], now: datetime, *changes: PropertyChange
) -> None:
    """Records an operation on versions of master keys in the audit log. Raises LedgerError, KeyringError."""
    resources = [Resource(each.id, "master key", f"keys/{each.id}", changes) for each in masters]
    event = KEY_ACTIVITY.event(operation, current_actor(), now, *resources)
    with workspace.open_ledger(create=True, signs=True) as ledger:
        ledger.record_event(event)


log = logging.getLogger("minimize")


def files_under_old_keys(output: PublishedOutput) -> Iterator[OutputFile]:
    """The files in force that are not encrypted under the newest version of each of their master keys.

    Excludes files with destroyed keys, because they can no longer be read. Raises KeyringError.
    """
    newest = cache(partial(_newest_key_id, output.kms))
    for file in output.files():
        old = any(newest(MasterKey.parse(key).name) != key for key in file.entry.keys or ())
        if old and not file.is_shredded:
            yield file


def _newest_key_id(kms: Kms, name: str) -> str | None:
    """The id of the newest version; None if it was destroyed, so that no new file can be encrypted under it."""
    try:
        return kms.newest(name).id
    except KeyringError as error:
        if error.code == KEY_DESTROYED:
            return None
        raise


def _key_ids(versions: Sequence[MasterKey]) -> list[str]:
    return [each.id for each in versions]


@dataclass(frozen=True, slots=True)
class KeyRotation(JsonResult):
    """The new versions, and the receipts of the re-encrypted outputs."""

    versions: tuple[MasterKey, ...] = field(metadata=json_member(earlier="made", convert=_key_ids))
    receipts: tuple[Receipt, ...] = ()

    def lines(self) -> list[Line]:
        """The new versions, and summaries of the receipts."""
        return [*(f"{each.id} encrypts new files" for each in self.versions), *self.receipts] or ["nothing to do"]


def extend_keyring(workspace: Workspace, file: PathText, name: str, now: datetime) -> KeyListing:
    """Adds a key or a new version of it to the keyring of a file, as `add_key` does. Raises KeyringError, AccessDenied (3)."""
    workspace.require("keys/add")
    return add_listed_key(file, name, now)


def rotate_keys(
    workspace: Workspace,
    now: datetime,
    *,
    names: Sequence[str] = (),
    outputs: Iterable[LocationLike] = (),
    new: bool = True,
    progress: ProgressCallback = no_progress,
) -> KeyRotation:
    """Creates a new version of master keys, and re-encrypts the files of some outputs.

    Takes the workspace (keyring, ledger); the time; the names of master keys (default: all); outputs to rewrite under the newest
    versions. With `new=False` only the files are rewritten. `progress` receives the number of files done.

    Raises KeyringError, LedgerError, OutputError (2), AccessDenied (3), and RefusedError (3, E304) for an implausible time.
    """
    workspace.require("keys/rotate")
    keyring = workspace.keyring()
    folders = [parse_output_location(output) for output in outputs]
    chains = [load_receipts(folder) for folder in folders]
    for chain in chains:
        check_keyring(keyring, chain)
    custody = key_lifecycle(keyring, workspace.config, now=now)
    chosen = _chosen_names(custody, names, keyring) if new else ()
    if chosen:
        with workspace.open_ledger(create=True) as ledger:
            ledger.check_time()
            for folder, chain in zip(folders, chains, strict=True):
                check_change_time(ledger, folder, chain)
    for name in chosen:
        record_key_event(
            workspace, "rotate", [_next_version(custody, name)], now, PropertyChange("state", None, "current")
        )
        custody.rotate(name)
    rewritten = call_redacted(
        lambda: [receipt for folder in folders for receipt in _rewrite_output(folder, workspace, progress)]
    )
    return KeyRotation(tuple(_newest_version(custody, name) for name in chosen), tuple(rewritten))


def _chosen_names(custody: KeyLifecycle, names: Sequence[str], keyring: Keyring) -> tuple[str, ...]:
    """The given names; by default all names except those whose newest version was destroyed."""
    lines = custody.versions()
    missing = sorted({*names} - {line.name for line in lines})
    if missing:
        name = next((name for name in missing if name in keyring.names()), None)
        if name == NOISE_KEY:
            hint = f"The key `{NOISE_KEY}` has one version only: with new noise, the statistics of a row could be averaged."
        elif name is not None:
            hint = f"`{name}` is a key of the keyring. Run `minimize keys add {keyring.path} {name}` for a new version."
        else:
            hint = "Run `minimize keys list` to see the master keys."
        raise KeyringError(f"unknown master key {', '.join(missing)}", hint=hint)
    return tuple(sorted(names or {line.name for line in lines if key_state(line, lines) == "current"}))


def _newest_version(custody: KeyLifecycle, name: str) -> MasterKey:
    return MasterKey(name, max(line.version for line in custody.versions() if line.name == name))


def _next_version(custody: KeyLifecycle, name: str) -> MasterKey:
    return MasterKey(name, _newest_version(custody, name).version + 1)


def _rewrite_output(folder: Location, workspace: Workspace, progress: ProgressCallback) -> list[Receipt]:
    """Re-encrypts the files of an output. Raises KeyringError before any write if a key is unavailable."""
    chain, receipts = load_receipts(folder), list[Receipt]()
    if chain:
        job = find_pipeline(folder, chain[-1], None)
        output = PublishedOutput(folder, chain, workspace.keyring(), job)
        removal = Removal(workspace, _Rotation(), progress=progress)
        removal.execute(output, removal.plan(output), receipts.append)
    return receipts


@dataclass(frozen=True)
class _ReencryptedFiles:
    """The files under old keys. Their content stays."""

    due: tuple[PlannedFile, ...]
    tables_left: ClassVar[Mapping[tuple[str, str], Collection[str]]] = MappingProxyType({})


class _Rotation:
    """New keys for files: no record is removed, and the decisions of the runs that wrote the files stay."""

    kind: ReceiptKind = "rotate"
    as_of: datetime | None = None
    replans = False

    def plan(self, output: PublishedOutput, *, counts: bool = True) -> _ReencryptedFiles:
        """See `RemovalOperation.plan`."""
        return _ReencryptedFiles(tuple(map(PlannedFile, files_under_old_keys(output))))

    def transfer(self, output: PublishedOutput) -> None:
        """See `RemovalOperation.transfer`. Records stay where they are."""


ENCRYPTED_CATEGORIES: Final = ("identified", "pseudonymized")


@dataclass(frozen=True, slots=True)
class UnreadablePartition(JsonResult):
    """Files of one output and date that become unreadable: counts of files and rows, and the tenants' folders if any."""

    output: str
    name: str
    date: str | None
    files: int
    rows: int
    folders: tuple[str, ...] = field(metadata=json_member(earlier="of"))

    def __str__(self) -> str:
        owners = f" of {', '.join(self.folders)}" if self.folders else ""
        when = "" if self.date is None else f" of {self.date}"
        return f"{self.output}: {self.name}{when}: {count_noun(self.files, 'file')}, {count_noun(self.rows, 'row')}{owners}"


@dataclass(frozen=True, slots=True)
class ShreddingResult(JsonResult):
    """The versions, the partitions that become unreadable, the outputs that could not be checked, and whether it was done."""

    masters: tuple[MasterKey, ...] = field(metadata=json_member("keys", convert=_key_ids))
    unreadable: tuple[UnreadablePartition, ...]
    outputs_checked: int = field(metadata=json_member("outputs"))
    outputs_unreachable: tuple[str, ...] = field(default=(), metadata=json_member(earlier="missed"))
    done: bool = False

    def lines(self) -> Iterator[str]:
        """The versions, the partitions, the outputs that were not checked, and how to destroy the keys."""
        ids = ", ".join(each.id for each in self.masters)
        known = f"in {count_noun(self.outputs_checked, 'known output')}"
        summary = f"unreadable files {known}:" if self.unreadable else f"no file {known} uses this key"
        verb = "destroyed" if self.done else "would be destroyed"
        yield f"{ids} {verb}; {summary}"
        yield from map(str, self.unreadable)
        yield from (f"{folder}: could not be checked" for folder in self.outputs_unreachable)
        if not self.done:
            yield "nothing was changed: pass --yes to destroy the keys; this cannot be undone"


def shred_keys(
    workspace: Workspace,
    now: datetime,
    *,
    key: str | None = None,
    tenant: str | None = None,
    outputs: Iterable[LocationLike] = (),
    yes: bool = False,
) -> ShreddingResult:
    """Destroys a version of a master key, or all keys of a tenant; without `yes` only reports which files become unreadable.

    Takes the workspace (keyring, ledger); the time; a key (`encrypt.pseudonymized/1`) or a tenant; outputs to check in addition
    to those that the ledger knows. The audit event is recorded before the destruction. Raises KeyringError, LedgerError (2),
    AccessDenied (3), and RefusedError (3) for the `subject` key.
    """
    workspace.require("keys/shred", tenant=tenant)
    custody = key_lifecycle(workspace.keyring(), workspace.config, now=now)
    masters = _chosen_versions(custody, key, tenant)
    known = _known_outputs(workspace, outputs)
    outcomes = [*_unreadable_partitions({each.id for each in masters}, *known)]
    missed = tuple(each for each in outcomes if isinstance(each, str))
    unreadable = tuple(each for each in outcomes if isinstance(each, UnreadablePartition))
    checked_count = len(known) - len(missed)
    if not yes:
        return ShreddingResult(masters, unreadable, checked_count, missed)
    for master in masters:
        files = sum(each.files for each in unreadable)
        record_key_event(
            workspace,
            "shred",
            [master],
            now,
            PropertyChange("state", "standing", "destroyed"),
            PropertyChange("files", files, 0),
        )
    for master in masters if not custody.destroys_older else {each.name: each for each in masters}.values():
        custody.destroy(master)
    return ShreddingResult(masters, unreadable, checked_count, missed, done=True)


def _chosen_versions(custody: KeyLifecycle, key: str | None, tenant: str | None) -> tuple[MasterKey, ...]:
    """The existing versions that the key or tenant selects."""
    existing = [MasterKey(line.name, line.version) for line in custody.versions() if line.destroyed is None]
    if (key is None) == (tenant is None):
        raise ConfigurationError(
            "keys shred needs a key or a tenant", hint="Pass a key such as encrypt.pseudonymized/1, or --tenant NAME."
        )
    if key is not None and key.partition("/")[0] == SUBJECT_KEY:
        message = (
            f"versions of the key `{SUBJECT_KEY}` cannot be destroyed: a run could no longer recognize erased subjects"
        )
        hint = "Use `minimize subject delete` to erase one subject. Only keys named `encrypt.…` can be destroyed."
        raise RefusedError(message, hint=hint)
    if tenant is not None:
        names = {master_key_name(category, quote(tenant, safe="")) for category in ENCRYPTED_CATEGORIES}
        chosen = [each for each in existing if each.name in names]
    else:
        chosen = [each for each in existing if each == MasterKey.parse(str(key))]
    if custody.destroys_older:
        chosen = [
            master
            for master in existing
            if any(master.name == selected.name and master <= selected for selected in chosen)
        ]
    if not chosen:
        what = "the tenant has no keys of its own" if key is None else f"{key} does not exist"
        raise KeyringError(f"{what}: there is nothing to destroy", hint="Run `minimize keys list` to see the keys.")
    return tuple(chosen)


def _known_outputs(workspace: Workspace, outputs: Iterable[LocationLike]) -> list[LocationLike]:
    """The outputs that the ledger knows on this machine, and the given ones."""
    with workspace.open_ledger(create=True) as ledger:
        recorded_folders = [each.folder for each in ledger.read(output_locations) if each.is_reachable]
    outputs_by_location = {str(parse_output_location(each)): each for each in (*recorded_folders, *outputs)}
    return [*outputs_by_location.values()]


def _unreadable_partitions(ids: set[str], *outputs: LocationLike) -> Iterator[UnreadablePartition | str]:
    for output in outputs:
        try:
            force = files_in_force(load_receipts(parse_output_location(output)))
        except (MinimizeError, OSError):
            yield str(output)
            continue
        for name, files in force.items():
            unreadable = [file for file in files if ids & {*(file.keys or ())}]
            for on in sorted({batch_date_of(file.path) for file in unreadable}, key=str):
                these = [file for file in unreadable if batch_date_of(file.path) == on]
                rows, folders = sum(file.rows for file in these), _folders_below_dates([file.path for file in these])
                yield UnreadablePartition(
                    output=str(output), name=name, date=on, files=len(these), rows=rows, folders=folders
                )


def _folders_below_dates(paths: Sequence[str]) -> tuple[str, ...]:
    """The names of the folders below the date, which name the tenants of the files."""
    parts = {part for path in paths for part in PurePosixPath(path).parts[1:-1] if "=" in part}
    return tuple(sorted(unquote(part) for part in parts if not part.startswith("date=")))
