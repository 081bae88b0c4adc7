"""Whether every value of a records output obeys the policy that its receipt carries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

import pyarrow as pa

from minimize.errors import Finding
from minimize.pointer import Pointer
from minimize.verification.codes import found
from minimize.verification.columns import check_category, check_columns, released
from minimize.verification.conditions import fields_of, holds
from minimize.verification.evidence import Evidence, Run, Standing
from minimize.verification.files import readable
from minimize.verification.leaves import at, distinct, outline
from minimize.verification.policy import FieldView, PolicyView
from minimize.verification.rare import Rare, watched
from minimize.verification.rules import Obeys, Place, Unchecked, chain_rule

RECORDS: Final = "records"
_BATCH: Final = 1 << 17


def check_records(evidence: Evidence) -> Iterator[Finding]:
    """V020 to V034 for every file of the records in force, partition by partition, under the run that wrote it."""
    files = [standing for standing in evidence.standing if standing.name == RECORDS]
    for (_, run_id), group in groupby(files, key=lambda each: (each.root, each.run.receipt.run_id)):
        partition = list(group)
        policy = partition[0].run.policy
        if policy is not None and run_id:
            yield from _partition(evidence, partition, partition[0].run, policy)


def _partition(evidence: Evidence, partition: Sequence[Standing], run: Run, policy: PolicyView) -> Iterator[Finding]:
    judges: dict[Pointer, _Judge] = {}
    rare = {view.pointer: Rare(step) for view, step in watched(policy)}
    category = run.receipt.outputs[RECORDS].category
    for standing in partition:
        file = readable(evidence, standing)
        if file is None:
            continue
        place, schema = standing.file.path, file.schema_arrow
        yield from check_columns(schema, standing.hive, policy, run.receipt, place)
        yield from check_category(category, schema, policy, place)
        there = dict(outline(schema, released(policy).keys()))
        for pointer, type_ in there.items():
            view = released(policy).get(pointer)
            if view is not None and pointer not in judges:
                judges[pointer] = _Judge(view, policy, Place(type_, run.folder))
                yield from judges[pointer].unchecked(run)
        for batch in file.iter_batches(_BATCH):
            for pointer in there.keys() & judges.keys():
                judges[pointer].see(batch, there)
            for pointer in there.keys() & rare.keys():
                rare[pointer].see(batch, pointer, policy.subject)
        yield from _told(judges, place)
    root = partition[0].root
    for pointer, each in rare.items():
        if each.count():
            message = f"{each.count()} values of fewer subjects than `at_least`"
            yield found("V033", message, file=root, field=released(policy)[pointer].key)


def _told(judges: Mapping[Pointer, _Judge], place: str) -> Iterator[Finding]:
    """What the judges found in one file."""
    for judge in judges.values():
        if judge.misshapen:
            yield found(
                "V030",
                f"{judge.misshapen} distinct values are not {judge.view.words}",
                file=place,
                field=judge.view.key,
            )
        if judge.uncalled:
            message = f"{judge.uncalled} distinct values stand where a condition does not hold"
            yield found("V031", message, file=place, field=judge.view.key)
        judge.misshapen = judge.uncalled = 0


@dataclass(slots=True)
class _Judge:
    """Judges one field: which branches may have treated a value, and whether it looks as one of them says."""

    view: FieldView
    policy: PolicyView
    place: Place
    misshapen: int = 0
    uncalled: int = 0
    _rules: list[Obeys | None] = field(default_factory=list)
    _missing: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for branch in self.view.branches:
            self._rules.append(None if branch.chain is None else self._rule(branch.chain))

    def unchecked(self, run: Run) -> Iterator[Finding]:
        """What the rules lacked."""
        for name in dict.fromkeys(self._missing):
            message = f"`{name}` is not beside the receipt, or no rule is known for it"
            yield found("V034", message, file=run.place, field=self.view.key)

    def see(self, batch: pa.RecordBatch, there: Mapping[Pointer, pa.DataType]) -> None:
        """Takes one batch in."""
        leaf = at(batch, self.view.pointer)
        asked = [pointer for pointer in self._asked() if pointer in there]
        beside = [at(batch, pointer).values.take(leaf.rows) for pointer in asked]
        if pa.types.is_list(leaf.values.type) or pa.types.is_map(leaf.values.type):
            return
        for value, *shown in distinct([leaf.values, *beside]):
            self._judge(value, dict(zip(asked, shown, strict=True)))

    def _rule(self, chain: Any) -> Obeys:
        try:
            return chain_rule(chain, self.place)
        except Unchecked as lacking:
            self._missing.append(str(lacking))
        return lambda value: True

    def _asked(self) -> list[Pointer]:
        """The record's fields that decide about this one and that the output shows as they came in."""
        conditions = [self.view.collect_if, *(branch.when for branch in self.view.branches)]
        asked = {pointer for condition in conditions if condition for pointer in fields_of(condition)}
        views = released(self.policy)
        return sorted(
            (each for each in asked if not each.stars and each in views and views[each].is_kept_as_is), key=str
        )

    def _judge(self, value: Any, shown: Mapping[Pointer, Any]) -> None:
        if self.view.collect_if and holds(self.view.collect_if, shown) is False:
            self.uncalled += 1
            return
        rules = [rule for rule in self._candidates(shown) if rule is not None]
        if not rules:
            self.uncalled += 1
        elif not any(rule(value) for rule in rules):
            self.misshapen += 1

    def _candidates(self, shown: Mapping[Pointer, Any]) -> Iterator[Obeys | None]:
        """The rules of the branches that may have decided: up to the first whose condition certainly holds."""
        for branch, rule in zip(self.view.branches, self._rules, strict=True):
            outcome = True if branch.when is None else holds(branch.when, shown)
            if outcome is not False:
                yield rule
            if outcome:
                return


def check_counts(evidence: Evidence) -> Iterator[Finding]:
    """V032: what receipts count for a field, against what its technique always does."""
    for run in evidence.runs:
        if run.policy is None:
            continue
        views = {view.key: view for view in run.policy.fields.values()}
        for key, counted in run.receipt.fields.items():
            view = views.get(key)
            if view is None:
                yield found("V032", "counts a field that the policy does not declare", file=run.place)
                continue
            lost = counted.gated + counted.unparsable + counted.dropped
            if lost > counted.values or counted.changed > counted.values:
                yield found("V032", "more values were lost or changed than there were", file=run.place, field=key)
            shifted = [chain[-1].word == "shift_dates" for chain in view.chains]
            if shifted and all(shifted) and counted.changed < counted.values - lost:
                yield found("V032", "dates were not shifted: a shift is never nothing", file=run.place, field=key)
