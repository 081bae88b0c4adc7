"""What a policy declares: the names that fields, conditions, steps and aggregates may refer to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from minimize.pointer import Pointer
from minimize.policy.faults import Faults, did_you_mean
from minimize.policy.yaml import Node


@dataclass(frozen=True, slots=True)
class Scope:
    """The declared names, and where faults about them go.

    keys    the fields' keys by pointer; None where the policy could not be read, so that nothing is known to be wrong
    types   the fields' types by key, as they are written
    time    the field that is the event time
    """

    faults: Faults
    folder: Path
    keys: Mapping[Pointer, str] | None
    types: Mapping[str, str]
    features: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    time: str | None = None

    def key_of(self, text: str, line: int | None, what: str, key: str | None = None) -> str | None:
        """The key, as it is declared, of the field that a text names; a fault where there is none."""
        pointer = pointer_of(text)
        if self.keys is None:
            return text
        if pointer is not None and pointer in self.keys:
            return self.keys[pointer]
        hint = did_you_mean(text, self.keys.values())
        self.faults.add(
            "P010", f"{what} names the field `{text}`, which is not declared", line=line, key=key, hint=hint
        )
        return None

    def feature(self, name: str, line: int | None, key: str | None = None) -> str | None:
        """The feature's name; a fault where it is not declared."""
        return self._listed("feature", name, self.features, line, key)

    def level(self, name: str, line: int | None, key: str | None = None) -> str | None:
        """The level's name; a fault where it is not declared."""
        return self._listed("level", name, self.levels, line, key)

    def word(
        self, node: Node, what: str, look: Callable[[str, int | None, str | None], str | None], key: str | None = None
    ) -> str | None:
        """One name, looked up; a fault for what is no word."""
        if isinstance(node.value, str):
            return look(node.value, node.line, key)
        self.faults.add("P006", f"`{what}` wants one name", line=node.line, key=key)
        return None

    def field(self, node: Node, what: str, key: str | None = None) -> str | None:
        """The key, as it is declared, of the field that a node names."""
        return self.word(node, what, lambda text, line, own: self.key_of(text, line, f"`{what}`", own), key)

    def _listed(self, noun: str, name: str, known: tuple[str, ...], line: int | None, key: str | None) -> str | None:
        if name in known or self.keys is None:
            return name
        hint = did_you_mean(name, known) or f"declare it under `{noun}s:`"
        self.faults.add("P010", f"the {noun} `{name}` is not declared", line=line, key=key, hint=hint)
        return None


def pointer_of(text: str) -> Pointer | None:
    """The pointer of a field's key, or None for a key that is no pointer."""
    try:
        return Pointer.parse(text)
    except ValueError:
        return None


def forbidden_of(text: str) -> Pointer | None:
    """The pointer of what must not arrive, or None for a text that is neither a key nor a pointer."""
    try:
        return Pointer.forbidden(text)
    except ValueError:
        return None


def scope_of(root: Node, folder: Path, faults: Faults) -> Scope:
    """The names that a policy's nodes declare, faulty fields included, so that one fault does not breed others."""
    fields = root.get("fields") or Node({})
    keys: dict[Pointer, str] = {}
    for key in fields.entries:
        pointer = pointer_of(key)
        if pointer is not None:
            keys.setdefault(pointer, key)
    types = {key: str(node.entries["type"].value) for key, node in fields.entries.items() if "type" in node.entries}
    features = tuple((root.get("features") or Node({})).entries)
    levels = tuple(str(item.value) for item in (root.get("levels") or Node(())).items)
    time = root.get("time")
    return Scope(faults, folder, keys, types, features, levels, None if time is None else str(time.value))
