"""The JSON Schema (2020-12) of both files, for editors and for whoever writes policies with a program.

Every technique with its parameters and every measure comes from the tables, so that a new one is in the schema by itself.
What needs two places at once (a name that must be declared, a purpose of the house) is the loader's to find.
"""

from __future__ import annotations

from typing import Literal, get_args

from minimize.policy.aggregate import RESERVED, UNITS
from minimize.policy.approval import WELL_FORMED
from minimize.policy.durations import PATTERN
from minimize.policy.fields import TYPES
from minimize.policy.model import Holder, Role
from minimize.policy.pipeline import CategoryName, EncryptBy
from minimize.policy.policies import NAME
from minimize.policy.schema_words import (
    Schema,
    any_of,
    list_of,
    mapping,
    one_of,
    ref,
    text,
    whole,
    words_of_measures,
    words_of_techniques,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(kind: Literal["policy", "pipeline"]) -> Schema:
    """The schema of a policy or a pipeline file.

    >>> json_schema("policy")["required"]
    ['policy', 'version', 'purposes', 'fields']
    """
    body, definitions = (_policy(), _policy_parts()) if kind == "policy" else (_pipeline(), _pipeline_parts())
    return {"$schema": DIALECT, "title": f"minimize {kind}", **body, "$defs": {**_shared_parts(), **definitions}}


def _policy() -> Schema:
    return mapping(
        "For one dataset: which fields may be kept, for which purposes, in what form, for how long.",
        {
            "policy": text("The policy's name.", pattern=_whole(NAME)),
            "version": whole("Raised with every change that matters."),
            "owner": text("Who answers for it."),
            "purposes": ref("purposes"),
            "tenant": text("The field that names the tenant."),
            "subject": text("The field that names whom a record is about: what is counted, found and erased."),
            "time": text("The field that holds the event time."),
            "record": text("The field that names the record."),
            "retention": ref("duration"),
            "future": ref("duration"),
            "levels": list_of(text("A level."), "Ordered and cumulative; the first is always on."),
            "features": _named(any_of(ref("feature"), {"type": "null"}), "Optional kinds of collection."),
            "fields": {
                "type": "object",
                "description": "By column name, or by JSON Pointer for nested data.",
                "additionalProperties": ref("field"),
                "minProperties": 1,
            },
            "never": list_of(text("A key, at any depth, or a pointer to one place."), "What must not even arrive."),
            "records": ref("records"),
            "approved": ref("approved"),
        },
        required=("policy", "version", "purposes", "fields"),
    )


def _policy_parts() -> dict[str, Schema]:
    return {
        "feature": mapping(
            "An optional kind of collection, off unless a setting turns it on.",
            {
                "about": text("What is collected."),
                "retention": ref("duration"),
                "holders": {"type": "array", "items": one_of(get_args(Holder)), "description": "Who may turn it on."},
                "per_subject": {
                    "type": "boolean",
                    "description": "Collected only for subjects that have it on by a setting of their own, and whose tenant "
                    "has it on, too. A subject's own `on` counts for 24 hours.",
                },
            },
        ),
        "records": mapping("When a whole record may be collected.", _gate()),
        "approved": mapping(
            "Who approved the policy as it is; `minimize policy approve` writes it.",
            {
                "by": text("Who approved it.", pattern=WELL_FORMED["by"]),
                "on": text("On which day, in UTC.", pattern=_whole(WELL_FORMED["on"])),
                "digest": text("The digest of what was approved.", pattern=_whole(WELL_FORMED["digest"])),
            },
            required=("by", "on", "digest"),
        ),
        "type": any_of(
            one_of([word for word in TYPES if word != "decimal"], "The type of the value."),
            text("A decimal of p digits, s of them after the point.", pattern=r"^decimal\(\s*\d+\s*,\s*\d+\s*\)$"),
        ),
        "field": _field(),
        "case": mapping("One way to treat a value.", {"if": ref("condition"), "do": ref("do")}, required=("if", "do")),
        "do": {**any_of({"const": "drop"}, ref("chain")), "description": "Drop, one technique, or several in order."},
        "chain": any_of(ref("technique"), list_of(ref("technique"), "Techniques, applied in order.")),
        "technique": words_of_techniques(),
    }


def _field() -> Schema:
    return mapping(
        "What a field is, when it may be collected, and what becomes of it. A field without `do` is dropped.",
        {
            "type": ref("type"),
            "role": one_of(get_args(Role), "What the field is; `plain` where nothing is said."),
            "do": ref("do"),
            "cases": list_of(ref("case"), "The first whose condition holds decides."),
            "otherwise": {**ref("do"), "description": "What becomes of the rest; `drop` where nothing is said."},
            **_gate(),
            "purposes": ref("purposes"),
            "from": list_of(text("A field."), "The fields from which this one is made."),
            "in_aggregates": {**ref("chain"), "description": "What aggregates see instead; records never do."},
            "keys": {
                **ref("do"),
                "description": "What becomes of a map's keys, which have its role; dropped where nothing is said.",
            },
            "required": {"type": "boolean", "description": "A record without it is quarantined."},
            "optional": {"type": "boolean", "description": "A columnar source may lack it."},
            "about": text("What it means."),
            "unit": text("The unit of its values."),
        },
    ) | {"anyOf": [{"required": ["type"]}, {"required": ["from"]}], "not": {"required": ["do", "cases"]}}


def _gate() -> dict[str, Schema]:
    return {
        "feature": text("Collected only where this feature is on."),
        "level": text("Collected only at this level or a higher one."),
        "collect_if": ref("condition"),
    }


def _shared_parts() -> dict[str, Schema]:
    within = mapping(
        "How long before another time it may lie.",
        {"within": ref("duration"), "of": text("The other time; the event time where nothing is said.")},
        required=("within",),
    )
    plain = {"type": ["string", "number", "boolean"]}
    values = any_of(plain, list_of(plain), within)
    names = any_of(text("A name."), list_of(text("A name."), "Any of them."))
    return {
        "duration": text("A length of time: 45s, 15m, 24h, 30d, 2w.", pattern=PATTERN),
        "purposes": list_of(text("A purpose."), "From the closed list, or one that the house adds."),
        "condition": {
            "type": "object",
            "description": "All keys must hold; a list of values means any; null never matches; there is no `not`.",
            "properties": {
                "any": list_of(ref("condition"), "At least one of them."),
                "all": list_of(ref("condition"), "Every one of them."),
                "feature": names,
                "level": names,
            },
            "additionalProperties": values,
            "minProperties": 1,
        },
    }


def _pipeline() -> Schema:
    aggregates = _named(ref("aggregate"), "Counts and statistics per group, by name.")
    aggregates["propertyNames"]["not"] = {"enum": list(RESERVED)}
    return mapping(
        "One scheduled job: a policy, a purpose, where data comes from and goes to.",
        {
            "pipeline": text("The pipeline's name.", pattern=_whole(NAME)),
            "policy": text("The policy's file, relative to this one."),
            "purpose": text("The purpose of every run; the policy must list it."),
            "source": ref("source"),
            "settings": text("The collection settings: a file, relative to this one, or `ledger`."),
            "output": text(
                "The output folder, relative to this file; or the URI of an object store (s3://, gs://, abfs://) without "
                "credentials, which needs a ledger elsewhere."
            ),
            "records": any_of(ref("records"), {"type": "boolean", "description": "`false` writes none."}),
            "aggregates": aggregates,
            "quarantine": ref("quarantine"),
        },
        required=("pipeline", "policy", "purpose", "source", "output"),
    )


def _pipeline_parts() -> dict[str, Schema]:
    share = {"type": "number", "minimum": 0, "maximum": 1}
    by = list_of(text("A field."), "Records that agree in all of them are one.")
    deduplicate = mapping("Of equal records of a day the earliest stays.", {"by": by, "per": {"const": "day"}}, ("by",))
    return {
        "source": mapping(
            "Where records come from.",
            {
                "path": text(
                    "A file, folder or glob, on disk or as the URI of an object store (s3://, gs://, abfs://) that "
                    "holds no credentials; `{date}` stands for the batch date."
                ),
                "format": one_of(("ndjson", "csv", "parquet")),
                "recipient": text("The third party that sends the records; consent then decides about each of them."),
                "function": text("The inbound function of its manifest.", pattern=_whole(NAME)),
                "having": list_of(text("A name."), "Prerequisites of the function that are met."),
            },
            required=("path", "format"),
        ),
        "records": mapping(
            "The records output.",
            {
                "must_be": _category(),
                "partition_by": list_of(text("A field."), "Levels of folders below `date=`."),
                "encrypt": any_of(
                    one_of(get_args(EncryptBy), "How columns are encrypted at rest."),
                    mapping("By category.", {"by_category": mapping("Keys.", {"per": text(_PER)})}, ("by_category",)),
                ),
                "index": {"type": "boolean", "description": "`false`: subjects are found only by reading everything."},
                "collect_if": ref("condition"),
                "deduplicate": deduplicate,
            },
        ),
        "aggregate": _aggregate(),
        "measure": words_of_measures(),
        "quarantine": mapping(
            "Shares of the rows read; none is no limit.",
            {
                "fail_above": {**share, "description": "Above it the run says so (exit 4)."},
                "stop_above": {**share, "description": "Above it nothing is published."},
            },
        ),
    }


def _aggregate() -> Schema:
    timed = {
        "type": "object",
        "description": "A time, at a unit no finer than the released one.",
        "additionalProperties": one_of(UNITS),
        "minProperties": 1,
        "maxProperties": 1,
    }
    columns = {"type": "object", "propertyNames": {"not": {"const": "date"}}}
    suppress = {
        "below": whole("A group with fewer subjects is absent."),
        "counting": text("The field that is counted; the policy's subject where nothing is said."),
    }
    return mapping(
        "Counts and statistics per group, small groups suppressed.",
        {
            "group_by": {**columns, "additionalProperties": any_of(text("A field."), timed)},
            "measures": {**columns, "additionalProperties": ref("measure"), "minProperties": 1},
            "suppress": mapping("Which groups are too small to show.", suppress),
            "round": mapping("Counts are rounded.", {"counts_to": whole("The multiple.")}, required=("counts_to",)),
            "late": ref("duration"),
            "retention": {
                **ref("duration"),
                "description": "How long groups are kept, by their event time; as the policy says if it is left out.",
            },
            "must_be": _category(),
            "encrypt": one_of(get_args(EncryptBy), "What is aggregated stays open whatever is said."),
        },
        required=("group_by", "measures"),
    )


_PER = "A column of `partition_by`: each of its folders has keys of its own."


def _category() -> Schema:
    return one_of(get_args(CategoryName), "The most that the output may be.")


def _named(value: Schema, about: str) -> Schema:
    names = {"pattern": _whole(NAME)}
    return {"type": "object", "description": about, "propertyNames": names, "additionalProperties": value}


def _whole(pattern: str) -> str:
    return f"^{pattern}$"
