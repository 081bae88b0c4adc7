"""Conditions of a field, a case or a whole record, as a monotone tree: there is no `not`. Their type in forms.

`FeatureOn` and `LevelAtLeast` read the collection settings; `FieldEquals` and `TimeWithin` read fields of the record or of
the same list element. All keys of a mapping must match; of a list of values, one must match. Null never matches.

Evaluation of conditions in three-valued logic (Kleene): a condition is true, false or unknown, for whole columns.

A truth is a Boolean array with one value per row. Null means unknown: the facts decide neither way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import reduce
from typing import Annotated, Any, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import (
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema
from typing_extensions import TypeAliasType

from minimize.arrow.types import CONTAINER_TYPES
from minimize.forms import KeyPath, Reading, form_error
from minimize.forms.values import DURATION_PATTERN, parse_duration
from minimize.policy.names import PolicyNames, field_pointer, names_of

ConditionValue = str | int | float | bool


@dataclass(frozen=True, slots=True)
class AllOf:
    """All parts are true."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part is true."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class FeatureOn:
    """The feature is on."""

    name: str


@dataclass(frozen=True, slots=True)
class LevelAtLeast:
    """The level, or a higher one, is set."""

    name: str


@dataclass(frozen=True, slots=True)
class FieldEquals:
    """The field (its key in the policy) has one of these values."""

    field: str
    values: tuple[ConditionValue, ...]


@dataclass(frozen=True, slots=True)
class TimeWithin:
    """The field's time is less than this long before that of another field (`of`), or after it."""

    field: str
    age: timedelta
    reference: str


Condition = AllOf | AnyOf | FeatureOn | LevelAtLeast | FieldEquals | TimeWithin
Atom = FeatureOn | LevelAtLeast | FieldEquals | TimeWithin


def atoms(condition: Condition) -> Iterator[Atom]:
    """The leaves of the tree, from left to right."""
    if isinstance(condition, AllOf | AnyOf):
        for part in condition.parts:
            yield from atoms(part)
    else:
        yield condition


def setting_atoms(condition: Condition | None) -> Iterator[FeatureOn | LevelAtLeast]:
    """The leaves that read the collection settings; none if the condition is None."""
    if condition is not None:
        yield from (atom for atom in atoms(condition) if isinstance(atom, FeatureOn | LevelAtLeast))


def conjuncts(condition: Condition) -> Iterator[Condition]:
    """The parts that are all true if the condition is true: atoms, and alternatives (`AnyOf`) of which it is not known which.

    >>> [*conjuncts(AllOf((AnyOf((FeatureOn("usage"),)), LevelAtLeast("full"))))]
    [FeatureOn(name='usage'), LevelAtLeast(name='full')]
    """
    if isinstance(condition, AllOf) or (isinstance(condition, AnyOf) and len(condition.parts) == 1):
        for part in condition.parts:
            yield from conjuncts(part)
    else:
        yield condition


def fields_of_atom(atom: Atom) -> tuple[str, ...]:
    """The fields that an atom reads.

    >>> fields_of_atom(TimeWithin("last_contact", timedelta(days=7), "event_time")), fields_of_atom(LevelAtLeast("full"))
    (('last_contact', 'event_time'), ())
    """
    match atom:
        case FieldEquals(field):
            return (field,)
        case TimeWithin(field, _, of):
            return (field, of)
        case _:
            return ()


def fields_read_by_condition(condition: Condition | None) -> Iterator[str]:
    """The fields that a condition reads; none if the condition is None."""
    if condition is not None:
        yield from (field for atom in atoms(condition) for field in fields_of_atom(atom))


