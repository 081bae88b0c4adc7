"""Fields of a policy: reading one, and questions about it.

In this order: the reader; treatments and steps of a field; the fields that conditions, steps and aggregates read; fields
that identify; the group key that tells a group's age; which of two forms of one technique is coarser.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from minimize.arrow.pointers import Pointer
from minimize.policy.condition import fields_read_by_condition
from minimize.policy.faults import did_you_mean
from minimize.policy.mapping_reader import DeclaredNames, MappingShape, NodeReaders, field_pointer, read_mapping
from minimize.policy.model import DROP, Field, FieldCase, Policy, Treatment
from minimize.policy.pipeline import AggregateModel
from minimize.policy.purposes import check_purpose
from minimize.policy.value_readers import ConditionReader, TechniqueReader, parse_duration
from minimize.policy.yaml_nodes import YamlNode
from minimize.techniques import TechniqueStep
from minimize.techniques.shift_dates import ShiftDates

if TYPE_CHECKING:
    from minimize.techniques.generalize import Generalize

FIELD_TYPES = (
    "string",
    "boolean",
    "integer",
    "double",
    "decimal",
    "timestamp",
    "date",
    "binary",
    "list",
    "struct",
    "map",
)
DECIMAL_PATTERN = r"decimal\(\s*([0-9]{1,3})\s*,\s*([0-9]{1,3})\s*\)"
MAX_DECIMAL_DIGITS = 38


@dataclass(frozen=True, slots=True)
class FieldReader:
    """Reads one field. `added_purposes` are those that the configuration adds."""

    scope: DeclaredNames
    key: str
    added_purposes: tuple[str, ...] = ()

    def __call__(self, node: YamlNode) -> Field | None:
        """The field; None where no field could be made of it."""
        pointer = field_pointer(self.key)
        if pointer is not None and pointer.is_keys:
            self.fault("P015", f"`{self.key}` are the keys of a map", node.line, "say `keys:` in the entry of the map")
            return None
        if pointer is None:
            hint = "a column's name, or a JSON Pointer such as /apps/*/name; `~0` is a tilde, `~1` a slash, `~2` a star"
            self.fault("P015", f"`{self.key}` is neither a column nor a pointer", node.line, hint)
            return None
        if pointer.top == "date":
            self.fault("P015", "`date` is the name of the partition", node.line, "rename the field at its source")
        field = read_mapping(Field, node, self.scope.faults, self.shape(node))
        if field is not None and node.is_mapping:
            self.check(field, node)
        return field

    def shape(self, node: YamlNode) -> MappingShape:
        """How the mapping of a field is read."""
        steps = TechniqueReader(self.scope, self.key)
        readers: NodeReaders = {
            "type": lambda below: self.type_(below, node),
            "do": steps.treatment,
            "otherwise": steps.treatment,
            "keys": steps.treatment,
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
        return MappingShape(
            "a field", readers, given, {"type": "string"} | given, {"from": "from_"}, hidden=hidden, key=self.key
        )

    def type_(self, node: YamlNode, field: YamlNode) -> str | None:
        """The policy's word for a type."""
        text = str(node.value)
        digits = re.fullmatch(DECIMAL_PATTERN, text)
        if digits:
            return self.decimal(int(digits[1]), int(digits[2]), node.line)
        if text in FIELD_TYPES and text != "decimal":
            return text
        torn = text.startswith("decimal(") and any(key.endswith(")") for key in field.entries)
        hint = 'quote it: type: "decimal(10,2)"' if torn or text == "decimal" else did_you_mean(text, FIELD_TYPES)
        self.fault("P007", f"`{text}` is no type", node.line, hint)
        return None

    def decimal(self, digits: int, scale: int, line: int | None) -> str | None:
        """The word for a decimal of so many digits, of which so many stand after the point."""
        if 1 <= digits <= MAX_DECIMAL_DIGITS and scale <= digits:
            return f"decimal({digits},{scale})"
        hint = f"decimal(p,s) has 1 to {MAX_DECIMAL_DIGITS} digits, and s is at most p"
        self.fault("P006", f"decimal({digits},{scale}) is no decimal", line, hint)
        return None

    def cases(self, node: YamlNode) -> tuple[FieldCase, ...] | None:
        """The cases, in order."""
        if not node.items:
            self.fault("P006", "`cases` wants a list of {if: …, do: …}", node.line)
            return None
        found = [read_mapping(FieldCase, item, self.scope.faults, self.case_shape()) for item in node.items]
        good = tuple(case for case in found if case is not None)
        return good if len(good) == len(found) else None

    def case_shape(self) -> MappingShape:
        """How the mapping of a case is read."""
        readers: NodeReaders = {
            "if": ConditionReader(self.scope, self.key),
            "do": TechniqueReader(self.scope, self.key).treatment,
        }
        return MappingShape("a case", readers, aliases={"if": "when"}, key=self.key)

    def purposes(self, node: YamlNode) -> tuple[str, ...] | None:
        """The purposes for which the field may be had."""
        return read_purposes(node, self.scope, self.added_purposes, self.key)

    def inputs(self, node: YamlNode) -> tuple[str, ...] | None:
        """The fields from which this one is derived."""
        own = field_pointer(self.key)
        found = [self.scope.key_of(str(item.value), item.line, "`from`", self.key) for item in node.items]
        good = tuple(key for key in found if key is not None)
        if not node.items:
            self.fault("P006", "`from` wants a list of fields", node.line)
        if len(set(good)) < len(good):
            self.fault("P018", "`from` names a field twice", node.line)
        for key in good:
            pointer = field_pointer(key)
            if own is not None and pointer is not None and pointer.stars != own.stars:
                self.fault("P018", f"`{key}` and the field that is made from it stand in different lists", node.line)
        return good if good and len(good) == len(found) else None

    def check(self, field: Field, node: YamlNode) -> None:
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

    def check_keys(self, field: Field, node: YamlNode) -> None:
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

    def check_reads(self, step: TechniqueStep, line: int | None) -> None:
        """What a step reads beside its own value must be declared, as it is spelled there, and within reach."""
        own = field_pointer(self.key)
        for text in sorted(step.reads()):
            key = self.scope.key_of(text, line, f"`{step.name}`", self.key)
            pointer = field_pointer(text)
            if key is not None and key != text:
                self.fault(
                    "P010", f"`{step.name}` names `{text}`, which is declared as `{key}`", line, f"write `{key}`"
                )
            word = self.scope.types.get(key or "")
            if step.reads_only and word in FIELD_TYPES and word not in step.reads_only:
                hint = f"it takes {', '.join(step.reads_only)}"
                self.fault("P018", f"`{step.name}` reads `{text}`, which is {word}", line, hint)
            if own is not None and pointer is not None and pointer.stars != own.stars[: len(pointer.stars)]:
                self.fault("P018", f"`{step.name}` reads `{text}`, which stands in another list", line)

    def fault(self, code: str, message: str, line: int | None, hint: str = "") -> None:
        """Takes down a fault of this field."""
        self.scope.faults.add(code, message, line=line, key=self.key, hint=hint)


