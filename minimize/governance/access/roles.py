"""Roles: the form of a role, the built-in roles, and separation of duties."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, product
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, GetPydanticSchema, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from minimize.governance.access.permissions import (
    APPROVE,
    ASSIGN,
    BREAK_GLASS,
    CATEGORY_PERMISSIONS,
    PERMISSIONS,
    READ,
    REQUEST,
    Permission,
    parse_permission,
    parse_permissions,
)
from minimize.plan.category import CATEGORY_ORDER
from minimize.policy.forms import Expected, Form, Reading, form_error
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
    found = parse_permission(value)
    if found is None:
        raise form_error("U001", f"unknown permission `{value}`", did_you_mean(value, _PERMISSION_TEXTS), is_alone=True)
    if found == Permission(READ):
        hint = "Write dataset/read:CATEGORY, such as dataset/read:aggregated."
        raise form_error("U002", "`dataset/read` requires a category", hint, is_alone=True)
    return found


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
BuiltinRole = Literal["analyst", "operator", "support_engineer", "privacy_officer", "auditor", "role_administrator"]


class AccessRole(Form):
    """A custom role: a copy of a built-in role, with changes."""

    noun = "the role `{name}`"
    is_named = True

    base: Annotated[BuiltinRole, Expected("must be a built-in role", "U004")] = Field(
        validation_alias="copy", description="The built-in role that it copies."
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

    @property
    def is_builtin(self) -> bool:
        """Whether the role is built in. A file cannot change built-in roles."""
        return self.name == self.base

    @property
    def allow(self) -> tuple[Permission, ...]:
        """The permissions, including those of the copied role."""
        return self.added if self.is_builtin else tuple(dict.fromkeys((*BUILTIN_ROLES[self.base].added, *self.added)))

    @property
    def deny(self) -> tuple[Permission, ...]:
        """The denied permissions, including those of the copied role."""
        return (
            self.denied if self.is_builtin else tuple(dict.fromkeys((*BUILTIN_ROLES[self.base].denied, *self.denied)))
        )

    def has(self, name: str) -> bool:
        """Whether the role allows an operation, for any category."""
        return any(each.name == name for each in self.allow)

    def check(self, reading: Reading) -> None:
        """Records permissions that a copy must not add, and permissions that one person must not have."""
        for extra in self.added:
            refused = {
                "only a copy of role_administrator can assign roles": extra.name == ASSIGN
                and not BUILTIN_ROLES[self.base].has(ASSIGN),
                "a support engineer has no standing access": extra.name == READ and self.base == "support_engineer",
                "an auditor must not change anything": self.base == AUDITOR and extra.writes,
            }
            for reason in (reason for reason, is_so in refused.items() if is_so):
                reading.fault("U006", f"a copy of `{self.base}` cannot have `{extra}`: {reason}")
        if find_conflict([self]) is not None:
            reading.fault("U006", f"the role `{self.name}` combines permissions that one person must not have")


_ANALYST: Final = parse_permissions("dataset/read:pseudonymized")
_OPERATOR: Final = parse_permissions(
    "dataset/read:aggregated",
    "settings/read",
    "settings/set",
    "event/record",
    "output/expire",
    "output/retract",
    "keys/add",
    "keys/rotate",
    "incident/read",
    "incident/open",
    "token/revoke",
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
_OFFICER: Final = tuple(
    permission
    for name in PERMISSIONS
    if name.partition("/")[0] in ("subject", "settings", "consent", "share", "incident", "audit", "tenant")
    for permission in parse_permissions(name)
) + parse_permissions(
    "dataset/read:aggregated",
    "grant/approve",
    "grant/revoke",
    "grant/review",
    "grant/read",
    "roles/read",
    "event/record",
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
    "share/read",
    "incident/read",
)
_ADMINISTRATOR: Final = parse_permissions("roles/read", "roles/assign", "token/make", "token/revoke")
_DENIED_TO_AUDITOR: Final = tuple(each for name in PERMISSIONS if (each := Permission(name)).writes)


def _builtin_role(
    name: BuiltinRole, about: str, allow: tuple[Permission, ...], deny: tuple[Permission, ...] = ()
) -> AccessRole:
    return AccessRole(name=name, base=name, about=about, added=allow, denied=deny)


BUILTIN_ROLES: Final[Mapping[str, AccessRole]] = MappingProxyType(
    {
        role.name: role
        for role in (
            _builtin_role("analyst", "reads data that does not identify individuals", _ANALYST),
            _builtin_role("operator", "runs pipelines and reads aggregates", _OPERATOR),
            _builtin_role(
                "support_engineer",
                "locates lost devices and reads data only under a grant for an incident",
                _SUPPORT,
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
    every = list({role.name: role for role in roles}.values())
    pairs = (*((role, role) for role in every), *combinations(every, 2))
    return next(((one.name, other.name) for one, other in pairs if _are_in_conflict(one, other, conflicts)), None)


def _are_in_conflict(one: AccessRole, other: AccessRole, conflicts: Sequence[RolePair]) -> bool:
    names = {one.name, other.name}
    if len(names) == 2 and any(set(pair) == names for pair in conflicts):
        return True
    return (
        _audits_and_writes(one, other)
        or _audits_and_writes(other, one)
        or any(_holds_both_duties(one, other, *duty) for duty in SEPARATED_DUTIES)
    )


def _audits_and_writes(auditor: AccessRole, other: AccessRole) -> bool:
    return auditor.base == AUDITOR and any(permission.writes for permission in other.allow)


def _holds_both_duties(one: AccessRole, other: AccessRole, duty: str, duty_of_others: str) -> bool:
    return any(a.has(duty) and b.has(duty_of_others) for a, b in product((one, other), repeat=2))
