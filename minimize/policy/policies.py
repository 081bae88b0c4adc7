"""Reading a policy's nodes: the head, features, fields, and the checks between fields."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from minimize.pointer import Pointer
from minimize.policy.approval import WELL_FORMED, form_of
from minimize.policy.checks import Checks
from minimize.policy.conditions import ConditionReader
from minimize.policy.faults import Faults
from minimize.policy.fields import FieldReader, read_duration, read_purposes
from minimize.policy.model import Approved, FeatureModel, Field, Policy, Records
from minimize.policy.scope import Scope, forbidden_of, pointer_of, scope_of
from minimize.policy.shape import Readers, Shape, build
from minimize.policy.yaml import Node

NAME = r"[A-Za-z_][A-Za-z0-9_-]{0,63}"


@dataclass(frozen=True, slots=True)
class PolicyReader:
    """Reads one policy; `house` are the purposes that the house adds, `given` what only the loader knows."""

    scope: Scope
    house: tuple[str, ...]
    given: dict[str, Any]

    def __call__(self, root: Node) -> Policy | None:
        """The policy, with stand-ins where there are faults; None where there is nothing to stand on."""
        stand_ins = {"policy": "", "version": 1, "purposes": (), "fields": {}}
        given = {"lines": dict(root.lines()), "form": form_of(root), **self.given}
        hidden = frozenset({"path", "digest", "lines", "form"})
        policy = build(
            Policy, root, self.scope.faults, Shape("a policy", self.readers(), given, stand_ins, hidden=hidden)
        )
        if policy is not None:
            Checks(policy, self.scope, root).all()
        return policy

    def readers(self) -> dict[str, Any]:
        """How the keys of a policy are read."""
        named = {word: self.record_field(word) for word in ("tenant", "subject", "time", "record")}
        return {
            **named,
            "policy": lambda node: read_name(node, "policy", self.scope),
            "version": self.version,
            "purposes": lambda node: read_purposes(node, self.scope, self.house),
            "retention": lambda node: read_duration(node, self.scope, "retention"),
            "future": lambda node: read_duration(node, self.scope, "future"),
            "levels": self.levels,
            "features": self.features,
            "fields": self.fields,
            "never": self.never,
            "records": self.records,
            "approved": self.approved,
        }

    def record_field(self, word: str) -> Any:
        """A reader for the key of a field that stands once in a record."""

        def read(node: Node) -> str | None:
            key = self.scope.field(node, word)
            pointer = None if key is None else pointer_of(key)
            if pointer is not None and pointer.stars:
                self.scope.faults.add("P018", f"`{word}` wants one value a record, not a list", line=node.line)
                return None
            return key

        return read

    def version(self, node: Node) -> int | None:
        """A whole number from 1."""
        if node.whole is None:
            self.scope.faults.add("P006", "`version` wants a whole number from 1", line=node.line)
        return node.whole

    def levels(self, node: Node) -> tuple[str, ...] | None:
        """The levels, from the one that is always on to the highest."""
        names = tuple(item.value for item in node.items if isinstance(item.value, str) and item.value)
        if not names or len(names) < len(node.items):
            self.scope.faults.add("P006", "`levels` wants a list of names, lowest first", line=node.line)
            return None
        if len(set(names)) < len(names):
            self.scope.faults.add("P002", "a level stands twice", line=node.line)
        return names

    def features(self, node: Node) -> dict[str, FeatureModel] | None:
        """The optional kinds of collection, by name."""
        if not node.is_mapping:
            self.scope.faults.add("P006", "`features` wants a mapping of names", line=node.line)
            return None
        found = {name: self.feature(name, below) for name, below in node.entries.items()}
        return {name: feature for name, feature in found.items() if feature is not None}

    def feature(self, name: str, node: Node) -> FeatureModel | None:
        """One feature."""
        if name == "level" or not re.fullmatch(NAME, name):
            hint = "letters, digits, _ and -; `level` is the word for levels in the settings"
            self.scope.faults.add("P015", f"`{name}` cannot name a feature", line=node.line, hint=hint)
        readers: Readers = {"retention": lambda below: read_duration(below, self.scope, "retention")}
        body = Node({}, node.line) if node.value is None else node
        return build(
            FeatureModel, body, self.scope.faults, Shape(f"the feature `{name}`", readers, stand_ins={"about": ""})
        )

    def fields(self, node: Node) -> dict[str, Field] | None:
        """The fields, in the policy's order, by key."""
        if not node.entries:
            self.scope.faults.add("P006", "`fields` wants a mapping of fields", line=node.line)
            return None
        found = {key: FieldReader(self.scope, key, self.house)(below) for key, below in node.entries.items()}
        both = ((field, field.keys_field) for field in found.values() if field is not None)
        return {field.key: field for pair in both for field in pair if field is not None}

    def never(self, node: Node) -> tuple[Pointer, ...] | None:
        """The paths of what must not even arrive."""
        found = [forbidden_of(item.value) if isinstance(item.value, str) else None for item in node.items]
        good = tuple(pointer for pointer in found if pointer is not None)
        if not good or len(good) < len(found):
            self.scope.faults.add("P006", "`never` wants a list of keys or pointers", line=node.line)
            return None
        return good

    def approved(self, node: Node) -> Approved | None:
        """Who approved it, and what."""
        readers: Readers = {word: partial(self.told, word) for word in WELL_FORMED}
        return build(Approved, node, self.scope.faults, Shape("`approved`", readers))

    def told(self, word: str, node: Node) -> str | None:
        """A part of an approval, as `minimize policy approve` writes it."""
        if isinstance(node.value, str) and re.fullmatch(WELL_FORMED[word], node.value):
            return node.value
        hint = "`minimize policy approve` writes this key"
        self.scope.faults.add("P006", f"`{word}` of `approved` is not as it should be", line=node.line, hint=hint)
        return None

    def records(self, node: Node) -> Records | None:
        """What may become of whole records."""
        scope = self.scope
        readers: Readers = {
            "collect_if": ConditionReader(scope),
            "feature": lambda below: scope.word(below, "feature", scope.feature),
            "level": lambda below: scope.word(below, "level", scope.level),
        }
        return build(Records, node, scope.faults, Shape("`records`", readers, stand_ins={"level": None}))


def read_name(node: Node, what: str, scope: Scope) -> str | None:
    """A name that can stand in paths and receipts."""
    if isinstance(node.value, str) and re.fullmatch(NAME, node.value):
        return node.value
    hint = "a letter or _, then letters, digits, _ and -"
    scope.faults.add("P015", f"this is no name for a {what}", line=node.line, hint=hint)
    return None


def policy_of(
    root: Node, folder: Path, faults: Faults, house: tuple[str, ...], given: dict[str, Any]
) -> tuple[Policy | None, Scope]:
    """A policy and its names from nodes; what is wrong stands in `faults`."""
    scope = scope_of(root, folder, faults)
    return PolicyReader(scope, house, given)(root), scope
