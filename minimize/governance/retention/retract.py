"""`retract`: today's policy, settings and consents over what was written before.

A date whose receipt shows that nothing can have changed is left alone. Another date is run anew from its source where that still
stands, with the digests of its receipt, and nothing was taken out of the output since that a run would bring back; otherwise it
works on the output, and errs towards removal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from os import PathLike
from typing import Any

from minimize.consent import ConsentPeriods
from minimize.errors import Finding, KeyringError, OutputError, RefusedError, quietly
from minimize.governance.access.gate import gate
from minimize.governance.retention.again import Again
from minimize.governance.retention.agreed import Agreed
from minimize.governance.retention.carry import NOWHERE, Carrying
from minimize.governance.retention.clock import Clock
from minimize.governance.retention.coarser import finer, form
from minimize.governance.retention.collected import Collected
from minimize.governance.retention.due import RECORDS, Due, counts_of
from minimize.governance.retention.look import Orders
from minimize.governance.retention.ordered import Asked, named_in
from minimize.governance.retention.plan import Plan, counted_from, planned
from minimize.governance.retention.rules import Rules, fields_of
from minimize.governance.retention.sources import Standing, standing_sources
from minimize.governance.retention.unaffected import Unaffected
from minimize.governance.retention.written import Reading, Written, writers
from minimize.io.places import place_of
from minimize.io.published import receipts
from minimize.io.stored import Stored, open_stored
from minimize.job.collecting import load_job_settings
from minimize.job.erasing import load_people
from minimize.job.job import perform, quiet
from minimize.job.ledgers import check_ledger_of
from minimize.job.origin import pipeline_behind, settings_of
from minimize.job.origin import place_of as written_at
from minimize.job.sender import check_same_sender, periods_of
from minimize.job.told import How
from minimize.keys import Keyring, find_keyring
from minimize.policy.condition import Condition, Feature, Level
from minimize.policy.fields import is_dropped
from minimize.policy.pipeline import Pipeline
from minimize.policy.unapproved import check_approval
from minimize.receipt import Origin, OutputFile, Receipt, in_force
from minimize.settings import SettingsRows
from minimize.stores import Anywhere, Place, output_at
from minimize.switching import House
from minimize.times import moment

PathLike_ = str | PathLike[str]


@dataclass(frozen=True, slots=True)
class Retraction:
    """What a retraction would do, and did: dates that are run anew from their source, and what goes of the others."""

    plan: Plan
    anew: tuple[str, ...] = ()
    receipts: tuple[Receipt, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.plan.due and not self.anew

    def as_json(self) -> dict[str, Any]:
        """The plan, and the receipts."""
        said = [receipt.as_json() for receipt in self.receipts]
        return {**self.plan.as_json(), "from_source": list(self.anew), "receipts": said}

    def __str__(self) -> str:
        if self.is_empty:
            return "nothing to do: everything stands as it would be collected today"
        anew = [f"from their source anew: {', '.join(each or 'all' for each in self.anew)}"] if self.anew else []
        plan = self.plan.carried_out() if self.receipts else str(self.plan)
        return "\n".join([*anew, *([plan] if self.plan.due else [])])


@dataclass(frozen=True)
class Retracting:
    """A retraction that was resolved."""

    asked: Asked
    pipeline: Pipeline
    settings: SettingsRows | None
    consents: ConsentPeriods | None = field(repr=False)
    """When tenants agreed, as it is known today; None for records of our own."""
    chain: tuple[Receipt, ...] = field(repr=False)
    standing: Mapping[str | None, Standing] = field(repr=False)
    at_given: bool = False
    ledger: PathLike_ | None = None
    unaffected: Collection[str | None] = frozenset()
    """The dates that today's policy and settings cannot concern: their files are not opened."""

    def looked(self) -> Retraction:
        """What is to be done. Raises RefusedError where today's policy shows more than an output that must be worked on."""
        left = {*self.standing, *self.unaffected}
        files = [(written, file) for written, file in self._files() if place_of(file.path)[1] not in left]
        wrong = [finding for written, file in files for finding in self._finer(written, file)]
        if wrong:
            message = "the policy became finer, and what was made coarser cannot be made finer again"
            raise RefusedError(message, findings=list(dict.fromkeys(wrong)), hint="run dates anew whose source stands")
        due = [each for each in (self._due(written, file) for written, file in files) if each.is_due]
        touched = {each.date for each in due}
        due += [
            Due(file, written, Orders(written.policy, Rules(), self.asked.at))
            for written, file in self._aggregates()
            if touched & counted_from(written, file)
        ]
        anew = sorted(on or "" for on, each in self.standing.items() if each.is_pending)
        return Retraction(planned(self.asked.at, due), tuple(anew))

    def carried_out(self, found: Retraction) -> Retraction:
        """It is done: first the dates that are run anew, then what goes of the others."""
        made = [self._anew(self.standing[on or None]) for on in found.anew]
        carrying = Carrying(self.asked, self.pipeline, self.at_given, self.ledger, kind="retract")
        return Retraction(found.plan, found.anew, (*made, *(carrying.out(found.plan) if found.plan.due else ())))

    def _anew(self, each: Standing) -> Receipt:
        how = How("retract", "local", datetime.now(UTC), quiet, NOWHERE, ledger=self.ledger)
        return perform(each.given, how)

    def _files(self) -> Iterator[tuple[Written, OutputFile]]:
        return self._written(in_force(self.chain).get(RECORDS, ()))

    def _aggregates(self) -> Iterator[tuple[Written, OutputFile]]:
        return self._written(file for name, files in in_force(self.chain).items() if name != RECORDS for file in files)

    def _written(self, files: Iterable[OutputFile]) -> Iterator[tuple[Written, OutputFile]]:
        by, reading = writers(self.chain), Reading(self.pipeline.policy.purposes)
        yield from ((Written(self.asked.output, by[file.path], reading), file) for file in files)

    def _due(self, written: Written, file: OutputFile) -> Due:
        stored = open_stored(self.asked.output, file.path, self.asked.kms)
        again = self._again(written, stored)
        counts = counts_of(again, stored, None)
        values = {key: each.gated + each.changed for key, each in counts.fields.items() if each.gated + each.changed}
        whole = 0 < file.rows == sum(counts.gated.values())
        return Due(file, written, again, whole, counts.gated, {} if whole else values)

    def _again(self, written: Written, stored: Stored) -> Again:
        then, today, schema = written.policy, self.asked.today, stored.whole
        pointers, clock = fields_of(then, schema), Clock.of(then, schema)
        purpose = written.receipt.purpose
        types = {key: schema.field(place.top).type for key, place in pointers.items()}
        forms = {key: form(then.fields[key], today.fields.get(key), purpose, types[key]) for key in pointers}
        tenant, subject = named_in(then, Rules(pointers=pointers), clock, stored, self.asked.keys)
        collected = Collected.of(self.settings, today, self.asked.at, tenant, subject, clock)
        agreed = None if self.consents is None else Agreed.of(self.consents, tenant, clock)
        return Again(then, today, self.asked.at, pointers, forms, self._records(), collected, clock, agreed)

    def _records(self) -> tuple[Condition, ...]:
        own, job = self.asked.today.records, self.pipeline.records
        settings = [
            None if own.feature is None else Feature(own.feature),
            None if own.level is None else Level(own.level),
        ]
        conditions = [*settings, own.collect_if, None if job is None else job.collect_if]
        return tuple(each for each in conditions if each is not None)

    def _finer(self, written: Written, file: OutputFile) -> Iterator[Finding]:
        stored = open_stored(self.asked.output, file.path, self.asked.kms)
        again, purpose = self._again(written, stored), written.receipt.purpose
        for key, each in self.asked.today.fields.items():
            shown = not is_dropped(each) and (not each.purposes or purpose in each.purposes)
            new = shown and finer(written.policy.fields.get(key), each)
            if new or (key in again.forms and again.forms[key].verdict == "finer"):
                message = "today's policy shows more of it than the output has"
                yield Finding("R021", message, field=key, hint="bring the source back, or keep the coarser form")


