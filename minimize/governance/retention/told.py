"""The receipt of an expiry: counts of what went, from the plan and from the rewriting; no values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from minimize.errors import ConfigurationError
from minimize.governance.retention.due import RECORDS, Due
from minimize.governance.retention.plan import Plan
from minimize.governance.retention.recompute import Recomputed
from minimize.governance.retention.written import AGGREGATES, RETENTION, Written
from minimize.io.durable import digest_of
from minimize.io.rewrite import Rewritten
from minimize.io.stated import files_stated, indexes_stated, keys_stated, sketches_stated
from minimize.job import account
from minimize.keys.masters import is_master
from minimize.policy.approval import reference
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.receipt import FieldReceipt, GatedBy, Kind, Output, Receipt, Rows, sha256_text
from minimize.stage import Counts, FieldCounts

REASONS: Final = ("setting", "condition", "retention", "erased", "consent")


def retention_files(today: Pipeline, written: Written) -> dict[str, bytes]:
    """The bytes of today's policy, and of today's pipeline if aggregates have retentions of their own, now or then.

    Raises ConfigurationError if the files are not those that were loaded.
    """
    files = {RETENTION: loaded_bytes(today.policy)}
    then = (written.pipeline.get("aggregates") or {}).values()
    if today.own_retentions or any(each.get("retention") for each in then):
        files |= {AGGREGATES: loaded_bytes(today)}
    return files


def loaded_bytes(of: Policy | Pipeline) -> bytes:
    """The bytes of a policy's or pipeline's file. Raises ConfigurationError if they are not those that were loaded."""
    if of.path is None or digest_of(of.path) != of.digest:
        name = "policy.yaml" if isinstance(of, Policy) else "pipeline.yaml"
        raise ConfigurationError(f"{name} was changed while it was in use", hint="run again")
    return of.path.read_bytes()


@dataclass(frozen=True, slots=True)
class Telling:
    """What the receipt of some files says, which one policy was written for all of them."""

    chain: Sequence[Receipt]
    run_id: str
    group: tuple[Due, ...]
    plan: Plan
    today: Policy
    at_given: bool
    started: datetime
    kind: Kind = "expire"
    made: tuple[Recomputed, ...] = ()

    def receipt(self, done: Rewritten, attachments: Mapping[str, bytes]) -> Receipt:
        """The receipt, not signed yet."""
        last, first = self.chain[-1], self.group[0].written.receipt
        rows = self._rows()
        return Receipt(
            kind=self.kind,
            run_id=self.run_id,
            sequence=last.sequence + 1,
            previous=last.digest,
            pipeline=first.pipeline,
            purpose=first.purpose,
            engine="local",
            at=self.plan.at,
            at_given=self.at_given,
            started=self.started,
            finished=datetime.now(UTC),
            dates=tuple(sorted({each.date for each in self.group if each.date is not None})),
            policy=first.policy,
            plan=first.plan,
            keys=self._keys(done),
            versions=account.versions(),
            rows=rows,
            gated_by=GatedBy.of(self._reasons()),
            fields=self._fields(done.counts),
            outputs=self._outputs(done),
            replaces=done.replaces,
            removes=done.removes,
            retention=reference(self.today),
            stays=self._stays() or None,
            from_="output" if self.kind == "retract" else None,
            files={name: sha256_text(content) for name, content in attachments.items()},
            origin=first.origin,
        )

    def _keys(self, done: Rewritten) -> tuple[str, ...]:
        """The keys of what stands in the files, then those that the new files are encrypted under."""
        before = {key for each in self.group for key in each.written.receipt.keys if not is_master(key)}
        return (*sorted(before), *sorted(keys_stated(each for files in done.written.values() for each in files)))

    @property
    def _followed(self) -> list[Due]:
        """The files whose rows the receipt follows: records, and where there are none the first aggregate's."""
        records = [each for each in self.group if each.name == RECORDS]
        return records or [each for each in self.group if each.name == self.group[0].name]

    def _reasons(self) -> dict[str, int]:
        return {reason: sum(each.gated.get(reason, 0) for each in self._followed) for reason in REASONS}

    def _rows(self) -> Rows:
        read, gated = sum(each.file.rows for each in self._followed), sum(self._reasons().values())
        return Rows(read, read - gated, gated)

    def _outputs(self, done: Rewritten) -> dict[str, Output]:
        found = {name: self._output(name, done) for name in dict.fromkeys(each.name for each in self.group)}
        names = dict.fromkeys(each.name for each in self.made)
        return {**found, **{name: self._made(name, done) for name in names}}

    def _made(self, name: str, done: Rewritten) -> Output:
        """An aggregate that was made anew."""
        files = files_stated(done.written.get(name, ()))
        results = [each.guarded.result for each in self.made if each.name == name]
        return Output(
            "aggregated",
            sum(file.rows for file in files),
            groups_suppressed=sum(each.groups_suppressed for each in results),
            rows_suppressed=sum(each.rows_suppressed for each in results),
            groups_past=sum(each.groups_past for each in results) or None,
            rows_past=sum(each.rows_past for each in results) or None,
            deferred=sum(each.deferred for each in results),
            too_late=0,
            files=files,
            sketches=sketches_stated(done.written.get(name, ())),
            days=self._days(name, {each.date or "" for each in self.made if each.name == name}),
        )

    def _days(self, name: str, dates: set[str]) -> Mapping[str, Mapping[str, int]] | None:
        """What was told of event days that waited for late rows, and whose files are written anew."""
        told = (each.outputs[name].days or {} for each in self.chain if name in each.outputs)
        return {on: rows for days in told for on, rows in days.items() if on in dates} or None

    def _output(self, name: str, done: Rewritten) -> Output:
        written = done.written.get(name, ())
        files = files_stated(written)
        category = next(each.written.receipt.outputs[name].category for each in self.group if each.name == name)
        index = indexes_stated(written) if name == RECORDS else None
        days = self._days(name, {each.date or "" for each in self.group if each.name == name and not each.whole})
        return Output(
            category,
            sum(file.rows for file in files),
            files=files,
            index=index,
            sketches=sketches_stated(written),
            days=days,
        )

    def _fields(self, counts: Counts) -> dict[str, FieldReceipt]:
        """What went of each field of the records that were rewritten and stay."""
        said = self.group[0].written.receipt.fields
        return {key: _field(each, counts.fields.get(key)) for key, each in said.items()}

    def _stays(self) -> dict[str, tuple[str, ...]]:
        dates = {each.date or "" for each in self.group if each.name == RECORDS}
        dates_made = {(each.name, each.date or "") for each in self.made if not each.guarded.result.deferred}
        behind = self.plan.behind
        found = {
            name: tuple(on for on in said if behind.get((name, on), {on}) & dates and (name, on) not in dates_made)
            for name, said in self.plan.stays.items()
        }
        return {name: said for name, said in found.items() if said}


def _field(said: FieldReceipt, counts: FieldCounts | None) -> FieldReceipt:
    if said.values is None:
        return FieldReceipt(said.did, None)
    found = counts or FieldCounts()
    return FieldReceipt(said.did, found.values, found.changed, found.gated)
