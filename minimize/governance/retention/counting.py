"""How many subjects stand behind each group of an aggregate, before and after: whether the difference tells of few of them.

Who has both releases of a group can subtract them. That tells nothing of anybody where the group lost (or gained) no subject,
or at least as many as it takes to show a group at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from minimize.aggregates.count_distinct import CountDistinct
from minimize.aggregates.definition import Definition, Measured
from minimize.engines import local
from minimize.engines.base import Job, Unkept
from minimize.governance.retention.written import PIPELINE, Written
from minimize.io.base import Source
from minimize.job.given import Given, day_of, open_sources
from minimize.plan import Plan
from minimize.plan.bind import examine

Groups = Mapping[tuple[Any, ...], int]
SUBJECTS = "subjects"


def tells_of_few(written: Written, given: Given, on: str | None) -> tuple[str, ...]:
    """The aggregates of a date that a run would change so that the difference tells of few; all where that cannot be said.

    Takes the receipt that wrote the date, and the run that would be made of it anew.
    """
    names = tuple(name for name, each in given.plan.aggregates.items() if each.late is None)
    if not names:
        return ()
    if written.receipt.files.get(PIPELINE) != given.pipeline.digest:
        return names
    before, source = before_of(written, given, on)
    now = Job(given.plan, given.at, given.keys, **given.told(given.at))
    old, new = subjects(before, source), subjects(now, given.sources[day_of(on)])
    below = {name: given.plan.aggregates[name].definition.below for name in names}
    return tuple(name for name in names if not is_safe(old.get(name, {}), new.get(name, {}), below[name]))


def before_of(written: Written, given: Given, on: str | None) -> tuple[Job, Source]:
    """The job that a receipt tells of, over the same source: policy and settings of then."""
    day, receipt = day_of(on), written.receipt
    then = given.pipeline.model_copy(update={"policy": written.policy})
    found = replace(given.found, files={day: given.found.files[day]})
    source = open_sources(then, found, given.shown, given.people.erased.fields, at=receipt.at)[day]
    plan = examine(written.policy, source.schema, purpose=receipt.purpose, pipeline=then).sound()
    return Job(plan, receipt.at, given.keys, **given.told(receipt.at)), source


def is_safe(old: Groups, new: Groups, below: int) -> bool:
    """Whether no group lost or gained some subjects, and fewer than it takes to show one.

    >>> is_safe({("a",): 30, ("b",): 12}, {("a",): 20, ("b",): 12}, 10), is_safe({("a",): 30}, {("a",): 29}, 10)
    (True, False)
    """
    changes = (abs(old.get(group, 0) - new.get(group, 0)) for group in {**old, **new})
    return all(change == 0 or change >= below for change in changes)


def subjects(job: Job, source: Source) -> dict[str, Groups]:
    """Per aggregate that is complete with its batch the distinct subjects of each group, however small."""
    outcome = local.run(replace(job, plan=_counting(job.plan)), source, None, Unkept())
    return {name: groups_of(result.table.to_pylist()) for name, result in outcome.aggregates.items()}


def groups_of(rows: list[dict[str, Any]]) -> Groups:
    """The rows of a table of subjects, by group."""
    return {tuple(value for name, value in row.items() if name != SUBJECTS): row[SUBJECTS] for row in rows}


def _counting(plan: Plan) -> Plan:
    """The plan with nothing but aggregates, and of these nothing but their subjects."""
    complete = {name: each for name, each in plan.aggregates.items() if each.late is None}
    aggregates = {name: replace(each, definition=of_subjects(each.definition, plan)) for name, each in complete.items()}
    return replace(plan, aggregates=aggregates, outputs={name: plan.outputs[name] for name in aggregates})


def of_subjects(definition: Definition, plan: Plan) -> Definition:
    """The same groups, every one of them, and of each nothing but its subjects."""
    key = next(key for key, each in plan.policy.fields.items() if each.pointer == definition.counting)
    measured = Measured(CountDistinct(of=key), plan.fields[key].takes)
    return replace(definition, measures={SUBJECTS: measured}, below=1, counts_to=None)
