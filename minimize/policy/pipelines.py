"""Reading a pipeline's nodes: source, records, aggregates, and what they refer to in the policy."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from minimize.policy.aggregate import AggregateReader
from minimize.policy.conditions import ConditionReader
from minimize.policy.encrypt import read_encrypt
from minimize.policy.faults import Faults, did_you_mean
from minimize.policy.model import Policy
from minimize.policy.pipeline import (
    AggregateModel,
    Deduplicate,
    Pipeline,
    QuarantineModel,
    RecordsModel,
    SourceModel,
)
from minimize.policy.policies import read_name
from minimize.policy.purposes import check_purpose
from minimize.policy.scope import Scope
from minimize.policy.shape import Readers, Shape, build
from minimize.policy.yaml import Node
from minimize.stores import fault_in

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
        said = root.entries.get("records")
        wants_none = "aggregates" in root.entries if said is None else said.value is False
        stand_ins = {"pipeline": "", "purpose": "", "output": "", "source": SourceModel(path="", format="ndjson")}
        policy = NOBODY if self.policy is None else self.policy
        given = given | {"lines": dict(root.lines()), "policy": policy}
        hidden = frozenset({"path", "digest", "lines", "demanded"})
        shape = Shape("a pipeline", self.readers(policy), given, stand_ins | given, hidden=hidden)
        pipeline = build(Pipeline, root, self.scope.faults, shape)
        self.named_policy(root)
        if pipeline is None:
            return None
        self.place(pipeline.output, root.at(["output"]))
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
        source = build(SourceModel, node, self.scope.faults, Shape("`source`", {"having": self.names}))
        if source is not None and (source.recipient is None) != (source.function is None):
            said, missing = ("function", "recipient") if source.recipient is None else ("recipient", "function")
            hint = "what a third party sends is received by a function of its manifest"
            self.fault("P005", f"`source` names a {said} and no `{missing}`", node.at([said]).line, hint)
            return None
        if source is not None and source.having and not source.is_received:
            hint = "say `recipient` and `function`, or leave it out"
            self.fault("P018", "`having` belongs to a source that a third party sends", node.at(["having"]).line, hint)
        odd = [] if source is None else [name for name in re.findall(r"\{(.*?)\}", source.path) if name != "date"]
        for name in odd:
            self.fault("P006", f"`path` has {{{name}}}; only {{date}} is known", node.at(["path"]).line)
        sound = source is None or self.place(source.path, node.at(["path"]))
        return source if sound and not odd else None

    def names(self, node: Node) -> tuple[str, ...] | None:
        """A list of names."""
        if node.is_list and all(isinstance(item.value, str) for item in node.items):
            return tuple(str(item.value) for item in node.items)
        self.fault("P006", "`having` wants a list of names", node.line)
        return None

    def place(self, text: str, node: Node) -> bool:
        """Whether a path can be one; the URI of a store names no secret."""
        wrong = fault_in(text)
        if wrong is not None:
            self.fault("P006", wrong.message, node.line, wrong.hint)
        return wrong is None

    def records(self, node: Node) -> RecordsModel | None:
        """The records output; `false` (none) is seen to elsewhere."""
        if isinstance(node.value, bool):
            return RecordsModel()
        readers: Readers = {
            "partition_by": lambda below: self.fields(below, "partition_by"),
            "collect_if": ConditionReader(self.scope),
            "deduplicate": self.deduplicate,
            "encrypt": lambda below: read_encrypt(below, self.scope),
        }
        records = build(RecordsModel, node, self.scope.faults, Shape("`records`", readers))
        per = None if records is None or records.encrypt is None else records.encrypt.per
        if records is not None and per is not None and per not in records.partition_by:
            message = f"keys for each `{per}` need a folder for each"
            self.fault("P020", message, node.at(["encrypt"]).line, f"partition_by: [{per}]")
            return None
        return records

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
        found = {name: AggregateReader(self.scope, self.policy, name)(below) for name, below in node.entries.items()}
        return {name: model for name, model in found.items() if model is not None}

    def check(self, pipeline: Pipeline, root: Node) -> None:
        """A pipeline writes something."""
        if pipeline.records is None and root.get("aggregates") is None:
            self.fault("P005", "the pipeline writes neither records nor aggregates", root.at(["records"]).line)

    def fault(self, code: str, message: str, line: int | None, hint: str = "") -> None:
        """Takes down a fault of the pipeline."""
        self.scope.faults.add(code, message, line=line, hint=hint)
