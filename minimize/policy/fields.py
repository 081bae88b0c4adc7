"""Reading one field, and the checks that concern it alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from minimize.pointer import Pointer
from minimize.policy.conditions import ConditionReader
from minimize.policy.durations import duration
from minimize.policy.faults import did_you_mean
from minimize.policy.model import DROP, Case, Do, Field
from minimize.policy.purposes import check_purpose
from minimize.policy.scope import Scope, pointer_of
from minimize.policy.shape import Readers, Shape, build
from minimize.policy.steps import StepReader
from minimize.policy.yaml import Node
from minimize.techniques import Step

if TYPE_CHECKING:
    from minimize.techniques.generalize import Generalize

TYPES = ("string", "boolean", "integer", "double", "decimal", "timestamp", "date", "binary", "list", "struct", "map")
DECIMAL = r"decimal\(\s*([0-9]{1,3})\s*,\s*([0-9]{1,3})\s*\)"
MAX_DIGITS = 38


@dataclass(frozen=True, slots=True)
class FieldReader:
    """Reads one field; `house` are the purposes that the house adds."""

    scope: Scope
    key: str
    house: tuple[str, ...] = ()

    def __call__(self, node: Node) -> Field | None:
        """The field; None where no field could be made of it."""
        pointer = pointer_of(self.key)
        if pointer is not None and pointer.is_keys:
            self.fault("P015", f"`{self.key}` are the keys of a map", node.line, "say `keys:` in the entry of the map")
            return None
        if pointer is None:
            hint = "a column's name, or a JSON Pointer such as /apps/*/name; `~0` is a tilde, `~1` a slash, `~2` a star"
            self.fault("P015", f"`{self.key}` is neither a column nor a pointer", node.line, hint)
            return None
        if pointer.top == "date":
            self.fault("P015", "`date` is the name of the partition", node.line, "rename the field at its source")
        field = build(Field, node, self.scope.faults, self.shape(node))
        if field is not None and node.is_mapping:
            self.check(field, node)
        return field

    def shape(self, node: Node) -> Shape:
        """How the mapping of a field is read."""
        steps = StepReader(self.scope, self.key)
        readers: Readers = {
            "type": lambda below: self.type_(below, node),
            "do": steps.do,
            "otherwise": steps.do,
            "keys": steps.do,
            "in_aggregates": steps.chain,
            "cases": self.cases,
            "collect_if": ConditionReader(self.scope, self.key),
            "feature": lambda below: self.scope.word(below, "feature", self.scope.feature, self.key),
            "level": lambda below: self.scope.word(below, "level", self.scope.level, self.key),
            "purposes": self.purposes,
            "from": self.inputs,
        }
        given = {"key": self.key, "line": node.line} | ({"type": "struct"} if node.get("from") else {})
        hidden = frozenset({"key", "line"})
        return Shape(
            "a field", readers, given, {"type": "string"} | given, {"from": "from_"}, hidden=hidden, key=self.key
        )

    def type_(self, node: Node, field: Node) -> str | None:
        """The policy's word for a type."""
        text = str(node.value)
        digits = re.fullmatch(DECIMAL, text)
        if digits:
            return self.decimal(int(digits[1]), int(digits[2]), node.line)
        if text in TYPES and text != "decimal":
            return text
        torn = text.startswith("decimal(") and any(key.endswith(")") for key in field.entries)
        hint = 'quote it: type: "decimal(10,2)"' if torn or text == "decimal" else did_you_mean(text, TYPES)
        self.fault("P007", f"`{text}` is no type", node.line, hint)
        return None

    def decimal(self, digits: int, scale: int, line: int | None) -> str | None:
        """The word for a decimal of so many digits, of which so many stand after the point."""
        if 1 <= digits <= MAX_DIGITS and scale <= digits:
            return f"decimal({digits},{scale})"
        hint = f"decimal(p,s) has 1 to {MAX_DIGITS} digits, and s is at most p"
        self.fault("P006", f"decimal({digits},{scale}) is no decimal", line, hint)
        return None

    def cases(self, node: Node) -> tuple[Case, ...] | None:
        """The cases, in order."""
        if not node.items:
            self.fault("P006", "`cases` wants a list of {if: …, do: …}", node.line)
            return None
        found = [build(Case, item, self.scope.faults, self.case_shape()) for item in node.items]
        good = tuple(case for case in found if case is not None)
        return good if len(good) == len(found) else None

    def case_shape(self) -> Shape:
        """How the mapping of a case is read."""
        readers: Readers = {"if": ConditionReader(self.scope, self.key), "do": StepReader(self.scope, self.key).do}
        return Shape("a case", readers, spelled={"if": "when"}, key=self.key)

    def purposes(self, node: Node) -> tuple[str, ...] | None:
        """The purposes for which the field may be had."""
        return read_purposes(node, self.scope, self.house, self.key)

    def inputs(self, node: Node) -> tuple[str, ...] | None:
        """The fields from which this one is derived."""
        own = pointer_of(self.key)
        found = [self.scope.key_of(str(item.value), item.line, "`from`", self.key) for item in node.items]
        good = tuple(key for key in found if key is not None)
        if not node.items:
            self.fault("P006", "`from` wants a list of fields", node.line)
        if len(set(good)) < len(good):
            self.fault("P018", "`from` names a field twice", node.line)
        for key in good:
            pointer = pointer_of(key)
            if own is not None and pointer is not None and pointer.stars != own.stars:
                self.fault("P018", f"`{key}` and the field that is made from it stand in different lists", node.line)
        return good if good and len(good) == len(found) else None

    def check(self, field: Field, node: Node) -> None:
        """What must hold between the parts of one field."""
        if node.get("cases") and node.get("do"):
            hint = "`otherwise` says what becomes of the rest"
            self.fault("P018", "a field has `do` or `cases`, not both", node.entries["do"].line, hint)
        if node.get("otherwise") and not node.get("cases"):
            line = node.entries["otherwise"].line
            self.fault("P018", "`otherwise` belongs to `cases`", line, "say `do`, or add `cases`")
        if field.role == "secret" and not (is_dropped(field) and not field.in_aggregates):
            self.fault("P014", "a secret may only be dropped", node.line, "say `do: drop`")
        self.check_keys(field, node)
        for step in (*steps_of(field), *(field.keys if isinstance(field.keys, tuple) else ())):
            self.check_reads(step, node.line)

    def check_keys(self, field: Field, node: Node) -> None:
        """Keys belong to a map, and leave with the values that stand in it."""
        line = node.entries["keys"].line if node.get("keys") else node.line
        if field.keys is not None and field.type != "map":
            self.fault("P018", "`keys` belongs to a map", line, "say `type: map`, or leave it out")
        if field.keys not in (None, DROP):
            if field.role == "secret":
                self.fault("P014", "a secret may only be dropped", line, "say `keys: drop`")
            if field.is_gated or field.cases:
                hint = "write `feature`, `level`, `collect_if` and `cases` at the fields below the map"
                self.fault("P018", "the keys of a map leave with its values and have no gate of their own", line, hint)
            if isinstance(field.keys, tuple) and any(step.name == "top" for step in field.keys):
                self.fault("P018", "`top` does not take the keys of a map", line)

    def check_reads(self, step: Step, line: int | None) -> None:
        """What a step reads beside its own value must be declared, as it is spelled there, and within reach."""
        own = pointer_of(self.key)
        for text in sorted(step.reads()):
            key = self.scope.key_of(text, line, f"`{step.name}`", self.key)
            pointer = pointer_of(text)
            if key is not None and key != text:
                self.fault(
                    "P010", f"`{step.name}` names `{text}`, which is declared as `{key}`", line, f"write `{key}`"
                )
            word = self.scope.types.get(key or "")
            if step.reads_only and word in TYPES and word not in step.reads_only:
                hint = f"it takes {', '.join(step.reads_only)}"
                self.fault("P018", f"`{step.name}` reads `{text}`, which is {word}", line, hint)
            if own is not None and pointer is not None and pointer.stars != own.stars[: len(pointer.stars)]:
                self.fault("P018", f"`{step.name}` reads `{text}`, which stands in another list", line)

    def fault(self, code: str, message: str, line: int | None, hint: str = "") -> None:
        """Takes down a fault of this field."""
        self.scope.faults.add(code, message, line=line, key=self.key, hint=hint)


