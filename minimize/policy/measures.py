"""Reading measures: `count`, `{count_distinct: FIELD}`, `{quantile: {of: FIELD, q: 0.5}}`."""

from __future__ import annotations

from dataclasses import dataclass

from minimize.aggregates import MEASURES, Measure
from minimize.policy.faults import did_you_mean
from minimize.policy.scope import Scope
from minimize.policy.shape import Shape, build
from minimize.policy.yaml import Node


@dataclass(frozen=True, slots=True)
class MeasureReader:
    """Reads the measures of one aggregate."""

    scope: Scope
    aggregate: str

    def __call__(self, node: Node) -> Measure | None:
        """The measure; None where a fault was taken down."""
        if isinstance(node.value, str):
            return self.named(node.value, Node({}, node.line), node.line)
        if node.is_mapping and len(node.entries) == 1:
            word, below = next(iter(node.entries.items()))
            return self.named(word, below, below.line)
        self.fault("P006", "a measure is a word, or a word with its field or parameters", node.line)
        return None

    def named(self, word: str, parameters: Node, line: int | None) -> Measure | None:
        """The measure of this word, with these parameters."""
        kind = MEASURES.get(word)
        if kind is None:
            self.fault("P011", f"there is no measure `{word}`", line, did_you_mean(word, MEASURES))
            return None
        node = _spelled_out(parameters)
        shape = Shape(f"`{word}`", key=self.aggregate, code="P013", parameters=True)
        measure = None if node is None else build(kind, node, self.scope.faults, shape)
        if node is None:
            self.fault("P013", f"`{word}` wants the key of a field, or parameters", line)
            return None
        return None if measure is None else self.resolved(measure, line)

    def resolved(self, measure: Measure, line: int | None) -> Measure | None:
        """The measure over the field's key as it is declared."""
        if measure.of is None:
            return measure
        key = self.scope.key_of(measure.of, line, f"`{measure.name}`", self.aggregate)
        return None if key is None else measure.model_copy(update={"of": key})

    def fault(self, code: str, message: str, line: int | None, hint: str = "") -> None:
        """Takes down a fault of this aggregate."""
        self.scope.faults.add(code, message, line=line, key=self.aggregate, hint=hint)


def _spelled_out(node: Node) -> Node | None:
    if node.is_mapping:
        return node
    if node.value is None:
        return Node({}, node.line)
    return Node({"of": node}, node.line) if isinstance(node.value, str) else None
