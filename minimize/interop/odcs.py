"""Open Data Contract Standard 3.1: terms, import of a contract's object, export of a policy's source or of outputs.

Example values in a contract are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final, get_args

import pyarrow as pa

from minimize.arrow.pointers import MAX_PARTS, STAR, Pointer, PointerPart
from minimize.errors import ConfigurationError
from minimize.interop.documents import (
    SOURCE_NAME,
    DescribedColumn,
    DescribedDataset,
    ExportRequest,
    as_list,
    as_mapping,
    as_text,
    document_text,
    find_output_plan,
    has_pipeline,
    kind_by_format,
    requested_plan,
    requested_policy,
)
from minimize.plan import Plan
from minimize.plan.columns import ColumnMeaning, FieldTree, column_meanings, field_tree
from minimize.policy.model import PURPOSES, Field, Policy, Role
from minimize.policy.names import forbidden_pointer
from minimize.text import did_you_mean

VERSION: Final = "v3.1.0"
PROPERTY_PREFIX: Final = "minimize"
"""Prefix of custom properties: `minimizeRole`, `minimizePurposes`, …"""

LOGICAL_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "string": "string",
        "boolean": "boolean",
        "integer": "integer",
        "double": "number",
        "timestamp": "timestamp",
        "date": "date",
        "binary": "string",
        "list": "array",
        "map": "object",
        "struct": "object",
    }
)
"""Types of a policy as logical types of a contract. All but the first of a logical type also need `minimizeType`."""
POLICY_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "string": "string",
        "boolean": "boolean",
        "integer": "integer",
        "number": "double",
        "timestamp": "timestamp",
        "date": "date",
        "time": "string",
    }
)
_PHYSICAL: Final[Mapping[str, str]] = MappingProxyType(
    {
        r"(var|n|nvar)?char.*|text|string|clob|uuid": "string",
        r"(tiny|small|big)?int(eger)?(32|64)?|long|serial": "integer",
        r"double.*|float.*|real|number": "double",
        r"bool(ean)?|bit": "boolean",
        r"timestamp.*|datetime.*": "timestamp",
        r"date": "date",
        r"(var)?binary.*|blob|bytea|bytes": "binary",
    }
)
CLASSIFICATION_ROLES: Final[Mapping[str, Role]] = MappingProxyType(
    {"restricted": "sensitive", "confidential": "quasi", "pii": "identifier", "secret": "secret"}
)
"""Classifications that determine a role. Words defined by an organization do not."""
ROLE_CLASSIFICATIONS: Final[Mapping[Role, str]] = MappingProxyType(
    {
        "identifier": "pii",
        "quasi": "confidential",
        "sensitive": "restricted",
        "free_text": "restricted",
        "secret": "secret",
        "plain": "internal",
    }
)
_UNITS: Final[Mapping[str, tuple[str, int]]] = MappingProxyType(
    {
        r"d|days?": ("d", 1),
        r"w|weeks?": ("w", 1),
        r"h|hrs?|hours?": ("h", 1),
        r"mo|months?": ("d", 30),
        r"y|yrs?|years?": ("d", 365),
    }
)


def policy_type(document: Mapping[str, Any]) -> str | None:
    """The policy's type of a property other than object and array; None if a policy has no such type."""
    stated_type = custom_values(document).get("Type")
    logical = as_text(document.get("logicalType"))
    if isinstance(stated_type, str) and stated_type:
        return stated_type
    if logical:
        return POLICY_TYPES.get(logical)
    physical = as_text(document.get("physicalType")).lower()
    decimal = re.fullmatch(r"(?:decimal|numeric|number)\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)", physical)
    if decimal:
        return f"decimal({int(decimal[1])},{int(decimal[2] or 0)})"
    return next((word for pattern, word in _PHYSICAL.items() if re.fullmatch(pattern, physical)), None)