class _ConditionType:
    """Reads a condition: a mapping of fields and settings to the values that they must have."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        nested = handler.generate_schema(tuple[FormCondition, ...])  # for the JSON Schema
        return core_schema.with_info_wrap_validator_function(_read_condition, nested)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        text = {"type": "string"}
        plain = {"type": ["string", "number", "boolean"]}
        age = {"type": "string", "pattern": DURATION_PATTERN}
        within = {
            "type": "object",
            "description": "The longest time before the other time. The default of `of` is the event time.",
            "properties": {"within": age, "of": text},
            "additionalProperties": False,
            "required": ["within"],
        }
        conditions = {**handler(schema), "minItems": 1}
        names = {"anyOf": [text, _list_schema(text)]}
        return {
            "type": "object",
            "description": "All keys must match; of a list of values, one must match. Null never matches. There is no `not`.",
            "properties": {
                "any": {**conditions, "description": "At least one of these conditions is true."},
                "all": {**conditions, "description": "Every one of these conditions is true."},
                "feature": {**names, "description": "The feature is on; of a list, at least one."},
                "level": {**names, "description": "The level, or a higher one, is set; of a list, at least one."},
            },
            "additionalProperties": {"anyOf": [plain, _list_schema(plain), within]},
            "minProperties": 1,
        }


def _list_schema(items: JsonSchemaValue) -> JsonSchemaValue:
    return {"type": "array", "items": items, "minItems": 1}


FormCondition = TypeAliasType("FormCondition", Annotated[Condition, _ConditionType()])
"""A condition in a form."""


def _read_condition(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    if not isinstance(info.context, Reading):
        return value
    reader = _ConditionReader(info.context.key, names_of(info.context))
    condition = reader.read(value, ())
    if reader.errors:
        raise ValidationError.from_exception_data("condition", reader.errors)
    return condition


_NEGATIONS: Final = frozenset({"not", "none", "nor", "unless", "except"})


@dataclass(frozen=True, slots=True)
class _ConditionReader:
    """Reads the conditions of one field, or of whole records (no key). The lists around the field limit what it may read.

    A method for one value raises PydanticCustomError; a method for several records every error, and then returns None. A
    path leads from the whole condition to the value.
    """

    key: str | None
    names: PolicyNames
    errors: list[InitErrorDetails] = field(default_factory=list)

    def read(self, value: Any, path: KeyPath) -> Condition | None:
        """The condition of a mapping."""
        if not isinstance(value, Mapping) or not value:
            return self.record(_fault("a condition must be a mapping of fields and settings to values"), path)
        parts = [self.entry(word, item, (*path, word)) for word, item in value.items()]
        good = tuple(part for part in parts if part is not None)
        if len(good) < len(parts):
            return None
        return good[0] if len(good) == 1 else AllOf(good)

    def entry(self, word: str, value: Any, path: KeyPath) -> Condition | None:
        """The condition of one key of the mapping."""
        try:
            if word in ("any", "all"):
                return self.nested(word, value, path)
            return self.setting(word, value) if word in ("feature", "level") else self.comparison(word, value)
        except PydanticCustomError as error:
            return self.record(error, path)

    def record(self, error: PydanticCustomError, path: KeyPath) -> Condition | None:
        """Records an error. There is no condition then."""
        self.errors.append(InitErrorDetails(type=error, loc=path, input=None))
        return None

    def nested(self, word: str, value: Any, path: KeyPath) -> Condition | None:
        """A list of conditions, any or all of which must be true."""
        if not isinstance(value, tuple) or not value:
            raise _fault(f"`{word}` must be a list of conditions")
        parts = [self.read(item, (*path, index)) for index, item in enumerate(value)]
        good = tuple(part for part in parts if part is not None)
        if len(good) < len(parts):
            return None
        return AnyOf(good) if word == "any" else AllOf(good)

    def setting(self, word: str, value: Any) -> Condition:
        """A feature or a level, or a list; one of the list is enough."""
        written = value if isinstance(value, tuple) and value else (value,)
        if not all(isinstance(name, str) for name in written):
            raise _fault(f"`{word}` must be the name of a {word}", f"Write `/{word}` for a field of that name.")
        for name in written:
            self.names.require(word, name)
        kind = FeatureOn if word == "feature" else LevelAtLeast
        parts = tuple(kind(name) for name in written)
        return parts[0] if len(parts) == 1 else AnyOf(parts)

    def comparison(self, word: str, value: Any) -> Condition:
        """A field with the values that it may have, or with its maximum age."""
        if word in _NEGATIONS and self.names.keys is not None and self.names.find(word) is None:
            hint = "State the values that must match. There is no negation; null never matches."
            raise _fault(f"`{word}` is not valid in a condition", hint)
        key = self.readable_field(word)
        if isinstance(value, Mapping):
            return self.within(key, value)
        values = value if isinstance(value, tuple) else (value,)
        if not values or not all(isinstance(each, str | int | float) for each in values):
            raise _fault(f"`{word}` must be a value or a list of values", "Replace null, which never matches.")
        return FieldEquals(key, values)

    def within(self, key: str, value: Mapping[str, Any]) -> TimeWithin:
        """The longest time between a field's time and another time."""
        hint = "Write {FIELD: {within: 7d, of: OTHER_FIELD}}. The default of `of` is the event time."
        age = parse_duration(value.get("within"))
        reference = value.get("of", self.names.time)
        if age is None or not isinstance(reference, str | None) or not value.keys() <= {"within", "of"}:
            raise _fault(f"`{key}` must be a value, a list of values, or {{within: …}}", hint)
        if reference is None:
            raise _fault("the policy names no event time", "Add `of: FIELD`.")
        reference_key = self.readable_field(reference)
        for name in (key, reference_key):
            if self.names.types.get(name, "timestamp") not in ("timestamp", "date"):
                raise _fault(f"`{name}` is not a time, so `within` cannot be used", hint)
        return TimeWithin(key, age, reference_key)

    def readable_field(self, text: str) -> str:
        """The key of a declared field with single values, of the record or of the same list element as the field's own."""
        key = self.names.key_of(text, "a condition")
        pointer = field_pointer(key)
        target_pointer = None if self.key is None else field_pointer(self.key)
        stars = () if target_pointer is None else target_pointer.stars
        if pointer is None or pointer.stars != stars[: len(pointer.stars)]:
            hint = "Use a field of the record, or of the same list element."
            raise _fault(f"the condition reads `{key}`, which is in another list", hint)
        if self.names.types.get(key) in CONTAINER_TYPES:
            raise _fault(f"the condition reads `{key}`, which is not a single value")
        return key