def ways_of(field: Field) -> Iterator[Do]:
    """Everything that may become of a field's value in the records: its cases and the rest, or what `do` says."""
    if field.cases:
        yield from (case.do for case in field.cases)
        yield field.otherwise
    else:
        yield field.do


def ways_in_aggregates(field: Field) -> list[tuple[Step, ...]]:
    """The chains through which aggregates may see a field's value."""
    return [field.in_aggregates] if field.in_aggregates else [way for way in ways_of(field) if not isinstance(way, str)]


def is_raw_in_aggregates(field: Field) -> bool:
    """Whether a value may reach aggregates as it came in. Clipping changes only values outside its bounds."""
    chains = ways_in_aggregates(field)
    return any(all(step.leaves == "everything" or step.name == "clip" for step in chain) for chain in chains)


def is_dropped(field: Field) -> bool:
    """Whether no record shows the field, whatever its values."""
    return all(way == DROP for way in ways_of(field))


def steps_of(field: Field) -> Iterator[Step]:
    """Every step that a field's value may take, on its way to records or to aggregates."""
    for way in ways_of(field):
        if not isinstance(way, str):
            yield from way
    yield from field.in_aggregates


def generalized(fields: Iterable[Field]) -> tuple[Generalize, ...]:
    """The steps of all these fields that a hierarchy's file stands behind."""
    steps = (step for field in fields for step in steps_of(field) if step.name == "generalize")
    return cast("tuple[Generalize, ...]", tuple(steps))


def read_purposes(node: Node, scope: Scope, house: tuple[str, ...], key: str | None = None) -> tuple[str, ...] | None:
    """A list of purposes, all of which may be had."""
    if not node.items or not all(isinstance(item.value, str) for item in node.items):
        scope.faults.add("P006", "`purposes` wants a list of purposes", line=node.line, key=key)
        return None
    names = [(str(item.value), item.line) for item in node.items]
    good = [name for name, line in names if check_purpose(name, house, scope.faults, line, key)]
    return tuple(good) if len(good) == len(names) else None


def read_duration(node: Node, scope: Scope, word: str, key: str | None = None) -> timedelta | None:
    """A positive length of time."""
    found = duration(node.value)
    if found is None:
        hint = "a whole number and a unit: 45s, 15m, 24h, 30d, 2w"
        scope.faults.add("P006", f"`{word}` wants a length of time", line=node.line, key=key, hint=hint)
    return found


def overlaps(fields: dict[Pointer, str]) -> Iterator[tuple[str, str]]:
    """Pairs of keys of which the second stands below the first."""
    for pointer, key in fields.items():
        for length in range(1, len(pointer.parts)):
            above = fields.get(Pointer(pointer.parts[:length]))
            if above is not None:
                yield above, key
