"""Key rotation (`keys rotate`) and crypto-shredding (`keys shred`).

Audit events, re-encryption of files under the newest versions, new versions of master keys, destruction of versions with a
list of the files that become unreadable.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from itertools import chain as chained
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import quote, unquote

from minimize.arrow.batch import Batch
from minimize.errors import ConfigurationError, KeyringError, MinimizeError, RefusedError, call_redacted
from minimize.governance.access.enforcement import require_permission
from minimize.governance.published_outputs import WritingRun, receipts_by_path
from minimize.governance.rewrite import RewriteResult, rewrite_files
from minimize.governance.workspace import Workspace
from minimize.json_form import JsonResult, json_member
from minimize.keys import Keyring, Kms, MasterKey, find_kms
from minimize.keys.discovery import key_lifecycle
from minimize.keys.keyring import KEY_DESTROYED, SUBJECT_KEY
from minimize.keys.master_keys import KeyLifecycle, is_master_key, key_state, master_key_name
from minimize.keys.parquet_encryption import open_parquet
from minimize.ledger import PropertyChange, Resource, api, current_actor
from minimize.ledger.audit_event import KEY_ACTIVITY
from minimize.observability.destinations import NO_OBSERVABILITY
from minimize.output.folder import RECORDS, batch_date_of
from minimize.output.publish import open_output
from minimize.output.reader import load_receipts
from minimize.output.sink import index_files, master_keys_of, output_files, sketch_files
from minimize.policy.pipeline import Pipeline
from minimize.receipts import FieldReceipt, Receipt, ReceiptFile, RowCounts, WrittenOutput, files_in_force, sha256_text
from minimize.results import Line
from minimize.runs import receipt_builder
from minimize.runs.inputs import find_pipeline
from minimize.runs.receipt_builder import RunContext
from minimize.runs.removal_inventory import RemovalInventory
from minimize.runs.runner import no_progress
from minimize.runs.session import record_missed_receipts, record_published, run_session
from minimize.stores import Location, LocationLike, PathText, local_path, parse_output_location
from minimize.text import count_noun


def record_key_event(
    workspace: Workspace, operation: str, masters: Iterable[MasterKey], now: datetime, *changes: PropertyChange
) -> None:
    """Records an operation on versions of master keys in the audit log. Raises LedgerError, KeyringError."""
    resources = [Resource(each.id, "master key", f"keys/{each.id}", changes) for each in masters]
    event, keys = KEY_ACTIVITY.event(operation, current_actor(), now, *resources), workspace.keyring()
    with workspace.open_ledger(create=True) as ledger:
        ledger.record_event(event, keys)


log = logging.getLogger("minimize")


@dataclass(frozen=True, slots=True)
class KeyRotationRewrite:
    """Re-encryption of an output's files. Each original run gets its own receipt, with the policy and time of that run."""

    output: Location
    pipeline: Pipeline
    keys: Keyring = field(repr=False)
    now: datetime
    ledger: PathText | None = None
    fence: Location | None = None

    def execute(self) -> tuple[Receipt, ...]:
        """Re-encrypts the files and returns the receipts. Raises KeyringError before any write if a key is unavailable."""
        kms = find_kms(self.keys, local_path(self.output))
        groups: dict[str, list[ReceiptFile]] = {}
        chain = load_receipts(self.output)
        by = receipts_by_path(chain)
        for file in files_under_old_keys(self.output, chain, kms):
            groups.setdefault(by[file.path].run_id, []).append(file)
        return tuple(self._group(by[files[0].path], files, kms) for files in groups.values())

    def _group(self, wrote: Receipt, files: Sequence[ReceiptFile], kms: Kms) -> Receipt:
        context = RunContext("rotate", "local", datetime.now(UTC), no_progress, NO_OBSERVABILITY, ledger=self.ledger)
        everything = WritingRun(self.output, wrote).all_attachments
        with (
            run_session(self, context) as session,
            open_output(self.output, create=False, lease=session.head) as folder,
        ):
            record_missed_receipts(session, folder.receipts())
            paths = [file.path for file in files]
            inventory = RemovalInventory.for_files(self.output, folder.receipts(), paths, self.keys)

            def receipt(done: RewriteResult) -> Receipt:
                everything.update(inventory.attachments())
                unsigned = _rotation_receipt(folder.receipts(), wrote, done, context, everything)
                return replace(unsigned, run_id=session.run_id, audit=session.head()).with_signature(self.keys)

            signed = rewrite_files(
                folder, session.run_id, paths, _unchanged, receipt, everything, keys=self.keys, kms=kms, shown=inventory
            )
            record_published(session, signed)
        log.info("%d files re-encrypted", len(files), extra={"code": "I004", "run_id": signed.run_id})
        return signed


