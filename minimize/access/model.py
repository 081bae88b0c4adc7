"""The access file as forms: scopes, assignments of roles, limits of grants, people and groups.

Load the access file, from disk or from a mapping, with every fault at once, and find it in the configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator
from pydantic.json_schema import SkipJsonSchema

from minimize.access.permissions import ALL_TENANTS, NO_TENANTS, TenantSet
from minimize.access.roles import BUILTIN_ROLES, AccessRole, find_conflict
from minimize.config_search import ConfigStart, load_config
from minimize.errors import Finding, PolicyError
from minimize.forms import Expected, Form, Reading, examine_content, examine_file, examine_mapping, form_error
from minimize.forms.values import NAME_PATTERN, Duration, Name
from minimize.forms.yaml_nodes import FaultList, YamlNode, require_sound
from minimize.identifiers import canonical_account, is_invisible
from minimize.ledger import Actor
from minimize.records import RECORDS
from minimize.stores import PathText
from minimize.techniques.parameters import LOWER_TIGHTENS
from minimize.text import did_you_mean, single_line

ALL_NAMES: Final = "all"
EXTERNAL: Final = "external"
LONGEST_UNANSWERED: Final = timedelta(days=4)


@dataclass(frozen=True, slots=True)
class UserAccount:
    """An account: its user name in canonical form, and the groups that the authentication service confirmed."""

    user: str
    groups: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        object.__setattr__(self, "user", canonical_account(self.user))  # the class is frozen


def account_of_actor(actor: Actor) -> UserAccount:
    """The account of an actor. Its groups come from the access file only."""
    return UserAccount(actor.user or "")


def _names_schema(word: str, least: int) -> WithJsonSchema:
    """The JSON Schema of a word, or a list of names."""
    names = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": least}
    return WithJsonSchema({"anyOf": [{"const": word}, names]})


def _read_tenants(value: object) -> object:
    if value == ALL_NAMES:
        return ALL_TENANTS
    if isinstance(value, tuple) and value and all(isinstance(name, str) and name for name in value):
        return TenantSet.from_names(*value)
    return value


def _require_pair(value: object) -> object:
    if isinstance(value, tuple) and len(value) == 2:
        return value
    raise form_error("P006", "a conflict must name two roles", "Write [ROLE, ROLE].")


def _require_custom_name(name: str) -> str:
    if name in BUILTIN_ROLES:
        hint = "Choose a name that is not built in."
        raise form_error("U004", f"`{name}` is not a valid name of a custom role", hint)
    return name


_SOME_HINT: Final = "Write `all`, or a list of names."
_SOME: Final = (Expected("must be `all` or a list of names", hint=_SOME_HINT), _names_schema(ALL_NAMES, 1))
Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Expected("must be a list of names")]
AccountName = Annotated[str, Field(min_length=1), AfterValidator(canonical_account)]
AccountNames = Annotated[tuple[AccountName, ...], Expected("must be a list of names")]
GroupMembers = Annotated[
    AccountNames | None,
    BeforeValidator(lambda value: None if value == EXTERNAL else value),
    Expected("must be a list of names, or `external`"),
    _names_schema(EXTERNAL, 0),
]
SomeTenants = Annotated[TenantSet, BeforeValidator(_read_tenants), *_SOME]
SomeNames = Annotated[
    Annotated[Names, Field(min_length=1)] | None,
    BeforeValidator(lambda value: None if value == ALL_NAMES else value),
    *_SOME,
]
CustomRoleName = Annotated[
    Name,
    BeforeValidator(_require_custom_name),
    WithJsonSchema({"type": "string", "allOf": [{"pattern": f"^{NAME_PATTERN}$"}], "not": {"enum": [*BUILTIN_ROLES]}}),
]
ConflictingRoles = Annotated[tuple[str, str], BeforeValidator(_require_pair)]


class AccessScope(Form):
    """The tenants, datasets and purposes for which a role applies."""

    noun = "a scope"
    stand_ins = MappingProxyType({"tenants": NO_TENANTS, "datasets": ()})

    tenants: SomeTenants = Field(description="The tenants, or `all`.")
    datasets: SomeNames = Field(description="The datasets, or `all`. The name of a pipeline covers all of its outputs.")
    """None means all of them."""
    purposes: SomeNames = Field(default=None, description="The purposes, or `all`.")
    """None means all of them."""

    def has_dataset(self, dataset: str | None) -> bool:
        """Whether a dataset is in scope. An operation without a dataset is in every scope."""
        return dataset is None or self.datasets is None or any(covers(each, dataset) for each in self.datasets)

    def has_purpose(self, purpose: str | None) -> bool:
        """Whether a purpose is in scope."""
        return purpose is None or self.purposes is None or purpose in self.purposes


class Members(Form):
    """The users and groups with a role."""

    noun = "`members`"

    users: AccountNames = Field(default=(), description="The accounts.")
    groups: Names = Field(default=(), description="The groups, which `groups` declares.")


class RoleAssignment(Form):
    """Assigns a role to members within a scope."""

    noun = "an assignment"
    stand_ins = MappingProxyType({"scope": AccessScope.model_construct(tenants=NO_TENANTS, datasets=())})

    role: str = Field(description="A built-in or custom role.")
    members: Members
    scope: AccessScope
    line: SkipJsonSchema[int | None] = None

    def check(self, reading: Reading) -> None:
        """Records an assignment without members."""
        if not self.members.users and not self.members.groups:
            hint = "Write members: {users: […], groups: […]}."
            reading.fault("U011", "the assignment has no members", "members", hint=hint)


GrantDuration = Annotated[Duration, LOWER_TIGHTENS]


class BreakGlassRules(Form):
    """Limits of access without approval, which is reviewed afterwards."""

    noun = "`break_glass`"

    maximum: GrantDuration = Field(default=timedelta(hours=1), description="The maximum duration.")
    review_within: GrantDuration = Field(default=timedelta(hours=24), description="The deadline of the review.")


class GrantRules(Form):
    """Limits of just-in-time access."""

    noun = "`grants`"

    default: GrantDuration = Field(
        default=timedelta(hours=8), description="The duration if a request does not state one."
    )
    maximum: GrantDuration = Field(default=timedelta(hours=24), description="The maximum duration of a request.")
    unanswered: GrantDuration = Field(
        default=LONGEST_UNANSWERED, description="The time after which an unanswered request expires."
    )
    break_glass: BreakGlassRules = BreakGlassRules()

    def check(self, reading: Reading) -> None:
        """Records durations that are longer than another one permits."""
        faults_by_message = {
            "`default` is longer than `maximum`": self.default > self.maximum,
            "`unanswered` is longer than 4 days": self.unanswered > LONGEST_UNANSWERED,
            "`maximum` of break-glass access is longer than `maximum` of grants": self.break_glass.maximum
            > self.maximum,
        }
        for message in (message for message, is_so in faults_by_message.items() if is_so):
            reading.fault("U010", message)


class AccessRules(Form):
    """Roles and their assignment to accounts."""

    noun = "an access file"
    stand_ins = MappingProxyType({"version": 1})

    version: Annotated[int, Field(ge=1, le=1), Expected("must be 1"), WithJsonSchema({"const": 1})] = Field(
        description="Version of the file format."
    )
    people: Mapping[str, AccountNames] = Field(
        default={},
        description="Accounts by person; an account that is not listed counts as a separate person.",
        examples=[{"Pia": ["pia", "pia-admin"]}],
    )
    groups: Mapping[str, GroupMembers] = Field(
        default={},
        description="Users by group, or `external` if the authentication service confirms the members.",
        examples=[{"support": ["sam", "sue"], "insights": "external"}],
    )
    custom_roles: Mapping[CustomRoleName, AccessRole] = Field(
        default={}, validation_alias="roles", description="Custom roles: copies of other roles, or roles of their own."
    )
    assignments: tuple[RoleAssignment, ...] = Field(
        default=(), description="Assignments of roles to members within a scope."
    )
    conflicts: tuple[ConflictingRoles, ...] = Field(
        default=(),
        description="Pairs of roles that one person must not have.",
        examples=[[["analyst", "operator"]]],
    )
    grants: GrantRules = GrantRules()
    path: SkipJsonSchema[Path | None] = None
    digest: SkipJsonSchema[str] = ""
    """`sha256:` and the digest of the file's bytes. Empty if not loaded from a file."""

    @field_validator("custom_roles")
    @classmethod
    def _with_copied_roles(cls, roles: Mapping[str, AccessRole], info: ValidationInfo) -> Mapping[str, AccessRole]:
        """The custom roles, each with the role that it copies. Records copies of unknown roles and cycles as faults."""
        resolved = dict[str, AccessRole]()
        waiting = dict(roles)
        while waiting:
            known = {**BUILTIN_ROLES, **resolved}
            ready = [each for each in waiting.values() if each.base is None or each.base in known]
            if not ready:
                break
            for role in ready:
                origin = None if role.base is None else known[role.base]
                resolved[role.name] = role.model_copy(update={"origin": origin})
                del waiting[role.name]
        if isinstance(info.context, Reading):
            for role in waiting.values():
                _add_copy_fault(role, roles, info.context)
        return {name: resolved[name] for name in roles if name in resolved}

    @field_validator("assignments")
    @classmethod
    def _without_unknown_roles(
        cls, assignments: tuple[RoleAssignment, ...], info: ValidationInfo
    ) -> tuple[RoleAssignment, ...]:
        """The assignments of known roles; records the others as faults."""
        if not isinstance(info.context, Reading) or "custom_roles" not in info.data:
            return assignments
        known = (*BUILTIN_ROLES, *info.data["custom_roles"])
        for assignment in (assignment for assignment in assignments if assignment.role not in known):
            hint = did_you_mean(assignment.role, known)
            info.context.faults.add("U003", f"unknown role `{assignment.role}`", line=assignment.line, hint=hint)
        return tuple(each for each in assignments if each.role in known)

    @property
    def roles(self) -> Mapping[str, AccessRole]:
        """The built-in roles and the custom roles."""
        return {**BUILTIN_ROLES, **self.custom_roles}

    @property
    def users(self) -> tuple[str, ...]:
        """Every account in the file, without duplicates."""
        assigned = [user for each in self.assignments for user in each.members.users]
        grouped = [user for users in self.groups.values() for user in users or ()]
        listed = [user for users in self.people.values() for user in users]
        return tuple(dict.fromkeys((*assigned, *grouped, *listed)))

    def check(self, reading: Reading) -> None:
        """Records every contradiction between parts of the file."""
        self._check_roles(reading)
        self._check_names(reading)
        self._check_spellings(reading)
        self._check_people(reading)
        self._check_conflicts(reading)

    def _check_roles(self, reading: Reading) -> None:
        for name, role in self.custom_roles.items():
            with reading.within(reading.node.descend(("roles", name)), name):
                for message, hint in role.faults():
                    reading.fault("U006", message, hint=hint)
        for assignment in self.assignments:
            if assignment.scope.tenants.is_all and self.roles[assignment.role].is_of_tenant:
                message = f"the role `{assignment.role}` is for the staff of a tenant, but its scope has all tenants"
                hint = "Name the tenants: `scope: {tenants: [NAME], …}`."
                reading.faults.add("U012", message, line=assignment.line, key=assignment.role, hint=hint)

    def _check_names(self, reading: Reading) -> None:
        for assignment in self.assignments:
            for group in (group for group in assignment.members.groups if group not in self.groups):
                hint = did_you_mean(group, self.groups) or "Declare it under `groups:`, with its users or `external`."
                message = f"the group `{group}` is not declared"
                reading.faults.add("U005", message, line=assignment.line, key=assignment.role, hint=hint)
        for index, pair in enumerate(self.conflicts):
            for role in (role for role in pair if role not in self.roles):
                hint = did_you_mean(role, self.roles)
                reading.fault("U003", f"unknown role `{role}`", "conflicts", index, hint=hint)

    def _check_spellings(self, reading: Reading) -> None:
        """Records each account that is written in two ways, or that shows less than it contains."""
        spellings: dict[str, str] = {}
        for written, line in _written_accounts(reading.node):
            account = canonical_account(written)
            first = spellings.setdefault(account, written)
            if not account or any(map(is_invisible, written)):
                message = f"the account {written!a} is empty, or has a character that is not shown"
                hint = "Write the account again, without control and invisible characters."
                reading.faults.add("U211", message, line=line, key=reading.key, hint=hint)
            elif first != written:
                message = f"`{single_line(written)}` and `{single_line(first)}` are the same account"
                hint = "Write an account in one way. Case, width and blanks at the ends do not make another account."
                reading.faults.add("U210", message, line=line, key=reading.key, hint=hint)

    def _check_people(self, reading: Reading) -> None:
        owners: dict[str, str] = {}
        for person, account in ((person, account) for person, accounts in self.people.items() for account in accounts):
            if owners.setdefault(account, person) != person:
                hint = f"Remove it here or from {owners[account]}."
                with reading.within(reading.node, person):
                    message = f"the account `{account}` is listed for two people"
                    reading.fault("U008", message, "people", person, hint=hint)

    def _check_conflicts(self, reading: Reading) -> None:
        reported: set[str] = set()
        for user in self.users:
            assignments = list(self.assignments_of_person(UserAccount(user)))
            conflict = find_conflict((role for _, role in assignments), self.conflicts)
            person = self.person(user)
            if conflict is not None and person not in reported:
                reported.add(person)
                names = " and ".join(dict.fromkeys(conflict))
                line = (
                    max((assignment.line or 0 for assignment, role in assignments if role.name in conflict), default=0)
                    or None
                )
                message = f"`{person}` has conflicting roles: {names}"
                reading.faults.add("U007", message, line=line, key=conflict[0])

    def person(self, user: str) -> str:
        """The person who owns an account, which may be written in any way."""
        account = canonical_account(user)
        return next((name for name, accounts in self.people.items() if account in accounts), account)

    def accounts(self, user: str) -> frozenset[str]:
        """All accounts of the person who owns this account, in canonical form."""
        return frozenset((canonical_account(user), *self.people.get(self.person(user), ())))

    def groups_of(self, account: UserAccount) -> frozenset[str]:
        """The groups of an account: those listed in the file, and external groups that the authentication service confirmed."""
        listed = {name for name, users in self.groups.items() if users is not None and account.user in users}
        return frozenset(listed | {name for name in account.groups if self.groups.get(name, ()) is None})

    def assignments_of(self, account: UserAccount) -> Iterator[tuple[RoleAssignment, AccessRole]]:
        """The assignments of an account, each with its role."""
        groups = self.groups_of(account)
        for assignment in self.assignments:
            if account.user in assignment.members.users or groups.intersection(assignment.members.groups):
                yield assignment, self.roles[assignment.role]

    def assignments_of_person(self, account: UserAccount) -> Iterator[tuple[RoleAssignment, AccessRole]]:
        """The assignments of all accounts of the person. A restriction of one account applies to all of them."""
        yield from self.assignments_of(account)
        for user in sorted(self.accounts(account.user) - {account.user}):
            yield from self.assignments_of(UserAccount(user))

    def are_separate(self, first_user: str, second_user: str) -> bool:
        """Whether two accounts belong to two persons who share no group listed in the file."""
        first_groups, second_groups = (
            frozenset().union(*map(self._groups_of_user, self.accounts(user))) for user in (first_user, second_user)
        )
        return canonical_account(second_user) not in self.accounts(first_user) and not first_groups & second_groups

    def _groups_of_user(self, user: str) -> frozenset[str]:
        return self.groups_of(UserAccount(user))


