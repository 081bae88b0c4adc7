"""`scope`: whom an incident affects, from receipts, files, disclosures, the audit log and grants; nobody else is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow.compute as pc

from minimize.governance.incidents.acting import named, step
from minimize.governance.incidents.copies import Copy, copies
from minimize.governance.incidents.counting import Counted, Counting, Lost
from minimize.governance.incidents.exposed import Exposure
from minimize.governance.incidents.heads import Heads
from minimize.governance.incidents.incident import Incident
from minimize.governance.incidents.reached import reached
from minimize.governance.incidents.reads import Read, reads
from minimize.governance.incidents.remembered import Remembering
from minimize.governance.incidents.tenant import Affected, Found
from minimize.governance.subjects.outputs import Unreached, outputs
from minimize.ledger.tenants import tenants_named
from minimize.receipt import time_text
from minimize.stores import Anywhere, output_at
from minimize.switching import House


@dataclass(frozen=True)
class Scope:
    """How far an incident reaches.

    lost       files that were exposed and cannot be looked at any more
    unreached  outputs that cannot be looked at from here
    nobodys    records whose tenant no file tells
    reads      the reads that were exposed
    """

    at: datetime
    tenants: tuple[Affected, ...] = ()
    lost: tuple[Lost, ...] = ()
    unreached: tuple[Unreached, ...] = ()
    nobodys: int = 0
    reads: tuple[Read, ...] = field(default=(), repr=False)

    def as_json(self) -> dict[str, Any]:
        """The scope, as the ledger keeps it."""
        return {
            "at": time_text(self.at),
            "tenants": [each.as_json() for each in self.tenants],
            "reads": [
                {"actor": each.actor, "dataset": each.dataset, "at": time_text(each.at), "rows": each.rows}
                for each in self.reads
            ],
            "records_of_unknown_tenants": self.nobodys,
            "not_searched": [
                {"output": str(each.reach.output.folder), "file": each.reach.file.path, "rows": each.reach.file.rows}
                | {"why": each.why, "tenants_by": each.by}
                for each in self.lost
            ],
            "not_reached": [
                {"output": each.folder, "pipeline": each.pipeline, "why": each.why} for each in self.unreached
            ],
        }


def scope(name: str, house: House, now: datetime, *, named_: Sequence[Anywhere] = ()) -> Incident:
    """Works out how far an incident reaches, and records it. Raises ConfigurationError, LedgerError, KeyringError."""
    this = named(name, house)
    found = scope_of(this.exposure, this.window, house, now, named=named_)
    return step(name, "scoped", lambda _: {"scope": found.as_json()}, house, now)


def scope_of(
    exposure: Exposure,
    window: tuple[datetime, datetime],
    house: House,
    now: datetime,
    *,
    named: Sequence[Anywhere] = (),
) -> Scope:
    """How far something that was exposed in a window reaches. Raises LedgerError, KeyringError, OutputError."""
    keys = house.keyring()
    with house.opened() as ledger:
        known, missed = outputs(ledger, [*named, *_said(exposure)])
        seen = reads(ledger, exposure, window)
        counting = Counting(keys, exposure.keys, tenants_named(ledger))
        files = [counting.of(each) for each in reached(exposure, known, seen, window)]
        out = list(copies(ledger, window))
    remembering = Remembering(keys, exposure.keys)
    lost = [remembering.of(each) for each in files if isinstance(each, Lost)]
    counted = [each for each in files if isinstance(each, Counted)]
    counted += [each for _, each in lost if each is not None]
    taken = [each for each in out if _is_taken(each, exposure)]
    return Scope(
        now,
        tuple(_affected(counted, taken, out, exposure)),
        tuple(each for each, _ in lost),
        missed,
        sum(_nobodys(each) for each in counted),
        tuple(seen),
    )


def _said(exposure: Exposure) -> list[str]:
    """The folders of outputs that the incident names itself."""
    return [each.name for each in exposure.named("output") if output_at(each.name).is_dir()]


def _affected(
    counted: Sequence[Counted], taken: Sequence[Copy], out: Sequence[Copy], exposure: Exposure
) -> Iterator[Affected]:
    found: dict[str, list[Found]] = {}
    heads = Heads()
    for each in counted:
        heads.add_file(each)
        for tenant, one in _found(each):
            found.setdefault(tenant, []).append(one)
    for copy in taken:
        heads.add_copy(copy)
        found.setdefault(copy.tenant, []).append(_copied(copy, exposure))
    subjects = heads.subjects()
    policies = {each.reach.written.receipt.policy.name for each in counted} | {each.policy for each in taken}
    for tenant in sorted(found):
        having = tuple(each.as_json() for each in out if each.tenant == tenant and each.policy in policies)
        yield Affected(tenant, subjects.get(tenant), tuple(found[tenant]), having)


def _found(each: Counted) -> Iterator[tuple[str, Found]]:
    """What a file holds, tenant by tenant. The loop runs over tenants."""
    how = [("rows", "sum"), ("since", "min"), ("until", "max")]
    by = each.persons.group_by("tenant").aggregate(how)
    place = f"{each.reach.output.folder}/{each.reach.file.path}"
    for line in by.to_pylist():
        tenant = line["tenant"]
        if tenant is not None:
            columns = each.columns.get(tenant, frozenset())
            times = (line["since_min"], line["until_max"])
            yield tenant, Found(each.reach.via, place, columns, line["rows_sum"], *times)


def _is_taken(copy: Copy, exposure: Exposure) -> bool:
    """Whether a copy was exposed: with its recipient, or by keys alone that something in it was made with."""
    if exposure.only_keys:
        return bool(copy.columns(exposure.keys, keyed=True))
    return copy.recipient in exposure.names("recipient")


def _copied(copy: Copy, exposure: Exposure) -> Found:
    until = int(copy.act.recorded_at.timestamp() * 1_000_000)
    columns = copy.columns(exposure.keys, keyed=exposure.only_keys)
    via = ", ".join(map(str, exposure.each)) if exposure.only_keys else f"recipient:{copy.recipient}"
    return Found(via, copy.act.disclosure, columns, copy.share.rows, None, until)


def _nobodys(each: Counted) -> int:
    unknown = each.persons.filter(pc.is_null(each.persons["tenant"]))
    return int(pc.sum(unknown["rows"]).as_py() or 0)