def files_under_old_keys(output: Location, chain: Sequence[Receipt], kms: Kms) -> Iterator[ReceiptFile]:
    """The files in force that are not encrypted under the newest version of each of their master keys.

    Excludes files with destroyed keys, because they can no longer be read. Raises KeyringError.
    """
    newest = cache(partial(_newest_key_id, kms))
    for file in chained.from_iterable(files_in_force(chain).values()):
        old = any(newest(MasterKey.parse(key).name) != key for key in file.keys or ())
        if old and _is_readable(output, file, kms):
            yield file


def _newest_key_id(kms: Kms, name: str) -> str | None:
    """The id of the newest version; None if it was destroyed, so that no new file can be encrypted under it."""
    try:
        return kms.newest(name).id
    except KeyringError as error:
        if error.code == KEY_DESTROYED:
            return None
        raise


def _is_readable(output: Location, file: ReceiptFile, kms: Kms) -> bool:
    try:
        open_parquet(output / file.path, kms, name=file.path)
    except KeyringError as error:
        if error.code == KEY_DESTROYED:
            return False
        raise
    return True


def _unchanged(batch: Batch) -> Batch:
    return batch


def _rotation_receipt(
    chain: Sequence[Receipt], wrote: Receipt, done: RewriteResult, context: RunContext, attachments: Mapping[str, bytes]
) -> Receipt:
    """The unsigned receipt, with the time of the run that wrote the rows, because no later decision changed them."""
    written = [each for files in done.written.values() for each in files]
    outputs = {name: _rotated_output(wrote, name, done) for name in done.written}
    rows = outputs[RECORDS].rows if RECORDS in outputs else sum(each.rows for each in written)
    techniques = [key for key in wrote.keys if not is_master_key(key)]
    return Receipt(
        kind="rotate",
        run_id="",
        sequence=chain[-1].sequence + 1,
        previous=chain[-1].digest,
        pipeline=wrote.pipeline,
        purpose=wrote.purpose,
        engine="local",
        at=wrote.at,
        at_given=wrote.at_given,
        started=context.started,
        finished=max(context.started, datetime.now(UTC)),
        dates=tuple(sorted({on for each in written if (on := batch_date_of(each.path)) is not None})),
        policy=wrote.policy,
        plan=wrote.plan,
        keys=(*techniques, *sorted(master_keys_of(written))),
        versions=receipt_builder.software_versions(),
        rows=RowCounts(read=rows, written=rows),
        fields={
            key: FieldReceipt(receipt_field.did, None if receipt_field.values is None else 0)
            for key, receipt_field in wrote.fields.items()
        },
        outputs=outputs,
        replaces=done.replaces,
        removes=done.removes,
        retention=wrote.retention,
        files={name: sha256_text(content) for name, content in attachments.items()},
        origin=wrote.origin,
    )


def _rotated_output(wrote: Receipt, name: str, done: RewriteResult) -> WrittenOutput:
    files = output_files(done.written[name])
    index = index_files(done.written[name]) if name == RECORDS else None
    return WrittenOutput(
        wrote.outputs[name].category,
        sum(file.rows for file in files),
        files=files,
        index=index,
        sketches=sketch_files(done.written[name]),
    )


def _key_ids(versions: Sequence[MasterKey]) -> list[str]:
    return [each.id for each in versions]


@dataclass(frozen=True, slots=True)
class KeyRotation(JsonResult):
    """The new versions, and the receipts of the re-encrypted outputs."""

    versions: tuple[MasterKey, ...] = field(metadata=json_member("made", convert=_key_ids))
    receipts: tuple[Receipt, ...] = ()

    def lines(self) -> list[Line]:
        """The new versions, and summaries of the receipts."""
        return [*(f"{each.id} encrypts new files" for each in self.versions), *self.receipts] or ["nothing to do"]


def rotate_keys(
    workspace: Workspace,
    now: datetime,
    *,
    names: Sequence[str] = (),
    outputs: Iterable[LocationLike] = (),
    new: bool = True,
) -> KeyRotation:
    """Creates a new version of master keys, and re-encrypts the files of some outputs.

    Takes the workspace (keyring, ledger); the time; the names of master keys (default: all); outputs to rewrite under the newest
    versions. With `new=False` only the files are rewritten. Raises KeyringError, LedgerError, OutputError (2), AccessDenied (3).
    """
    require_permission("keys/rotate", workspace, now)
    keyring = workspace.keyring()
    custody = key_lifecycle(keyring, workspace.folder, now=now)
    chosen = _chosen_names(custody, names) if new else ()
    for name in chosen:
        record_key_event(
            workspace, "rotate", [_next_version(custody, name)], now, PropertyChange("state", None, "current")
        )
        custody.rotate(name)
    rewritten = [each for output in outputs for each in call_redacted(partial(_rewrite_output, output, workspace, now))]
    return KeyRotation(tuple(_newest_version(custody, name) for name in chosen), tuple(rewritten))


