"""`shred`: a version of a master key is destroyed, and with it everything that is encrypted under it alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote, unquote

from minimize.counts import counted
from minimize.errors import ConfigurationError, KeyringError, MinimizeError, RefusedError
from minimize.governance.access.gate import gate
from minimize.governance.custody.telling import tell
from minimize.io.places import place_of
from minimize.io.published import receipts
from minimize.keys import Master
from minimize.keys.custody import Custody
from minimize.keys.kms import custody_of
from minimize.keys.masters import master_name
from minimize.ledger import Change
from minimize.ledger.tokens import KEY
from minimize.receipt import in_force
from minimize.stores import Anywhere, output_at
from minimize.switching import House

CATEGORIES: Final = ("identified", "pseudonymized")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What becomes unreadable of one output on one date: how many files and rows, and whose, where folders tell."""

    output: str
    name: str
    date: str | None
    files: int
    rows: int
    of: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As `keys shred --json` prints it."""
        counted = {"files": self.files, "rows": self.rows, "of": list(self.of)}
        return {"output": self.output, "name": self.name, "date": self.date, **counted}

    def __str__(self) -> str:
        whose = f" of {', '.join(self.of)}" if self.of else ""
        when = "" if self.date is None else f" of {self.date}"
        return f"{self.output}: {self.name}{when}: {counted(self.files, 'file')}, {counted(self.rows, 'row')}{whose}"


@dataclass(frozen=True, slots=True)
class Shredding:
    """The versions, what becomes unreadable, which outputs could not be looked at, and whether it was done."""

    masters: tuple[Master, ...]
    unreadable: tuple[Unreadable, ...]
    looked: int
    missed: tuple[str, ...] = ()
    done: bool = False

    def as_json(self) -> dict[str, Any]:
        """As `keys shred --json` prints it."""
        return {
            "keys": [each.id for each in self.masters],
            "unreadable": [each.as_json() for each in self.unreadable],
            "outputs": self.looked,
            "missed": list(self.missed),
            "done": self.done,
        }

    def __str__(self) -> str:
        ids = ", ".join(each.id for each in self.masters)
        missed = [f"{folder}: could not be looked at" for folder in self.missed]
        known = f"in {self.looked} outputs that are known here"
        found = f"unreadable {known}:" if self.unreadable else f"no file {known} uses it"
        verb = "destroyed" if self.done else "would be destroyed"
        end = [] if self.done else ["nothing was changed: --yes does it; it cannot be undone"]
        return "\n".join([f"{ids} {verb}; {found}", *map(str, self.unreadable), *missed, *end])


def shred(
    house: House,
    now: datetime,
    *,
    key: str | None = None,
    tenant: str | None = None,
    outputs: Iterable[Anywhere] = (),
    yes: bool = False,
) -> Shredding:
    """Destroys a version of a master key, or all of a tenant's own; without `yes` it only says what would become unreadable.

    Takes the house (keyring, ledger); the time; a key (`encrypt.pseudonymized/1`) or a tenant; outputs to look at beside those
    that the ledger knows. The log is told before it is done. Raises KeyringError, LedgerError (2), AccessDenied (3), and
    RefusedError (3) for the `subject` key.
    """
    gate("keys/shred", house, now, tenant=tenant)
    custody = custody_of(house.keyring(), house.folder, now=now)
    masters = _masters(custody, key, tenant)
    found = [*_unreadable({each.id for each in masters}, *_known(house, outputs))]
    missed = tuple(each for each in found if isinstance(each, str))
    lost = tuple(each for each in found if isinstance(each, Unreadable))
    looked = len(_known(house, outputs)) - len(missed)
    if not yes:
        return Shredding(masters, lost, looked, missed)
    for each in masters:
        files = sum(one.files for one in lost)
        tell(house, "shred", [each], now, Change("state", "standing", "destroyed"), Change("files", files, 0))
    for each in masters if not custody.older_too else {one.name: one for one in masters}.values():
        custody.destroy(each)
    return Shredding(masters, lost, looked, missed, done=True)


def _masters(custody: Custody, key: str | None, tenant: str | None) -> tuple[Master, ...]:
    """The versions that are meant, and stand."""
    standing = [Master(line.name, line.version) for line in custody.versions() if line.destroyed is None]
    if (key is None) == (tenant is None):
        raise ConfigurationError("shred wants a key or a tenant", hint="encrypt.pseudonymized/1, or --tenant NAME")
    if key is not None and key.partition("/")[0] == KEY:
        message = f"versions of the key `{KEY}` are not destroyed: erased subjects would not be recognized, and return"
        hint = "`minimize subject delete` erases one subject; only keys named `encrypt.…` are destroyed"
        raise RefusedError(message, hint=hint)
    if tenant is not None:
        names = {master_name(category, quote(tenant, safe="")) for category in CATEGORIES}
        found = [each for each in standing if each.name in names]
    else:
        found = [each for each in standing if each == Master.parse(str(key))]
    if custody.older_too:
        found = [each for each in standing if any(each.name == one.name and each <= one for one in found)]
    if not found:
        what = "the tenant has no keys of its own" if key is None else f"{key} does not stand"
        raise KeyringError(f"{what}: there is nothing to destroy", hint="`minimize keys list` shows what stands")
    return tuple(found)


def _known(house: House, outputs: Iterable[Anywhere]) -> list[Anywhere]:
    """The outputs that the ledger has seen from this machine, and those that are named."""
    from minimize.ledger.runs import places

    with house.opened(create=True) as ledger:
        seen = [each.folder for each in ledger.read(places) if each.is_here or "://" in each.folder]
    every = {str(output_at(each)): each for each in (*seen, *outputs)}
    return [*every.values()]


def _unreadable(ids: set[str], *outputs: Anywhere) -> Iterator[Unreadable | str]:
    for output in outputs:
        try:
            force = in_force(receipts(output_at(output)))
        except (MinimizeError, OSError):
            yield str(output)
            continue
        for name, files in force.items():
            lost = [file for file in files if ids & {*(file.keys or ())}]
            for on in sorted({place_of(file.path)[1] for file in lost}, key=str):
                these = [file for file in lost if place_of(file.path)[1] == on]
                rows, of = sum(file.rows for file in these), _whose([file.path for file in these])
                yield Unreadable(str(output), name, on, len(these), rows, of)


def _whose(paths: Sequence[str]) -> tuple[str, ...]:
    """The folders below dates, as they are named: whose files these are."""
    parts = {part for path in paths for part in PurePosixPath(path).parts[1:-1] if "=" in part}
    return tuple(sorted(unquote(part) for part in parts if not part.startswith("date=")))
