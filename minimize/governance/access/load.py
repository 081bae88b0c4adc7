"""Read and validate the access file, from disk or from a mapping. Every fault is reported at once.

From top to bottom: checks between parts of the file, the reader of a role, the reader of the file, and functions that load
and find it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from minimize.config import load_config
from minimize.errors import Finding, PolicyError
from minimize.governance.access.model import (
    ALL_TENANTS,
    ASSIGN,
    CATEGORY_PERMISSIONS,
    EXTERNAL,
    PERMISSIONS,
    READ,
    AccessRole,
    AccessRules,
    AccessScope,
    BreakGlassRules,
    GrantRules,
    Permission,
    RoleAssignment,
    TenantSet,
    UserAccount,
    parse_permission,
)
from minimize.governance.access.roles import BUILTIN_ROLES, find_conflict, is_view_step
from minimize.plan.category import CATEGORY_ORDER
from minimize.policy.faults import FaultList, require_sound
from minimize.policy.form_values import NAME_PATTERN, parse_duration
from minimize.policy.mapping_reader import DeclaredNames, MappingShape, NodeReaders, read_mapping
from minimize.policy.mapping_reader import DeclaredNames as Names
from minimize.policy.value_readers import TechniqueReader, read_duration
from minimize.policy.yaml_nodes import YamlNode, node_from_data, parse_yaml, read_utf8
from minimize.stores import PathText
from minimize.techniques import Technique
from minimize.text import did_you_mean


def check_consistency(access: AccessRules, root: YamlNode, faults: FaultList) -> None:
    """Reports every contradiction between parts of the file."""
    _check_people(access, root, faults)
    _check_groups(access, faults)
    _check_conflicts(access, faults)
    _check_durations(access, root, faults)


def users_named(access: AccessRules) -> Iterator[str]:
    """Yields every account in the file, without duplicates."""
    named = [user for each in access.assignments for user in each.users]
    grouped = [user for users in access.groups.values() for user in users or ()]
    listed = [user for users in access.people.values() for user in users]
    yield from dict.fromkeys((*named, *grouped, *listed))


def _check_people(access: AccessRules, root: YamlNode, faults: FaultList) -> None:
    owners: dict[str, str] = {}
    for person, accounts in access.people.items():
        for account in accounts:
            if owners.setdefault(account, person) != person:
                line = root.descend(("people", person)).line
                hint = f"Remove it here or from {owners[account]}."
                faults.add(
                    "U008", f"the account `{account}` is listed for two people", line=line, key=person, hint=hint
                )


def _check_groups(access: AccessRules, faults: FaultList) -> None:
    for each in access.assignments:
        for group in each.groups:
            if group not in access.groups:
                hint = did_you_mean(group, access.groups) or "Declare it under `groups:`, with its users or `external`."
                faults.add("U005", f"the group `{group}` is not declared", line=each.line, key=each.role, hint=hint)


def _check_conflicts(access: AccessRules, faults: FaultList) -> None:
    reported: set[str] = set()
    for user in users_named(access):
        assignments = list(access.assignments_of_person(UserAccount(user)))
        conflict = find_conflict((role for _, role in assignments), access.conflicts)
        person = access.person(user)
        if conflict is not None and person not in reported:
            reported.add(person)
            names = " and ".join(dict.fromkeys(conflict))
            line = max((each.line or 0 for each, role in assignments if role.name in conflict), default=0) or None
            faults.add("U007", f"`{person}` has conflicting roles: {names}", line=line, key=conflict[0])


def _check_durations(access: AccessRules, root: YamlNode, faults: FaultList) -> None:
    rules, line = access.grants, root.descend(("grants",)).line
    faults_by_message = {
        "`default` is longer than `maximum`": rules.default > rules.maximum,
        "`unanswered` is longer than 4 days": rules.unanswered > timedelta(days=4),
        "`maximum` of break-glass access is longer than `maximum` of grants": rules.break_glass.maximum > rules.maximum,
    }
    for message, is_so in faults_by_message.items():
        if is_so:
            faults.add("U010", message, line=line)


_HIDDEN_ROLE_KEYS = frozenset({"name", "base", "line"})


@dataclass(frozen=True, slots=True)
class RoleReader:
    """Reader of one role."""

    scope: DeclaredNames
    name: str

    def __call__(self, node: YamlNode) -> AccessRole | None:
        """Reads the role, with the permissions of its base. None if it is faulty."""
        if self.name in BUILTIN_ROLES or not re.fullmatch(NAME_PATTERN, self.name):
            hint = (
                "Choose a name that is not built in." if self.name in BUILTIN_ROLES else "Use letters, digits, _ and -."
            )
            code = "U004" if self.name in BUILTIN_ROLES else "P015"
            self.fault(code, f"`{self.name}` is not a valid name of a custom role", node, hint)
            return None
        base = self.base(node)
        if base is None:
            return None
        readers: NodeReaders = {"allow": self.permissions, "deny": self.permissions, "views": self.views}
        given = {"name": self.name, "base": base.name, "line": node.line}
        rest = YamlNode({word: below for word, below in node.entries.items() if word != "copy"}, node.line)
        found = read_mapping(
            AccessRole,
            rest,
            self.scope.faults,
            MappingShape(f"the role `{self.name}`", readers, given, given, hidden=_HIDDEN_ROLE_KEYS),
        )
        return None if found is None else self.merge_with_base(found, base, node)

    def base(self, node: YamlNode) -> AccessRole | None:
        """The built-in role that the role copies."""
        copied = node.get("copy")
        if copied is not None and isinstance(copied.value, str) and copied.value in BUILTIN_ROLES:
            return BUILTIN_ROLES[copied.value]
        hint = did_you_mean("" if copied is None else str(copied.value), BUILTIN_ROLES)
        self.fault(
            "U004",
            f"the role `{self.name}` must copy a built-in role",
            copied or node,
            f"Set `copy:` to a built-in role: {hint}",
        )
        return None

    def merge_with_base(self, role: AccessRole, base: AccessRole, node: YamlNode) -> AccessRole:
        """Adds the permissions of the base to the role."""
        for extra in role.allow:
            self.check_extra(extra, base, node)
        allow = tuple(dict.fromkeys((*base.allow, *role.allow)))
        whole = role.model_copy(update={"allow": allow, "deny": tuple(dict.fromkeys((*base.deny, *role.deny)))})
        conflict = find_conflict([whole])
        if conflict is not None:
            self.fault("U006", f"the role `{self.name}` combines permissions that one person must not have", node)
        return whole

    def check_extra(self, extra: Permission, base: AccessRole, node: YamlNode) -> None:
        """Reports permissions that a copy must not add: assigning roles, standing access to data, writing as an auditor."""
        refused = {
            "only a copy of role_administrator can assign roles": extra.name == ASSIGN and not base.has(ASSIGN),
            "a support engineer has no standing access": extra.name == READ and base.name == "support_engineer",
            "an auditor must not change anything": base.name == "auditor" and extra.writes,
        }
        for why, is_so in refused.items():
            if is_so:
                self.fault("U006", f"a copy of `{base.name}` cannot have `{extra}`: {why}", node)

    def permissions(self, node: YamlNode) -> tuple[Permission, ...] | None:
        """Reads a list of permissions."""
        if not node.is_list:
            self.fault("P006", "a list of permissions is required", node, "Write [dataset/read:aggregated, …].")
            return None
        found = [self.permission(item) for item in node.items]
        return tuple(each for each in found if each is not None)

    def permission(self, node: YamlNode) -> Permission | None:
        """Reads one entry."""
        text = str(node.value) if node.is_scalar else ""
        found = parse_permission(text)
        if found is None:
            known = [
                *PERMISSIONS,
                *(f"{name}:{word}" for name in CATEGORY_PERMISSIONS for word in CATEGORY_ORDER),
            ]
            self.fault("U001", f"unknown permission `{text}`", node, did_you_mean(text, known))
        elif found == Permission(READ):
            self.fault(
                "U002",
                "`dataset/read` requires a category",
                node,
                "Write dataset/read:CATEGORY, such as dataset/read:aggregated.",
            )
        return found

    def views(self, node: YamlNode) -> dict[str, dict[str, tuple[Technique, ...]]] | None:
        """Reads the views by dataset and column."""
        if not node.is_mapping or not all(below.is_mapping for below in node.entries.values()):
            self.fault(
                "P006",
                "`views` must map datasets to columns",
                node,
                "Write {DATASET: {COLUMN: {truncate_time: {to: day}}}}.",
            )
            return None
        return {
            dataset: {column: chain for column, way in below.entries.items() if (chain := self.view(column, way))}
            for dataset, below in node.entries.items()
        }

    def view(self, column: str, node: YamlNode) -> tuple[Technique, ...]:
        """Reads a chain of techniques that need only the value."""
        chain = TechniqueReader(self.scope, column).chain(node) or ()
        for step in chain:
            if not is_view_step(step):
                hint = "Use a technique that needs only the released value."
                self.fault("U009", f"`{step.name}` cannot be a view", node, hint)
        return tuple(step for step in chain if isinstance(step, Technique) and is_view_step(step))

    def fault(self, code: str, message: str, node: Any, hint: str = "") -> None:
        """Records a fault of this role."""
        self.scope.faults.add(code, message, line=node.line, key=self.name, hint=hint)


ALL_NAMES: Final = "all"


@dataclass(frozen=True, slots=True)
class AccessReader:
    """Reader of an access file. `given` contains values that only the loader knows."""

    scope: Names
    loader_fields: dict[str, Any]

    def __call__(self, root: YamlNode) -> AccessRules | None:
        """Reads the file, with placeholders for faulty parts. None if it cannot be read at all."""
        roles = self.roles(root.get("roles") or YamlNode({}))
        readers: NodeReaders = {
            "version": self.version,
            "people": self.people,
            "groups": self.groups,
            "roles": lambda _: roles,
            "assignments": lambda node: self.assignments(node, roles),
            "conflicts": lambda node: self.conflicts(node, roles),
            "grants": self.grants,
        }
        stand_ins = {"version": 1}
        given = {"roles": roles, **self.loader_fields}
        shape = MappingShape("an access file", readers, given, stand_ins, hidden=frozenset({"path", "digest"}))
        found = read_mapping(AccessRules, root, self.scope.faults, shape)
        if found is not None:
            check_consistency(found, root, self.scope.faults)
        return found

    def version(self, node: YamlNode) -> int | None:
        """The version of the file format: 1."""
        if node.value == 1 and not isinstance(node.value, bool):
            return 1
        self.fault("P006", "`version` must be 1", node)
        return None

    def people(self, node: YamlNode) -> dict[str, tuple[str, ...]] | None:
        """Reads the accounts by person."""
        return {name: self.names(below, "a person") for name, below in self.mapping_entries(node, "people").items()}

    def groups(self, node: YamlNode) -> dict[str, tuple[str, ...] | None] | None:
        """Reads the users by group, or `external`."""
        found = self.mapping_entries(node, "groups")
        return {
            name: None if below.value == EXTERNAL else self.names(below, "a group") for name, below in found.items()
        }

    def roles(self, node: YamlNode) -> dict[str, AccessRole]:
        """The built-in roles and the custom roles."""
        found = {
            name: RoleReader(self.scope, name)(below) for name, below in self.mapping_entries(node, "roles").items()
        }
        return {
            **BUILTIN_ROLES,
            **{name: role for name, role in found.items() if role is not None and name not in BUILTIN_ROLES},
        }

    def assignments(self, node: YamlNode, roles: Mapping[str, AccessRole]) -> tuple[RoleAssignment, ...] | None:
        """Reads the assignments."""
        if not node.is_list:
            self.fault(
                "P006", "`assignments` must be a list", node, "Write a list of {role: …, members: {…}, scope: {…}}."
            )
            return None
        found = [self.assignment(item, roles) for item in node.items]
        return tuple(each for each in found if each is not None)

    def assignment(self, node: YamlNode, roles: Mapping[str, AccessRole]) -> RoleAssignment | None:
        """Reads one entry."""
        members = node.get("members") or YamlNode({})
        for word, below in members.entries.items():
            if word not in ("users", "groups"):
                self.fault("P004", f"unknown key `{word}` in `members`", below, did_you_mean(word, ("users", "groups")))
        users, groups = (self.names(members.get(word) or YamlNode(()), word) for word in ("users", "groups"))
        if not users and not groups:
            self.fault("U011", "the assignment has no members", node, "Write members: {users: […], groups: […]}.")
        rest = YamlNode({word: below for word, below in node.entries.items() if word != "members"}, node.line)
        readers: NodeReaders = {"role": lambda below: self.role(below, roles), "scope": self.read_scope}
        given = {"users": users, "groups": groups, "line": node.line}
        hidden = frozenset({"users", "groups", "line"})
        return read_mapping(
            RoleAssignment, rest, self.scope.faults, MappingShape("an assignment", readers, given, hidden=hidden)
        )

    def role(self, node: YamlNode, roles: Mapping[str, AccessRole]) -> str | None:
        """Reads the name of a known role."""
        if isinstance(node.value, str) and node.value in roles:
            return node.value
        self.fault("U003", f"unknown role `{node.to_data()}`", node, did_you_mean(str(node.value), roles))
        return None

    def read_scope(self, node: YamlNode) -> AccessScope | None:
        """Reads a scope: tenants and datasets, each a list or `all`, and optionally purposes."""
        readers: NodeReaders = {
            "tenants": self.tenants,
            "datasets": lambda below: self.name_list(below, "datasets"),
            "purposes": lambda below: self.name_list(below, "purposes"),
        }
        for word in ("tenants", "datasets"):
            if node.is_mapping and word not in node.entries:
                self.fault("P005", f"the scope lacks `{word}`", node, f"Write {word}: all, or a list of names.")
        kept = {word: below for word, below in node.entries.items() if word == "tenants" or below.value != ALL_NAMES}
        return read_mapping(
            AccessScope,
            YamlNode(kept, node.line) if node.is_mapping else node,
            self.scope.faults,
            MappingShape("a scope", readers),
        )

    def tenants(self, node: YamlNode) -> TenantSet | None:
        """Reads a list of tenants, or `all`."""
        if node.value == ALL_NAMES:
            return ALL_TENANTS
        names = self.name_list(node, "tenants")
        return None if names is None else TenantSet.from_names(*names)

    def conflicts(self, node: YamlNode, roles: Mapping[str, AccessRole]) -> tuple[tuple[str, str], ...] | None:
        """Reads pairs of roles that one person must not have."""
        pairs = []
        for item in node.items:
            names = [self.role(each, roles) for each in item.items]
            if len(names) != 2:
                self.fault("P006", "a conflict must name two roles", item, "Write [ROLE, ROLE].")
            elif names[0] is not None and names[1] is not None:
                pairs.append((names[0], names[1]))
        return tuple(pairs)

    def grants(self, node: YamlNode) -> GrantRules | None:
        """Reads the limits of grants."""
        readers = {word: self.duration_reader(word) for word in ("default", "maximum", "unanswered")}
        inner = {word: self.duration_reader(word) for word in ("maximum", "review_within")}
        shape = MappingShape("`break_glass`", inner)
        break_glass = {"break_glass": lambda below: read_mapping(BreakGlassRules, below, self.scope.faults, shape)}
        return read_mapping(GrantRules, node, self.scope.faults, MappingShape("`grants`", {**readers, **break_glass}))

    def duration_reader(self, word: str) -> Any:
        """A reader of a duration."""
        return lambda node: read_duration(node, self.scope, word) and parse_duration(node.value)

    def name_list(self, node: YamlNode, word: str) -> tuple[str, ...] | None:
        """Reads a list of at least one name."""
        names = self.names(node, word)
        if not names and node.is_list:
            self.fault("P006", f"`{word}` is empty", node, f"Write {word}: all, or a list of names.")
        return names or None

    def names(self, node: YamlNode, word: str) -> tuple[str, ...]:
        """Reads a list of names."""
        if node.is_list and all(isinstance(item.value, str) and item.value for item in node.items):
            return tuple(str(item.value) for item in node.items)
        self.fault("P006", f"{word} must be a list of names", node)
        return ()

    def mapping_entries(self, node: YamlNode, word: str) -> dict[str, YamlNode]:
        """Reads the entries of a mapping."""
        if not node.is_mapping:
            self.fault("P006", f"`{word}` must be a mapping of names", node)
        return node.entries

    def fault(self, code: str, message: str, node: YamlNode, hint: str = "") -> None:
        """Records a fault."""
        self.scope.faults.add(code, message, line=node.line, hint=hint)


def load_access(path: PathText) -> AccessRules:
    """Loads an access file. Raises PolicyError with every fault as a finding, or if the file cannot be read."""
    return require_sound(*examine_access(path), "access file")


def access_from_mapping(mapping: Mapping[str, Any]) -> AccessRules:
    """Reads access rules from a mapping with the content of a file. Raises PolicyError with every fault as a finding.

    >>> access_from_mapping({"version": 1}).assignments
    ()
    """
    faults = FaultList()
    found = AccessReader(DeclaredNames(faults, Path(), None, {}), {})(node_from_data(mapping))
    return require_sound(found, faults.found, "access file")


def examine_access(path: PathText) -> tuple[AccessRules | None, list[Finding]]:
    """Reads an access file for lint, as far as possible, with every fault. A file with faults permits nothing."""
    file = Path(path)
    faults = FaultList(str(file))
    content = read_utf8(file, faults)
    return (None, faults.found) if content is None else _examine_content(content, file, faults)


def parse_access(content: bytes, file: PathText) -> AccessRules:
    """Parses the recorded bytes of an access file, which may differ from the current file. Raises PolicyError."""
    return require_sound(*_examine_content(content, Path(file), FaultList(str(file))), "access file")


def find_access_file(start: PathText | None = None) -> Path | None:
    """The configured access file, from the nearest `minimize.yaml` in a folder or above it. None if it names none.

    Raises PolicyError if the configuration cannot be read, or the access file does not exist. Then nothing is permitted.
    """
    config = load_config(start).checked("access", PolicyError)
    if config.access.file is None:
        return None
    file = config.folder / config.access.file
    if not file.is_file():
        raise PolicyError(
            f"the access file {file} does not exist", hint=f"Create it, or correct `access:` in {config.path}."
        )
    return file


def required_access_file(start: PathText | None = None) -> Path:
    """The configured access file. Raises PolicyError if none is configured."""
    found = find_access_file(start)
    if found is None:
        raise PolicyError("no access file is configured", hint="Set `access: access.yaml` in minimize.yaml.")
    return found


def _examine_content(content: bytes, file: Path, faults: FaultList) -> tuple[AccessRules | None, list[Finding]]:
    root = parse_yaml(content.decode("utf-8-sig"), faults)
    if root is None:
        return None, faults.found
    given = {"path": file, "digest": f"sha256:{hashlib.sha256(content).hexdigest()}"}
    found = AccessReader(DeclaredNames(faults, file.parent, None, {}), given)(root)
    return found, sorted(dict.fromkeys(faults.found), key=lambda finding: finding.line or 0)
