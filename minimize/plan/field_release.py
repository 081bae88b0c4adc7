"""Release of fields: in which outputs the values of a field leave, and the purposes for which they would.

Every printed answer to "is it released?" comes from here: plan, receipt, report, catalogue and leaflet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from minimize.plan.request import allows_purpose
from minimize.policy.fields import fields_read_by_aggregate, is_dropped
from minimize.records import RECORDS

if TYPE_CHECKING:
    from minimize.plan.model import Plan

ReleaseState = Literal["records", "statistics", "other purposes", "not"]


@dataclass(frozen=True, slots=True)
class FieldRelease:
    """The release of one field.

    outputs   the outputs of the plan with its values, or with figures or groups of them
    purposes  the other purposes for which the policy releases it; empty if there is an output
    """

    outputs: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()

    @property
    def state(self) -> ReleaseState:
        """Whether values leave in records, only in statistics, only for other purposes, or not at all."""
        if RECORDS in self.outputs:
            return "records"
        if self.outputs:
            return "statistics"
        return "other purposes" if self.purposes else "not"

    @property
    def statistics(self) -> tuple[str, ...]:
        """The aggregates with figures or groups of its values."""
        return tuple(name for name in self.outputs if name != RECORDS)

    def __str__(self) -> str:
        if self.outputs:
            return ", ".join(self.outputs)
        return f"nothing, only for {', '.join(self.purposes)}" if self.purposes else "nothing"


def field_releases(plan: Plan) -> Mapping[str, FieldRelease]:
    """The release of each field of a plan."""
    counted = {name: frozenset(fields_read_by_aggregate(each.model)) for name, each in plan.aggregates.items()}
    found = {key: tuple(_outputs_of(plan, key, counted)) for key in plan.fields}
    return {key: FieldRelease(outputs, () if outputs else _other_purposes(plan, key)) for key, outputs in found.items()}


def _outputs_of(plan: Plan, key: str, counted: Mapping[str, frozenset[str]]) -> Iterator[str]:
    field = plan.fields[key]
    for name in plan.outputs:
        if (name == RECORDS and field.gives is not None) or (
            key in counted.get(name, ()) and (field.gives is not None or field.measured is not None)
        ):
            yield name


def _other_purposes(plan: Plan, key: str) -> tuple[str, ...]:
    """The other purposes of the policy for which it releases the field."""
    field = plan.policy.fields.get(key)
    if field is None or is_dropped(field):
        return ()
    parts = (field, *(plan.policy.fields[each] for each in field.from_))
    others = (purpose for purpose in plan.policy.purposes if purpose != plan.purpose)
    return tuple(each for each in others if all(allows_purpose(part, each) for part in parts))