def custom_values(document: Mapping[str, Any]) -> dict[str, Any]:
    """The custom properties of a contract, object or property, without the prefix of their names."""
    properties = (as_mapping(each) for each in as_list(document.get("customProperties")))
    return {
        as_text(entry.get("property")).removeprefix(PROPERTY_PREFIX): entry.get("value")
        for entry in properties
        if as_text(entry.get("property")).startswith(PROPERTY_PREFIX)
    }


def custom_properties(facts: Mapping[str, Any]) -> dict[str, Any]:
    """These facts as custom properties; empty if there are none."""
    properties = [
        {"property": f"{PROPERTY_PREFIX}{name}", "value": value}
        for name, value in facts.items()
        if value not in ("", None, [], {})
    ]
    return {"customProperties": properties} if properties else {}


def retention_text(value: Any, unit: str) -> str | None:
    """A duration in the spelling of a policy; None if a policy cannot express it.

    >>> retention_text(3, "y"), retention_text("30", "days"), retention_text(1, "moon")
    ('1095d', '30d', None)
    """
    number = int(value) if re.fullmatch(r"[0-9]{1,6}", str(value)) else 0
    policy_unit = next(
        (candidate for pattern, candidate in _UNITS.items() if re.fullmatch(pattern, unit.strip().lower())), None
    )
    return f"{number * policy_unit[1]}{policy_unit[0]}" if policy_unit and number else None


