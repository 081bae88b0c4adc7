"""JSON Schema (2020-12) of policy and pipeline files: building blocks, techniques and measures, then both files.

Techniques and measures with their parameters come from their tables, so a new one appears in the schema by itself. What
depends on two places (a declared name, a purpose of the configuration) is checked only by the loader.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from pydantic import BaseModel

from minimize.aggregates import MEASURES
from minimize.policy.approval import APPROVAL_PATTERNS
from minimize.policy.fields import FIELD_TYPES
from minimize.policy.form_values import DURATION_PATTERN, NAME_PATTERN
from minimize.policy.model import CategoryName, EncryptBy, Holder, Role
from minimize.policy.pipeline_reader import RESERVED_OUTPUT_NAMES, TIME_UNITS
from minimize.policy.treatments import (
    named_parameters_schema,
    parameters_schema,
    required_parameters,
    techniques_schema,
)
from minimize.sources import FORMATS

JsonSchema = dict[str, Any]


def schema_ref(name: str) -> JsonSchema:
    """A reference to a definition."""
    return {"$ref": f"#/$defs/{name}"}


def string_schema(about: str, pattern: str | None = None) -> JsonSchema:
    """A string."""
    return {"type": "string", "description": about} | ({} if pattern is None else {"pattern": pattern})


def positive_integer_schema(about: str) -> JsonSchema:
    """A whole number from 1."""
    return {"type": "integer", "minimum": 1, "maximum": 2**53 - 1, "description": about}


def enum_schema(words: Iterable[str], about: str = "") -> JsonSchema:
    """One of some words."""
    return {"enum": list(words)} | ({"description": about} if about else {})


def any_of_schema(*schemas: JsonSchema) -> JsonSchema:
    """A value that matches one of several schemas."""
    return {"anyOf": list(schemas)}


def list_schema(items: JsonSchema, about: str = "") -> JsonSchema:
    """A list with at least one item."""
    return {"type": "array", "items": items, "minItems": 1} | ({"description": about} if about else {})


def mapping_schema(about: str, properties: Mapping[str, JsonSchema], required: tuple[str, ...] = ()) -> JsonSchema:
    """A mapping that has no other keys."""
    schema = {"type": "object", "description": about, "properties": dict(properties), "additionalProperties": False}
    return schema | ({"required": list(required)} if required else {})


def measures_schema() -> JsonSchema:
    """A measure: its word alone, with its field, or with its parameters."""
    alone = [name for name, kind in MEASURES.items() if not required_parameters(kind)]
    return any_of_schema(
        enum_schema(alone, "A measure."), *(_measure_schema(name, kind) for name, kind in MEASURES.items())
    )


def _measure_schema(name: str, kind: type[BaseModel]) -> JsonSchema:
    values = [parameters_schema(kind)]
    if set(required_parameters(kind)) <= {"of"}:
        values.append(string_schema("The field that is measured."))
    if not required_parameters(kind):
        values.append({"type": "null"})
    return named_parameters_schema(name, kind, values)


JSON_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(kind: Literal["policy", "pipeline"]) -> JsonSchema:
    """The schema of a policy or a pipeline file.

    >>> json_schema("policy")["required"]
    ['policy', 'version', 'purposes', 'fields']
    """
    body, definitions = (
        (_policy_schema(), _policy_definitions()) if kind == "policy" else (_pipeline_schema(), _pipeline_definitions())
    )
    return {
        "$schema": JSON_SCHEMA_DIALECT,
        "title": f"minimize {kind}",
        **body,
        "$defs": {**_shared_definitions(), **definitions},
    }


def _policy_schema() -> JsonSchema:
    return mapping_schema(
        "For one dataset: which fields may be kept, for which purposes, in what form, for how long.",
        {
            "policy": string_schema("The policy's name.", pattern=_anchored(NAME_PATTERN)),
            "version": positive_integer_schema("Incremented with every change of content."),
            "owner": string_schema("The person responsible for the policy."),
            "purposes": schema_ref("purposes"),
            "tenant": string_schema("The field that names the tenant."),
            "subject": string_schema(
                "The field that identifies the subject of a record, which is counted, found and erased."
            ),
            "time": string_schema("The field that holds the event time."),
            "record": string_schema("The field that identifies the record."),
            "retention": schema_ref("duration"),
            "future": schema_ref("duration"),
            "levels": list_schema(string_schema("A level."), "Ordered and cumulative; the first is always on."),
            "features": _names_schema(
                any_of_schema(schema_ref("feature"), {"type": "null"}), "Optional kinds of collection."
            ),
            "fields": {
                "type": "object",
                "description": "By column name, or by JSON Pointer for nested data.",
                "additionalProperties": schema_ref("field"),
                "minProperties": 1,
            },
            "never": list_schema(
                string_schema("A key, at any depth, or a pointer to one place."), "Paths that must not arrive."
            ),
            "records": schema_ref("records"),
            "approved": schema_ref("approved"),
        },
        required=("policy", "version", "purposes", "fields"),
    )


def _policy_definitions() -> dict[str, JsonSchema]:
    return {
        "feature": mapping_schema(
            "An optional kind of collection. The default is off.",
            {
                "about": string_schema("A description of the data that is collected."),
                "retention": schema_ref("duration"),
                "holders": {
                    "type": "array",
                    "items": enum_schema(get_args(Holder)),
                    "description": "The holders that may turn it on.",
                },
                "per_subject": {
                    "type": "boolean",
                    "description": "Collected only for subjects with their own setting `on`, if their tenant "
                    "also has it on. A subject's own `on` is valid for 24 hours.",
                },
            },
        ),
        "records": mapping_schema("The conditions under which a record is collected.", _gate_properties()),
        "approved": mapping_schema(
            "The approval of the current content; `minimize policy approve` writes it.",
            {
                "by": string_schema("The approver.", pattern=APPROVAL_PATTERNS["by"]),
                "on": string_schema("The day of the approval, in UTC.", pattern=_anchored(APPROVAL_PATTERNS["on"])),
                "digest": string_schema(
                    "The digest of the approved content.", pattern=_anchored(APPROVAL_PATTERNS["digest"])
                ),
            },
            required=("by", "on", "digest"),
        ),
        "type": any_of_schema(
            enum_schema([word for word in FIELD_TYPES if word != "decimal"], "The type of the value."),
            string_schema(
                "A decimal of p digits, s of them after the point.", pattern=r"^decimal\(\s*\d+\s*,\s*\d+\s*\)$"
            ),
        ),
        "field": _field_schema(),
        "case": mapping_schema(
            "A condition and the treatment of matching values.",
            {"if": schema_ref("condition"), "do": schema_ref("do")},
            required=("if", "do"),
        ),
        "do": {
            **any_of_schema({"const": "drop"}, schema_ref("chain")),
            "description": "Drop, one technique, or several in order.",
        },
        "chain": any_of_schema(
            schema_ref("technique"), list_schema(schema_ref("technique"), "Techniques, applied in order.")
        ),
        "technique": techniques_schema(),
    }


def _field_schema() -> JsonSchema:
    return mapping_schema(
        "A field: its type and role, the conditions of its collection, its treatment. A field without `do` is dropped.",
        {
            "type": schema_ref("type"),
            "role": enum_schema(get_args(Role), "The role of the field. The default is `plain`."),
            "do": schema_ref("do"),
            "cases": list_schema(schema_ref("case"), "The first case whose condition is true decides."),
            "otherwise": {
                **schema_ref("do"),
                "description": "The treatment of all other values. The default is `drop`.",
            },
            **_gate_properties(),
            "purposes": schema_ref("purposes"),
            "from": list_schema(string_schema("A field."), "The fields from which this field is derived."),
            "in_aggregates": {
                **schema_ref("chain"),
                "description": "The form that aggregates see; it does not affect records.",
            },
            "keys": {
                **schema_ref("do"),
                "description": "The treatment of a map's keys, which have the role of the map. The default is drop.",
            },
            "required": {"type": "boolean", "description": "A record without it is quarantined."},
            "optional": {"type": "boolean", "description": "A columnar source may lack it."},
            "about": string_schema("The meaning of the field."),
            "unit": string_schema("The unit of its values."),
        },
    ) | {"anyOf": [{"required": ["type"]}, {"required": ["from"]}], "not": {"required": ["do", "cases"]}}


def _gate_properties() -> dict[str, JsonSchema]:
    return {
        "feature": string_schema("Collected only if this feature is on."),
        "level": string_schema("Collected only at this level or a higher one."),
        "collect_if": schema_ref("condition"),
    }


def _shared_definitions() -> dict[str, JsonSchema]:
    within = mapping_schema(
        "The longest time before the other time.",
        {
            "within": schema_ref("duration"),
            "of": string_schema("The other time. The default is the event time."),
        },
        required=("within",),
    )
    plain = {"type": ["string", "number", "boolean"]}
    values = any_of_schema(plain, list_schema(plain), within)
    names = any_of_schema(string_schema("A name."), list_schema(string_schema("A name."), "Any of them."))
    return {
        "duration": string_schema("A duration: 45s, 15m, 24h, 30d, 2w.", pattern=DURATION_PATTERN),
        "purposes": list_schema(string_schema("A purpose."), "From the closed list, or one that minimize.yaml adds."),
        "condition": {
            "type": "object",
            "description": "All keys must match; of a list of values, one must match. Null never matches. There is no `not`.",
            "properties": {
                "any": list_schema(schema_ref("condition"), "At least one of them."),
                "all": list_schema(schema_ref("condition"), "Every one of them."),
                "feature": names,
                "level": names,
            },
            "additionalProperties": values,
            "minProperties": 1,
        },
    }


def _pipeline_schema() -> JsonSchema:
    aggregates = _names_schema(schema_ref("aggregate"), "Counts and statistics per group, by name.")
    aggregates["propertyNames"]["not"] = {"enum": list(RESERVED_OUTPUT_NAMES)}
    return mapping_schema(
        "One scheduled job: a policy, a purpose, a source and an output.",
        {
            "pipeline": string_schema("The pipeline's name.", pattern=_anchored(NAME_PATTERN)),
            "policy": string_schema("The policy's file, relative to this one."),
            "purpose": string_schema("The purpose of every run; the policy must list it."),
            "source": schema_ref("source"),
            "settings": string_schema("The collection settings: a file, relative to this one, or `ledger`."),
            "output": string_schema(
                "The output folder, relative to this file; or the URI of an object store (s3://, gs://, abfs://) without "
                "credentials, which needs a ledger elsewhere."
            ),
            "records": any_of_schema(schema_ref("records"), {"type": "boolean", "description": "`false` writes none."}),
            "aggregates": aggregates,
            "quarantine": schema_ref("quarantine"),
        },
        required=("pipeline", "policy", "purpose", "source", "output"),
    )


def _pipeline_definitions() -> dict[str, JsonSchema]:
    share = {"type": "number", "minimum": 0, "maximum": 1}
    by = list_schema(string_schema("A field."), "Records with equal values in all these fields are duplicates.")
    deduplicate = mapping_schema(
        "Of duplicate records of a day, the earliest is kept.", {"by": by, "per": {"const": "day"}}, ("by",)
    )
    return {
        "source": mapping_schema(
            "The source of the records.",
            {
                "path": string_schema(
                    "A file, folder or glob, on disk or as the URI of an object store (s3://, gs://, abfs://) that "
                    "contains no credentials; `{date}` is the batch date."
                ),
                "format": enum_schema(tuple(FORMATS)),
                "recipient": string_schema(
                    "The third party that sends the records. Consent then decides on each record."
                ),
                "function": string_schema("The inbound function of its manifest.", pattern=_anchored(NAME_PATTERN)),
                "having": list_schema(string_schema("A name."), "Prerequisites of the function that are met."),
            },
            required=("path", "format"),
        ),
        "records": mapping_schema(
            "The records output.",
            {
                "must_be": _category_schema(),
                "partition_by": list_schema(string_schema("A field."), "Levels of folders below `date=`."),
                "encrypt": any_of_schema(
                    enum_schema(get_args(EncryptBy), "How columns are encrypted at rest."),
                    mapping_schema(
                        "By category.",
                        {"by_category": mapping_schema("Keys.", {"per": string_schema(_PER_TEXT)})},
                        ("by_category",),
                    ),
                ),
                "index": {
                    "type": "boolean",
                    "description": "With `false`, subjects are found only by reading all records.",
                },
                "collect_if": schema_ref("condition"),
                "deduplicate": deduplicate,
            },
        ),
        "aggregate": _aggregate_schema(),
        "measure": measures_schema(),
        "quarantine": mapping_schema(
            "Limits as shares of the rows read. The default is no limit.",
            {
                "fail_above": {**share, "description": "Above this share the run exits with 4."},
                "stop_above": {**share, "description": "Above this share nothing is published."},
            },
        ),
    }


def _aggregate_schema() -> JsonSchema:
    timed = {
        "type": "object",
        "description": "A time at a unit that is not finer than the released one.",
        "additionalProperties": enum_schema(TIME_UNITS),
        "minProperties": 1,
        "maxProperties": 1,
    }
    columns = {"type": "object", "propertyNames": {"not": {"const": "date"}}}
    suppress = {
        "below": positive_integer_schema("Groups with fewer subjects are suppressed."),
        "counting": string_schema("The field that is counted. The default is the policy's subject."),
    }
    return mapping_schema(
        "Counts and statistics per group, small groups suppressed.",
        {
            "group_by": {**columns, "additionalProperties": any_of_schema(string_schema("A field."), timed)},
            "measures": {**columns, "additionalProperties": schema_ref("measure"), "minProperties": 1},
            "suppress": mapping_schema("The minimum size of published groups.", suppress),
            "round": mapping_schema(
                "Rounding of counts.", {"counts_to": positive_integer_schema("The multiple.")}, required=("counts_to",)
            ),
            "late": schema_ref("duration"),
            "retention": {
                **schema_ref("duration"),
                "description": "How long groups are kept, by their event time. The default is the retention of the policy.",
            },
            "must_be": _category_schema(),
            "encrypt": enum_schema(get_args(EncryptBy), "Aggregated columns are never encrypted."),
        },
        required=("group_by", "measures"),
    )


_PER_TEXT = "A column of `partition_by`. Each of its folders has separate keys."


def _category_schema() -> JsonSchema:
    return enum_schema(get_args(CategoryName), "The highest permitted category of the output.")


def _names_schema(value: JsonSchema, about: str) -> JsonSchema:
    names = {"pattern": _anchored(NAME_PATTERN)}
    return {"type": "object", "description": about, "propertyNames": names, "additionalProperties": value}


def _anchored(pattern: str) -> str:
    return f"^{pattern}$"
