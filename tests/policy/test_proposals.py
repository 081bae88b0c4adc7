from __future__ import annotations

from typing import Any

import pytest

from minimize.arrow.pointers import Pointer
from minimize.drafting.proposals import (
    PROPOSAL_RULES,
    PSEUDONYM_KEY,
    FieldEvidence,
    infer_types,
    propose_for_field,
    propose_treatments,
)
from minimize.drafting.values import ENOUGH_VALUES, ValueSummary
from minimize.forms.yaml_nodes import FaultList, node_from_data, parse_yaml
from minimize.policy.load import policy_from_mapping
from minimize.sources import FORMATS

TENANT, MAIL, TIME = map(Pointer.parse, ("tenant_id", "mail", "time"))
LEAVES = {TENANT: "string", MAIL: "string", TIME: "string"}
LOOKS = {
    TENANT: ValueSummary(200, 0, 4),
    MAIL: ValueSummary(200, 300, 150, {"email": 0.9}),
    TIME: ValueSummary(200, 0, 200, {"time": 1.0}, ("timestamp",)),
}


def test_a_proposal_has_reasons_by_name_and_by_values() -> None:
    reasons = propose_treatments(LEAVES, LOOKS, {"tenant": TENANT}, LEAVES)[MAIL].reasons
    assert reasons[1:] == ("its name suggests `identifier`", "most values look like e-mail addresses", "mostly null")


def test_the_tenant_is_the_scope_of_all_other_fields() -> None:
    found = propose_treatments(LEAVES, LOOKS, {"tenant": TENANT}, LEAVES)
    assert "per: tenant_id" in found[MAIL].do
    assert "per" not in found[TENANT].do


def test_fields_without_sampled_values_are_judged_by_name_and_type() -> None:
    found = propose_treatments({Pointer.parse("imei"): "string"}, {}, {}, {})
    assert next(iter(found.values())).reasons == (
        "it identifies a person or a device",
        "its name suggests `identifier`",
    )


def test_a_type_that_the_values_read_as_is_part_of_the_proposal() -> None:
    found = propose_treatments(LEAVES, LOOKS, {}, infer_types(LEAVES, LOOKS, FORMATS["ndjson"].text_types))
    assert found[TIME].entries == {"type": "timestamp", "role": "quasi", "do": "{truncate_time: {to: hour}}"}
    assert "type" not in found[MAIL].entries


def test_a_number_as_text_is_a_number_in_csv_alone() -> None:
    look = {MAIL: ValueSummary(9, 0, 9, {}, ("integer", "double"))}
    read = {
        kind: infer_types({MAIL: "string"}, look, FORMATS[kind].text_types)[MAIL]
        for kind in ("csv", "ndjson", "parquet")
    }
    assert read == {"csv": "integer", "ndjson": "string", "parquet": "string"}


def test_an_imei_stays_text() -> None:
    look = {MAIL: ValueSummary(9, 0, 9, {"imei": 1.0}, ("integer",))}
    assert infer_types({MAIL: "string"}, look, FORMATS["csv"].text_types)[MAIL] == "string"


def test_remarks_are_lines_that_fit_a_screen() -> None:
    lines = [
        line for each in propose_treatments(LEAVES, LOOKS, {"tenant": TENANT}, LEAVES).values() for line in each.remarks
    ]
    assert max(map(len, lines)) <= 116


PSEUDONYM = f"{{pseudonymize: {{key: {PSEUDONYM_KEY}, per: tenant_id}}}}"


def seen(
    name: str, type_: str = "string", kind: str | None = None, part: str | None = None, **look: Any
) -> FieldEvidence:
    counts: dict[str, Any] = {
        "values": 10 * ENOUGH_VALUES,
        "distinct": 5 * ENOUGH_VALUES,
        "kinds": {kind: 1.0} if kind else {},
    } | look
    return FieldEvidence(Pointer.parse(name), type_, ValueSummary(**counts), part, "tenant_id", was_read=True)


