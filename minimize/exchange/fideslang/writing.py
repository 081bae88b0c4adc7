"""A pipeline's outputs as a dataset, and the pipeline as a system that declares why it processes what."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import pyarrow as pa

from minimize.errors import ConfigurationError
from minimize.exchange.asking import SOURCE, output_of, plan_of
from minimize.exchange.base import Asked
from minimize.exchange.fideslang.taxonomy import SUBJECTS, data_category, data_use
from minimize.exchange.meanings import Meaning, meanings
from minimize.exchange.yaml_text import document_text
from minimize.plan import Plan
from minimize.policy.words import duration

Body = dict[str, Any]
_ORGANIZATION: Final = "default_organization"


def write(asked: Asked) -> str:
    """The manifest's text. Raises ConfigurationError where there is no such output."""
    if asked.name == SOURCE:
        raise ConfigurationError("fideslang is told of outputs", hint="leave --of out, or name an output")
    return document_text(manifest(plan_of(asked), asked.name), asked.as_json)


def manifest(plan: Plan, name: str | None = None) -> Body:
    """The dataset with a collection for each output (or for one), and the system that writes it."""
    names = list(plan.outputs) if name is None else [name]
    key = fides_key(plan.policy.policy if plan.pipeline is None else plan.pipeline.pipeline)
    collections = [_collection(plan, each) for each in names]
    dataset = {
        "fides_key": key,
        "organization_fides_key": _ORGANIZATION,
        "name": key,
        "description": f"What the policy {plan.policy.policy}, version {plan.policy.version}, lets through",
        "collections": collections,
    }
    return {"dataset": [dataset], "system": [_system(plan, key, sorted(set(_categories(collections))))]}


def fides_key(name: str) -> str:
    """A name as fideslang takes it for a key.

    >>> fides_key("device telemetry/eu")
    'device_telemetry_eu'
    """
    return re.sub(r"[^A-Za-z0-9_.<>-]", "_", name) or "_"


def _system(plan: Plan, key: str, categories: list[str]) -> Body:
    retention = plan.policy.retention
    declaration: Body = {
        "name": plan.purpose or "none",
        "data_categories": categories,
        "data_use": data_use(plan.purpose or ""),
        "data_subjects": list(SUBJECTS),
        "dataset_references": [key],
        "features": list(plan.policy.features),
    }
    declaration |= {} if retention is None else {"retention_period": duration(retention)}
    return {
        "fides_key": f"{key}_pipeline",
        "organization_fides_key": _ORGANIZATION,
        "name": f"{key} pipeline",
        "description": "Drops, generalizes and aggregates; what it read and wrote stands in signed receipts",
        "system_type": "Service",
        "dataset_references": [key],
        "privacy_declarations": [declaration],
    }


def _collection(plan: Plan, name: str) -> Body:
    output = output_of(plan, name)
    said = meanings(plan, name)
    aggregated = output.category == "aggregated"
    fields = _apart(_field(each.name, each.type, (each.name,), said, aggregated) for each in output.schema)
    return {"name": name, "description": output.category, "fields": fields}


def _field(
    name: str, type_: pa.DataType, path: tuple[str, ...], said: Mapping[tuple[str, ...], Meaning], aggregated: bool
) -> Body:
    """A column; a list is told by what it holds, and a name without points, which stand for nesting."""
    suffix, kind, here = "", type_, path
    while pa.types.is_list(kind) or pa.types.is_large_list(kind):
        suffix, kind, here = "[]", kind.value_type, (*here, "*")
    body: Body = {"name": name.replace(".", "_")}
    if pa.types.is_struct(kind):
        inner = (kind.field(at) for at in range(kind.num_fields))
        below = _apart(_field(each.name, each.type, (*here, each.name), said, aggregated) for each in inner)
        return body | {"fides_meta": {"data_type": f"object{suffix}"}, "fields": below}
    meaning = said.get(here) or said.get(path)
    body |= {"description": f"{meaning.text}: {meaning.form}"} if meaning else {}
    category = data_category(name, meaning, aggregated)
    return body | {"data_categories": [category], "fides_meta": {"data_type": f"{_type(kind)}{suffix}"}}


def _apart(fields: Iterable[Body]) -> list[Body]:
    """The fields, no two of one name: what had points may be called as another then."""
    found: dict[str, Body] = {}
    for field in fields:
        name = field["name"]
        while name in found:
            name += "_"
        found[name] = {**field, "name": name}
    return list(found.values())


def _type(kind: pa.DataType) -> str:
    tests = (
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_integer, "integer"),
        (pa.types.is_floating, "float"),
        (pa.types.is_decimal, "float"),
    )
    return next((word for test, word in tests if test(kind)), "string")


def _categories(collections: list[Body]) -> Iterator[str]:
    waiting = [field for collection in collections for field in collection["fields"]]
    while waiting:
        field = waiting.pop()
        yield from field.get("data_categories", ())
        waiting += field.get("fields", [])
