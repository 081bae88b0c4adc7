"""Reading conditions: several keys mean all, a list of values any, `any` and `all` nest, and there is no `not`."""

from __future__ import annotations

from dataclasses import dataclass

from minimize.pointer import Pointer
from minimize.policy.condition import All, AnyOf, Condition, Equals, Feature, Level, Within
from minimize.policy.durations import duration
from minimize.policy.scope import Scope, pointer_of
from minimize.policy.yaml import Node

_NEGATIONS = frozenset({"not", "none", "nor", "unless", "except"})


@dataclass(frozen=True, slots=True)
class ConditionReader:
    """Reads the conditions of one field, or of whole records (no key): which lists it stands in says what it may read."""

    scope: Scope
    key: str | None = None

    def __call__(self, node: Node) -> Condition | None:
        """The condition; None where a fault was taken down."""
        if not node.is_mapping or not node.entries:
            self.fault("a condition is a mapping of what must hold", node.line)
            return None
        parts = [self.entry(word, below) for word, below in node.entries.items()]
        good = tuple(part for part in parts if part is not None)
        if len(good) < len(parts):
            return None
        return good[0] if len(good) == 1 else All(good)

    def entry(self, word: str, node: Node) -> Condition | None:
        """What one key of the mapping asks."""
        if word in ("any", "all"):
            return self.nested(word, node)
        if word in ("feature", "level"):
            return self.setting(word, node)
        if word in _NEGATIONS and self.scope.keys is not None and Pointer((word,)) not in self.scope.keys:
            self.fault(f"there is no `{word}` in a condition", node.line, "say what must hold; null never matches")
            return None
        return self.equals(word, node)

    def nested(self, word: str, node: Node) -> Condition | None:
        """A list of conditions, of which any or all must hold."""
        if not node.items:
            self.fault(f"`{word}` wants a list of conditions", node.line)
            return None
        parts = [self(item) for item in node.items]
        good = tuple(part for part in parts if part is not None)
        if len(good) < len(parts):
            return None
        return AnyOf(good) if word == "any" else All(good)

    def setting(self, word: str, node: Node) -> Condition | None:
        """A feature or a level, or a list of which any will do."""
        names = node.items or (node,)
        if not all(isinstance(item.value, str) for item in names):
            self.fault(f"`{word}` wants the name of a {word}", node.line, f"a field of that name is `/{word}`")
            return None
        look = self.scope.feature if word == "feature" else self.scope.level
        found = [look(str(item.value), item.line, self.key) for item in names]
        kind = Feature if word == "feature" else Level
        good = tuple(kind(name) for name in found if name is not None)
        if len(good) < len(found):
            return None
        return good[0] if len(good) == 1 else AnyOf(good)

    def equals(self, word: str, node: Node) -> Condition | None:
        """A field and the values that it may have, or how old it may be."""
        key = self.scope.key_of(word, node.line, "a condition", self.key)
        if key is None or not self.reachable(key, node):
            return None
        if node.is_mapping:
            return self.within(key, node)
        values = [item.value for item in (node.items if node.is_list else (node,))]
        good = tuple(value for value in values if isinstance(value, str | int | float | bool))
        if not good or len(good) < len(values):
            self.fault(f"`{word}` wants a value or a list of values", node.line, "null never matches")
            return None
        return Equals(key, good)

    def within(self, key: str, node: Node) -> Within | None:
        """How long before another time a field's time may lie."""
        known, hint = (
            {"within", "of"},
            "{FIELD: {within: 7d, of: OTHER_FIELD}}; `of` is the event time where nothing is said",
        )
        said, given = node.get("within"), node.get("of")
        age = None if said is None else duration(said.value)
        if age is None or not known >= node.entries.keys():
            self.fault(f"`{key}` wants a value, a list of values, or how old it may be", node.line, hint)
            return None
        of = self.scope.time if given is None else str(given.value)
        other = None if of is None else self.scope.key_of(of, node.line, "a condition", self.key)
        if of is None:
            self.fault("the policy names no event time", node.line, "say `of: FIELD`")
        if other is None or not self.reachable(other, node):
            return None
        for name in (key, other):
            if self.scope.types.get(name, "timestamp") not in ("timestamp", "date"):
                self.fault(f"`{name}` is no time, so that nothing is within it", node.line, hint)
                return None
        return Within(key, age, other)

    def reachable(self, key: str, node: Node) -> bool:
        """Whether a field stands in the record, or in the same list element as the one that asks."""
        asked = pointer_of(key)
        own = None if self.key is None else pointer_of(self.key)
        stars = () if own is None else own.stars
        if asked is None or asked.stars == stars[: len(asked.stars)]:
            return self.comparable(key, node)
        hint = "a condition reads fields of the record, or of the same list element"
        self.fault(f"the condition reads `{key}`, which stands in another list", node.line, hint)
        return False

    def comparable(self, key: str, node: Node) -> bool:
        """Whether a field has single values that can be compared."""
        if self.scope.types.get(key) in ("list", "struct", "map"):
            self.fault(f"the condition reads `{key}`, which is no single value", node.line)
            return False
        return True

    def fault(self, message: str, line: int | None, hint: str = "") -> None:
        """Takes down a fault of this condition."""
        self.scope.faults.add("P016", message, line=line, key=self.key, hint=hint)
