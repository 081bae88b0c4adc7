"""The steps of an explanation that a plan tells, and settings for one tenant: no record is looked at.

What decides is asked of the plan and of what it comes to for the tenant, the same that `plan --tenant` shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from minimize.plan.category import least, left_of
from minimize.plan.effective import ForTenant
from minimize.plan.model import Branch, FieldPlan, Plan
from minimize.plan.request import for_purpose
from minimize.policy.condition import Condition, Feature, Level, atoms
from minimize.policy.model import Field
from minimize.policy.words import chain_text, condition_text, duration, feature_text
from minimize.review.step import Step, Verdict
from minimize.settings import SettingRow
from minimize.settings.seen import LEVEL


@dataclass(frozen=True, slots=True)
class Planned:
    """One field of a plan; `asked` where it is explained for a tenant."""

    plan: Plan
    key: str
    asked: ForTenant | None = None

    @property
    def field(self) -> FieldPlan:
        """The field in the plan."""
        return self.plan.fields[self.key]

    def steps(self) -> Iterator[Step]:
        """From the rule to the form."""
        yield self.declared()
        yield self.purpose()
        yield from self.records()
        yield from self.retention()
        for key in dict.fromkeys((self.key, *self.field.field.from_)):
            yield from self.gate(self.plan.policy.fields[key])
        yield from self.ways()
        yield from self.aggregates()

    def declared(self) -> Step:
        """The rule itself."""
        field = self.field.field
        made = f", made from {', '.join(field.from_)}" if field.from_ else ""
        about = f" ({field.about})" if field.about else ""
        return self._step("rule", f"{field.key}, {field.type}, role {field.role}{made}{about}")

    def purpose(self) -> Step:
        """Whether it may be had for the purpose of the run."""
        parts = [self.plan.policy.fields[key] for key in (self.key, *self.field.field.from_)]
        against = next((part for part in parts if not for_purpose(part, self.plan.purpose)), None)
        purpose = f"purpose {self.plan.purpose or '(none)'}"
        if against is not None:
            return self._step(
                "purpose", f"{purpose}; {against.key} is for {', '.join(against.purposes)} alone", "stops"
            )
        only = self.field.field.purposes
        return self._step("purpose", f"{purpose}, one of {', '.join(only)}" if only else f"{purpose}, as any", "passes")

    def records(self) -> Iterator[Step]:
        """What gates whole records."""
        records, pipeline = self.plan.policy.records, self.plan.pipeline
        yield from self._settings("records", records.feature, records.level)
        if records.collect_if is not None:
            yield self._condition("records", records.collect_if)
        if pipeline is not None and pipeline.records is not None and pipeline.records.collect_if is not None:
            yield self._condition("records of the pipeline", pipeline.records.collect_if)

    def retention(self) -> Iterator[Step]:
        """After how long a record, or a value of it, must not be there any more."""
        policy = self.plan.policy
        if policy.retention is not None:
            yield Step("retention", f"no record is written {duration(policy.retention)} after its event", "says")
        for key in (self.key, *self.field.field.from_):
            feature = policy.features.get(policy.fields[key].feature or "")
            if feature is not None and feature.retention is not None:
                yield Step("retention", f"no value is written {duration(feature.retention)} after its event", "says")

    def gate(self, field: Field) -> Iterator[Step]:
        """Feature, level and condition of a field."""
        name = "gate" if field.key == self.key else f"gate of {field.key}"
        yield from self._settings(name, field.feature, field.level)
        if field.collect_if is not None:
            yield self._condition(name, field.collect_if)

    def ways(self) -> Iterator[Step]:
        """What becomes of a value: the cases, of which the first that matches decides, or the one way."""
        if self.field.gives is None:
            yield self._step("form", self.field.why, "stops")
            return
        decided = False
        for number, branch in enumerate(self.field.branches, 1):
            when = branch.when if self.asked is None or branch.when is None else self.asked.decided(branch.when)
            never, decided = decided or when is False, decided or when in (None, True)
            name = "form" if len(self.field.branches) == 1 else "otherwise" if branch.when is None else f"case {number}"
            condition = "" if branch.when is None else f"if {condition_text(branch.when)}: "
            closed = " (never for this tenant)" if never else ""
            verdict: Verdict = "stops" if never or (name == "form" and branch.steps is None) else "passes"
            several = len(self.field.branches) > 1 and not never
            yield self._step(name, f"{condition}{self._form(branch)}{closed}", "depends" if several else verdict)

    def _form(self, branch: Branch) -> str:
        if branch.steps is None:
            return "drop"
        roles = {self.plan.policy.fields[key].role for key in (self.key, *self.field.field.from_)}
        return f"{chain_text(branch.steps)}, leaves {least(left_of(step, roles) for step in branch.steps)}"

    def aggregates(self) -> Iterator[Step]:
        """Which aggregates see it, and in what form."""
        for name, aggregate in self.plan.aggregates.items():
            keys = [key.field for key in aggregate.model.group_by.values()]
            measured = [column for column, measure in aggregate.model.measures.items() if measure.of == self.key]
            if self.key in keys or measured:
                uses = [*(["groups by it"] if self.key in keys else []), *measured]
                form = self.field.field.in_aggregates if measured else ()
                seen = f", as {chain_text(form)}" if form else ", as released"
                yield Step("aggregate", f"{name}: {', '.join(uses)}{seen}", "says")

    def _settings(self, what: str, feature: str | None, level: str | None) -> Iterator[Step]:
        """A feature and a level, with the rows that decide where a tenant is asked for."""
        if feature is not None:
            found = f"collected where {feature_text(self.plan.policy, feature)}"
            yield self._setting(what, found, feature, None if self.asked is None else self.asked.is_on(feature))
        if level is not None:
            found = f"collected where level is {level} or higher"
            yield self._setting(what, found, LEVEL, None if self.asked is None else self.asked.reaches(level))

    def _setting(self, what: str, found: str, setting: str, is_on: bool | None) -> Step:
        """One of them; `is_on` is what it is for the tenant that is asked for."""
        if self.asked is None or is_on is None:
            return self._step(what, found, "depends")
        rows = self.asked.rows(setting)
        if is_on and setting != LEVEL and self.asked.asks_subjects(setting):
            return self._step(what, f"{found}: it is so for the tenant, and depends on the subject", "depends", rows)
        return self._step(what, f"{found}: it is {'so' if is_on else 'not so'}", "passes" if is_on else "stops", rows)

    def _condition(self, what: str, condition: Condition) -> Step:
        found = f"collected if {condition_text(condition)}"
        if self.asked is None:
            return self._step(what, found, "depends")
        decided, rows = self.asked.decided(condition), tuple(self._rows(self.asked, condition))
        if isinstance(decided, bool):
            told = f"{found}: it is {'so' if decided else 'not so'}"
            return self._step(what, told, "passes" if decided else "stops", rows)
        left = "" if decided == condition else f"; left to ask: {condition_text(decided)}"
        return self._step(what, found + left, "depends", rows)

    def _rows(self, asked: ForTenant, condition: Condition) -> Iterator[SettingRow]:
        for atom in atoms(condition):
            if isinstance(atom, Feature | Level):
                yield from asked.rows("level" if isinstance(atom, Level) else atom.name)

    def _step(self, what: str, found: str, verdict: Verdict = "says", rows: tuple[SettingRow, ...] = ()) -> Step:
        """A step about the field, with the place of its rule."""
        policy = self.plan.policy
        file = None if policy.path is None or what != "rule" else str(policy.path)
        return Step(what, found, verdict, file, None if file is None else self.field.field.line, rows)