def _fault(message: str, hint: str = "") -> PydanticCustomError:
    return form_error("P016", message, hint)


ALWAYS: Final = AllOf(())
NEVER: Final = AnyOf(())


class Facts(Protocol):
    """The facts about some rows: how many there are, and for each kind of atom its truth per row."""

    def __len__(self) -> int:
        """The number of rows."""

    def setting(self, atom: FeatureOn | LevelAtLeast) -> pa.BooleanArray:
        """Whether the feature is on, or the level is set."""

    def equals(self, atom: FieldEquals) -> pa.BooleanArray:
        """Whether the field has one of the values."""

    def within(self, atom: TimeWithin) -> pa.BooleanArray:
        """Whether the field's time is within the age."""


def evaluate(condition: Condition, facts: Facts) -> pa.BooleanArray:
    """The truth of the condition, per row of the facts."""
    match condition:
        case AllOf(parts):
            truths = (evaluate(part, facts) for part in parts)
            return reduce(pc.and_kleene, truths) if parts else constant_truth(True, len(facts))
        case AnyOf(parts):
            truths = (evaluate(part, facts) for part in parts)
            return reduce(pc.or_kleene, truths) if parts else constant_truth(False, len(facts))
        case FieldEquals():
            return facts.equals(condition)
        case TimeWithin():
            return facts.within(condition)
        case _:
            return facts.setting(condition)


def surely(truth: pa.BooleanArray) -> pa.BooleanArray:
    """Whether the condition is true, independent of what is unknown."""
    return truth.fill_null(False) if truth.null_count else truth  # copies even without nulls: 15 % of the gate


def possibly(truth: pa.BooleanArray) -> pa.BooleanArray:
    """Whether the condition is true or unknown."""
    return truth.fill_null(True) if truth.null_count else truth


def constant_truth(value: bool | None, rows: int) -> pa.BooleanArray:
    """The same truth for each row; None for unknown."""
    return pa.repeat(pa.scalar(value, pa.bool_()), rows)


@dataclass(frozen=True, slots=True)
class RowFacts:
    """The facts about one row, as defined by `Facts`, from a function that gives the truth of an atom; None for unknown."""

    truth_of: Callable[[Atom], bool | None]

    def __len__(self) -> int:
        return 1

    def setting(self, atom: Atom) -> pa.BooleanArray:
        """The truth of the atom."""
        return constant_truth(self.truth_of(atom), 1)

    equals = within = setting

    def outcome(self, condition: Condition) -> bool | None:
        """The truth of a condition; None for unknown."""
        truth: bool | None = evaluate(condition, self)[0].as_py()
        return truth

    def simplify(self, condition: Condition) -> Condition:
        """The part of a condition that the facts leave open: `ALWAYS` or `NEVER` if they decide it.

        >>> facts = RowFacts(lambda atom: False if atom == FeatureOn("usage") else None)
        >>> facts.simplify(AnyOf((FeatureOn("usage"), FieldEquals("owner", ("corporate",)))))
        FieldEquals(field='owner', values=('corporate',))
        """
        truth = self.outcome(condition)
        if truth is not None:
            return ALWAYS if truth else NEVER
        if not isinstance(condition, AllOf | AnyOf):
            return condition
        open_parts = [self.simplify(part) for part in condition.parts if self.outcome(part) is None]
        return open_parts[0] if len(open_parts) == 1 else type(condition)(tuple(open_parts))
