"""What there is where an incident looks, before any file is read: from receipts, disclosures, the audit log and the keyring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from minimize.errors import MinimizeError
from minimize.governance.incidents.copies import Copy, copies
from minimize.governance.incidents.exposed import Exposure
from minimize.governance.incidents.reached import Reach, reached
from minimize.governance.incidents.reads import Read, handed_by, reads, unplaced
from minimize.governance.subjects.outputs import Output, Unreached, outputs
from minimize.io.stored import open_stored
from minimize.keys import Keyring, find_kms
from minimize.ledger.tenants import tenants_named
from minimize.stores import Anywhere, local, output_at
from minimize.switching import House


@dataclass(frozen=True)
class Ground:
    """What was found of an exposure.

    outputs  that could be looked at; missed: that could not
    reaches  the files that it reached
    reads    that it exposed; unplaced: views and exports of persons that named no tenant
    sent     the acts of sharing by exposed actors, each with what of the incident exposed it
    copies   those that were out
    tenants  those that the ledger names
    """

    keys: Keyring
    outputs: Sequence[Output]
    missed: tuple[Unreached, ...]
    reaches: Sequence[Reach]
    reads: Sequence[Read]
    unplaced: Sequence[Mapping[str, Any]]
    sent: Mapping[str, str]
    copies: Sequence[Copy]
    tenants: frozenset[str]

    @classmethod
    def of(
        cls, exposure: Exposure, window: tuple[datetime, datetime], house: House, named: Sequence[Anywhere] = ()
    ) -> Self:
        """What there is of an exposure in a window, in outputs that are named, too.

        Raises LedgerError, KeyringError, OutputError.
        """
        keys = house.keyring()
        with house.opened() as ledger:
            known, missed = outputs(ledger, [*named, *_said(exposure)])
            seen, acts = reads(ledger, exposure, window), unplaced(ledger, exposure, window)
            sent, out = handed_by(ledger, exposure, window), list(copies(ledger, window))
            tenants = tenants_named(ledger)
        files = list(reached(exposure, known, seen, window))
        return cls(keys, known, missed, files, seen, acts, sent, out, tenants)

    @property
    def acts(self) -> frozenset[str]:
        """What of the incident the audit log has acts of: grants, actors."""
        placed = {each.via for each in self.reads} | {str(each["via"]) for each in self.unplaced}
        return frozenset(placed | {*self.sent.values()})

    def columns(self) -> frozenset[str] | None:
        """The columns of the files that it reached, by one file of each kind; None where one cannot be opened."""
        kinds = {(each.output.folder, each.name, each.written.same): each for each in self.reaches}
        try:
            return frozenset(name for each in kinds.values() for name in self._names(each))
        except (MinimizeError, OSError):
            return None

    def _names(self, reach: Reach) -> Iterator[str]:
        folder = reach.output.folder
        yield from open_stored(folder, reach.file.path, find_kms(self.keys, local(folder))).whole.names


def _said(exposure: Exposure) -> list[str]:
    """The folders of outputs that the incident names itself."""
    return [each.name for each in exposure.named("output") if output_at(each.name).is_dir()]
