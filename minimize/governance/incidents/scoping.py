"""`scope`: whom an incident affects, from receipts, files, disclosures, the audit log and grants; nobody else is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow.compute as pc

from minimize.governance.incidents.acting import is_open, named, step
from minimize.governance.incidents.copies import Copy
from minimize.governance.incidents.counting import Counted, Counting, Lost
from minimize.governance.incidents.exposed import Exposed, Exposure
from minimize.governance.incidents.ground import Ground
from minimize.governance.incidents.heads import Heads
from minimize.governance.incidents.incident import Incident
from minimize.governance.incidents.reads import Read
from minimize.governance.incidents.remembered import Remembering
from minimize.governance.incidents.tenant import Affected, Found
from minimize.governance.incidents.unmatched import Matching
from minimize.governance.subjects.outputs import Unreached
from minimize.receipt import time_text
from minimize.stores import Anywhere
from minimize.switching import House


@dataclass(frozen=True)
class Scope:
    """How far an incident reaches.

    lost       files that were exposed and cannot be looked at any more
    unreached  outputs that cannot be looked at from here
    nobodys    records whose tenant no file tells
    reads      the reads that were exposed
    unmatched  what it names and nothing matches
    unplaced   views and exports of persons that named no tenant
    """

    at: datetime
    tenants: tuple[Affected, ...] = ()
    lost: tuple[Lost, ...] = ()
    unreached: tuple[Unreached, ...] = ()
    nobodys: int = 0
    reads: tuple[Read, ...] = field(default=(), repr=False)
    unplaced: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    unmatched: tuple[Exposed, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The scope, as the ledger keeps it."""
        return {
            "at": time_text(self.at),
            "tenants": [each.as_json() for each in self.tenants],
            "reads": [
                {"actor": each.actor, "dataset": each.dataset, "at": time_text(each.at), "rows": each.rows}
                for each in self.reads
            ],
            "nothing_matches": [str(each) for each in self.unmatched],
            "acts_of_unknown_tenants": [dict(each) for each in self.unplaced],
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
    """Works out how far an incident reaches, and records it.

    Raises ConfigurationError where it is closed; LedgerError, KeyringError.
    """
    this = is_open(named(name, house))
    found = scope_of(this.exposure, this.window, house, now, named=named_)

    def wants(now_there: Incident | None) -> Mapping[str, Any]:
        is_open(now_there)
        return {"scope": found.as_json()}

    return step(name, "scoped", wants, house, now)


def scope_of(
    exposure: Exposure,
    window: tuple[datetime, datetime],
    house: House,
    now: datetime,
    *,
    named: Sequence[Anywhere] = (),
) -> Scope:
    """How far something that was exposed in a window reaches. Raises LedgerError, KeyringError, OutputError."""
    ground = Ground.of(exposure, window, house, named)
    counting = Counting(ground.keys, exposure.keys, ground.tenants)
    files = [counting.of(each) for each in ground.reaches]
    remembering = Remembering(ground.keys, exposure.keys)
    lost = [remembering.of(each) for each in files if isinstance(each, Lost)]
    counted = [each for each in files if isinstance(each, Counted)]
    counted += [each for _, each in lost if each is not None]
    taken = [(each, via) for each in ground.copies if (via := _via(each, exposure, ground.sent)) is not None]
    filled = frozenset(column.name for one in counted for some in one.columns.values() for column in some)
    return Scope(
        now,
        tuple(_affected(counted, taken, ground.copies, exposure)),
        tuple(each for each, _ in lost),
        ground.missed,
        sum(_nobodys(each) for each in counted),
        tuple(ground.reads),
        tuple(ground.unplaced),
        tuple(Matching(ground, filled).unmatched(exposure)),
    )


def _affected(
    counted: Sequence[Counted], taken: Sequence[tuple[Copy, str]], out: Sequence[Copy], exposure: Exposure
) -> Iterator[Affected]:
    found: dict[str, list[Found]] = {}
    heads = Heads()
    for each in counted:
        heads.add_file(each)
        for tenant, one in _found(each):
            found.setdefault(tenant, []).append(one)
    for copy, via in taken:
        heads.add_copy(copy)
        found.setdefault(copy.tenant, []).append(_copied(copy, via, exposure))
    subjects = heads.subjects()
    policies = {each.reach.written.receipt.policy.name for each in counted} | {each.policy for each, _ in taken}
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
            sure = not each.remembered and each.reach.read is None
            yield tenant, Found(each.reach.via, place, columns, line["rows_sum"], *times, sure=sure)


def _via(copy: Copy, exposure: Exposure, sent: Mapping[str, str]) -> str | None:
    """What exposed a copy: its recipient, who sent it, or keys alone that something in it was made with; None: nothing did."""
    if exposure.only_keys:
        made = copy.columns(exposure.keys, keyed=True)
        return ", ".join(map(str, exposure.each)) if made else None
    if copy.recipient in exposure.names("recipient"):
        return f"recipient:{copy.recipient}"
    return sent.get(copy.act.disclosure)


def _copied(copy: Copy, via: str, exposure: Exposure) -> Found:
    until = int(copy.act.recorded_at.timestamp() * 1_000_000)
    columns = copy.columns(exposure.keys, keyed=exposure.only_keys)
    return Found(via, copy.act.disclosure, columns, copy.share.rows, None, until)


def _nobodys(each: Counted) -> int:
    unknown = each.persons.filter(pc.is_null(each.persons["tenant"]))
    return int(pc.sum(unknown["rows"]).as_py() or 0)