def treatments_of(field: Field) -> Iterator[Treatment]:
    """Everything that may become of a field's value in the records: its cases and the rest, or what `do` says."""
    if field.cases:
        yield from (case.do for case in field.cases)
        yield field.otherwise
    else:
        yield field.do


def aggregate_treatments(field: Field) -> list[tuple[TechniqueStep, ...]]:
    """The chains through which aggregates may see a field's value."""
    return (
        [field.in_aggregates]
        if field.in_aggregates
        else [way for way in treatments_of(field) if not isinstance(way, str)]
    )


def is_raw_in_aggregates(field: Field) -> bool:
    """Whether a value may reach aggregates as it came in. Clipping changes only values outside its bounds."""
    chains = aggregate_treatments(field)
    return any(all(step.leaves == "everything" or step.name == "clip" for step in chain) for chain in chains)


def is_dropped(field: Field) -> bool:
    """Whether no record shows the field, whatever its values."""
    return all(way == DROP for way in treatments_of(field))


def steps_of(field: Field) -> Iterator[TechniqueStep]:
    """Every step that a field's value may take, on its way to records or to aggregates."""
    for way in treatments_of(field):
        if not isinstance(way, str):
            yield from way
    yield from field.in_aggregates


def generalize_steps(fields: Iterable[Field]) -> tuple[Generalize, ...]:
    """The steps of all these fields that a hierarchy's file stands behind."""
    steps = (step for field in fields for step in steps_of(field) if step.name == "generalize")
    return cast("tuple[Generalize, ...]", tuple(steps))


def read_purposes(
    node: YamlNode, scope: DeclaredNames, configured_purposes: tuple[str, ...], key: str | None = None
) -> tuple[str, ...] | None:
    """A list of purposes, all of which may be had."""
    if not node.items or not all(isinstance(item.value, str) for item in node.items):
        scope.faults.add("P006", "`purposes` wants a list of purposes", line=node.line, key=key)
        return None
    names = [(str(item.value), item.line) for item in node.items]
    good = [name for name, line in names if check_purpose(name, configured_purposes, scope.faults, line, key)]
    return tuple(good) if len(good) == len(names) else None


def read_duration(node: YamlNode, scope: DeclaredNames, word: str, key: str | None = None) -> timedelta | None:
    """A positive length of time."""
    found = parse_duration(node.value)
    if found is None:
        hint = "a whole number and a unit: 45s, 15m, 24h, 30d, 2w"
        scope.faults.add("P006", f"`{word}` wants a length of time", line=node.line, key=key, hint=hint)
    return found


def overlapping_fields(fields: dict[Pointer, str]) -> Iterator[tuple[str, str]]:
    """Pairs of keys of which the second stands below the first."""
    for pointer, key in fields.items():
        for length in range(1, len(pointer.parts)):
            above = fields.get(Pointer(pointer.parts[:length]))
            if above is not None:
                yield above, key


