"""The JSON Schemas (2020-12) of a recipient's file and of the list of subprocessors, for editors."""

from __future__ import annotations

from typing import get_args

from minimize.policy.durations import PATTERN
from minimize.policy.fields import TYPES
from minimize.policy.model import Role
from minimize.policy.pipeline import CategoryName
from minimize.policy.policies import NAME
from minimize.policy.schema import DIALECT
from minimize.policy.schema_words import (
    Schema,
    any_of,
    list_of,
    mapping,
    one_of,
    ref,
    text,
    whole,
    words_of_techniques,
)
from minimize.recipients.model import THROUGH, Direction, Standing


def recipient_schema() -> Schema:
    """The schema of a recipient's file.

    >>> recipient_schema()["required"]
    ['recipient', 'standing', 'functions']
    """
    body = mapping(
        "A third party: who it is to us, what is agreed, and what it is needed for.",
        {
            "recipient": text("The recipient's name; its file bears it, too.", pattern=f"^{NAME}$"),
            "about": text("Who it is."),
            "ending": text("What somebody does on both sides when it ends."),
            "standing": one_of(get_args(Standing), "An agent acts for us, an independent for itself."),
            "subprocessor": text("An agent's entry on the list of subprocessors."),
            "contract": ref("contract"),
            "functions": _named(ref("function"), "What it is needed for; `{}` for nothing at all."),
        },
        required=("recipient", "standing", "functions"),
    )
    return {"$schema": DIALECT, "title": "minimize recipient", **body, "$defs": _parts()}


def subprocessors_schema() -> Schema:
    """The schema of the list of subprocessors.

    >>> subprocessors_schema()["required"]
    ['subprocessors']
    """
    entry = mapping(
        "An agent, from its first day on the list to the first without it.",
        {
            "name": text("The name by which recipients call it: `subprocessor` of their files."),
            "from": {**ref("day"), "description": "The first day on which it is listed."},
            "until": {**ref("day"), "description": "The first day on which it is listed no longer."},
            "about": text("What it does for us."),
        },
        required=("name", "from"),
    )
    entries = {"type": "array", "items": ref("entry"), "description": "A name may stand here again, with other dates."}
    body = mapping("Which agents act for us, and from when to when.", {"subprocessors": entries}, ("subprocessors",))
    return {"$schema": DIALECT, "title": "minimize subprocessors", **body, "$defs": {"day": _day(), "entry": entry}}


def _day() -> Schema:
    return text("A day, YYYY-MM-DD.", pattern=r"^\d{4}-\d{2}-\d{2}$")


def _parts() -> dict[str, Schema]:
    return {
        "day": _day(),
        "duration": text("A length of time: 45s, 15m, 24h, 30d, 2w.", pattern=PATTERN),
        "contract": _contract(),
        "function": _function(),
        "shared": any_of(ref("whole_field"), ref("do")),
        "whole_field": _field(),
        "do": {
            **any_of(one_of(("drop", THROUGH)), ref("technique"), list_of(ref("technique"))),
            "description": "Drop, one technique, or several in order; a secret may pass through.",
        },
        "technique": words_of_techniques(),
    }


def _contract() -> Schema:
    names = {"type": "array", "items": text("A field.")}
    return mapping(
        "What permits transmission: nothing goes without it.",
        {
            "reference": text("Where it is filed."),
            "from": {**ref("day"), "description": "The first day on which it holds."},
            "until": {**ref("day"), "description": "The first day on which it holds no longer."},
            "permits_transmission": {"type": "boolean", "description": "Whether anything may go at all."},
            "permitted_fields": {**names, "description": "What may go, by name; nothing else does."},
            "retention": {**ref("duration"), "description": "How long the recipient may keep it."},
            "deletes_within": {**ref("duration"), "description": "How long it has to delete what is called back."},
        },
        required=("reference", "from"),
    )


def _function() -> Schema:
    names = {"type": "array", "items": text("A name.")}
    return mapping(
        "One thing that the recipient is needed for.",
        {
            "direction": one_of(get_args(Direction), "Whether it goes to the recipient or comes from it."),
            "purpose": text("From the closed list, or one that the house adds."),
            "text_version": whole("Raised whenever the text changes."),
            "text": text("What a tenant agrees to."),
            "requires": {**names, "description": "What must be there first, such as an account."},
            "must_be": one_of(get_args(CategoryName), "The most that what leaves may be."),
            "aggregate": text(
                "The aggregate of an output that it is about; its fields are columns of it.", f"^{NAME}$"
            ),
            "fields": {"type": "object", "additionalProperties": ref("shared"), "minProperties": 1},
        },
        required=("direction", "purpose", "text_version"),
    )


def _field() -> Schema:
    digits = text("A decimal of p digits.", pattern=r"^decimal\(\s*\d+\s*,\s*\d+\s*\)$")
    return mapping(
        "A field, and the form in which it leaves or is kept; dropped where nothing is said.",
        {
            "type": any_of(one_of([word for word in TYPES if word != "decimal"]), digits),
            "role": one_of(get_args(Role), "What the field is; `plain` where nothing is said."),
            "do": ref("do"),
            "values": {
                "type": "array",
                "items": text("A value."),
                "minItems": 1,
                "uniqueItems": True,
                "description": "The only values that may leave or be kept; any other becomes null.",
            },
            "optional": {"type": "boolean", "description": "Whether the recipient takes a record without it."},
            "protocol": whole("The first version of the recipient's protocol that has it."),
            "row": text("The line of the tenant's list that several fields share."),
            "about": text("What it is for."),
            "example": {"type": ["string", "number", "boolean"], "description": "What it may look like; never real."},
        },
    )


def _named(value: Schema, about: str) -> Schema:
    names = {"pattern": f"^{NAME}$"}
    return {"type": "object", "description": about, "propertyNames": names, "additionalProperties": value}
