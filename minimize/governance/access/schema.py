"""The JSON Schema (2020-12) of the access file, for editors."""

from __future__ import annotations

from minimize.governance.access.builtin import BUILTIN
from minimize.governance.access.model import EXTERNAL
from minimize.governance.access.permissions import GRADED, PERMISSIONS, READ
from minimize.governance.access.read import ALL
from minimize.plan.category import ORDER
from minimize.policy.durations import PATTERN
from minimize.policy.policies import NAME
from minimize.policy.schema import DIALECT
from minimize.policy.schema_words import Schema, any_of, list_of, mapping, one_of, ref, text, words_of_techniques


def access_schema() -> Schema:
    """The schema of the access file.

    >>> access_schema()["required"]
    ['version']
    """
    body = mapping(
        "Who may do what.",
        {
            "version": {"const": 1, "description": "Of the file's form."},
            "people": _named(ref("names"), "By person the accounts that are theirs."),
            "groups": _named(any_of(ref("names"), {"const": EXTERNAL}), "By group its users, or who vouches for them."),
            "roles": _named(ref("role"), "Copies of the built-in roles."),
            "assignments": {"type": "array", "items": ref("assignment"), "description": "Who has which role, where."},
            "conflicts": {"type": "array", "items": _pair(), "description": "Roles that one person cannot both have."},
            "grants": ref("grants"),
        },
        required=("version",),
    )
    return {"$schema": DIALECT, "title": "minimize access", **body, "$defs": _parts()}


def _parts() -> dict[str, Schema]:
    return {
        "names": {"type": "array", "items": text("A name.")},
        "some": any_of({"const": ALL}, list_of(text("A name."))),
        "duration": text("A length of time: 45s, 15m, 24h, 30d, 2w.", pattern=PATTERN),
        "permission": one_of(_permissions(), "A resource, an operation, and of data up to which category."),
        "role": _role(),
        "view": any_of(ref("technique"), list_of(ref("technique"))),
        "technique": words_of_techniques(),
        "assignment": _assignment(),
        "grants": _grants(),
    }


def _permissions() -> list[str]:
    plain = [name for name in PERMISSIONS if name != READ]
    return [*plain, *(f"{name}:{category}" for name in PERMISSIONS if name in GRADED for category in ORDER)]


def _role() -> Schema:
    views = _named(_named(ref("view"), "By column."), "By dataset and column a coarser form.")
    views.pop("propertyNames")
    denied = {"type": "array", "items": any_of(ref("permission"), {"const": READ})}
    return mapping(
        "A role of the house.",
        {
            "copy": one_of(BUILTIN, "The built-in role that it starts from."),
            "about": text("What it is for."),
            "allow": {"type": "array", "items": ref("permission"), "description": "What it may do beside."},
            "deny": {**denied, "description": "What it may not do, whatever other roles allow."},
            "views": views,
        },
        required=("copy",),
    )


def _assignment() -> Schema:
    members = mapping("Who has the role.", {"users": ref("names"), "groups": ref("names")})
    scope = mapping(
        "Where they have it.",
        {"tenants": ref("some"), "datasets": ref("some"), "purposes": ref("some")},
        required=("tenants", "datasets"),
    )
    parts = {"role": text("A built-in role, or one of the house."), "members": members, "scope": scope}
    return mapping("Members have a role, in a scope.", parts, required=("role", "members", "scope"))


def _grants() -> Schema:
    glass = mapping("Access that nobody approves.", {"maximum": ref("duration"), "review_within": ref("duration")})
    lengths = {word: ref("duration") for word in ("default", "maximum", "unanswered")}
    return mapping("How long just-in-time access lasts.", {**lengths, "break_glass": glass})


def _pair() -> Schema:
    return {"type": "array", "items": text("A role."), "minItems": 2, "maxItems": 2}


def _named(value: Schema, about: str) -> Schema:
    names = {"pattern": f"^{NAME}$"} if "$ref" in value and value["$ref"].endswith("role") else {"minLength": 1}
    return {"type": "object", "description": about, "propertyNames": names, "additionalProperties": value}
