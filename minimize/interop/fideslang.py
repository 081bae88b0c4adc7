"""fideslang (IAB Tech Lab, taxonomy 3.1): data categories and uses, datasets and systems of a pipeline's outputs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from minimize.errors import ConfigurationError
from minimize.interop.documents import SOURCE_NAME, ExportRequest, document_text, find_output_plan, requested_plan
from minimize.plan import Plan
from minimize.plan.columns import ColumnMeaning, column_meanings
from minimize.techniques import published_techniques
from minimize.times import duration_text

_BY_NAME: Final[Mapping[str, str]] = MappingProxyType(
    {
        r"e?mail|upn|user_?principal_?name": "user.contact.email",
        r"phone|mobile|msisdn": "user.contact.phone_number",
        r"ip|ipv4|ipv6|ip_?addr(ess)?|client_?ip|remote_?addr": "user.device.ip_address",
        r"lat|latitude|lon|lng|longitude|gps|geo|coordinates|position": "user.location",
        r"postal_?code|zip|zip_?code|postcode": "user.contact.address.postal_code",
        r"street": "user.contact.address.street",
        r"city": "user.contact.address.city",
        r"country": "user.contact.address.country",
        r"birth|dob|birthday|date_of_birth": "user.demographic.date_of_birth",
        r"gender|sex": "user.demographic.gender",
        r"language|locale": "user.demographic.language",
        r"first_?name|given_?name": "user.name.first",
        r"last_?name|sur_?name|family_?name": "user.name.last",
        r"full_?name|display_?name|person_?name": "user.name",
        r"user_?name|login|account(_?name)?": "user.account.username",
        r"passport": "user.government_id.passport_number",
        r"ssn|social_security|national_id": "user.government_id.national_identification_number",
        r"iban|bank": "user.financial.bank_account",
        r"card": "user.financial.credit_card",
        r"password|passcode|pin": "user.authorization.password",
        r"token|secret|credential|bypass_code": "user.authorization.credentials",
        r"url|page|visited": "user.behavior.browsing_history",
        r"device_?id|serial(_?number)?|imei|meid|udid|mac|wifi_mac|advertising_?id": "user.device.device_id",
        r"tenant|customer|org(ani[sz]ation)?": "system.operations",
        r"model|manufacturer|os|cpu|hardware|battery|storage|memory|carrier": "user.device",
    }
)
_BY_ROLE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "identifier": "user.unique_id",
        "free_text": "user.content.private",
        "secret": "user.authorization.credentials",
    }
)
PSEUDONYM: Final = "user.unique_id.pseudonymous"
OPERATIONS: Final = "system.operations"
TELEMETRY: Final = "user.telemetry"
_USES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "customer_support": "essential.service.operations.support",
        "service_maintenance": "essential.service.operations",
        "operations": "operations",
        "quality_and_security": "essential.service.security",
    }
)
SUBJECTS: Final = ("customer",)
"""The data subject in fideslang's terms. A policy does not state the relation between subjects and the organization."""


def data_use(purpose: str) -> str:
    """The data use of a purpose. A purpose defined by the organization is a general service.

    >>> data_use("customer_support"), data_use("asset_register")
    ('essential.service.operations.support', 'essential.service')
    """
    return _USES.get(purpose, "essential.service")


def data_category(name: str, meaning: ColumnMeaning | None, aggregated: bool) -> str:
    """The data category of a column, by its name and precision. Statistics of aggregates are operations data."""
    if meaning is None or aggregated:
        return OPERATIONS
    names = ",".join(meaning.facts.get("techniques") or ())
    if any(kind.is_pseudonym() for kind in published_techniques(names)):
        return PSEUDONYM
    category = _category_by_name(name)
    if category == "user.location":
        return "user.location.precise" if meaning.facts.get("residual") == "original" else "user.location.imprecise"
    return category or _BY_ROLE.get(meaning.role, TELEMETRY)


