"""Reading the access file's nodes: its head, groups and people, who has which role where, how long grants last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from minimize.governance.access.builtin import BUILTIN
from minimize.governance.access.checks import check
from minimize.governance.access.model import EXTERNAL, Access, Assignment, BreakGlass, GrantRules, Role, Scope
from minimize.governance.access.roles import RoleReader
from minimize.governance.access.tenants import EVERYBODY, Tenants
from minimize.policy.durations import duration
from minimize.policy.faults import did_you_mean
from minimize.policy.fields import read_duration
from minimize.policy.scope import Scope as Names
from minimize.policy.shape import Readers, Shape, build
from minimize.policy.yaml import Node

ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class AccessReader:
    """Reads one access file; `given` is what only the loader knows."""

    scope: Names
    given: dict[str, Any]

    def __call__(self, root: Node) -> Access | None:
        """What it says, with stand-ins where there are faults; None where there is nothing to stand on."""
        roles = self.roles(root.get("roles") or Node({}))
        readers: Readers = {
            "version": self.version,
            "people": self.people,
            "groups": self.groups,
            "roles": lambda _: roles,
            "assignments": lambda node: self.assignments(node, roles),
            "conflicts": lambda node: self.conflicts(node, roles),
            "grants": self.grants,
        }
        stand_ins = {"version": 1}
        given = {"roles": roles, **self.given}
        shape = Shape("an access file", readers, given, stand_ins, hidden=frozenset({"path", "digest"}))
        found = build(Access, root, self.scope.faults, shape)
        if found is not None:
            check(found, root, self.scope.faults)
        return found

    def version(self, node: Node) -> int | None:
        """The version of the file's form: 1."""
        if node.value == 1 and not isinstance(node.value, bool):
            return 1
        self.fault("P006", "`version` is 1", node)
        return None

    def people(self, node: Node) -> dict[str, tuple[str, ...]] | None:
        """By person, their accounts."""
        return {name: self.names(below, "a person") for name, below in self.named(node, "people").items()}

    def groups(self, node: Node) -> dict[str, tuple[str, ...] | None] | None:
        """By group, its users, or `external`."""
        found = self.named(node, "groups")
        return {
            name: None if below.value == EXTERNAL else self.names(below, "a group") for name, below in found.items()
        }

    def roles(self, node: Node) -> dict[str, Role]:
        """The built-in roles, and those of the house."""
        found = {name: RoleReader(self.scope, name)(below) for name, below in self.named(node, "roles").items()}
        return {**BUILTIN, **{name: role for name, role in found.items() if role is not None and name not in BUILTIN}}

    def assignments(self, node: Node, roles: Mapping[str, Role]) -> tuple[Assignment, ...] | None:
        """Who has which role, where."""
        if not node.is_list:
            self.fault("P006", "`assignments` wants a list", node, "- {role: …, members: {…}, scope: {…}}")
            return None
        found = [self.assignment(item, roles) for item in node.items]
        return tuple(each for each in found if each is not None)

    def assignment(self, node: Node, roles: Mapping[str, Role]) -> Assignment | None:
        """One of them."""
        members = node.get("members") or Node({})
        for word, below in members.entries.items():
            if word not in ("users", "groups"):
                self.fault("P004", f"`members` has no key `{word}`", below, did_you_mean(word, ("users", "groups")))
        users, groups = (self.names(members.get(word) or Node(()), word) for word in ("users", "groups"))
        if not users and not groups:
            self.fault("U011", "an assignment names nobody", node, "members: {users: […], groups: […]}")
        rest = Node({word: below for word, below in node.entries.items() if word != "members"}, node.line)
        readers: Readers = {"role": lambda below: self.role(below, roles), "scope": self.where}
        given = {"users": users, "groups": groups, "line": node.line}
        hidden = frozenset({"users", "groups", "line"})
        return build(Assignment, rest, self.scope.faults, Shape("an assignment", readers, given, hidden=hidden))

    def role(self, node: Node, roles: Mapping[str, Role]) -> str | None:
        """A role that is there."""
        if isinstance(node.value, str) and node.value in roles:
            return node.value
        self.fault("U003", f"there is no role `{node.plain()}`", node, did_you_mean(str(node.value), roles))
        return None

    def where(self, node: Node) -> Scope | None:
        """Tenants and datasets, each a list or `all`; purposes, where they are held to some."""
        readers: Readers = {
            "tenants": self.tenants,
            "datasets": lambda below: self.listed(below, "datasets"),
            "purposes": lambda below: self.listed(below, "purposes"),
        }
        for word in ("tenants", "datasets"):
            if node.is_mapping and word not in node.entries:
                self.fault("P005", f"a scope wants `{word}`", node, f"{word}: all, or a list of names")
        kept = {word: below for word, below in node.entries.items() if word == "tenants" or below.value != ALL}
        return build(
            Scope, Node(kept, node.line) if node.is_mapping else node, self.scope.faults, Shape("a scope", readers)
        )

    def tenants(self, node: Node) -> Tenants | None:
        """Some tenants, or all."""
        if node.value == ALL:
            return EVERYBODY
        names = self.listed(node, "tenants")
        return None if names is None else Tenants.of(*names)

    def conflicts(self, node: Node, roles: Mapping[str, Role]) -> tuple[tuple[str, str], ...] | None:
        """Pairs of roles that one person cannot have."""
        pairs = []
        for item in node.items:
            names = [self.role(each, roles) for each in item.items]
            if len(names) != 2:
                self.fault("P006", "a conflict is of two roles", item, "[one, other]")
            elif names[0] is not None and names[1] is not None:
                pairs.append((names[0], names[1]))
        return tuple(pairs)

    def grants(self, node: Node) -> GrantRules | None:
        """How long grants last."""
        readers = {word: self.lasting(word) for word in ("default", "maximum", "unanswered")}
        inner = {word: self.lasting(word) for word in ("maximum", "review_within")}
        shape = Shape("`break_glass`", inner)
        break_glass = {"break_glass": lambda below: build(BreakGlass, below, self.scope.faults, shape)}
        return build(GrantRules, node, self.scope.faults, Shape("`grants`", {**readers, **break_glass}))

    def lasting(self, word: str) -> Any:
        """A reader for a length of time."""
        return lambda node: read_duration(node, self.scope, word) and duration(node.value)

    def listed(self, node: Node, word: str) -> tuple[str, ...] | None:
        """A list of at least one name."""
        names = self.names(node, word)
        if not names and node.is_list:
            self.fault("P006", f"`{word}` names nothing", node, f"{word}: all, or a list of names")
        return names or None

    def names(self, node: Node, word: str) -> tuple[str, ...]:
        """A list of names."""
        if node.is_list and all(isinstance(item.value, str) and item.value for item in node.items):
            return tuple(str(item.value) for item in node.items)
        self.fault("P006", f"{word} wants a list of names", node)
        return ()

    def named(self, node: Node, word: str) -> dict[str, Node]:
        """The entries of a mapping."""
        if not node.is_mapping:
            self.fault("P006", f"`{word}` wants a mapping of names", node)
        return node.entries

    def fault(self, code: str, message: str, node: Node, hint: str = "") -> None:
        """Takes down a fault."""
        self.scope.faults.add(code, message, line=node.line, hint=hint)
