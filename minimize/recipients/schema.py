"""JSON Schemas (2020-12) of a recipient's file and of the list of subprocessors, for editors."""

from __future__ import annotations

from typing import get_args

from minimize.policy.form_values import DURATION_PATTERN, FIELD_TYPES, NAME_PATTERN
from minimize.policy.forms import form_schema
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
)
from minimize.policy.model import CategoryName, Role
from minimize.policy.treatments import techniques_schema
from minimize.recipients.load import Subprocessors
from minimize.recipients.model import PASSTHROUGH, Direction, Standing


def recipient_schema() -> JsonSchema:
    """The schema of a recipient's file.

    >>> recipient_schema()["required"]
    ['recipient', 'standing', 'functions']
    """
    body = mapping_schema(
        "A third party: its standing, its contract and its functions.",
        {
            "recipient": string_schema(
                "The recipient's name; its file has the same name.", pattern=f"^{NAME_PATTERN}$"
            ),
            "about": string_schema("A description."),
            "ending": string_schema("The steps that both sides take when the relationship ends."),
            "standing": enum_schema(
                get_args(Standing), "An agent acts on our behalf, an independent recipient for itself."
            ),
            "subprocessor": string_schema("An agent's entry on the list of subprocessors."),
            "contract": schema_ref("contract"),
            "functions": _mapping_schema(schema_ref("function"), "The tasks of the recipient; `{}` for none."),
        },
        required=("recipient", "standing", "functions"),
    )
    return {"$schema": JSON_SCHEMA_DIALECT, "title": "minimize recipient", **body, "$defs": _definitions()}


def subprocessors_schema() -> JsonSchema:
    """The schema of the list of subprocessors.

    >>> subprocessors_schema()["required"]
    ['subprocessors']
    """
    return form_schema(Subprocessors, "minimize subprocessors")


def _day_schema() -> JsonSchema:
    return string_schema("A day, YYYY-MM-DD.", pattern=r"^\d{4}-\d{2}-\d{2}$")


def _definitions() -> dict[str, JsonSchema]:
    return {
        "day": _day_schema(),
        "duration": string_schema("A duration: 45s, 15m, 24h, 30d, 2w.", pattern=DURATION_PATTERN),
        "contract": _contract_schema(),
        "function": _function_schema(),
        "shared": any_of_schema(schema_ref("whole_field"), schema_ref("do")),
        "whole_field": _field_schema(),
        "do": {
            **any_of_schema(
                enum_schema(("drop", PASSTHROUGH)), schema_ref("technique"), list_schema(schema_ref("technique"))
            ),
            "description": "Drop, one technique, or several in order; a secret may be passed through.",
        },
        "technique": techniques_schema(),
    }


def _contract_schema() -> JsonSchema:
    names = {"type": "array", "items": string_schema("A field.")}
    return mapping_schema(
        "The agreement that permits transmission. Without it nothing is sent.",
        {
            "reference": string_schema("The reference under which it is filed."),
            "from": {**schema_ref("day"), "description": "The first day on which it is in force."},
            "until": {**schema_ref("day"), "description": "The first day on which it is no longer in force."},
            "permits_transmission": {"type": "boolean", "description": "Whether data may be sent."},
            "permitted_fields": {**names, "description": "The only fields that may be sent."},
            "retention": {**schema_ref("duration"), "description": "How long the recipient may keep the data."},
            "deletes_within": {
                **schema_ref("duration"),
                "description": "The time limit for a deletion request.",
            },
        },
        required=("reference", "from"),
    )


def _function_schema() -> JsonSchema:
    names = {"type": "array", "items": string_schema("A name.")}
    return mapping_schema(
        "One task of the recipient.",
        {
            "direction": enum_schema(get_args(Direction), "Whether data is sent to the recipient or received from it."),
            "purpose": string_schema("From the closed list, or one that minimize.yaml adds."),
            "text_version": positive_integer_schema("Incremented with each change of the text."),
            "text": string_schema("The text that a tenant agrees to."),
            "requires": {**names, "description": "Prerequisites, such as an account."},
            "must_be": enum_schema(get_args(CategoryName), "The highest permitted category of the data."),
            "aggregate": string_schema("The aggregate that is sent; the fields are its columns.", f"^{NAME_PATTERN}$"),
            "fields": {"type": "object", "additionalProperties": schema_ref("shared"), "minProperties": 1},
        },
        required=("direction", "purpose", "text_version"),
    )


def _field_schema() -> JsonSchema:
    digits = string_schema("A decimal of p digits.", pattern=r"^decimal\(\s*\d+\s*,\s*\d+\s*\)$")
    return mapping_schema(
        "A field, and the form in which it is sent or kept. The default is drop.",
        {
            "type": any_of_schema(enum_schema([word for word in FIELD_TYPES if word != "decimal"]), digits),
            "role": enum_schema(get_args(Role), "The role of the field. The default is `plain`."),
            "do": schema_ref("do"),
            "values": {
                "type": "array",
                "items": string_schema("A value."),
                "minItems": 1,
                "uniqueItems": True,
                "description": "The only values that may be sent or kept; any other value becomes null.",
            },
            "optional": {"type": "boolean", "description": "Whether the recipient accepts a record without it."},
            "protocol": positive_integer_schema("The first version of the recipient's protocol that has it."),
            "row": string_schema("The row of the tenant's page that several fields share."),
            "about": string_schema("The use of the field."),
            "example": {"type": ["string", "number", "boolean"], "description": "An invented example."},
        },
    )


def _mapping_schema(value: JsonSchema, about: str) -> JsonSchema:
    names = {"pattern": f"^{NAME_PATTERN}$"}
    return {"type": "object", "description": about, "propertyNames": names, "additionalProperties": value}
