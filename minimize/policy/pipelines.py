"""Reading a pipeline's nodes: source, records, aggregates, and what they refer to in the policy."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, get_args

from minimize.policy.conditions import ConditionReader
from minimize.policy.faults import Faults, did_you_mean
from minimize.policy.fields import read_duration
from minimize.policy.measures import MeasureReader
from minimize.policy.model import Policy
from minimize.policy.pipeline import (
    AggregateModel,
    Deduplicate,
    Key,
    Pipeline,
    QuarantineModel,
    RecordsModel,
    Round,
    SourceModel,
    Suppress,
    TimeUnit,
)
from minimize.policy.policies import NAME, read_name
from minimize.policy.purposes import check_purpose
from minimize.policy.scope import Scope
from minimize.policy.shape import Readers, Shape, build
from minimize.policy.yaml import Node

RESERVED = ("records", "runs", "quarantine", "index")
UNITS: tuple[str, ...] = get_args(TimeUnit)
NOBODY = Policy(policy="", version=1, purposes=(), fields={})
"""Stands in for a policy that could not be read; never leaves the loader."""


@dataclass(frozen=True, slots=True)
class PipelineReader:
    """Reads one pipeline over its policy (None where that could not be read)."""

    policy: Policy | None
    scope: Scope
    house: tuple[str, ...]

    @classmethod
    def over(cls, policy: Policy | None, scope: Scope, faults: Faults, house: tuple[str, ...]) -> PipelineReader:
        """A reader whose faults stand in the pipeline's list, whatever list the policy's went to."""
        return cls(policy, replace(scope, faults=faults), house)

    def __call__(self, root: Node, given: dict[str, Any]) -> Pipeline | None:
        """The pipeline, with stand-ins where there are faults."""
        wants_none = "records" in root.entries and root.entries["records"].value is False
        stand_ins = {"pipeline": "", "purpose": "", "output": "", "source": SourceModel(path="", format="ndjson")}
        policy = NOBODY if self.policy is None else self.policy
        given = given | {"lines": dict(root.lines()), "policy": policy}
        hidden = frozenset({"path", "digest", "lines"})
        shape = Shape("a pipeline", self.readers(policy), given, stand_ins | given, hidden=hidden)
        pipeline = build(Pipeline, root, self.scope.faults, shape)
        self.named_policy(root)
        if pipeline is None:
            return None
        pipeline = pipeline.model_copy(update={"records": None}) if wants_none else pipeline
        self.check(pipeline, root)
        return pipeline

    def named_policy(self, root: Node) -> None:
        """The pipeline names its policy's file."""
        named = root.get("policy")
        if named is None:
            self.fault("P005", "a pipeline wants `policy`", 1, "policy: policy.yaml")
        elif not isinstance(named.value, str):
            self.fault("P006", "`policy` wants the path of a file", named.line)

    def readers(self, policy: Policy) -> dict[str, Callable[[Node], Any]]:
        """How the keys of a pipeline are read."""
        return {
            "pipeline": lambda node: read_name(node, "pipeline", self.scope),
            "policy": lambda node: policy,
            "purpose": self.purpose,
            "source": self.source,
            "records": self.records,
            "aggregates": self.aggregates,
            "quarantine": self.quarantine,
        }

    def purpose(self, node: Node) -> str | None:
        """The purpose of every run: known, and listed by the policy."""
        if not isinstance(node.value, str):
            self.fault("P006", "`purpose` wants one purpose", node.line)
            return None
        if not check_purpose(node.value, self.house, self.scope.faults, node.line):
            return None
        listed = None if self.policy is None else self.policy.purposes
        if listed and node.value not in listed:
            hint = did_you_mean(node.value, listed)
            self.fault("P008", f"the policy does not list the purpose `{node.value}`", node.line, hint)
            return None
        return node.value

    def source(self, node: Node) -> SourceModel | None:
        """Where records come from; `{date}` is the only thing that braces may hold."""
        source = build(SourceModel, node, self.scope.faults, Shape("`source`"))
        odd = [] if source is None else [name for name in re.findall(r"\{(.*?)\}", source.path) if name != "date"]
        for name in odd:
            self.fault("P006", f"`path` has {{{name}}}; only {{date}} is known", node.at(["path"]).line)
        return None if odd else source

    def records(self, node: Node) -> RecordsModel | None:
        """The records output; `false` (none) is seen to elsewhere."""
        if isinstance(node.value, bool):
            return RecordsModel()
        readers: Readers = {
            "partition_by": lambda below: self.fields(below, "partition_by"),
            "collect_if": ConditionReader(self.scope),
            "deduplicate": self.deduplicate,
        }
        return build(RecordsModel, node, self.scope.faults, Shape("`records`", readers))

    def deduplicate(self, node: Node) -> Deduplicate | None:
        """Which records of a day are one."""
        if self.policy is not None and self.policy.time is None:
            self.fault("P017", "`deduplicate` needs the event time", node.line, "say `time: FIELD` in the policy")
        readers: Readers = {"by": lambda below: self.fields(below, "by")}
        return build(Deduplicate, node, self.scope.faults, Shape("`deduplicate`", readers))

    def fields(self, node: Node, what: str) -> tuple[str, ...] | None:
        """A list of fields."""
        found = [self.scope.field(item, what) for item in node.items]
        if not found:
            self.fault("P006", f"`{what}` wants a list of fields", node.line)
            return None
        good = tuple(key for key in found if key is not None)
        return good if len(good) == len(found) else None

    def quarantine(self, node: Node) -> QuarantineModel | None:
        """Shares of the rows read."""
        model = build(QuarantineModel, node, self.scope.faults, Shape("`quarantine`"))
        for word in ("fail_above", "stop_above"):
            share = None if model is None else getattr(model, word)
            if share is not None and not 0 <= share <= 1:
                self.fault("P006", f"`{word}` is a share of the rows, from 0 to 1", node.at([word]).line)
                return None
        return model

    def aggregates(self, node: Node) -> dict[str, AggregateModel] | None:
        """The aggregates, by name."""
        if not node.is_mapping:
            self.fault("P006", "`aggregates` wants a mapping of names", node.line)
            return None
        found = {name: AggregateReader(self, name)(below) for name, below in node.entries.items()}
        return {name: model for name, model in found.items() if model is not None}

    def check(self, pipeline: Pipeline, root: Node) -> None:
        """A pipeline writes something."""
        if pipeline.records is None and root.get("aggregates") is None:
            self.fault("P005", "the pipeline writes neither records nor aggregates", root.at(["records"]).line)

    def fault(self, code: str, message: str, line: int | None, hint: str = "") -> None:
        """Takes down a fault of the pipeline."""
        self.scope.faults.add(code, message, line=line, hint=hint)