PROPOSED = [
    (seen("contact", kind="email"), "identifier", PSEUDONYM),
    (seen("hotline", kind="phone"), "identifier", PSEUDONYM),
    (seen("radio", kind="mac"), "identifier", PSEUDONYM),
    (seen("modem", "integer", "imei"), "identifier", PSEUDONYM),
    (seen("device_id", part="subject"), "identifier", PSEUDONYM),
    (seen("tenant_id", kind="uuid", part="tenant"), "plain", "keep"),
    (seen("event_id", part="record"), "identifier", "drop"),
    (seen("account", kind="iban"), "identifier", "drop"),
    (seen("number", kind="card"), "identifier", "drop"),
    (seen("peer", kind="ip"), "quasi", "{truncate_ip: {v4: 24, v6: 48}}"),
    (seen("agent_version", kind="ip"), "quasi", "{truncate_version: {parts: 2}}"),
    (seen("agent", kind="version"), "quasi", "{truncate_version: {parts: 2}}"),
    (seen("page", kind="url"), "sensitive", "drop"),
    (seen("zip_code", kind="postal_code"), "quasi", "{mask: {keep_first: 2}}"),
    (seen("place", kind="position"), "quasi", "drop"),
    (seen("latitude", "double"), "quasi", "{round: {to: 0.1}}"),
    (seen("birth_date", "date"), "quasi", "{truncate_time: {to: year}}"),
    (seen("seen_at", "timestamp"), "quasi", "{truncate_time: {to: hour}}"),
    (seen("installed", "date"), "quasi", "{truncate_time: {to: month}}"),
    (seen("when", kind="time"), "quasi", "drop"),
    (seen("file", kind="path"), "free_text", "drop"),
    (seen("comment"), "free_text", "drop"),
    (seen("said", prose=1.0), "free_text", "drop"),
    (seen("said", personal=True), "free_text", "drop"),
    (seen("display_name"), "identifier", "drop"),
    (seen("serial_number"), "identifier", PSEUDONYM),
    (seen("group", kind="uuid"), "identifier", PSEUDONYM),
    (seen("group", kind="hash"), "identifier", PSEUDONYM),
    (seen("group", "binary", kind="hash"), "identifier", PSEUDONYM),
    (seen("group", kind="opaque"), "identifier", PSEUDONYM),
    (seen("bearer", kind="token"), "secret", "drop"),
    (seen("trace", kind="uuid", distinct=10 * ENOUGH_VALUES), "identifier", "drop"),
    (seen("trace", distinct=10 * ENOUGH_VALUES), "identifier", "drop"),
    (seen("password"), "secret", "drop"),
    (seen("is_on", "boolean"), "plain", "keep"),
    (seen("gender", "boolean"), "quasi", "drop"),
    (seen("state", distinct=3), "plain", "keep"),
    (seen("model", distinct=3), "quasi", "keep"),
    (seen("city_district"), "quasi", "drop"),
    (seen("gender", distinct=2), "quasi", "drop"),
    (seen("battery_pct", "double"), "plain", "{bin: {width: 10}}"),
    (seen("free_bytes", "integer"), "plain", "{bin: {edges: [1e9, 4e9, 16e9, 64e9, 256e9]}}"),
    (seen("score", "double"), "plain", "drop"),
    (seen("age", "integer"), "quasi", "drop"),
    (seen("opens", "integer", distinct=4), "plain", "keep"),
    (seen("apps", "list"), "plain", "size"),
    (seen("blob", "binary"), "plain", "drop"),
    (seen("nothing", values=0, nulls=9), "plain", "drop"),
    (seen("odd", values=3, distinct=3), "plain", "drop"),
]


@pytest.mark.parametrize(("field", "role", "do"), PROPOSED, ids=lambda each: getattr(each, "pointer", None))
def test_a_field_gets_the_role_and_technique_that_its_look_suggests(field: FieldEvidence, role: str, do: str) -> None:
    found = propose_for_field(field)
    assert (found.role, found.do) == (role, do)


@pytest.mark.parametrize(("field", "role", "do"), PROPOSED, ids=lambda each: getattr(each, "pointer", None))
def test_every_proposal_is_valid_in_a_policy(field: FieldEvidence, role: str, do: str) -> None:
    faults = FaultList()
    node = parse_yaml(f"{{type: {field.type}, role: {role}, do: {do}}}", faults)
    assert node is not None
    tenant = node_from_data({"type": "string"}).to_data()
    mapping = {
        "policy": "p",
        "version": 1,
        "purposes": ["operations"],
        "fields": {"tenant_id": tenant, "x": node.to_data()},
    }
    assert policy_from_mapping(mapping).fields["x"].role == role
    assert faults.found == []


def test_every_rule_is_the_first_one_for_some_field() -> None:
    first = {next(rule for rule in PROPOSAL_RULES if rule.applies(field)) for field, _, _ in PROPOSED}
    assert [rule.because for rule in PROPOSAL_RULES if rule not in first] == []


def test_without_a_tenant_a_pseudonym_has_no_scope() -> None:
    field = FieldEvidence(Pointer.parse("imei"), "string")
    assert propose_for_field(field).do == f"{{pseudonymize: {{key: {PSEUDONYM_KEY}}}}}"