def fields_read_by_conditions(field: Field) -> Iterator[str]:
    """The fields that the conditions of a field read."""
    for condition in (field.collect_if, *(case.when for case in field.cases)):
        yield from fields_read_by_condition(condition)


def fields_read_by_steps(field: Field) -> Iterator[tuple[str, str]]:
    """The fields that the steps of a field read, each after the name of its technique."""
    for step in steps_of(field):
        yield from ((step.name, key) for key in sorted(step.reads()))


def fields_read_by_aggregate(model: AggregateModel) -> Iterator[str]:
    """The fields that the groups and the measures of an aggregate show."""
    yield from (key.field for key in model.group_by.values())
    yield from (measure.of for measure in model.measures.values() if measure.of is not None)


_DISTINGUISHING: Final = ("everything", "linkable", "reversible")


def identifying_fields(policy: Policy) -> Iterator[str]:
    """The fields whose released values name one person or device, by name or by pseudonym."""
    for name, field in policy.fields.items():
        stands_for = field.role == "identifier" or name == policy.subject or _is_pseudonym(field)
        if stands_for and not is_dropped(field) and keeps_values_distinct(field):
            yield name


def keeps_values_distinct(field: Field) -> bool:
    """Whether equal values stay equal, and different ones different, in some form of the field that leaves."""
    ways = [way for way in treatments_of(field) if not isinstance(way, str)]
    return any(all(step.leaves in _DISTINGUISHING for step in way) for way in ways)


def _is_pseudonym(field: Field) -> bool:
    ways = [way for way in treatments_of(field) if not isinstance(way, str)]
    return any(step.name in ("pseudonymize", "tokenize") for way in ways for step in way)


_UNITS_FINEST_FIRST: Final = (None, "minute", "hour", "day", "week", "month", "quarter", "year")


def group_time_key(policy: Policy, units: Mapping[str, str | None]) -> tuple[str, timedelta] | None:
    """The key that tells how old a group is, and the longest time by which its times are shifted; None if no key does.

    Takes the units of the keys that are event times, None for one in its released form. The finest unit counts.
    """
    field = None if policy.time is None else policy.fields.get(policy.time)
    if field is None or not units:
        return None
    column = min(units, key=lambda column: _UNITS_FINEST_FIRST.index(units[column]))
    ways = [way for way in treatments_of(field) if not isinstance(way, str)]
    shifts = [sum(step.max_days for step in way if isinstance(step, ShiftDates)) for way in ways]
    return column, timedelta(days=max(shifts, default=0))


Coarseness = Literal["coarser", "finer"]
_TIME_UNITS: Final = ("minute", "hour", "day", "week", "month", "quarter", "year")
_NESTING_UNITS: Final = ("minute", "hour", "day", "month", "quarter", "year")
"""Units each of which is made of whole ones of those before; weeks are not of months."""


def compare_coarseness(word: str, then: Mapping[str, Any], today: Mapping[str, Any]) -> Coarseness | None:
    """How the second of two forms by one technique compares with the first; None where neither can be made of the other.

    Takes the technique's word, and its parameters then and today.

    >>> compare_coarseness("truncate_time", {"to": "hour", "zone": "UTC"}, {"to": "day", "zone": "UTC"})
    'coarser'
    """
    ranks = [_precision(word, given) for given in (then, today)]
    others = [
        {key: value for key, value in given.items() if key not in _PRECISION_PARAMETERS.get(word, ())}
        for given in (then, today)
    ]
    if word not in _PRECISION_PARAMETERS or others[0] != others[1]:
        return None
    if all(new <= old for old, new in zip(*ranks, strict=True)):
        return "coarser" if _is_derivable(word, then, today) else None
    return "finer" if all(new >= old for old, new in zip(*ranks, strict=True)) else None


_PRECISION_PARAMETERS: Final[Mapping[str, tuple[str, ...]]] = {
    "truncate_time": ("to",),
    "truncate_ip": ("v4", "v6"),
    "truncate_version": ("parts",),
    "mask": ("keep_last", "keep_first"),
}
"""By technique the parameters that say how much is left, and nothing else."""


def _precision(word: str, parameters: Mapping[str, Any]) -> list[int]:
    """How much is left, the more the finer."""
    if word == "truncate_time":
        return [-_TIME_UNITS.index(parameters["to"])]
    return [parameters[name] or 0 for name in _PRECISION_PARAMETERS.get(word, ())]


def _is_derivable(word: str, then: Mapping[str, Any], today: Mapping[str, Any]) -> bool:
    """Whether the coarser form can be made of the finer: the start of a week says nothing of months."""
    if word != "truncate_time":
        return True
    units = (then["to"], today["to"])
    return (
        units == ("week", "week")
        or all(unit in _NESTING_UNITS for unit in units)
        or (units[1] == "week" and units[0] in ("minute", "hour", "day"))
    )
