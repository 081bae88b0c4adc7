"""JSON Schemas (2020-12) of a recipient's file and of the list of subprocessors, for editors."""

from __future__ import annotations

from typing import get_args

from minimize.policy.fields import FIELD_TYPES
from minimize.policy.json_schema import (
    JSON_SCHEMA_DIALECT,
    JsonSchema,
    any_of_schema,
    enum_schema,
    list_schema,
    mapping_schema,
    positive_integer_schema,
    schema_ref,
    string_schema,
    techniques_schema,
)
from minimize.policy.model import CategoryName, Role
from minimize.policy.policy_reader import NAME_PATTERN
from minimize.policy.value_readers import DURATION_PATTERN
from minimize.recipients.model import PASSTHROUGH, Direction, Standing


def recipient_schema() -> JsonSchema:
    """The schema of a recipient's file.

    >>> recipient_schema()["required"]
    ['recipient', 'standing', 'functions']
    """
    body = mapping_schema(
        "A third party: who it is to us, what is agreed, and what it is needed for.",
        {
            "recipient": string_schema("The recipient's name; its file bears it, too.", pattern=f"^{NAME_PATTERN}$"),
            "about": string_schema("Who it is."),
            "ending": string_schema("What somebody does on both sides when it ends."),
            "standing": enum_schema(get_args(Standing), "An agent acts for us, an independent for itself."),
            "subprocessor": string_schema("An agent's entry on the list of subprocessors."),
            "contract": schema_ref("contract"),
            "functions": _mapping_schema(schema_ref("function"), "What it is needed for; `{}` for nothing at all."),
        },
        required=("recipient", "standing", "functions"),
    )
    return {"$schema": JSON_SCHEMA_DIALECT, "title": "minimize recipient", **body, "$defs": _definitions()}


def subprocessors_schema() -> JsonSchema:
    """The schema of the list of subprocessors.

    >>> subprocessors_schema()["required"]
    ['subprocessors']
    """
    entry = mapping_schema(
        "An agent, from its first day on the list to the first without it.",
        {
            "name": string_schema("The name by which recipients call it: `subprocessor` of their files."),
            "from": {**schema_ref("day"), "description": "The first day on which it is listed."},
            "until": {**schema_ref("day"), "description": "The first day on which it is listed no longer."},
            "about": string_schema("What it does for us."),
        },
        required=("name", "from"),
    )
    entries = {
        "type": "array",
        "items": schema_ref("entry"),
        "description": "A name may stand here again, with other dates.",
    }
    body = mapping_schema(
        "Which agents act for us, and from when to when.", {"subprocessors": entries}, ("subprocessors",)
    )
    return {
        "$schema": JSON_SCHEMA_DIALECT,
        "title": "minimize subprocessors",
        **body,
        "$defs": {"day": _day_schema(), "entry": entry},
    }


def _day_schema() -> JsonSchema:
    return string_schema("A day, YYYY-MM-DD.", pattern=r"^\d{4}-\d{2}-\d{2}$")


def _definitions() -> dict[str, JsonSchema]:
    return {
        "day": _day_schema(),
        "duration": string_schema("A length of time: 45s, 15m, 24h, 30d, 2w.", pattern=DURATION_PATTERN),
        "contract": _contract_schema(),
        "function": _function_schema(),
        "shared": any_of_schema(schema_ref("whole_field"), schema_ref("do")),
        "whole_field": _field_schema(),
        "do": {
            **any_of_schema(
                enum_schema(("drop", PASSTHROUGH)), schema_ref("technique"), list_schema(schema_ref("technique"))
            ),
            "description": "Drop, one technique, or several in order; a secret may pass through.",
        },
        "technique": techniques_schema(),
    }


def _contract_schema() -> JsonSchema:
    names = {"type": "array", "items": string_schema("A field.")}
    return mapping_schema(
        "What permits transmission: nothing goes without it.",
        {
            "reference": string_schema("Where it is filed."),
            "from": {**schema_ref("day"), "description": "The first day on which it holds."},
            "until": {**schema_ref("day"), "description": "The first day on which it holds no longer."},
            "permits_transmission": {"type": "boolean", "description": "Whether anything may go at all."},
            "permitted_fields": {**names, "description": "What may go, by name; nothing else does."},
            "retention": {**schema_ref("duration"), "description": "How long the recipient may keep it."},
            "deletes_within": {
                **schema_ref("duration"),
                "description": "How long it has to delete what is called back.",
            },
        },
        required=("reference", "from"),
    )


def _function_schema() -> JsonSchema:
    names = {"type": "array", "items": string_schema("A name.")}
    return mapping_schema(
        "One thing that the recipient is needed for.",
        {
            "direction": enum_schema(get_args(Direction), "Whether it goes to the recipient or comes from it."),
            "purpose": string_schema("From the closed list, or one that the house adds."),
            "text_version": positive_integer_schema("Raised whenever the text changes."),
            "text": string_schema("What a tenant agrees to."),
            "requires": {**names, "description": "What must be there first, such as an account."},
            "must_be": enum_schema(get_args(CategoryName), "The most that what leaves may be."),
            "aggregate": string_schema(
                "The aggregate of an output that it is about; its fields are columns of it.", f"^{NAME_PATTERN}$"
            ),
            "fields": {"type": "object", "additionalProperties": schema_ref("shared"), "minProperties": 1},
        },
        required=("direction", "purpose", "text_version"),
    )


def _field_schema() -> JsonSchema:
    digits = string_schema("A decimal of p digits.", pattern=r"^decimal\(\s*\d+\s*,\s*\d+\s*\)$")
    return mapping_schema(
        "A field, and the form in which it leaves or is kept; dropped where nothing is said.",
        {
            "type": any_of_schema(enum_schema([word for word in FIELD_TYPES if word != "decimal"]), digits),
            "role": enum_schema(get_args(Role), "What the field is; `plain` where nothing is said."),
            "do": schema_ref("do"),
            "values": {
                "type": "array",
                "items": string_schema("A value."),
                "minItems": 1,
                "uniqueItems": True,
                "description": "The only values that may leave or be kept; any other becomes null.",
            },
            "optional": {"type": "boolean", "description": "Whether the recipient takes a record without it."},
            "protocol": positive_integer_schema("The first version of the recipient's protocol that has it."),
            "row": string_schema("The line of the tenant's list that several fields share."),
            "about": string_schema("What it is for."),
            "example": {"type": ["string", "number", "boolean"], "description": "What it may look like; never real."},
        },
    )


def _mapping_schema(value: JsonSchema, about: str) -> JsonSchema:
    names = {"pattern": f"^{NAME_PATTERN}$"}
    return {"type": "object", "description": about, "propertyNames": names, "additionalProperties": value}
