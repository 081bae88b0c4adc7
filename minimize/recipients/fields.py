"""Reading the fields of a function: a technique, or a mapping that says more."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from minimize.io.types import arrow_type
from minimize.policy.faults import did_you_mean
from minimize.policy.fields import DECIMAL, TYPES
from minimize.policy.scope import Scope, pointer_of
from minimize.policy.shape import Shape, build, words_of
from minimize.policy.steps import StepReader
from minimize.policy.yaml import Node
from minimize.recipients.listed_values import ListedValues
from minimize.recipients.model import THROUGH, Shared
from minimize.techniques import TECHNIQUES, Step, Technique, TypeRefused

_HIDDEN = frozenset({"key", "passes", "line"})
MAX_PROTOCOL: Final = 1_000


@dataclass(frozen=True, slots=True)
class SharedReader:
    """Reads one field of a function."""

    scope: Scope
    key: str

    def __call__(self, node: Node) -> Shared | None:
        """The field; None where no field could be made of it. A lone technique, or a list of them, is its `do`."""
        pointer = pointer_of(self.key)
        if pointer is None or pointer.top == "date":
            hint = "a column's name, or a JSON Pointer such as /apps/*/name; `date` is the name of a partition"
            self.fault("P015", f"`{self.key}` cannot name a field", node.line, hint)
            return None
        whole = node if self.is_whole(node) else Node({"do": node}, node.line)
        field = build(Shared, whole, self.scope.faults, self.shape(whole))
        if field is None:
            return None
        self.check(field, whole)
        return self.with_values(field, whole)

    def is_whole(self, node: Node) -> bool:
        """Whether a mapping says what the field is, and not only its technique."""
        alone = len(node.entries) == 1 and next(iter(node.entries)) in TECHNIQUES
        return node.is_mapping and not alone

    def shape(self, node: Node) -> Shape:
        """How the mapping of a field is read."""
        said = node.get("do")
        given: dict[str, Any] = {
            "key": self.key,
            "line": node.line,
            "passes": said is not None and said.value == THROUGH,
        }
        readers = {"type": self.type_, "do": self.do, "values": self.values, "protocol": self.protocol}
        return Shape("a shared field", readers, given, given, hidden=_HIDDEN, key=self.key)

    def type_(self, node: Node) -> str | None:
        """The word for its type."""
        text = str(node.value)
        if (text != "decimal" and text in TYPES) or (re.fullmatch(DECIMAL, text) and _is_type(text)):
            return text
        self.fault("P007", f"`{text}` is no type", node.line, did_you_mean(text, TYPES))
        return None

    def do(self, node: Node) -> Any:
        """Drop, pass through, or a chain of steps."""
        return "drop" if node.value == THROUGH else StepReader(self.scope, self.key).do(node)

    def values(self, node: Node) -> tuple[str, ...] | None:
        """The only values that the field may have."""
        if node.is_list and node.items and all(isinstance(item.value, str) for item in node.items):
            found = tuple(str(item.value) for item in node.items)
            if len(set(found)) == len(found):
                return found
        self.fault("P006", "`values` wants a list of texts, each of them once", node.line)
        return None

    def protocol(self, node: Node) -> int | None:
        """A version of the recipient's protocol."""
        if isinstance(node.value, int) and not isinstance(node.value, bool) and 1 <= node.value <= MAX_PROTOCOL:
            return node.value
        self.fault("P006", "`protocol` wants a whole number from 1", node.line)
        return None

    def with_values(self, field: Shared, node: Node) -> Shared:
        """The field whose last step lets through its listed values only."""
        if not field.values or not field.chain:
            if field.values and field.passes:
                self.fault("T008", "the values of a secret cannot be listed", node.line, "leave `values` out")
            return field
        if _given(field.chain, field.type) not in (None, pa.string()):
            self.fault("T008", "`values` lists texts, and the field leaves as another type", node.line)
            return field
        step = ListedValues(values={value: value for value in field.values})
        return field.model_copy(update={"do": (*field.chain, step)})

    def check(self, field: Shared, node: Node) -> None:
        """What must hold between the parts of one field."""
        if field.role == "secret" and field.chain:
            hint = "`drop`, or `pass_through` where a connector hands it on"
            self.fault("P014", "a secret is never stored, in whatever form", node.line, hint)
        if field.passes and field.role != "secret":
            self.fault("T003", "only a secret passes through", node.line, "say `role: secret`, or a technique")
        self.check_chain(field.chain, field.type, node.line)

    def check_chain(self, chain: tuple[Step, ...], word: str, line: int | None) -> None:
        """Each step must take what the one before gives, and treat a value as soon as it sees it."""
        type_ = arrow_type(word)
        for step in chain:
            if not isinstance(step, Technique):
                hint = "what is shared is treated batch by batch"
                self.fault("T004", f"`{step.name}` must see everything first", line, hint)
                return
            refused = None
            try:
                type_ = step.gives(type_)
            except TypeRefused as error:
                refused = error.takes
            if refused is not None:
                self.fault("P101", f"`{step.name}` does not take {type_}", line, f"it takes {', '.join(refused)}")
                return

    def fault(self, code: str, message: str, line: int | None, hint: str = "") -> None:
        """Takes down a fault of this field."""
        self.scope.faults.add(code, message, line=line, key=self.key, hint=hint)


def words_of_fields() -> tuple[str, ...]:
    """The keys that the mapping of a field may have."""
    return words_of(Shared, Shape("", hidden=_HIDDEN))


def _given(chain: tuple[Step, ...], word: str) -> pa.DataType | None:
    """The type that a chain gives; None if a step does not take what it gets, which is a fault of its own."""
    type_ = arrow_type(word)
    try:
        for step in chain:
            type_ = step.gives(type_)
    except TypeRefused:
        return None
    return type_


def _is_type(text: str) -> bool:
    try:
        arrow_type(text)
    except ValueError:
        return False
    return True
