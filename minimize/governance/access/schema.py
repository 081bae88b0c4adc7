"""JSON Schema (2020-12) of the access file, for editors."""

from __future__ import annotations

from minimize.governance.access.load import ALL_NAMES
from minimize.governance.access.model import CATEGORY_PERMISSIONS, EXTERNAL, PERMISSIONS, READ
from minimize.governance.access.roles import BUILTIN_ROLES
from minimize.plan.category import CATEGORY_ORDER
from minimize.policy.form_values import DURATION_PATTERN, NAME_PATTERN
from minimize.policy.json_schema import (
    JSON_SCHEMA_DIALECT,
    JsonSchema,
    any_of_schema,
    enum_schema,
    list_schema,
    mapping_schema,
    schema_ref,
    string_schema,
)
from minimize.policy.treatments import techniques_schema


def access_schema() -> JsonSchema:
    """The schema of the access file.

    >>> access_schema()["required"]
    ['version']
    """
    body = mapping_schema(
        "Roles and their assignment to accounts.",
        {
            "version": {"const": 1, "description": "Version of the file format."},
            "people": _mapping_of(schema_ref("names"), "Accounts by person."),
            "groups": _mapping_of(
                any_of_schema(schema_ref("names"), {"const": EXTERNAL}),
                "Users by group, or `external` for groups that the authentication service confirms.",
            ),
            "roles": _mapping_of(schema_ref("role"), "Copies of the built-in roles."),
            "assignments": {
                "type": "array",
                "items": schema_ref("assignment"),
                "description": "Assignments of roles to members within a scope.",
            },
            "conflicts": {
                "type": "array",
                "items": _role_pair(),
                "description": "Pairs of roles that one person must not have.",
            },
            "grants": schema_ref("grants"),
        },
        required=("version",),
    )
    return {"$schema": JSON_SCHEMA_DIALECT, "title": "minimize access", **body, "$defs": _definitions()}


def _definitions() -> dict[str, JsonSchema]:
    return {
        "names": {"type": "array", "items": string_schema("A name.")},
        "some": any_of_schema({"const": ALL_NAMES}, list_schema(string_schema("A name."))),
        "duration": string_schema("A duration: 45s, 15m, 24h, 30d, 2w.", pattern=DURATION_PATTERN),
        "permission": enum_schema(_permissions(), "Resource/operation, and for data a category."),
        "role": _role(),
        "view": any_of_schema(schema_ref("technique"), list_schema(schema_ref("technique"))),
        "technique": techniques_schema(),
        "assignment": _assignment(),
        "grants": _grants(),
    }


def _permissions() -> list[str]:
    plain = [name for name in PERMISSIONS if name != READ]
    return [
        *plain,
        *(f"{name}:{category}" for name in PERMISSIONS if name in CATEGORY_PERMISSIONS for category in CATEGORY_ORDER),
    ]


def _role() -> JsonSchema:
    views = _mapping_of(_mapping_of(schema_ref("view"), "Views by column."), "Coarser forms by dataset and column.")
    views.pop("propertyNames")
    denied = {"type": "array", "items": any_of_schema(schema_ref("permission"), {"const": READ})}
    return mapping_schema(
        "A custom role.",
        {
            "copy": enum_schema(BUILTIN_ROLES, "The built-in role that it copies."),
            "about": string_schema("Description of the role."),
            "allow": {"type": "array", "items": schema_ref("permission"), "description": "Additional permissions."},
            "deny": {**denied, "description": "Denied permissions, regardless of other roles."},
            "views": views,
        },
        required=("copy",),
    )


def _assignment() -> JsonSchema:
    members = mapping_schema(
        "Users and groups with the role.", {"users": schema_ref("names"), "groups": schema_ref("names")}
    )
    scope = mapping_schema(
        "Tenants, datasets and purposes for which the role applies.",
        {"tenants": schema_ref("some"), "datasets": schema_ref("some"), "purposes": schema_ref("some")},
        required=("tenants", "datasets"),
    )
    parts = {"role": string_schema("A built-in or custom role."), "members": members, "scope": scope}
    return mapping_schema("Assigns a role to members within a scope.", parts, required=("role", "members", "scope"))


def _grants() -> JsonSchema:
    glass = mapping_schema(
        "Access without approval, reviewed afterwards.",
        {"maximum": schema_ref("duration"), "review_within": schema_ref("duration")},
    )
    lengths = {word: schema_ref("duration") for word in ("default", "maximum", "unanswered")}
    return mapping_schema("Limits of just-in-time access.", {**lengths, "break_glass": glass})


def _role_pair() -> JsonSchema:
    return {"type": "array", "items": string_schema("A role."), "minItems": 2, "maxItems": 2}


def _mapping_of(value: JsonSchema, about: str) -> JsonSchema:
    names = {"pattern": f"^{NAME_PATTERN}$"} if "$ref" in value and value["$ref"].endswith("role") else {"minLength": 1}
    return {"type": "object", "description": about, "propertyNames": names, "additionalProperties": value}
