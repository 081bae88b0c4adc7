"""What people ask an open ledger about its log, each answer from one look at it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from sqlalchemy import Connection

from minimize.errors import Finding
from minimize.keys import Verifier
from minimize.ledger.audit import Wanted, entries, head, latest
from minimize.ledger.chain import Entry, Head
from minimize.ledger.checking import Kept, check_kept, check_log, check_receipts, unanchored
from minimize.ledger.checkpoint import Checkpoint, last_checkpoint
from minimize.ledger.ledger import Ledger
from minimize.ledger.settings import digests
from minimize.ledger.settings_told import check_settings
from minimize.receipt import Receipt


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of the log found, the head that the log has, and the checkpoint that it goes on from where it has one."""

    head: Head
    findings: tuple[Finding, ...]
    checkpoint: Checkpoint | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; warnings are not."""
        return not any(finding.severity == "error" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """What `audit verify --json` prints; kept elsewhere, it is what `--head` takes."""
        findings = [finding.as_json() for finding in self.findings]
        said = {"ok": self.ok, "sequence": self.head.sequence, "head": self.head.digest, "findings": findings}
        gone = None if self.checkpoint is None else self.checkpoint.head
        return said if gone is None else {**said, "checkpoint": {"sequence": gone.sequence, "head": gone.digest}}


def logged(ledger: Ledger, wanted: Wanted, last: int | None = None) -> list[Entry]:
    """The entries that are wanted, oldest first; the last so many of them where a number is given."""

    def work(connection: Connection) -> list[Entry]:
        return list(entries(connection, wanted)) if last is None else latest(connection, wanted, last)

    return ledger.read(work)


def checked(
    ledger: Ledger, verifier: Verifier, kept: Kept | None = None, receipts: Sequence[tuple[str, Receipt]] = ()
) -> Checked:
    """The whole log checked: by itself, beside a head that was kept, and beside receipts, each with its place."""

    def work(connection: Connection) -> Checked:
        findings = [*check_log(connection, verifier), *check_settings(connection, digests(connection))]
        findings += [] if kept is None else check_kept(connection, kept)
        findings += check_receipts(connection, receipts, verifier)
        if kept is None and not any(receipt.audit is not None for _, receipt in receipts):
            findings.append(unanchored())
        return Checked(head(connection), tuple(findings), last_checkpoint(connection))

    return ledger.read(work)


def exported(ledger: Ledger, wanted: Wanted, out: TextIO) -> int:
    """Writes the entries that are wanted, one JSON object a line; gives how many."""
    return ledger.read(lambda connection: _written(entries(connection, wanted), out))


def as_json(entry: Entry) -> dict[str, Any]:
    """An entry as the JSON object that `audit log --json` and `audit export` give."""
    return {
        "sequence": entry.sequence,
        "previous": entry.previous,
        "digest": entry.digest,
        "event": json.loads(entry.event),
        "signature": {"algorithm": "ed25519", "key": entry.key, "value": entry.signature},
    }


def _written(found: Iterable[Entry], out: TextIO) -> int:
    return sum(1 for entry in found if out.write(json.dumps(as_json(entry), ensure_ascii=False) + "\n"))