@dataclass(frozen=True, slots=True)
class AggregateReader:
    """Reads one aggregate of a pipeline."""

    pipeline: PipelineReader
    name: str

    def __call__(self, node: Node) -> AggregateModel | None:
        """The aggregate; None where none could be made of it."""
        self.check_name(node)
        scope = self.pipeline.scope
        readers: Readers = {
            "group_by": self.group_by,
            "measures": self.measures,
            "suppress": self.suppress,
            "round": self.round,
            "late": self.late,
        }
        model = build(AggregateModel, node, scope.faults, Shape("an aggregate", readers, key=self.name))
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
        policy = self.pipeline.policy
        if policy is not None and policy.subject is None and model.suppress.counting is None:
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
        key = self.pipeline.scope.field(node, "group_by", self.name)
        return None if key is None else Key(field=key)

    def timed(self, name: str, unit: Node) -> Key | None:
        """A field at a unit of time."""
        key = self.pipeline.scope.key_of(name, unit.line, "`group_by`", self.name)
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
        read = MeasureReader(self.pipeline.scope, self.name)
        found = {column: read(below) for column, below in node.entries.items()}
        good = {column: measure for column, measure in found.items() if measure is not None}
        return good if len(good) == len(found) else None

    def suppress(self, node: Node) -> Suppress | None:
        """Below how many subjects a group is absent, and who is counted."""
        scope = self.pipeline.scope
        readers: Readers = {
            "counting": lambda below: scope.field(below, "counting", self.name),
            "below": self.positive("below"),
        }
        return build(Suppress, node, scope.faults, Shape("`suppress`", readers, key=self.name))

    def round(self, node: Node) -> Round | None:
        """The multiple to which counts are rounded."""
        readers: Readers = {"counts_to": self.positive("counts_to")}
        return build(Round, node, self.pipeline.scope.faults, Shape("`round`", readers, key=self.name))

    def positive(self, word: str) -> Callable[[Node], int | None]:
        """A reader of whole numbers from 1."""

        def read(node: Node) -> int | None:
            if isinstance(node.value, int) and not isinstance(node.value, bool) and node.value >= 1:
                return node.value
            self.fault("P006", f"`{word}` wants a whole number from 1", node.line)
            return None

        return read

    def late(self, node: Node) -> Any:
        """How long an event day waits for its late rows."""
        if self.pipeline.policy is not None and self.pipeline.policy.time is None:
            self.fault("P017", "`late` needs the event time", node.line, "say `time: FIELD` in the policy")
        return read_duration(node, self.pipeline.scope, "late", self.name)

    def fault(self, code: str, message: str, line: int | None, hint: str = "") -> None:
        """Takes down a fault of this aggregate."""
        self.pipeline.scope.faults.add(code, message, line=line, key=self.name, hint=hint)
