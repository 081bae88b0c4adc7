"""Roles: the form of a role, the built-in roles, and separation of duties."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, GetPydanticSchema, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from minimize.access.permissions import (
    APPROVE,
    ASSIGN,
    BREAK_GLASS,
    CATEGORY_PERMISSIONS,
    CONFIRM,
    CORRECT,
    PERMISSIONS,
    READ,
    REQUEST,
    Permission,
    parse_permission,
    parse_permissions,
)
from minimize.forms import Form, form_error
from minimize.plan.model import CATEGORY_ORDER
from minimize.policy.treatments import Chain
from minimize.techniques import Technique, TechniqueStep
from minimize.text import did_you_mean

_PERMISSION_TEXTS: Final = (
    *(name for name in PERMISSIONS if name != READ),
    *(f"{name}:{word}" for name in PERMISSIONS if name in CATEGORY_PERMISSIONS for word in CATEGORY_ORDER),
)


def _read_permission(value: object) -> object:
    """The permission of a text; any other value as it is, for the type to refuse."""
    if not isinstance(value, str):
        return value
    permission = parse_permission(value)
    if permission is None:
        raise form_error("U001", f"unknown permission `{value}`", did_you_mean(value, _PERMISSION_TEXTS), is_alone=True)
    if permission == Permission(READ):
        hint = "Write dataset/read:CATEGORY, such as dataset/read:aggregated."
        raise form_error("U002", "`dataset/read` requires a category", hint, is_alone=True)
    return permission


def is_view_step(step: TechniqueStep) -> bool:
    """Whether a step can be part of a view: it needs only the released value.

    A result computed from the released value alone reveals no more than that value. A key or another column could.
    """
    return isinstance(step, Technique) and not (step.reads() or step.key_names or step.needs_time)


def _require_view(chain: Sequence[TechniqueStep]) -> tuple[Technique, ...]:
    for step in chain:
        if not is_view_step(step):
            hint = "Use a technique that needs only the released value."
            raise form_error("U009", f"`{step.name}` cannot be a view", hint)
    return tuple(step for step in chain if isinstance(step, Technique))


Permissions = tuple[
    Annotated[Permission, BeforeValidator(_read_permission), WithJsonSchema({"enum": list(_PERMISSION_TEXTS)})], ...
]
RoleView = Annotated[
    tuple[Technique, ...],
    GetPydanticSchema(lambda _, handler: handler.generate_schema(Annotated[Chain, AfterValidator(_require_view)])),
]
"""Techniques that are applied to released values before they are shown."""
BuiltinRole = Literal[
    "analyst",
    "operator",
    "scheduler",
    "support_engineer",
    "help_desk_operator",
    "policy_and_profile_manager",
    "application_manager",
    "read_only_operator",
    "school_administrator",
    "tenant_administrator",
    "privacy_officer",
    "auditor",
    "role_administrator",
]
TENANT_ROLES: Final[frozenset[str | None]] = frozenset({"school_administrator", "tenant_administrator"})
"""Built-in roles of the staff of a tenant. They and their copies are assigned for named tenants only, and the person with one
of them has no role of the operating organization."""
_NO_STANDING_ACCESS: Final[frozenset[str | None]] = frozenset({"support_engineer", "help_desk_operator"})


class AccessRole(Form):
    """A custom role: a copy of another role, with changes, or a role with its own permissions only."""

    noun = "the role `{name}`"
    is_named = True

    base: str | None = Field(
        default=None,
        validation_alias="copy",
        description="The built-in or custom role that it copies. Without it, the role has only the permissions of `allow`.",
        examples=["analyst"],
    )
    about: str = Field(default="", description="Description of the role.")
    added: Permissions = Field(
        default=(),
        validation_alias="allow",
        description="Additional permissions: resource/operation, and for data a category.",
        examples=[["settings/read"]],
    )
    denied: Permissions = Field(
        default=(),
        validation_alias="deny",
        description="Denied permissions, regardless of other roles.",
        examples=[["dataset/read:identified"]],
    )
    views: Mapping[str, Mapping[str, RoleView]] = Field(
        default={},
        description="Coarser forms of released values, by dataset and column.",
        examples=[{"device_telemetry": {"event_time": {"truncate_time": {"to": "day"}}}}],
    )
    name: SkipJsonSchema[str]
    line: SkipJsonSchema[int | None] = None
    origin: SkipJsonSchema[AccessRole | None] = None
    """The copied role. The access file sets it after all of its roles were read."""

    @property
    def is_builtin(self) -> bool:
        """Whether the role is built in. A file cannot change built-in roles."""
        return self.name in BUILTIN_ROLES

    @property
    def builtin_origin(self) -> str | None:
        """The built-in role from which the role was copied, over any number of copies. None for a role that copies none."""
        if self.is_builtin:
            return self.name
        return None if self.origin is None else self.origin.builtin_origin

    @property
    def allow(self) -> tuple[Permission, ...]:
        """The permissions, including those of the copied role."""
        copied = () if self.origin is None else self.origin.allow
        return tuple(dict.fromkeys((*copied, *self.added)))

    @property
    def deny(self) -> tuple[Permission, ...]:
        """The denied permissions, including those of the copied role."""
        copied = () if self.origin is None else self.origin.deny
        return tuple(dict.fromkeys((*copied, *self.denied)))

    @property
    def lineage(self) -> tuple[AccessRole, ...]:
        """The role, then the role that it copies, and so on."""
        return (self, *(() if self.origin is None else self.origin.lineage))

    @property
    def is_of_tenant(self) -> bool:
        """Whether the role is for the staff of a tenant. All other roles are for the staff of the operating organization."""
        return self.builtin_origin in TENANT_ROLES

    def has(self, name: str) -> bool:
        """Whether the role allows an operation, for any category."""
        return any(each.allows(name) for each in self.allow)

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yields the faults of the permissions, each with a hint: what a copy must not add, and what no person may combine."""
        for extra in self.added:
            for refused, why, hint in (
                (
                    extra.name == ASSIGN and not (self.origin is not None and self.origin.has(ASSIGN)),
                    "only a copy of role_administrator can assign roles",
                    "Write `copy: role_administrator`.",
                ),
                (
                    extra.name == READ and self.builtin_origin in _NO_STANDING_ACCESS,
                    f"`{self.builtin_origin}` has no standing access",
                    "Request a grant for each incident.",
                ),
                (
                    self.builtin_origin == AUDITOR and extra.writes,
                    "an auditor must not change anything",
                    "Put the permission into another role, for another person.",
                ),
                (
                    extra.name == CONFIRM and self.is_of_tenant,
                    "a second person of the operating organization confirms a tenant's consent",
                    "Put the permission into another role.",
                ),
                (
                    extra.name == CORRECT and not (self.origin is not None and self.origin.has(CORRECT)),
                    "facts are corrected at their source, or by a privacy officer",
                    "Write `copy: privacy_officer`.",
                ),
            ):
                if refused:
                    yield f"the role `{self.name}` cannot have `{extra}`: {why}", hint
        duties = find_separated_duties(self)
        if duties is not None:
            first, second = duties
            message = f"the role `{self.name}` combines `{first}` and `{second}`, which one person must not have"
            yield message, "Divide them between two roles."