def _chosen_names(custody: KeyLifecycle, names: Sequence[str]) -> tuple[str, ...]:
    """The given names; by default all names except those whose newest version was destroyed."""
    lines = custody.versions()
    missing = sorted({*names} - {line.name for line in lines})
    if missing:
        raise KeyringError(
            f"unknown master key {', '.join(missing)}", hint="Run `minimize keys list` to see the master keys."
        )
    return tuple(sorted(names or {line.name for line in lines if key_state(line, lines) == "current"}))


def _newest_version(custody: KeyLifecycle, name: str) -> MasterKey:
    return MasterKey(name, max(line.version for line in custody.versions() if line.name == name))


def _next_version(custody: KeyLifecycle, name: str) -> MasterKey:
    return MasterKey(name, _newest_version(custody, name).version + 1)


def _rewrite_output(output: LocationLike, workspace: Workspace, now: datetime) -> tuple[Receipt, ...]:
    folder = parse_output_location(output)
    chain = load_receipts(folder)
    if not chain:
        return ()
    return KeyRotationRewrite(
        folder, find_pipeline(folder, chain[-1], None), workspace.keyring(), now, workspace.ledger
    ).execute()


ENCRYPTED_CATEGORIES: Final = ("identified", "pseudonymized")


@dataclass(frozen=True, slots=True)
class UnreadablePartition(JsonResult):
    """Files of one output and date that become unreadable: counts of files and rows, and the tenants' folders if any."""

    output: str
    name: str
    date: str | None
    files: int
    rows: int
    folders: tuple[str, ...] = field(metadata=json_member("of"))

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
    outputs_unreachable: tuple[str, ...] = field(default=(), metadata=json_member("missed"))
    done: bool = False

    def lines(self) -> Iterator[str]:
        """The versions, the partitions, the outputs that were not checked, and how to destroy the keys."""
        ids = ", ".join(each.id for each in self.masters)
        known = f"in {count_noun(self.outputs_checked, 'known output')}"
        found = f"unreadable files {known}:" if self.unreadable else f"no file {known} uses this key"
        verb = "destroyed" if self.done else "would be destroyed"
        yield f"{ids} {verb}; {found}"
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
    require_permission("keys/shred", workspace, now, tenant=tenant)
    custody = key_lifecycle(workspace.keyring(), workspace.folder, now=now)
    masters = _chosen_versions(custody, key, tenant)
    known = _known_outputs(workspace, outputs)
    found = [*_unreadable_partitions({each.id for each in masters}, *known)]
    missed = tuple(each for each in found if isinstance(each, str))
    unreadable = tuple(each for each in found if isinstance(each, UnreadablePartition))
    looked = len(known) - len(missed)
    if not yes:
        return ShreddingResult(masters, unreadable, looked, missed)
    for each in masters:
        files = sum(one.files for one in unreadable)
        record_key_event(
            workspace,
            "shred",
            [each],
            now,
            PropertyChange("state", "standing", "destroyed"),
            PropertyChange("files", files, 0),
        )
    for each in masters if not custody.destroys_older else {one.name: one for one in masters}.values():
        custody.destroy(each)
    return ShreddingResult(masters, unreadable, looked, missed, done=True)


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
        found = [each for each in existing if each.name in names]
    else:
        found = [each for each in existing if each == MasterKey.parse(str(key))]
    if custody.destroys_older:
        found = [each for each in existing if any(each.name == one.name and each <= one for one in found)]
    if not found:
        what = "the tenant has no keys of its own" if key is None else f"{key} does not exist"
        raise KeyringError(f"{what}: there is nothing to destroy", hint="Run `minimize keys list` to see the keys.")
    return tuple(found)


def _known_outputs(workspace: Workspace, outputs: Iterable[LocationLike]) -> list[LocationLike]:
    """The outputs that the ledger knows on this machine, and the given ones."""
    with workspace.open_ledger(create=True) as ledger:
        seen = [each.folder for each in ledger.read(api.output_locations) if each.is_reachable]
    every = {str(parse_output_location(each)): each for each in (*seen, *outputs)}
    return [*every.values()]


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
                rows, of = sum(file.rows for file in these), _folders_below_dates([file.path for file in these])
                yield UnreadablePartition(
                    output=str(output), name=name, date=on, files=len(these), rows=rows, folders=of
                )


def _folders_below_dates(paths: Sequence[str]) -> tuple[str, ...]:
    """The names of the folders below the date, which name the tenants of the files."""
    parts = {part for path in paths for part in PurePosixPath(path).parts[1:-1] if "=" in part}
    return tuple(sorted(unquote(part) for part in parts if not part.startswith("date=")))