def _written_accounts(node: YamlNode) -> Iterator[tuple[str, int | None]]:
    """The accounts of an access file as they are written, each with its line."""
    assignments = [each.descend(("members", "users")) for each in node.descend(("assignments",)).items]
    groups, people = (node.child(key) for key in ("groups", "people"))
    lists = [*assignments, *(() if groups is None else groups.entries.values())]
    for users in (*lists, *(() if people is None else people.entries.values())):
        yield from ((str(item.value), item.line) for item in users.items if isinstance(item.value, str))


def _add_copy_fault(role: AccessRole, roles: Mapping[str, AccessRole], reading: Reading) -> None:
    """Records that a role copies an unknown role, or copies itself over other roles."""
    known, base = (*BUILTIN_ROLES, *roles), str(role.base)
    if base in known:
        message, hint = f"`{role.name}` copies itself, directly or over other roles", "Copy a built-in role."
        reading.faults.add("U013", message, line=role.line, key=role.name, hint=hint)
    else:
        message, hint = f"unknown role `{base}`", did_you_mean(base, known)
        reading.faults.add("U003", message, line=role.line, key=role.name, hint=hint)


def covers(name: str, dataset: str) -> bool:
    """Whether a name in a scope covers a dataset. The name of a pipeline covers all of its outputs.

    >>> covers("telemetry", "telemetry/by_version"), covers("telemetry/records", "telemetry"), covers("tele", "telemetry")
    (True, True, False)
    """
    pipeline, _, output = name.partition("/")
    pipeline_of_dataset, _, output_of_dataset = dataset.partition("/")
    return pipeline == pipeline_of_dataset and output in ("", output_of_dataset or RECORDS)


