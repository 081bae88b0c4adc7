"""Readers of values that occur in several kinds of files: durations, conditions, technique chains."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from pydantic import BaseModel

from minimize.arrow.pointers import Pointer
from minimize.policy.condition import AllOf, AnyOf, Condition, FeatureOn, FieldEquals, LevelAtLeast, TimeWithin
from minimize.policy.form_values import parse_duration
from minimize.policy.mapping_reader import DeclaredNames, KeyReader, MappingShape, field_pointer, read_mapping
from minimize.policy.model import DROP, Treatment
from minimize.policy.treatments import NO_HASH_REASON, UNKEYED_HASHES
from minimize.policy.yaml_nodes import YamlNode
from minimize.sources.types import CONTAINER_TYPES
from minimize.techniques import TECHNIQUES, TechniqueStep
from minimize.text import did_you_mean

_NEGATIONS = frozenset({"not", "none", "nor", "unless", "except"})


@dataclass(frozen=True, slots=True)
class ConditionReader:
    """Reads the conditions of one field, or of whole records (no key). The lists around the field limit what it may read."""

    scope: DeclaredNames
    key: str | None = None

    def __call__(self, node: YamlNode) -> Condition | None:
        """The condition; None if a fault was recorded."""
        if not node.is_mapping or not node.entries:
            self.fault("a condition must be a mapping of fields and settings to values", node.line)
            return None
        parts = [self.entry(word, below) for word, below in node.entries.items()]
        good = tuple(part for part in parts if part is not None)
        if len(good) < len(parts):
            return None
        return good[0] if len(good) == 1 else AllOf(good)

    def entry(self, word: str, node: YamlNode) -> Condition | None:
        """The condition of one key of the mapping."""
        if word in ("any", "all"):
            return self.nested(word, node)
        if word in ("feature", "level"):
            return self.setting(word, node)
        if word in _NEGATIONS and self.scope.keys is not None and Pointer((word,)) not in self.scope.keys:
            self.fault(
                f"`{word}` is not valid in a condition",
                node.line,
                "State the values that must match. There is no negation; null never matches.",
            )
            return None
        return self.equals(word, node)

    def nested(self, word: str, node: YamlNode) -> Condition | None:
        """A list of conditions, any or all of which must be true."""
        if not node.items:
            self.fault(f"`{word}` must be a list of conditions", node.line)
            return None
        parts = [self(item) for item in node.items]
        good = tuple(part for part in parts if part is not None)
        if len(good) < len(parts):
            return None
        return AnyOf(good) if word == "any" else AllOf(good)

    def setting(self, word: str, node: YamlNode) -> Condition | None:
        """A feature or a level, or a list; one of the list is enough."""
        names = node.items or (node,)
        if not all(isinstance(item.value, str) for item in names):
            self.fault(
                f"`{word}` must be the name of a {word}", node.line, f"Write `/{word}` for a field of that name."
            )
            return None
        look = self.scope.feature if word == "feature" else self.scope.level
        found = [look(str(item.value), item.line, self.key) for item in names]
        kind = FeatureOn if word == "feature" else LevelAtLeast
        good = tuple(kind(name) for name in found if name is not None)
        if len(good) < len(found):
            return None
        return good[0] if len(good) == 1 else AnyOf(good)

    def equals(self, word: str, node: YamlNode) -> Condition | None:
        """A field with the values that it may have, or with its maximum age."""
        key = self.scope.key_of(word, node.line, "a condition", self.key)
        if key is None or not self.reachable(key, node):
            return None
        if node.is_mapping:
            return self.within(key, node)
        values = [item.value for item in (node.items if node.is_list else (node,))]
        good = tuple(value for value in values if isinstance(value, str | int | float | bool))
        if not good or len(good) < len(values):
            self.fault(f"`{word}` must be a value or a list of values", node.line, "Replace null, which never matches.")
            return None
        return FieldEquals(key, good)

    def within(self, key: str, node: YamlNode) -> TimeWithin | None:
        """The longest time between a field's time and another time."""
        known, hint = (
            {"within", "of"},
            "Write {FIELD: {within: 7d, of: OTHER_FIELD}}. The default of `of` is the event time.",
        )
        within, given = node.get("within"), node.get("of")
        age = None if within is None else parse_duration(within.value)
        if age is None or not known >= node.entries.keys():
            self.fault(f"`{key}` must be a value, a list of values, or {{within: …}}", node.line, hint)
            return None
        of = self.scope.time if given is None else str(given.value)
        other = None if of is None else self.scope.key_of(of, node.line, "a condition", self.key)
        if of is None:
            self.fault("the policy names no event time", node.line, "Add `of: FIELD`.")
        if other is None or not self.reachable(other, node):
            return None
        for name in (key, other):
            if self.scope.types.get(name, "timestamp") not in ("timestamp", "date"):
                self.fault(f"`{name}` is not a time, so `within` cannot be used", node.line, hint)
                return None
        return TimeWithin(key, age, other)

    def reachable(self, key: str, node: YamlNode) -> bool:
        """Whether a field is in the record, or in the same list element as the field with the condition."""
        asked = field_pointer(key)
        own = None if self.key is None else field_pointer(self.key)
        stars = () if own is None else own.stars
        if asked is None or asked.stars == stars[: len(asked.stars)]:
            return self.comparable(key, node)
        hint = "Use a field of the record, or of the same list element."
        self.fault(f"the condition reads `{key}`, which is in another list", node.line, hint)
        return False

    def comparable(self, key: str, node: YamlNode) -> bool:
        """Whether a field has single values that can be compared."""
        if self.scope.types.get(key) in CONTAINER_TYPES:
            self.fault(f"the condition reads `{key}`, which is not a single value", node.line)
            return False
        return True

    def fault(self, message: str, line: int | None, hint: str = "") -> None:
        """Records a fault of this condition."""
        self.scope.faults.add("P016", message, line=line, key=self.key, hint=hint)