def retention_property(span: timedelta) -> dict[str, Any]:
    """A duration in the spelling of a contract, in its largest whole unit."""
    seconds = int(span.total_seconds())
    unit, size = next(((unit, size) for unit, size in (("d", 86400), ("h", 3600)) if seconds % size == 0), ("s", 1))
    return {"value": seconds // size, "unit": unit}


_RECORD_FIELDS: Final = ("tenant", "subject", "time", "record")
Parts = tuple[PointerPart, ...]


def read_contract(document: Any, choice: str | None = None) -> DescribedDataset:
    """The records of one object of a contract. Raises ConfigurationError for another version or a missing object."""
    contract = as_mapping(document)
    if as_text(contract.get("kind")) != "DataContract" or not as_text(contract.get("apiVersion")).startswith("v3."):
        raise ConfigurationError(
            "the document is not a data contract of version 3",
            hint="Set `kind: DataContract` and `apiVersion: v3.1.0`.",
        )
    object_ = _chosen_object(contract, choice)
    walk = _PropertyCollector()
    walk.properties(object_, ())
    if not walk.columns:
        raise ConfigurationError("the object has no properties that a policy can declare")
    name = as_text(object_.get("name"))
    parts = _contract_record_fields(contract, walk.columns, name)
    retention, remark = _contract_retention(contract)
    return DescribedDataset(
        name or as_text(contract.get("name")) or "imported",
        tuple(walk.columns),
        owner=_contract_owner(contract),
        version=_contract_version(as_text(contract.get("version"))),
        purposes=tuple(each for each in as_list(custom_values(contract).get("Purposes")) if each in PURPOSES),
        parts=parts,
        retention=retention,
        remarks=(*_contract_remarks(contract, object_), *remark),
        never=tuple(
            pointer
            for path in as_list(custom_values(contract).get("Never"))
            if isinstance(path, str) and (pointer := forbidden_pointer(path)) is not None
        ),
        left_out=walk.left_out,
    )


@dataclass(slots=True)
class _PropertyCollector:
    """Collects the properties of an object, down to the leaves."""

    columns: list[DescribedColumn] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def properties(self, document: Mapping[str, Any], above: Parts, *, certain: bool = True) -> None:
        """The properties of an object."""
        for definition in map(as_mapping, as_list(document.get("properties"))):
            name = definition.get("name")
            parts = (*above, name) if isinstance(name, str) else above
            if not isinstance(name, str) or not parts[0] or len(parts) > MAX_PARTS:
                self.left_out["/".join(map(str, parts))[:100]] = "a field cannot have this name"
            else:
                self.take(definition, parts, certain=certain and definition.get("required") is True)

    def take(self, document: Mapping[str, Any], parts: Parts, *, certain: bool) -> None:
        """One property: a leaf, or its children."""
        logical, items = as_text(document.get("logicalType")), as_mapping(document.get("items"))
        if as_list(document.get("properties")) and logical in ("", "object"):
            self.properties(document, parts, certain=certain)
        elif logical == "array" and items and len(parts) < MAX_PARTS:
            self.take({"description": document.get("description"), **items}, (*parts, STAR), certain=False)
        else:
            self.leaf(document, parts, certain=certain)

    def leaf(self, document: Mapping[str, Any], parts: Parts, *, certain: bool) -> None:
        """A field, if a policy has a name for its type."""
        pointer, word = Pointer(parts), policy_type(document)
        word = {"array": "list", "object": "map"}.get(as_text(document.get("logicalType")), "") or word
        if word is None:
            self.left_out[str(pointer)] = "its type is not known"
            return
        options = as_mapping(document.get("logicalTypeOptions"))
        formats = {as_text(options.get("format")).lower(), as_text(document.get("physicalType")).lower()}
        kind, by_format = kind_by_format(formats, {as_text(options.get("pattern"))})
        role, why = _contract_role(document)
        about = as_text(document.get("description")) or as_text(document.get("businessName"))
        unit = as_text(custom_values(document).get("Unit"))
        self.columns.append(
            DescribedColumn(
                pointer=pointer,
                type=word,
                role=role,
                about=about,
                unit=unit,
                required=certain,
                kind=kind,
                reason=why or by_format,
            )
        )


def _chosen_object(contract: Mapping[str, Any], choice: str | None) -> Mapping[str, Any]:
    """The selected object."""
    objects = {as_text(as_mapping(each).get("name")): as_mapping(each) for each in as_list(contract.get("schema"))}
    if not objects:
        raise ConfigurationError("the contract has no `schema`", hint="Add an object with `properties`.")
    if choice is None and len(objects) == 1:
        return next(iter(objects.values()))
    if choice not in objects:
        hint = (
            did_you_mean(choice, objects)
            if choice
            else f"Pass --object with one of {', '.join(map(repr, sorted(objects)))}."
        )
        raise ConfigurationError("--object must name an object of the contract", hint=hint)
    return objects[choice]


def _contract_role(document: Mapping[str, Any]) -> tuple[Role | None, str]:
    """The role of a property in the contract, and the reason."""
    stated_role = custom_values(document).get("Role")
    known = next((role for role in get_args(Role) if role == stated_role), None)
    if known is not None:
        return known, ""
    word = re.sub(r"[^a-z]", "", as_text(document.get("classification")).lower())
    classified_role = CLASSIFICATION_ROLES.get(word)
    return (classified_role, f"the contract classifies it as `{word}`") if classified_role else (None, "")


def _contract_owner(contract: Mapping[str, Any]) -> str:
    """The owner in the contract's team, else its first member, else an empty text."""
    team = contract.get("team")
    members = [as_mapping(each) for each in (as_list(as_mapping(team).get("members")) or as_list(team))]
    owners = [each for each in members if "owner" in as_text(each.get("role")).lower()] or members
    return next((as_text(each.get("username")) for each in owners if as_text(each.get("username"))), "")


def _contract_version(text: str) -> int:
    """The first part of a version, at least 1."""
    match = re.match(r"v?(\d{1,9})", text)
    return max(1, int(match[1])) if match else 1


def _contract_retention(contract: Mapping[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    for sla in map(as_mapping, as_list(contract.get("slaProperties"))):
        if as_text(sla.get("property")).lower() in ("retention", "re"):
            retention = retention_text(sla.get("value"), as_text(sla.get("unit")) or "d")
            return retention, (
                () if retention else ("The contract's retention has a unit that a policy does not support.",)
            )
    return None, ()


def _contract_record_fields(contract: Mapping[str, Any], columns: list[DescribedColumn], name: str) -> dict[str, str]:
    """Fields for tenant, subject, time and record in the contract. The element of its retention also names the time."""
    stated = {word: custom_values(contract).get(word.capitalize()) for word in _RECORD_FIELDS}
    for sla in map(as_mapping, as_list(contract.get("slaProperties"))):
        if as_text(sla.get("property")).lower() == "retention" and stated["time"] is None:
            stated["time"] = as_text(sla.get("element")).removeprefix(f"{name}.")
    known = {_column_key(each): each for each in columns if not each.pointer.stars}
    key_by_word = {word: key for word, key in stated.items() if isinstance(key, str) and key in known}
    return {
        word: key for word, key in key_by_word.items() if word != "time" or known[key].type in ("timestamp", "date")
    }


def _column_key(column: DescribedColumn) -> str:
    plain = column.pointer.is_flat and not column.pointer.top.startswith("/")
    return column.pointer.top if plain else str(column.pointer)


def _contract_remarks(contract: Mapping[str, Any], object_: Mapping[str, Any]) -> Iterator[str]:
    """Descriptive texts of the contract."""
    about = as_mapping(contract.get("description"))
    texts = {
        "About": as_text(object_.get("description")),
        "Purpose": as_text(about.get("purpose")),
        "Usage": as_text(about.get("usage")),
        "Limitations": as_text(about.get("limitations")),
    }
    yield from (f"{head}: {words}" for head, words in texts.items() if words)


Body = dict[str, Any]


def write_contract(request: ExportRequest) -> str:
    """The contract's text. Raises ConfigurationError if the output does not exist."""
    if request.name == SOURCE_NAME or (request.name is None and not has_pipeline(request)):
        return document_text(source_contract(requested_policy(request)), request.as_json)
    return document_text(output_contract(requested_plan(request), request.name), request.as_json)


def source_contract(policy: Policy) -> Body:
    """The contract of the source's records, as far as the policy declares them."""
    root = field_tree({field.pointer: field for field in policy.fields.values() if not field.from_})
    facts = {
        "Purposes": list(policy.purposes),
        "Tenant": policy.tenant,
        "Subject": policy.subject,
        "Time": policy.time,
        "Record": policy.record,
        "Never": [each.forbidden_text for each in policy.never],
    }
    objects = [{"name": policy.policy, "logicalType": "object", "properties": _properties(root)}]
    return {
        **_contract_head(policy, policy.policy),
        "schema": objects,
        **_retention_terms(policy, policy.policy),
        **custom_properties(facts),
    }


def output_contract(plan: Plan, name: str | None = None) -> Body:
    """The contract of a pipeline's outputs: one object for each, or for one of them."""
    names = list(plan.outputs) if name is None else [name]
    pipeline = plan.pipeline.pipeline if plan.pipeline is not None else plan.policy.policy
    facts = {"Purpose": plan.purpose, "Plan": plan.digest}
    objects = [_output_object(plan, each) for each in names]
    return {
        **_contract_head(plan.policy, pipeline),
        "schema": objects,
        **_retention_terms(plan.policy, "records"),
        **custom_properties(facts),
    }


def _contract_head(policy: Policy, name: str) -> Body:
    body: Body = {
        "apiVersion": VERSION,
        "kind": "DataContract",
        "id": name,
        "name": name,
        "version": f"{policy.version}.0.0",
        "status": "active",
        "description": {"purpose": ", ".join(policy.purposes)},
    }
    return body | ({"team": {"members": [{"username": policy.owner, "role": "owner"}]}} if policy.owner else {})


def _retention_terms(policy: Policy, name: str) -> Body:
    """The retention, counted from the event time."""
    if policy.retention is None:
        return {}
    element = {"element": f"{name}.{policy.time}"} if policy.time else {}
    return {"slaProperties": [{"property": "retention", **retention_property(policy.retention), **element}]}


def _properties(branch: FieldTree) -> list[Body]:
    return [{"name": name, **_property(below)} for name, below in branch.named.items()]


def _property(branch: FieldTree) -> Body:
    if branch.field is not None:
        return _field_property(branch.field)
    if branch.items is not None:
        return {"logicalType": "array", "items": _property(branch.items)}
    needed = {"required": True} if branch.is_required else {}
    return {"logicalType": "object", **needed, "properties": _properties(branch)}


def _field_property(field: Field) -> Body:
    exact = LOGICAL_TYPES.get(field.type) if field.type not in ("binary", "map", "struct") else None
    body: Body = {"logicalType": LOGICAL_TYPES.get(field.type, "number")}
    body |= {"required": True} if field.required else {}
    body |= {"description": field.about} if field.about else {}
    body |= {"classification": ROLE_CLASSIFICATIONS[field.role]} if field.role != "plain" else {}
    facts = {
        "Role": field.role if field.role != "plain" else "",
        "Unit": field.unit,
        "Type": "" if exact else field.type,
    }
    return body | custom_properties(facts)


def _output_object(plan: Plan, name: str) -> Body:
    output = find_output_plan(plan, name)
    meanings = column_meanings(plan, name)
    columns = [{"name": each.name, **_column_property(each.type, (each.name,), meanings)} for each in output.schema]
    body: Body = {
        "name": name,
        "logicalType": "object",
        "physicalType": "parquet",
        "description": _output_description(plan, name),
    }
    granularity = {"dataGranularityDescription": _granularity(plan, name)} if name != "records" else {}
    return {**body, **granularity, "properties": columns, **custom_properties({"Category": output.category})}


def _output_description(plan: Plan, name: str) -> str:
    kind = "records" if name == "records" else "counts and statistics of groups"
    return f"{plan.policy.policy}: {kind}, {plan.outputs[name].category}"


def _granularity(plan: Plan, name: str) -> str:
    model, base_table = plan.aggregates[name].model, plan.aggregates[name].definition.rolls_up
    rows = f"One row for each {', '.join(model.group_by)}" if model.group_by else "One row"
    if base_table is not None:
        return f"{rows}; sums over the rows of {base_table} that are shown"
    below = model.suppress.below
    kind = "exact statistics" if model.exact is not None else "statistics with noise"
    return f"{rows}; groups of fewer than {below} subjects are suppressed; {kind}"


def _column_property(
    type_: pa.DataType, path: tuple[str, ...], meanings: Mapping[tuple[str, ...], ColumnMeaning]
) -> Body:
    body: Body = {}
    if pa.types.is_struct(type_):
        inner = [type_.field(at) for at in range(type_.num_fields)]
        below = [{"name": each.name, **_column_property(each.type, (*path, each.name), meanings)} for each in inner]
        body = {"logicalType": "object", "properties": below}
    elif pa.types.is_list(type_) or pa.types.is_large_list(type_):
        body = {"logicalType": "array", "items": _column_property(type_.value_type, (*path, "*"), meanings)}
    else:
        body = {"logicalType": _logical_type(type_), "physicalType": str(type_)}
    return body | (_meaning_properties(meanings[path]) if path in meanings else {})


def _meaning_properties(meaning: ColumnMeaning) -> Body:
    body: Body = {"description": meaning.text, "transformLogic": meaning.form}
    body |= {"transformSourceObjects": list(meaning.inputs)} if meaning.inputs else {}
    body |= {"classification": ROLE_CLASSIFICATIONS[meaning.role]} if meaning.role != "plain" else {}
    role = meaning.role if meaning.role != "plain" else ""
    return body | custom_properties(
        {"Role": role, "Residual": meaning.facts.get("residual"), "Leaves": meaning.facts.get("leaves")}
    )


def _logical_type(type_: pa.DataType) -> str:
    tests = (
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_integer, "integer"),
        (pa.types.is_floating, "number"),
        (pa.types.is_decimal, "number"),
        (pa.types.is_timestamp, "timestamp"),
        (pa.types.is_date, "date"),
        (pa.types.is_map, "object"),
    )
    return next((word for test, word in tests if test(type_)), "string")