def same_dataset(first: str, second: str) -> bool:
    """Whether two names denote the same dataset. The name of a pipeline denotes its records."""
    return _pipeline_and_output(first) == _pipeline_and_output(second)


def _pipeline_and_output(name: str) -> tuple[str, str]:
    pipeline, _, output = name.partition("/")
    return pipeline, output or RECORDS


_ACCOUNT_FAULTS: Final = frozenset({"U007", "U008", "U210", "U211"})
"""Faults that arise if two spellings are one account."""


def load_access(path: PathText) -> AccessRules:
    """Loads an access file. Raises PolicyError with every fault as a finding, or if the file cannot be read."""
    return require_sound(*examine_access(path), "access file")


def access_from_mapping(mapping: Mapping[str, Any]) -> AccessRules:
    """Reads access rules from a mapping with the content of a file. Raises PolicyError with every fault as a finding.

    >>> access_from_mapping({"version": 1}).assignments
    ()
    """
    return require_sound(*examine_mapping(AccessRules, mapping), "access file")


def examine_access(path: PathText) -> tuple[AccessRules | None, list[Finding]]:
    """Reads an access file for lint, as far as possible, with every fault. A file with faults permits nothing."""
    return examine_file(AccessRules, Path(path))


def parse_access(content: bytes, file: PathText) -> AccessRules:
    """Parses the bytes of an access file, which is to be adopted. Raises PolicyError."""
    return require_sound(*examine_content(AccessRules, content, Path(file), FaultList(str(file))), "access file")