@dataclass(frozen=True, slots=True)
class TechniqueReader(KeyReader):
    """Reads the steps of one field."""

    def treatment(self, node: YamlNode) -> Treatment | None:
        """`drop`, or a chain of steps; None if a fault was recorded."""
        return DROP if node.value == DROP else self.chain(node)

    def chain(self, node: YamlNode) -> tuple[TechniqueStep, ...] | None:
        """A chain of at least one step."""
        items = node.items if node.is_list else (node,)
        steps = [self.step(item) for item in items]
        good = tuple(step for step in steps if step is not None)
        if not items:
            self.fault("P006", "the list of techniques is empty", node.line, "Set `drop`, or add a technique.")
        return good if items and len(good) == len(steps) else None

    def step(self, node: YamlNode) -> TechniqueStep | None:
        """One technique: its word, or its word with parameters."""
        if isinstance(node.value, str):
            return self.named_technique(node.value, YamlNode({}, node.line), node.line)
        if node.is_mapping and len(node.entries) == 1:
            word, below = next(iter(node.entries.items()))
            return self.named_technique(word, below, below.line)
        hint = "Write several techniques as a list; they are applied in order." if node.is_mapping else ""
        self.fault("P006", "a technique must be a word, or a word with its parameters", node.line, hint)
        return None

    def named_technique(self, word: str, parameters: YamlNode, line: int | None) -> TechniqueStep | None:
        """The technique of this word, with these parameters."""
        if word == DROP:
            self.fault("P006", "`drop` must not have parameters or be part of a list", line)
            return None
        kind = TECHNIQUES.get(word)
        if kind is None:
            self.add_unknown_technique(word, line)
            return None
        node = _parameters_by_name(kind, parameters)
        if node is None:
            self.fault(
                "P013", f"`{word}` needs its parameters by name", line, f"Use: {', '.join(_parameter_names(kind))}."
            )
            return None
        context = {"folder": self.scope.folder}
        shape = MappingShape(f"`{word}`", key=self.key, code="P013", parameters=True, context=context)
        return read_mapping(kind, node, self.scope.faults, shape)

    def add_unknown_technique(self, word: str, line: int | None) -> None:
        """Records the fault for an unknown technique; unkeyed hashes get an explanation."""
        if word.lower().replace("-", "_") in UNKEYED_HASHES:
            self.fault("P012", f"`{word}` is not a technique: {NO_HASH_REASON}", line, "Did you mean `pseudonymize`?")
            return
        self.fault("P011", f"unknown technique `{word}`", line, did_you_mean(word, [*TECHNIQUES, DROP]))
        return


def _parameters_by_name(kind: type[TechniqueStep], node: YamlNode) -> YamlNode | None:
    """Parameters as a mapping. Null is an empty mapping; a single value is the value of the only (required) parameter."""
    if node.is_mapping:
        return node
    if node.value is None:
        return YamlNode({}, node.line)
    main = kind.lone_parameter()
    return None if main is None else YamlNode({main: node}, node.line)


def _parameter_names(kind: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in kind.model_fields.items()]


def read_duration(node: YamlNode, scope: DeclaredNames, word: str, key: str | None = None) -> timedelta | None:
    """A positive duration."""
    found = parse_duration(node.value)
    if found is None:
        hint = "Use a whole number and a unit: 45s, 15m, 24h, 30d, 2w."
        scope.faults.add("P006", f"`{word}` must be a duration", line=node.line, key=key, hint=hint)
    return found