def _category_by_name(name: str) -> str | None:
    """The first row with a word that is part of the name."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    words = re.sub(r"[^a-z0-9]+", "_", snake)
    return next((each for pattern, each in _BY_NAME.items() if re.search(rf"(^|_)({pattern})(_|$)", words)), None)


Body = dict[str, Any]
_ORGANIZATION: Final = "default_organization"


def write_fideslang(request: ExportRequest) -> str:
    """The manifest's text. Raises ConfigurationError if the output does not exist."""
    if request.name == SOURCE_NAME:
        raise ConfigurationError(
            "fideslang describes only outputs", hint="Leave out --of, or pass the name of an output."
        )
    return document_text(fideslang_manifest(requested_plan(request), request.name), request.as_json)


def fideslang_manifest(plan: Plan, name: str | None = None) -> Body:
    """The dataset with a collection for each output (or for one), and the system that writes it."""
    names = list(plan.outputs) if name is None else [name]
    key = fides_key(plan.policy.policy if plan.pipeline is None else plan.pipeline.pipeline)
    collections = [_fides_collection(plan, each) for each in names]
    dataset = {
        "fides_key": key,
        "organization_fides_key": _ORGANIZATION,
        "name": key,
        "description": f"Data released by policy {plan.policy.policy}, version {plan.policy.version}",
        "collections": collections,
    }
    return {"dataset": [dataset], "system": [_fides_system(plan, key, sorted(set(_categories(collections))))]}


def fides_key(name: str) -> str:
    """A name as a valid fideslang key.

    >>> fides_key("device telemetry/eu")
    'device_telemetry_eu'
    """
    return re.sub(r"[^A-Za-z0-9_.<>-]", "_", name) or "_"


def _fides_system(plan: Plan, key: str, categories: list[str]) -> Body:
    retention = plan.policy.retention
    declaration: Body = {
        "name": plan.purpose or "none",
        "data_categories": categories,
        "data_use": data_use(plan.purpose or ""),
        "data_subjects": list(SUBJECTS),
        "dataset_references": [key],
        "features": list(plan.policy.features),
    }
    declaration |= {} if retention is None else {"retention_period": duration_text(retention)}
    return {
        "fides_key": f"{key}_pipeline",
        "organization_fides_key": _ORGANIZATION,
        "name": f"{key} pipeline",
        "description": "Drops, transforms and aggregates. Signed receipts record its input and output",
        "system_type": "Service",
        "dataset_references": [key],
        "privacy_declarations": [declaration],
    }


def _fides_collection(plan: Plan, name: str) -> Body:
    output = find_output_plan(plan, name)
    meanings = column_meanings(plan, name)
    aggregated = output.category == "aggregated"
    fields = _with_unique_names(
        _fides_field(column.name, column.type, (column.name,), meanings, aggregated) for column in output.schema
    )
    return {"name": name, "description": output.category, "fields": fields}


def _fides_field(
    name: str,
    type_: pa.DataType,
    path: tuple[str, ...],
    meanings: Mapping[tuple[str, ...], ColumnMeaning],
    aggregated: bool,
) -> Body:
    """A column. A list is described by its elements. Dots are removed from names, because they mean nesting."""
    suffix, kind, inner_path = "", type_, path
    while pa.types.is_list(kind) or pa.types.is_large_list(kind):
        suffix, kind, inner_path = "[]", kind.value_type, (*inner_path, "*")
    body: Body = {"name": name.replace(".", "_")}
    if pa.types.is_struct(kind):
        inner = (kind.field(at) for at in range(kind.num_fields))
        below = _with_unique_names(
            _fides_field(child.name, child.type, (*inner_path, child.name), meanings, aggregated) for child in inner
        )
        return body | {"fides_meta": {"data_type": f"object{suffix}"}, "fields": below}
    meaning = meanings.get(inner_path) or meanings.get(path)
    body |= {"description": f"{meaning.text}: {meaning.form}"} if meaning else {}
    category = data_category(name, meaning, aggregated)
    return body | {"data_categories": [category], "fides_meta": {"data_type": f"{_fides_type(kind)}{suffix}"}}


def _with_unique_names(fields: Iterable[Body]) -> list[Body]:
    """The fields with unique names. Removing dots can make two names equal."""
    field_by_name: dict[str, Body] = {}
    for field in fields:
        name = field["name"]
        while name in field_by_name:
            name += "_"
        field_by_name[name] = {**field, "name": name}
    return list(field_by_name.values())


def _fides_type(kind: pa.DataType) -> str:
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
