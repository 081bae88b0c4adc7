from __future__ import annotations

from minimize.arrow.pointers import Pointer
from minimize.policy.proposals import infer_types, propose_treatments
from minimize.policy.value_kinds import ValueSummary

TENANT, MAIL, TIME = map(Pointer.parse, ("tenant_id", "mail", "time"))
LEAVES = {TENANT: "string", MAIL: "string", TIME: "string"}
LOOKS = {
    TENANT: ValueSummary(200, 0, 4),
    MAIL: ValueSummary(200, 300, 150, {"email": 0.9}),
    TIME: ValueSummary(200, 0, 200, {"time": 1.0}, ("timestamp",)),
}


def test_a_proposal_says_why_by_name_and_by_values() -> None:
    reasons = propose_treatments(LEAVES, LOOKS, {"tenant": TENANT}, LEAVES)[MAIL].reasons
    assert reasons[1:] == ("its name suggests `identifier`", "most values look like e-mail addresses", "mostly null")


def test_the_tenant_is_the_scope_of_all_other_fields() -> None:
    found = propose_treatments(LEAVES, LOOKS, {"tenant": TENANT}, LEAVES)
    assert "per: tenant_id" in found[MAIL].do
    assert "per" not in found[TENANT].do


def test_fields_that_nobody_looked_at_are_judged_by_name_and_type() -> None:
    found = propose_treatments({Pointer.parse("imei"): "string"}, {}, {}, {})
    assert next(iter(found.values())).reasons == ("it names a person or a device", "its name suggests `identifier`")


def test_a_type_that_the_values_read_as_is_part_of_the_proposal() -> None:
    found = propose_treatments(LEAVES, LOOKS, {}, infer_types(LEAVES, LOOKS, "ndjson"))
    assert found[TIME].text == "{type: timestamp, role: quasi, do: {truncate_time: {to: hour}}}"
    assert found[MAIL].text.startswith("{role: ")


def test_a_number_as_text_is_a_number_in_csv_alone() -> None:
    look = {MAIL: ValueSummary(9, 0, 9, {}, ("integer", "double"))}
    read = {kind: infer_types({MAIL: "string"}, look, kind)[MAIL] for kind in ("csv", "ndjson", "parquet")}
    assert read == {"csv": "integer", "ndjson": "string", "parquet": "string"}


def test_an_imei_stays_text() -> None:
    look = {MAIL: ValueSummary(9, 0, 9, {"imei": 1.0}, ("integer",))}
    assert infer_types({MAIL: "string"}, look, "csv")[MAIL] == "string"


def test_remarks_are_lines_that_fit_a_screen() -> None:
    lines = [
        line for each in propose_treatments(LEAVES, LOOKS, {"tenant": TENANT}, LEAVES).values() for line in each.lines
    ]
    assert max(map(len, lines)) <= 116