_ANALYST: Final = parse_permissions("dataset/read:pseudonymized")
_OPERATOR: Final = parse_permissions(
    "dataset/read:aggregated",
    "settings/read",
    "settings/set",
    "event/read",
    "event/record",
    "run/read",
    "run/void",
    "run/override_elsewhere",
    "output/expire",
    "output/retract",
    "keys/add",
    "keys/rotate",
    "subject_request/read",
    "incident/read",
    "incident/open",
    "token/revoke",
)
_SCHEDULER: Final = parse_permissions(
    "event/import",
    "output/expire",
    "output/retract_received",
    "consent/expire",
    "share/recall_request",
    "audit/truncate",
)
_SUPPORT: Final = parse_permissions(
    "grant/request",
    "grant/break_glass",
    "grant/read",
    "dataset/reidentify",
    "remote_tasks/locate",
    "incident/read",
    "incident/open",
)
_HELP_DESK: Final = parse_permissions(
    "grant/request",
    "grant/read",
    "remote_tasks/locate",
    "settings/read",
    "function/read",
    "audit/read",
    "roles/read",
    "incident/read",
    "incident/open",
)
_POLICY_MANAGER: Final = parse_permissions(
    "dataset/read:aggregated", "settings/read", "settings/set", "function/read", "run/read", "output/retract"
)
_APPLICATION_MANAGER: Final = parse_permissions(
    "dataset/read:aggregated",
    "settings/read",
    "consent/read",
    "consent/request",
    "consent/confirm",
    "function/read",
    "share/read",
    "share/receive",
)
_READ_ONLY: Final = parse_permissions(
    "dataset/read:aggregated",
    "settings/read",
    "consent/read",
    "function/read",
    "share/read",
    "audit/read",
    "roles/read",
    "incident/read",
    "event/read",
    "run/read",
    "subject_request/read",
)
_SCHOOL: Final = parse_permissions(
    "dataset/read:aggregated",
    "settings/read",
    "settings/set_admin",
    "remote_tasks/locate",
    "consent/read",
    "function/read",
    "audit/read",
    "incident/read",
    "event/read",
)
_TENANT_ADMINISTRATOR: Final = parse_permissions(
    "consent/read",
    "consent/give",
    "consent/refuse",
    "consent/withdraw",
    "contract/read",
    "function/read",
    "function/enable",
    "tenant/report",
    "settings/read",
    "settings/set_admin",
    "audit/read",
    "audit/export",
    "share/read",
    "incident/read",
    "grant/read",
    "event/read",
    "run/read",
    "subject/view",
    "subject/export",
    "subject/delete",
    "subject_request/read",
)
_NOT_FOR_OFFICERS: Final = ("event/import", "share/recall_request", "run/override", "run/override_elsewhere")
"""Parts of `event/record` and `share/recall`, which a role with these need not list; and what concerns running pipelines."""
_OFFICER: Final = tuple(
    permission
    for name in PERMISSIONS
    if name not in _NOT_FOR_OFFICERS
    and name.partition("/")[0]
    in (
        "subject",
        "subject_request",
        "settings",
        "consent",
        "contract",
        "function",
        "share",
        "incident",
        "audit",
        "event",
        "run",
        "tenant",
    )
    for permission in parse_permissions(name)
) + parse_permissions(
    "dataset/read:aggregated",
    "grant/approve",
    "grant/revoke",
    "grant/review",
    "grant/read",
    "roles/read",
    "output/expire",
    "output/retract",
    "output/adopt",
    "policy/approve",
    "keys/shred",
)
_AUDITOR: Final = parse_permissions(
    "audit/read",
    "audit/export",
    "grant/read",
    "roles/read",
    "settings/read",
    "consent/read",
    "contract/read",
    "function/read",
    "share/read",
    "incident/read",
    "event/read",
    "run/read",
    "subject_request/read",
)
_ADMINISTRATOR: Final = parse_permissions("roles/read", "roles/assign", "token/make", "token/revoke")
_DENIED_TO_AUDITOR: Final = tuple(each for name in PERMISSIONS if (each := Permission(name)).writes)


