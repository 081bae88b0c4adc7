"""Judges the values of one field: which branches may have treated each, and whether it looks as one of them says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from minimize.errors import Finding
from minimize.pointer import Pointer
from minimize.verification.codes import found
from minimize.verification.columns import released
from minimize.verification.conditions import fields_of, holds
from minimize.verification.leaves import at, distinct
from minimize.verification.policy import FieldView, PolicyView, StepView
from minimize.verification.rules import Obeys, Place, Unchecked, chain_rule


@dataclass(slots=True)
class Judge:
    """Judges one field: which branches may have treated a value, and whether it looks as one of them says."""

    view: FieldView
    policy: PolicyView
    place: Place
    _misshapen: int = 0
    _uncalled: int = 0
    _rules: list[Obeys | None] = field(default_factory=list)
    _missing: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for branch in self.view.branches:
            self._rules.append(None if branch.chain is None else self._rule(branch.chain))

    def unchecked(self, place: str) -> Iterator[Finding]:
        """What the rules lacked."""
        for name in dict.fromkeys(self._missing):
            message = f"`{name}` is not beside the receipt, or no rule is known for it"
            yield found("V034", message, file=place, field=self.view.key)

    def told(self, place: str) -> Iterator[Finding]:
        """What was found since this was asked last."""
        if self._misshapen:
            words = ", ".join(self.view.words)
            message = f"{self._misshapen} distinct values do not have the form of {words}"
            yield found("V030", message, file=place, field=self.view.key)
        if self._uncalled:
            message = f"{self._uncalled} distinct values stand where a condition does not hold"
            yield found("V031", message, file=place, field=self.view.key)
        self._misshapen = self._uncalled = 0

    def see(self, batch: pa.RecordBatch, there: Mapping[Pointer, pa.DataType]) -> None:
        """Takes one batch in."""
        leaf = at(batch, self.view.pointer)
        asked = [pointer for pointer in self._asked() if pointer in there]
        beside = [at(batch, pointer).values.take(leaf.rows) for pointer in asked]
        if pa.types.is_list(leaf.values.type) or pa.types.is_map(leaf.values.type):
            return
        for value, *shown in distinct([leaf.values, *beside]):
            self._judge(value, self._certain(dict(zip(asked, shown, strict=True))))

    def _rule(self, chain: Sequence[StepView]) -> Obeys:
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

    def _certain(self, shown: Mapping[Pointer, Any]) -> dict[Pointer, Any]:
        """Values that are shown as conditions read them: a null of a gated field may have been a value."""
        fields = self.policy.fields
        return {each: value for each, value in shown.items() if value is not None or not fields[each].is_gated}

    def _judge(self, value: Any, shown: Mapping[Pointer, Any]) -> None:
        if self.view.collect_if and holds(self.view.collect_if, shown) is False:
            self._uncalled += 1
            return
        rules = [rule for rule in self._candidates(shown) if rule is not None]
        if not rules:
            self._uncalled += 1
        elif not any(rule(value) for rule in rules):
            self._misshapen += 1

    def _candidates(self, shown: Mapping[Pointer, Any]) -> Iterator[Obeys | None]:
        """The rules of the branches that may have decided: up to the first whose condition certainly holds."""
        for branch, rule in zip(self.view.branches, self._rules, strict=True):
            outcome = True if branch.when is None else holds(branch.when, shown)
            if outcome is not False:
                yield rule
            if outcome:
                return
