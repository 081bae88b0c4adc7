"""Read a recipient's file: fields, functions, contract and top-level keys, with the checks between them.

A field is a technique, or a mapping with more keys. With `values:`, its last step turns values that are not listed into null.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import pyarrow as pa

from minimize.arrow.pointers import Pointer
from minimize.policy.fields import overlapping_fields
from minimize.policy.form_values import DECIMAL_PATTERN, FIELD_TYPES, NAME_PATTERN
from minimize.policy.mapping_reader import (
    DeclaredNames,
    KeyReader,
    MappingShape,
    NodeReaders,
    keys_of_mapping,
    read_mapping,
)
from minimize.policy.names import field_pointer
from minimize.policy.purposes import check_purpose
from minimize.policy.value_readers import TechniqueReader, read_duration, read_name
from minimize.policy.yaml_nodes import YamlNode
from minimize.recipients.model import PASSTHROUGH, Contract, Function, Recipient, SharedField
from minimize.sources.types import arrow_type
from minimize.techniques import TECHNIQUES, Context, Technique, TechniqueResult, TechniqueStep, UnsupportedType
from minimize.techniques.base import apply_per_distinct
from minimize.techniques.map import Map
from minimize.text import did_you_mean
from minimize.times import parse_iso_date


class ListedValues(Map):
    """A map that keeps the listed values. Any other value becomes null and counts as unparsable, unlike with a plain `map`.

    >>> import pyarrow as pa
    >>> from datetime import UTC, datetime
    >>> listed = ListedValues(values={"assigned": "assigned"})
    >>> listed.apply(pa.array(["assigned", "lost"]), Context("f", datetime.now(UTC))).untreated.to_pylist()
    [False, True]
    """

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The listed values."""
        return apply_per_distinct(values, self.values.get, pa.string())


_DERIVED_KEYS = frozenset({"key", "passes", "line"})
MAX_PROTOCOL: Final = 1_000


@dataclass(frozen=True, slots=True)
class SharedFieldReader(KeyReader):
    """Reads one field of a function."""

    def __call__(self, node: YamlNode) -> SharedField | None:
        """The field; None if it could not be read. A single technique, or a list of techniques, is its `do`."""
        pointer = field_pointer(self.key)
        if pointer is None or pointer.top == "date":
            hint = "Use a column name or a JSON Pointer such as /apps/*/name. The name `date` is reserved for the partition."
            self.fault("P015", f"`{self.key}` is not a valid name for a field", node.line, hint)
            return None
        whole = node if self.is_whole(node) else YamlNode({"do": node}, node.line)
        field = read_mapping(SharedField, whole, self.scope.faults, self.shape(whole))
        if field is None:
            return None
        self.check(field, whole)
        return self.with_values(field, whole)

    def is_whole(self, node: YamlNode) -> bool:
        """Whether a mapping describes the field, not only its technique."""
        alone = len(node.entries) == 1 and next(iter(node.entries)) in TECHNIQUES
        return node.is_mapping and not alone

    def shape(self, node: YamlNode) -> MappingShape:
        """The shape of the mapping of a field."""
        treatment = node.get("do")
        given: dict[str, Any] = {
            "key": self.key,
            "line": node.line,
            "passes": treatment is not None and treatment.value == PASSTHROUGH,
        }
        readers = {"type": self.type_, "do": self.do, "values": self.values, "protocol": self.protocol}
        return MappingShape(f"field `{self.key}`", readers, given, given, hidden=_DERIVED_KEYS, key=self.key)

    def type_(self, node: YamlNode) -> str | None:
        """The word for its type."""
        text = str(node.value)
        if (text != "decimal" and text in FIELD_TYPES) or (re.fullmatch(DECIMAL_PATTERN, text) and _is_type_name(text)):
            return text
        self.fault("P007", f"unknown type `{text}`", node.line, did_you_mean(text, FIELD_TYPES))
        return None

    def do(self, node: YamlNode) -> Any:
        """Drop, pass through, or a chain of steps."""
        return "drop" if node.value == PASSTHROUGH else TechniqueReader(self.scope, self.key).treatment(node)

    def values(self, node: YamlNode) -> tuple[str, ...] | None:
        """The permitted values of the field."""
        if node.is_list and node.items and all(isinstance(item.value, str) for item in node.items):
            found = tuple(str(item.value) for item in node.items)
            if len(set(found)) == len(found):
                return found
        self.fault("P006", "`values` must be a list of texts without duplicates", node.line)
        return None

    def protocol(self, node: YamlNode) -> int | None:
        """A version of the recipient's protocol."""
        if isinstance(node.value, int) and not isinstance(node.value, bool) and 1 <= node.value <= MAX_PROTOCOL:
            return node.value
        self.fault("P006", "`protocol` must be a whole number from 1", node.line)
        return None

    def with_values(self, field: SharedField, node: YamlNode) -> SharedField:
        """The field with a last step that keeps only the listed values."""
        if not field.values or not field.chain:
            if field.values and field.passes:
                self.fault("T008", "`values` is not valid for a secret", node.line, "Remove `values`.")
            return field
        if _chain_type(field.chain, field.type) not in (None, pa.string()):
            self.fault("T008", "`values` is only valid for a field that is sent as text", node.line)
            return field
        step = ListedValues(values={value: value for value in field.values})
        return field.model_copy(update={"do": (*field.chain, step)})

    def check(self, field: SharedField, node: YamlNode) -> None:
        """Checks the parts of one field against each other."""
        if field.role == "secret" and field.chain:
            hint = "Use `drop`, or `pass_through` if a connector needs it."
            self.fault("P014", "a secret must not be stored in any form", node.line, hint)
        if field.passes and field.role != "secret":
            self.fault(
                "T003",
                "`pass_through` is only valid for a secret",
                node.line,
                "Set `role: secret`, or use a technique.",
            )
        self.check_chain(field.chain, field.type, node.line)

    def check_chain(self, chain: tuple[TechniqueStep, ...], word: str, line: int | None) -> None:
        """Each step must accept the type of the step before it, and must not need all rows."""
        type_ = arrow_type(word)
        for step in chain:
            if not isinstance(step, Technique):
                hint = "Use another technique: shared data is treated batch by batch."
                self.fault("T004", f"`{step.name}` needs all rows before it can start", line, hint)
                return
            refused = None
            try:
                type_ = step.output_type(type_)
            except UnsupportedType as error:
                refused = error.takes
            if refused is not None:
                self.fault(
                    "P101",
                    f"`{step.name}` does not accept the type {type_}",
                    line,
                    f"Use a field of type {', '.join(refused)}.",
                )
                return