def _builtin_role(
    name: BuiltinRole, about: str, allow: tuple[Permission, ...], deny: tuple[Permission, ...] = ()
) -> AccessRole:
    return AccessRole(name=name, about=about, added=allow, denied=deny)


BUILTIN_ROLES: Final[Mapping[str, AccessRole]] = MappingProxyType(
    {
        role.name: role
        for role in (
            _builtin_role("analyst", "reads data that does not identify individuals", _ANALYST),
            _builtin_role("operator", "runs pipelines and reads aggregates", _OPERATOR),
            _builtin_role("scheduler", "the account of nightly jobs: runs their steps and reads no data", _SCHEDULER),
            _builtin_role(
                "support_engineer",
                "locates lost devices and reads data only under a grant for an incident",
                _SUPPORT,
            ),
            _builtin_role(
                "help_desk_operator",
                "locates lost devices, and requests grants without break-glass access",
                _HELP_DESK,
            ),
            _builtin_role(
                "policy_and_profile_manager",
                "sets features and levels, and applies the current policy to published output",
                _POLICY_MANAGER,
            ),
            _builtin_role(
                "application_manager",
                "asks tenants for consents, confirms those by document, and takes in data from third parties",
                _APPLICATION_MANAGER,
            ),
            _builtin_role("read_only_operator", "reads what operators see and changes nothing", _READ_ONLY),
            _builtin_role(
                "school_administrator", "sets features of a school's tenant and locates its lost devices", _SCHOOL
            ),
            _builtin_role(
                "tenant_administrator",
                "decides on consents and features of a tenant and on its users' data, and reads what is recorded about it",
                _TENANT_ADMINISTRATOR,
            ),
            _builtin_role(
                "privacy_officer", "decides on consents, data subjects, incidents and access of others", _OFFICER
            ),
            _builtin_role("auditor", "reads the audit log and changes nothing", _AUDITOR, _DENIED_TO_AUDITOR),
            _builtin_role("role_administrator", "assigns roles and tokens and reads no data", _ADMINISTRATOR),
        )
    }
)
"""The built-in roles, by name."""


SEPARATED_DUTIES: Final = (
    (REQUEST, APPROVE),
    (BREAK_GLASS, APPROVE),
    (BREAK_GLASS, "grant/review"),
    (ASSIGN, APPROVE),
    (ASSIGN, REQUEST),
    (ASSIGN, READ),
)
"""Pairs of permissions that one person must not have, through any roles."""
AUDITOR: Final = "auditor"
RolePair = tuple[str, str]


def find_conflict(roles: Iterable[AccessRole], conflicts: Sequence[RolePair] = ()) -> RolePair | None:
    """Finds two roles that one person must not have. None without a conflict. A role can conflict with itself.

    Takes the roles of one person, and additional pairs of role names from the access file.
    """
    distinct_roles = list({role.name: role for role in roles}.values())
    pairs = (*((role, role) for role in distinct_roles), *combinations(distinct_roles, 2))
    return next(
        ((first.name, second.name) for first, second in pairs if _are_in_conflict(first, second, conflicts)), None
    )


def find_separated_duties(*roles: AccessRole) -> tuple[str, str] | None:
    """Finds two permissions of these roles that one person must not have."""
    duties_of_roles = {name for duties in SEPARATED_DUTIES for name in duties if any(role.has(name) for role in roles)}
    return next((duties for duties in SEPARATED_DUTIES if duties_of_roles.issuperset(duties)), None)


def _are_in_conflict(first: AccessRole, second: AccessRole, conflicts: Sequence[RolePair]) -> bool:
    names = {first.name, second.name}
    if len(names) == 2 and any(set(pair) == names for pair in conflicts):
        return True
    return (
        first.is_of_tenant != second.is_of_tenant
        or _audits_and_writes(first, second)
        or _audits_and_writes(second, first)
        or find_separated_duties(first, second) is not None
    )


def _audits_and_writes(auditor: AccessRole, role: AccessRole) -> bool:
    return auditor.builtin_origin == AUDITOR and any(permission.writes for permission in role.allow)