def parse_adopted(content: bytes, file: PathText, *, to_replace: bool = False) -> AccessRules:
    """Parses the recorded bytes of an adopted access file. Raises PolicyError.

    An earlier version can have adopted two spellings of one account, which was two accounts then. Such a file permits nothing,
    except that it decides who may replace it (`to_replace`): its spellings are one account then.
    """
    rules, faults = examine_content(AccessRules, content, Path(file), FaultList(str(file)))
    if not faults or {each.code for each in faults} - _ACCOUNT_FAULTS:
        return require_sound(rules, faults, "adopted access file")
    if rules is not None and to_replace:
        return rules
    raise PolicyError(
        "the adopted access file has accounts that are not written in one way, so it permits nothing",
        findings=faults,
        hint="Correct the access file that `access:` in minimize.yaml names, and replace the adopted one: run `minimize access"
        " adopt --yes` as an account that may assign roles.",
    )


def find_access_file(start: ConfigStart = None) -> Path | None:
    """The configured access file, from the nearest `minimize.yaml` in a folder or above it. None if it names none.

    Raises PolicyError if the configuration cannot be read, or the access file does not exist. Then nothing is permitted.
    """
    config = load_config(start).checked("access", PolicyError)
    if config.access.file is None:
        return None
    file = config.folder / config.access.file
    if not file.is_file():
        raise PolicyError(
            f"{file}: the access file does not exist",
            hint=f"Create it with `minimize access new`, or correct `access:` in {config.path}.",
        )
    return file


def required_access_file(start: ConfigStart = None) -> Path:
    """The configured access file. Raises PolicyError if none is configured."""
    file = find_access_file(start)
    if file is None:
        raise PolicyError("no access file is configured", hint="Set `access: access.yaml` in minimize.yaml.")
    return file
