"""Reading one aggregate of a pipeline: group keys, measures, suppression."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, get_args

from minimize.policy.encrypt import read_word
from minimize.policy.faults import did_you_mean
from minimize.policy.fields import read_duration
from minimize.policy.measures import MeasureReader
from minimize.policy.model import Policy
from minimize.policy.pipeline import AggregateModel, Key, Round, Suppress, TimeUnit
from minimize.policy.policies import NAME
from minimize.policy.scope import Scope
from minimize.policy.shape import Readers, Shape, build
from minimize.policy.yaml import Node

RESERVED = ("records", "runs", "quarantine", "index", "erasures", "sketches")
UNITS: tuple[str, ...] = get_args(TimeUnit)
LONGEST: Final = timedelta(days=366)
"""The longest that an event day may wait for its late rows."""


@dataclass(frozen=True, slots=True)
class AggregateReader:
    """Reads one aggregate of a pipeline."""

    scope: Scope
    policy: Policy | None
    name: str

    def __call__(self, node: Node) -> AggregateModel | None:
        """The aggregate; None where none could be made of it."""
        self.check_name(node)
        readers: Readers = {
            "group_by": self.group_by,
            "measures": self.measures,
            "suppress": self.suppress,
            "round": self.round,
            "late": self.late,
            "retention": lambda below: read_duration(below, self.scope, "retention", self.name),
            "encrypt": lambda below: read_word(below, self.scope.faults),
        }
        model = build(AggregateModel, node, self.scope.faults, Shape("an aggregate", readers, key=self.name))
        if model is not None:
            self.check_columns(model, node)
            self.check_subject(model, node)
        return model

    def check_name(self, node: Node) -> None:
        """The name stands for a folder beside the records."""
        if self.name in RESERVED:
            self.fault(
                "P015", f"`{self.name}` is a folder of every output", node.line, "give the aggregate another name"
            )
        elif not re.fullmatch(NAME, self.name):
            hint = "a letter or _, then letters, digits, _ and -"
            self.fault("P015", f"`{self.name}` cannot name an aggregate", node.line, hint)

    def check_columns(self, model: AggregateModel, node: Node) -> None:
        """Every column has a name of its own, and none is the partition's."""
        for column in [*model.group_by, *model.measures]:
            if column == "date":
                self.fault("P015", "`date` is the name of the partition", node.line, "call the column `day`")
        for column in model.measures:
            if column in model.group_by:
                self.fault("P018", f"`{column}` names a group and a measure", node.at(["measures", column]).line)

    def check_subject(self, model: AggregateModel, node: Node) -> None:
        """Somebody is counted."""
        if self.policy is not None and self.policy.subject is None and model.suppress.counting is None:
            hint = "say `subject: FIELD` in the policy, or `suppress: {counting: FIELD}`"
            self.fault("P017", "an aggregate counts subjects, and none are named", node.line, hint)

    def group_by(self, node: Node) -> dict[str, Key] | None:
        """The group keys, by column."""
        if not node.is_mapping:
            self.fault("P006", "`group_by` wants a mapping of columns to fields", node.line)
            return None
        found = {column: self.key(below) for column, below in node.entries.items()}
        good = {column: key for column, key in found.items() if key is not None}
        return good if len(good) == len(found) else None

    def key(self, node: Node) -> Key | None:
        """A field, or `{FIELD: unit}` for a time at a coarser unit."""
        if node.is_mapping and len(node.entries) == 1:
            name, unit = next(iter(node.entries.items()))
            return self.timed(name, unit)
        key = self.scope.field(node, "group_by", self.name)
        return None if key is None else Key(field=key)

    def timed(self, name: str, unit: Node) -> Key | None:
        """A field at a unit of time."""
        key = self.scope.key_of(name, unit.line, "`group_by`", self.name)
        if unit.value not in UNITS:
            hint = did_you_mean(str(unit.value), UNITS) if unit.is_scalar else ""
            self.fault("P007", "this is no unit of time", unit.line, hint)
            return None
        return None if key is None else Key.model_validate({"field": key, "to": unit.value})

    def measures(self, node: Node) -> dict[str, Any] | None:
        """The measures, by column."""
        if not node.entries:
            self.fault("P006", "`measures` wants a mapping of columns to measures", node.line)
            return None
        read = MeasureReader(self.scope, self.name)
        found = {column: read(below) for column, below in node.entries.items()}
        good = {column: measure for column, measure in found.items() if measure is not None}
        return good if len(good) == len(found) else None

    def suppress(self, node: Node) -> Suppress | None:
        """Below how many subjects a group is absent, and who is counted."""
        readers: Readers = {
            "counting": lambda below: self.scope.field(below, "counting", self.name),
            "below": self.positive("below"),
        }
        return build(Suppress, node, self.scope.faults, Shape("`suppress`", readers, key=self.name))

    def round(self, node: Node) -> Round | None:
        """The multiple to which counts are rounded."""
        readers: Readers = {"counts_to": self.positive("counts_to")}
        return build(Round, node, self.scope.faults, Shape("`round`", readers, key=self.name))

    def positive(self, word: str) -> Callable[[Node], int | None]:
        """A reader of whole numbers from 1."""

        def read(node: Node) -> int | None:
            if node.whole is None:
                self.fault("P006", f"`{word}` wants a whole number from 1", node.line)
            return node.whole

        return read

    def late(self, node: Node) -> timedelta | None:
        """How long an event day waits for its late rows."""
        if self.policy is not None and self.policy.time is None:
            self.fault("P017", "`late` needs the event time", node.line, "say `time: FIELD` in the policy")
        waits = read_duration(node, self.scope, "late", self.name)
        if waits is not None and waits > LONGEST:
            self.fault(
                "P006", f"`late` is at most {LONGEST.days}d", node.line, "a day is published once all of it is in"
            )
            return None
        return waits

    def fault(self, code: str, message: str, line: int | None, hint: str = "") -> None:
        """Takes down a fault of this aggregate."""
        self.scope.faults.add(code, message, line=line, key=self.name, hint=hint)
