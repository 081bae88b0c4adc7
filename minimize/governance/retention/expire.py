"""`expire`: what must not stand any longer goes, by event time, under today's policy and after what happened since."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from minimize.encryption import unless_shredded
from minimize.errors import KeyringError, OutputError, quietly
from minimize.governance.access.gate import gate
from minimize.governance.retention.carry import Carrying
from minimize.governance.retention.due import RECORDS, Due, look, look_closed
from minimize.governance.retention.events import Event
from minimize.governance.retention.given import load_events
from minimize.governance.retention.kept import kept_events
from minimize.governance.retention.ordered import Asked
from minimize.governance.retention.plan import Open, Plan, opens, planned
from minimize.governance.retention.rotated import identified
from minimize.governance.retention.written import Reading, Written, times_read, writers
from minimize.io.published import receipts
from minimize.job.ledgers import check_ledger_of
from minimize.job.origin import pipeline_behind
from minimize.keys import Keyring, find_keyring
from minimize.ledger import find_ledger
from minimize.policy.pipeline import Pipeline
from minimize.receipt import OutputFile, Receipt, in_force, kept_sketches
from minimize.stores import Anywhere, output_at
from minimize.switching import House
from minimize.times import moment

PathLike_ = str | PathLike[str]


@dataclass(frozen=True, slots=True)
class Expired:
    """What was found due, and a receipt for each policy whose files were changed; none where nothing was."""

    plan: Plan
    receipts: tuple[Receipt, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The plan, and the receipts."""
        return {**self.plan.as_json(), "receipts": [receipt.as_json() for receipt in self.receipts]}


@dataclass(frozen=True, slots=True)
class Expiry:
    """An expiry that was resolved: an output, its receipts, the pipeline of today, and what is asked."""

    asked: Asked
    pipeline: Pipeline
    chain: tuple[Receipt, ...] = field(repr=False)
    reading: Reading | None = field(default=None, repr=False)

    def with_plan(self, ledger: PathLike_ | None) -> tuple[Expiry, Plan]:
        """The expiry and its plan. Subjects that a file may have in a form that the ledger does not know are named by their ids,
        as far as the sources of files tell them."""
        plan = self.plan()
        if not plan.unsure:
            return self, plan
        files = self.standing(RECORDS)
        made = replace(self, asked=identified(self.asked, plan.unsure, files, self.pipeline, self.chain, ledger))
        return made, made.plan()

    def plan(self) -> Plan:
        """What is due."""
        looked = list(self._looked(self.asked))
        closed = tuple(file.path for file, due in looked if due is None)
        return replace(planned(self.asked.at, [due for _, due in looked if due is not None]), closed=closed)

    def open(self, plan: Plan) -> list[Open]:
        """What is open by a plan, and by when."""
        return opens(
            plan, self.asked.events, {event: self._concerned(event, plan.due) for event in self.asked.happened}
        )

    def _looked(self, asked: Asked) -> Iterator[tuple[OutputFile, Due | None]]:
        """Each file with what is due of it; None where its keys were destroyed, and its batch date is not past its retention."""
        for written, file in self.standing():
            due = unless_shredded(partial(look, asked, written, file))
            yield file, look_closed(asked, written, file) if due is None else due
        written_by = self._writers()
        for each in kept_sketches(self.chain):
            file = OutputFile(each.path, 0, each.digest)
            due = look_closed(asked, written_by[each.of], file)
            if due is not None:
                yield file, due

    def standing(self, name: str | None = None) -> Iterator[tuple[Written, OutputFile]]:
        """The files in force (of one output where it is named), each with who wrote it."""
        written_by = self._writers()
        for output, files in in_force(self.chain).items():
            if name in (None, output):
                yield from ((written_by[file.path], file) for file in files)

    def _writers(self) -> dict[str, Written]:
        by = writers(self.chain)
        runs = {each.run_id: each for each in by.values()}
        reading = self.reading or Reading(self.pipeline.policy.purposes)
        known = {run: Written(self.asked.output, each, reading) for run, each in runs.items()}
        return {path: known[receipt.run_id] for path, receipt in by.items()}

    def _concerned(self, event: Event, due: tuple[Due, ...]) -> int:
        """How many files hold something that goes because of one event."""
        alone = replace(self.asked, events=(event,))
        looked = (look(alone, each.written, each.file) for each in due if each.names(event))
        return sum(bool(each.gated.get("erased") or each.is_handed) for each in looked)


def expire(
    output: Anywhere,
    *,
    at: datetime | str | None = None,
    pipeline: PathLike_ | None = None,
    events: PathLike_ | None = None,
    keys: Keyring | PathLike_ | None = None,
    ledger: PathLike_ | None = None,
    yes: bool = False,
    allow_shrink: bool = False,
) -> Expired:
    """Takes out of an output what is past its retention, and what must go after events; without `yes` only the plan is made.

    Takes the output folder; the time as of which it counts (aware; now); what stands in for the pipeline that its receipts
    name; a file of events, beside those that the ledger keeps; the keyring; the ledger; whether a time is believed that is far
    from the last receipt's. Retention is that of today's policy and counts from the oldest instant that a released event time
    may stand for.

    Raises PolicyError, KeyringError, OutputError, LedgerError (2), RefusedError (3), also if the time is implausible and
    something would be removed; then what is left is not done.
    """
    found = resolved(output, at=at, pipeline=pipeline, events=events, keys=keys, ledger=ledger)
    made, plan = quietly(lambda: found.with_plan(ledger))
    if not yes or not plan.due:
        return Expired(plan)
    house = House(ledger, str(made.asked.output), made.pipeline, made.asked.keys)
    gate("output/expire", house, datetime.now(UTC), dataset=made.pipeline.pipeline)
    carrying = Carrying(made.asked, made.pipeline, at is not None, ledger, allow_shrink=allow_shrink)
    return Expired(plan, quietly(lambda: carrying.out(plan)))


def open_items(output: Anywhere, **asked: Any) -> list[Open]:
    """What is due in an output or will be after events, and by when. Takes and raises what `expire` does."""
    made, plan = quietly(lambda: resolved(output, **asked).with_plan(asked.get("ledger")))
    return quietly(lambda: made.open(plan))


def resolved(
    output: Anywhere,
    *,
    at: datetime | str | None = None,
    pipeline: PathLike_ | None = None,
    events: PathLike_ | None = None,
    keys: Keyring | PathLike_ | None = None,
    ledger: PathLike_ | None = None,
) -> Expiry:
    """What an expiry needs, found and checked; nothing is changed."""
    folder = output_at(output)
    chain = receipts(folder)
    if not chain:
        raise OutputError("nothing was published here yet", hint="`minimize run` does")
    job = pipeline_behind(folder, chain[-1], pipeline)
    check_ledger_of(folder, job.folder, ledger)
    keyring = find_keyring(keys, job.folder)
    if keyring is None:
        raise KeyringError("no keyring, and every change signs its receipt", hint="--keys FILE or MINIMIZE_KEYS")
    now = moment(at, "at") or datetime.now(UTC)
    given = () if events is None else load_events(Path(events))
    kept = kept_events(find_ledger(ledger, start=job.folder, output=folder), keyring, given)
    read, spans = times_read(chain), job.own_retentions
    asked = Asked(folder, job.policy, now, keyring, (*given, *kept), read=read, spans=spans)
    return Expiry(asked, job, chain)
