"""Reading a recipient's nodes: the head, the contract, the functions, and the checks between them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from minimize.pointer import Pointer
from minimize.policy.fields import overlaps, read_duration
from minimize.policy.policies import NAME, read_name
from minimize.policy.purposes import check_purpose
from minimize.policy.scope import Scope, pointer_of
from minimize.policy.shape import Readers, Shape, build
from minimize.policy.yaml import Node
from minimize.recipients.fields import SharedReader
from minimize.recipients.model import Contract, Function, Recipient, Shared

MAX_VERSION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class RecipientReader:
    """Reads one recipient; `house` are the purposes that the house adds, `given` what only the loader knows."""

    scope: Scope
    house: tuple[str, ...]
    given: dict[str, Any]

    def __call__(self, root: Node) -> Recipient | None:
        """The recipient, with stand-ins where there are faults; None where there is nothing to stand on."""
        readers: Readers = {
            "recipient": lambda node: read_name(node, "recipient", self.scope),
            "contract": self.contract,
            "functions": self.functions,
        }
        stand_ins = {"recipient": "", "standing": "independent", "functions": {}}
        shape = Shape("a recipient", readers, self.given, stand_ins, hidden=frozenset({"path", "digest"}))
        found = build(Recipient, root, self.scope.faults, shape)
        if found is not None:
            self.check(found, root)
        return found

    def contract(self, node: Node) -> Contract | None:
        """What is agreed."""
        scope = self.scope
        readers: Readers = {
            "from": lambda below: read_date(below, scope, "from"),
            "until": lambda below: read_date(below, scope, "until"),
            "permitted_fields": lambda below: read_names(below, scope, "permitted_fields"),
            "retention": lambda below: read_duration(below, scope, "retention"),
            "deletes_within": lambda below: read_duration(below, scope, "deletes_within"),
        }
        shape = Shape("a contract", readers, spelled={"from": "from_"})
        found = build(Contract, node, scope.faults, shape)
        if found is not None and found.until is not None and found.until <= found.from_:
            scope.faults.add(
                "T005", "it ends before it begins", line=node.line, hint="`until` is the first day without it"
            )
        return found

    def functions(self, node: Node) -> dict[str, Function] | None:
        """What the recipient is needed for; an empty mapping says: for nothing."""
        if not node.is_mapping:
            self.scope.faults.add("P006", "`functions` wants a mapping of names", line=node.line, hint="`{}` for none")
            return None
        found = {name: self.function(name, below) for name, below in node.entries.items()}
        return {name: function for name, function in found.items() if function is not None}

    def function(self, name: str, node: Node) -> Function | None:
        """One function."""
        if not re.fullmatch(NAME, name):
            hint = "a letter or _, then letters, digits, _ and -"
            self.scope.faults.add("P015", f"`{name}` cannot name a function", line=node.line, hint=hint)
        readers: Readers = {
            "purpose": self.purpose,
            "text_version": self.version,
            "requires": lambda below: read_names(below, self.scope, "requires"),
            "aggregate": lambda below: read_name(below, "aggregate", self.scope),
            "fields": self.fields,
        }
        given = {"name": name, "line": node.line}
        shape = Shape(f"the function `{name}`", readers, given, hidden=frozenset({"name", "line"}))
        found = build(Function, node, self.scope.faults, shape)
        if found is not None and found.aggregate is not None:
            self.check_aggregate(found, node)
        return found

    def check_aggregate(self, found: Function, node: Node) -> None:
        """What is about groups goes out, is aggregated, and has no secrets."""
        if found.direction == "inbound" or found.must_be not in (None, "aggregated") or found.passing:
            hint = "`direction: outbound`, `must_be: aggregated`, and no `pass_through`"
            message = f"`{found.name}` is about an aggregate, and not like one"
            self.scope.faults.add("T007", message, line=node.line, hint=hint)

    def purpose(self, node: Node) -> str | None:
        """A purpose that may be had."""
        word = str(node.value) if node.is_scalar else ""
        return word if check_purpose(word, self.house, self.scope.faults, node.line) else None

    def version(self, node: Node) -> int | None:
        """A whole number from 1."""
        if isinstance(node.value, int) and not isinstance(node.value, bool) and 1 <= node.value <= MAX_VERSION:
            return node.value
        self.scope.faults.add("P006", "`text_version` wants a whole number from 1", line=node.line)
        return None

    def fields(self, node: Node) -> dict[str, Shared] | None:
        """The fields, in the file's order, by key."""
        if not node.entries:
            self.scope.faults.add("P006", "`fields` wants a mapping of fields", line=node.line)
            return None
        found = {key: SharedReader(self.scope, key)(below) for key, below in node.entries.items()}
        self.check_places(node)
        return {key: field for key, field in found.items() if field is not None}

    def check_places(self, node: Node) -> None:
        """Each field has a place of its own: not that of another in another spelling, and not within another."""
        places: dict[Pointer, str] = {}
        for key, below in node.entries.items():
            pointer = pointer_of(key)
            if pointer is not None and places.setdefault(pointer, key) != key:
                hint = f"it is `{places[pointer]}`"
                self.scope.faults.add("P002", f"the field `{key}` stands twice", line=below.line, key=key, hint=hint)
        for above, key in overlaps(places):
            self.scope.faults.add("P018", f"`{key}` stands within `{above}`", line=node.entries[key].line, key=key)

    def check(self, found: Recipient, root: Node) -> None:
        """An agent names its entry on the list of subprocessors; nobody else has one."""
        line = root.entries["standing"].line if "standing" in root.entries else root.line
        if found.standing == "agent" and root.get("subprocessor") is None:
            self.scope.faults.add("T001", "an agent names its entry on the list of subprocessors", line=line)
        if (
            found.standing == "independent"
            and root.get("subprocessor") is not None
            and root.get("standing") is not None
        ):
            hint = "say `standing: agent`, or leave `subprocessor` out"
            self.scope.faults.add("T002", "an independent is no subprocessor", line=line, hint=hint)


def read_date(node: Node, scope: Scope, word: str) -> date | None:
    """A day."""
    if isinstance(node.value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", node.value):
        found = _caught(date.fromisoformat, node.value)
        if found is not None:
            return found
    scope.faults.add("P006", f"`{word}` wants a day", line=node.line, hint="YYYY-MM-DD")
    return None


def read_names(node: Node, scope: Scope, word: str) -> tuple[str, ...] | None:
    """A list of names, which may be empty."""
    if node.is_list and all(isinstance(item.value, str) for item in node.items):
        return tuple(str(item.value) for item in node.items)
    scope.faults.add("P006", f"`{word}` wants a list of names", line=node.line)
    return None


def _caught(read: Callable[[str], date], text: str) -> date | None:
    try:
        return read(text)
    except ValueError:
        return None