@dataclass(frozen=True, slots=True)
class Want:
    """What a retraction was given in place of what the receipts say: pipeline, source, settings; the time, keyring, ledger."""

    pipeline: PathLike_ | None = None
    at: datetime | str | None = None
    input: PathLike_ | None = None
    settings: Any = None
    keys: Keyring | PathLike_ | None = None
    ledger: PathLike_ | None = None


def retract(output: Anywhere, *, yes: bool = False, **asked: Any) -> Retraction:
    """Applies today's policy, settings and consents to what stands in an output; without `yes` only the plan is made.

    Takes the output folder; what stands in for what its receipts name, the time as of which it counts (aware; now), keyring and
    ledger (see `Want`). Raises what `run` raises, and RefusedError (3) where the policy became finer and the source of a date
    does not stand any more; then nothing is changed.
    """
    made = quietly(lambda: _resolved(output_at(output), Want(**asked)))
    found = quietly(made.looked)
    if not yes or found.is_empty:
        return found
    house = House(made.ledger, str(made.asked.output), made.pipeline, made.asked.keys)
    gate("output/retract", house, datetime.now(UTC), dataset=made.pipeline.pipeline)
    if found.anew:
        check_approval(made.pipeline.policy, made.pipeline.folder)
    return quietly(lambda: made.carried_out(found))


def _resolved(folder: Place, want: Want) -> Retracting:
    chain = receipts(folder)
    if not chain:
        raise OutputError("nothing was published here yet", hint="`minimize run` does")
    job = pipeline_behind(folder, chain[-1], want.pipeline)
    check_same_sender(job, chain)
    check_ledger_of(folder, job.folder, want.ledger)
    keyring = find_keyring(want.keys, job.folder)
    if keyring is None:
        raise KeyringError("no keyring, and every change signs its receipt", hint="--keys FILE or MINIMIZE_KEYS")
    now, origin = moment(want.at) or datetime.now(UTC), chain[-1].origin or Origin()
    said = want.settings if want.settings is not None else settings_of(folder, origin)
    rows = load_job_settings(said, job, keyring, folder, want.ledger)
    source = want.input or written_at(folder, origin.input)
    consents = load_people(job, keyring, folder, want.ledger).consents
    unaffected = Unaffected(job, folder, chain, now, source, said, rows, consents, keyring, want.ledger).dates()
    standing = standing_sources(job, folder, chain, now, source, said, keyring, want.ledger, without=unaffected)
    return Retracting(
        Asked(folder, job.policy, now, keyring),
        job,
        rows,
        periods_of(job, consents, now),
        chain,
        standing,
        want.at is not None,
        want.ledger,
        unaffected,
    )
