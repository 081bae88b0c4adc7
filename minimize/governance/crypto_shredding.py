"""Crypto-shredding (`keys shred`): destroys versions of a master key, and lists first which files become unreadable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote, unquote

from minimize.errors import ConfigurationError, KeyringError, MinimizeError, RefusedError
from minimize.governance.access.enforcement import require_permission
from minimize.governance.key_rotation import record_key_event
from minimize.governance.workspace import Workspace
from minimize.keys import MasterKey
from minimize.keys.discovery import key_lifecycle
from minimize.keys.master_keys import KeyLifecycle, master_key_name
from minimize.ledger import PropertyChange, api
from minimize.ledger.subject_tokens import SUBJECT_KEY
from minimize.output.paths import output_and_date
from minimize.output.reader import load_receipts
from minimize.receipts import files_in_force
from minimize.stores import LocationLike, parse_output_location
from minimize.text import count_noun

ENCRYPTED_CATEGORIES: Final = ("identified", "pseudonymized")


@dataclass(frozen=True, slots=True)
class UnreadablePartition:
    """What becomes unreadable of one output on one date: how many files and rows, and whose, where folders tell."""

    output: str
    name: str
    date: str | None
    files: int
    rows: int
    folders: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As `keys shred --json` prints it."""
        counted = {"files": self.files, "rows": self.rows, "of": list(self.folders)}
        return {"output": self.output, "name": self.name, "date": self.date, **counted}

    def __str__(self) -> str:
        whose = f" of {', '.join(self.folders)}" if self.folders else ""
        when = "" if self.date is None else f" of {self.date}"
        return (
            f"{self.output}: {self.name}{when}: {count_noun(self.files, 'file')}, {count_noun(self.rows, 'row')}{whose}"
        )


@dataclass(frozen=True, slots=True)
class ShreddingResult:
    """The versions, what becomes unreadable, which outputs could not be looked at, and whether it was done."""

    masters: tuple[MasterKey, ...]
    unreadable: tuple[UnreadablePartition, ...]
    outputs_checked: int
    outputs_unreachable: tuple[str, ...] = ()
    done: bool = False

    def as_json(self) -> dict[str, Any]:
        """As `keys shred --json` prints it."""
        return {
            "keys": [each.id for each in self.masters],
            "unreadable": [each.as_json() for each in self.unreadable],
            "outputs": self.outputs_checked,
            "missed": list(self.outputs_unreachable),
            "done": self.done,
        }

    def __str__(self) -> str:
        ids = ", ".join(each.id for each in self.masters)
        missed = [f"{folder}: could not be looked at" for folder in self.outputs_unreachable]
        known = f"in {self.outputs_checked} outputs that are known here"
        found = f"unreadable {known}:" if self.unreadable else f"no file {known} uses it"
        verb = "destroyed" if self.done else "would be destroyed"
        end = [] if self.done else ["nothing was changed: --yes does it; it cannot be undone"]
        return "\n".join([f"{ids} {verb}; {found}", *map(str, self.unreadable), *missed, *end])


def shred_keys(
    workspace: Workspace,
    now: datetime,
    *,
    key: str | None = None,
    tenant: str | None = None,
    outputs: Iterable[LocationLike] = (),
    yes: bool = False,
) -> ShreddingResult:
    """Destroys a version of a master key, or all of a tenant's own; without `yes` it only says what would become unreadable.

    Takes the house (keyring, ledger); the time; a key (`encrypt.pseudonymized/1`) or a tenant; outputs to look at beside those
    that the ledger knows. The log is told before it is done. Raises KeyringError, LedgerError (2), AccessDenied (3), and
    RefusedError (3) for the `subject` key.
    """
    require_permission("keys/shred", workspace, now, tenant=tenant)
    custody = key_lifecycle(workspace.keyring(), workspace.folder, now=now)
    masters = _chosen_versions(custody, key, tenant)
    found = [*_unreadable_partitions({each.id for each in masters}, *_known_outputs(workspace, outputs))]
    missed = tuple(each for each in found if isinstance(each, str))
    lost = tuple(each for each in found if isinstance(each, UnreadablePartition))
    looked = len(_known_outputs(workspace, outputs)) - len(missed)
    if not yes:
        return ShreddingResult(masters, lost, looked, missed)
    for each in masters:
        files = sum(one.files for one in lost)
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
    return ShreddingResult(masters, lost, looked, missed, done=True)


def _chosen_versions(custody: KeyLifecycle, key: str | None, tenant: str | None) -> tuple[MasterKey, ...]:
    """The versions that are meant, and stand."""
    standing = [MasterKey(line.name, line.version) for line in custody.versions() if line.destroyed is None]
    if (key is None) == (tenant is None):
        raise ConfigurationError("shred wants a key or a tenant", hint="encrypt.pseudonymized/1, or --tenant NAME")
    if key is not None and key.partition("/")[0] == SUBJECT_KEY:
        message = f"versions of the key `{SUBJECT_KEY}` are not destroyed: erased subjects would not be recognized, and return"
        hint = "`minimize subject delete` erases one subject; only keys named `encrypt.…` are destroyed"
        raise RefusedError(message, hint=hint)
    if tenant is not None:
        names = {master_key_name(category, quote(tenant, safe="")) for category in ENCRYPTED_CATEGORIES}
        found = [each for each in standing if each.name in names]
    else:
        found = [each for each in standing if each == MasterKey.parse(str(key))]
    if custody.destroys_older:
        found = [each for each in standing if any(each.name == one.name and each <= one for one in found)]
    if not found:
        what = "the tenant has no keys of its own" if key is None else f"{key} does not stand"
        raise KeyringError(f"{what}: there is nothing to destroy", hint="`minimize keys list` shows what stands")
    return tuple(found)


def _known_outputs(workspace: Workspace, outputs: Iterable[LocationLike]) -> list[LocationLike]:
    """The outputs that the ledger has seen from this machine, and those that are named."""
    with workspace.open_ledger(create=True) as ledger:
        seen = [each.folder for each in ledger.read(api.runs.output_locations) if each.is_here or "://" in each.folder]
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
            lost = [file for file in files if ids & {*(file.keys or ())}]
            for on in sorted({output_and_date(file.path)[1] for file in lost}, key=str):
                these = [file for file in lost if output_and_date(file.path)[1] == on]
                rows, of = sum(file.rows for file in these), _folders_below_dates([file.path for file in these])
                yield UnreadablePartition(str(output), name, on, len(these), rows, of)


def _folders_below_dates(paths: Sequence[str]) -> tuple[str, ...]:
    """The folders below dates, as they are named: whose files these are."""
    parts = {part for path in paths for part in PurePosixPath(path).parts[1:-1] if "=" in part}
    return tuple(sorted(unquote(part) for part in parts if not part.startswith("date=")))