def field_keys() -> tuple[str, ...]:
    """The keys that the mapping of a field may have."""
    return keys_of_mapping(SharedField, MappingShape("", hidden=_DERIVED_KEYS))


def _chain_type(chain: tuple[TechniqueStep, ...], word: str) -> pa.DataType | None:
    """The type after a chain; None if a step does not accept its input type, which is reported as a separate fault."""
    type_ = arrow_type(word)
    try:
        for step in chain:
            type_ = step.output_type(type_)
    except UnsupportedType:
        return None
    return type_


def _is_type_name(text: str) -> bool:
    try:
        arrow_type(text)
    except ValueError:
        return False
    return True


MAX_VERSION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class RecipientReader:
    """Reads one recipient. The configuration adds `configured_purposes`; `preset` has the values that only the loader knows."""

    scope: DeclaredNames
    configured_purposes: tuple[str, ...]
    preset: dict[str, Any]

    def __call__(self, root: YamlNode) -> Recipient | None:
        """The recipient, with stand-ins for faulty parts; None if that is not possible."""
        readers: NodeReaders = {
            "recipient": lambda node: read_name(node, "recipient", self.scope),
            "contract": self.contract,
            "functions": self.functions,
        }
        stand_ins = {"recipient": "", "standing": "independent", "functions": {}}
        shape = MappingShape("a recipient", readers, self.preset, stand_ins, hidden=frozenset({"path", "digest"}))
        found = read_mapping(Recipient, root, self.scope.faults, shape)
        if found is not None:
            self.check(found, root)
        return found

    def contract(self, node: YamlNode) -> Contract | None:
        """The contract."""
        scope = self.scope
        readers: NodeReaders = {
            "from": lambda below: read_date(below, scope, "from"),
            "until": lambda below: read_date(below, scope, "until"),
            "permitted_fields": lambda below: read_names(below, scope, "permitted_fields"),
            "retention": lambda below: read_duration(below, scope, "retention"),
            "deletes_within": lambda below: read_duration(below, scope, "deletes_within"),
        }
        shape = MappingShape("a contract", readers, aliases={"from": "from_"})
        found = read_mapping(Contract, node, scope.faults, shape)
        if found is not None and found.until is not None and found.until <= found.from_:
            scope.faults.add(
                "T005",
                "the contract ends before it begins",
                line=node.line,
                hint="Correct `until`, the first day without it.",
            )
        return found

    def functions(self, node: YamlNode) -> dict[str, Function] | None:
        """The functions of the recipient by name; may be empty."""
        if not node.is_mapping:
            self.scope.faults.add(
                "P006", "`functions` must be a mapping of names", line=node.line, hint="Write `{}` for none."
            )
            return None
        found = {name: self.function(name, below) for name, below in node.entries.items()}
        return {name: function for name, function in found.items() if function is not None}

    def function(self, name: str, node: YamlNode) -> Function | None:
        """One function."""
        if not re.fullmatch(NAME_PATTERN, name):
            hint = "Use a letter or _, then letters, digits, _ and -."
            self.scope.faults.add("P015", f"`{name}` is not a valid name for a function", line=node.line, hint=hint)
        readers: NodeReaders = {
            "purpose": self.purpose,
            "text_version": self.version,
            "requires": lambda below: read_names(below, self.scope, "requires"),
            "aggregate": lambda below: read_name(below, "aggregate", self.scope),
            "fields": self.fields,
        }
        given = {"name": name, "line": node.line}
        shape = MappingShape(f"the function `{name}`", readers, given, hidden=frozenset({"name", "line"}))
        found = read_mapping(Function, node, self.scope.faults, shape)
        if found is not None and found.aggregate is not None:
            self.check_aggregate(found, node)
        return found

    def check_aggregate(self, found: Function, node: YamlNode) -> None:
        """A function about an aggregate must be outbound, aggregated, and without secrets."""
        if found.direction == "inbound" or found.must_be not in (None, "aggregated") or found.pass_through_fields:
            hint = "Set `direction: outbound` and `must_be: aggregated`, and remove `pass_through`."
            message = f"`{found.name}` is about an aggregate, but is inbound, not aggregated, or has secrets"
            self.scope.faults.add("T007", message, line=node.line, hint=hint)

    def purpose(self, node: YamlNode) -> str | None:
        """A permitted purpose."""
        word = str(node.value) if node.is_scalar else ""
        return word if check_purpose(word, self.configured_purposes, self.scope.faults, node.line) else None

    def version(self, node: YamlNode) -> int | None:
        """A whole number from 1."""
        if isinstance(node.value, int) and not isinstance(node.value, bool) and 1 <= node.value <= MAX_VERSION:
            return node.value
        self.scope.faults.add("P006", "`text_version` must be a whole number from 1", line=node.line)
        return None

    def fields(self, node: YamlNode) -> dict[str, SharedField] | None:
        """The fields, in the file's order, by key."""
        if not node.entries:
            self.scope.faults.add("P006", "`fields` must be a mapping of fields", line=node.line)
            return None
        found = {key: SharedFieldReader(self.scope, key)(below) for key, below in node.entries.items()}
        self.check_places(node)
        return {key: field for key, field in found.items() if field is not None}

    def check_places(self, node: YamlNode) -> None:
        """No field is declared twice in two spellings, and no field is below another one."""
        places: dict[Pointer, str] = {}
        for key, below in node.entries.items():
            pointer = field_pointer(key)
            if pointer is not None and places.setdefault(pointer, key) != key:
                hint = f"Remove it: it is the same field as `{places[pointer]}`."
                self.scope.faults.add(
                    "P002", f"`{key}` declares a field a second time", line=below.line, key=key, hint=hint
                )
        for above, key in overlapping_fields(places):
            self.scope.faults.add("P018", f"`{key}` is below the field `{above}`", line=node.entries[key].line, key=key)

    def check(self, found: Recipient, root: YamlNode) -> None:
        """An agent must name its entry on the list of subprocessors; an independent recipient must not."""
        line = root.entries["standing"].line if "standing" in root.entries else root.line
        if found.standing == "agent" and root.get("subprocessor") is None:
            self.scope.faults.add(
                "T001",
                "an agent must name its entry on the list of subprocessors",
                line=line,
                hint="Add `subprocessor: NAME`.",
            )
        if (
            found.standing == "independent"
            and root.get("subprocessor") is not None
            and root.get("standing") is not None
        ):
            hint = "Set `standing: agent`, or remove `subprocessor`."
            self.scope.faults.add("T002", "an independent recipient is not a subprocessor", line=line, hint=hint)


def read_date(node: YamlNode, scope: DeclaredNames, word: str) -> date | None:
    """A day."""
    if isinstance(node.value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", node.value):
        found = parse_iso_date(node.value)
        if found is not None:
            return found
    scope.faults.add("P006", f"`{word}` must be a day", line=node.line, hint="Use YYYY-MM-DD.")
    return None


def read_names(node: YamlNode, scope: DeclaredNames, word: str) -> tuple[str, ...] | None:
    """A list of names, which may be empty."""
    if node.is_list and all(isinstance(item.value, str) for item in node.items):
        return tuple(str(item.value) for item in node.items)
    scope.faults.add("P006", f"`{word}` must be a list of names", line=node.line)
    return None
