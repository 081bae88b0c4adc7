"""What the OpenLineage specification (2-0-2, and the facets that are used) asks of an event, as JSON Schema, in our words."""

from __future__ import annotations

from typing import Any, Final

from jsonschema import Draft202012Validator, FormatChecker

TEXT: Final = {"type": "string", "minLength": 1}
COUNT: Final = {"type": "integer", "minimum": 0}
TIME: Final = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$"}
URI: Final = {"type": "string", "pattern": r"^[a-z][a-z0-9+.-]*:\S+$"}


def thing(required: dict[str, Any], optional: dict[str, Any] | None = None, *, closed: bool = True) -> dict[str, Any]:
    properties = {**required, **(optional or {})}
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(required),
        "additionalProperties": not closed,
    }


def facet(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return thing({"_producer": URI, "_schemaURL": URI, **required}, optional)


def many(each: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": each}


DIRECT: Final = ("IDENTITY", "TRANSFORMATION", "AGGREGATION")
INDIRECT: Final = ("JOIN", "GROUP_BY", "FILTER", "SORT", "WINDOW", "CONDITIONAL")
TRANSFORMATION: Final = {
    "oneOf": [
        thing(
            {"type": {"const": kind}},
            {"subtype": {"enum": list(subtypes)}, "description": TEXT, "masking": {"type": "boolean"}},
        )
        for kind, subtypes in (("DIRECT", DIRECT), ("INDIRECT", INDIRECT))
    ]
}
INPUT_FIELD: Final = thing({"namespace": TEXT, "name": TEXT, "field": TEXT}, {"transformations": many(TRANSFORMATION)})
COLUMN: Final = thing({"name": TEXT}, {"type": TEXT, "description": TEXT, "fields": {"type": "array"}})
SCHEMA: Final = facet({"fields": many(COLUMN)})
LINEAGE: Final = facet(
    {
        "fields": {
            "type": "object",
            "additionalProperties": thing({"inputFields": many(INPUT_FIELD)}),
        }
    },
    {"dataset": many(INPUT_FIELD)},
)
STATISTICS: Final = facet({}, {"rowCount": COUNT, "fileCount": COUNT, "size": COUNT})
DATASET: Final = {"namespace": TEXT, "name": TEXT}
INPUT: Final = thing(
    DATASET, {"facets": thing({}, {"schema": SCHEMA}), "inputFacets": thing({}, {"inputStatistics": STATISTICS})}
)
OUTPUT: Final = thing(
    DATASET,
    {
        "facets": thing({}, {"schema": SCHEMA, "columnLineage": LINEAGE}),
        "outputFacets": thing({}, {"outputStatistics": STATISTICS}),
    },
)
RUN_FACETS: Final = thing(
    {},
    {
        "nominalTime": facet({"nominalStartTime": TIME}, {"nominalEndTime": TIME}),
        "processing_engine": facet({"version": TEXT}, {"name": TEXT, "openlineageAdapterVersion": TEXT}),
        "errorMessage": facet({"message": TEXT, "programmingLanguage": TEXT}, {"stackTrace": TEXT}),
        "minimize": {**facet({}), "additionalProperties": True},
    },
)
JOB_FACETS: Final = thing({}, {"jobType": facet({"processingType": TEXT, "integration": TEXT}, {"jobType": TEXT})})
RUN_EVENT: Final = thing(
    {
        "eventTime": TIME,
        "producer": URI,
        "schemaURL": URI,
        "run": thing({"runId": {"type": "string", "format": "uuid"}}, {"facets": RUN_FACETS}),
        "job": thing({"namespace": TEXT, "name": TEXT}, {"facets": JOB_FACETS}),
    },
    {
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "inputs": many(INPUT),
        "outputs": many(OUTPUT),
    },
)
VALIDATOR: Final = Draft202012Validator(RUN_EVENT, format_checker=FormatChecker())


def faults(event: Any) -> list[str]:
    """What is wrong with an event."""
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(event)]
