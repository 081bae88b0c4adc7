from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from minimize.errors import PolicyError
from minimize.recipients import SharedField
from minimize.techniques import Context, Technique, treat
from tests.world import CONTRACT, SHARED_FIELDS, sync, vendor


def read(**fields: Any) -> dict[str, SharedField]:
    return dict(vendor(contract=None, functions=sync(fields=fields)).functions["sync"].fields)


def codes(**fields: Any) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        read(**fields)
    return [finding.code for finding in caught.value.findings]


def test_a_lone_word_is_a_technique() -> None:
    field = read(a="keep")["a"]
    assert ([step.name for step in field.chain], field.passes) == (["keep"], False)


def test_a_lone_mapping_of_a_technique_is_a_technique() -> None:
    assert [step.name for step in read(a={"mask": {"keep_last": 4}})["a"].chain] == ["mask"]


def test_a_list_is_a_chain() -> None:
    chain = read(a=["redact", {"mask": {"keep_last": 4}}])["a"].chain
    assert [step.name for step in chain] == ["redact", "mask"]


def test_a_field_without_a_treatment_is_dropped() -> None:
    assert read(a={"about": "nothing"})["a"].chain == ()


def test_a_secret_may_pass_through_and_nothing_of_it_is_kept() -> None:
    field = read(a={"role": "secret", "do": "pass_through"})["a"]
    assert (field.passes, field.do, field.chain) == (True, "pass_through", ())


@pytest.mark.parametrize("do", ["keep", {"mask": {"keep_last": 2}}, {"pseudonymize": {"key": "k"}}])
def test_a_secret_is_kept_in_no_form(do: Any) -> None:
    assert codes(a={"role": "secret", "do": do}) == ["P014"]


def test_only_a_secret_passes_through() -> None:
    assert codes(a={"do": "pass_through"}) == ["T003"]


def test_a_technique_must_take_the_type() -> None:
    assert codes(a={"type": "boolean", "do": {"mask": {"keep_last": 2}}}) == ["P101"]


def test_each_step_must_take_what_the_one_before_gives() -> None:
    assert codes(a={"type": "double", "do": ["presence", {"round": {"to": 1}}]}) == ["P101"]


def test_a_technique_that_must_see_all_values_is_refused() -> None:
    assert codes(a={"do": {"top": {"keep": 5, "other": "other"}}}) == ["T004"]


def test_an_unkeyed_hash_is_refused() -> None:
    assert codes(a="sha256") == ["P012"]


def test_a_word_that_is_no_technique_gets_a_hint() -> None:
    with pytest.raises(PolicyError, match="Did you mean `redact`"):
        read(a="redcat")


@pytest.mark.parametrize(("word", "code"), [("strin", "P007"), ("decimal", "P007"), ("decimal(90,2)", "P006")])
def test_a_type_that_is_none_is_a_fault(word: str, code: str) -> None:
    assert codes(a={"type": word, "do": "keep"}) == [code]


@pytest.mark.parametrize("key", ["", "date", "/a/~9"])
def test_a_key_that_cannot_name_a_field_is_a_fault(key: str) -> None:
    assert codes(**{key: "keep"}) == ["P015"]


def test_a_field_cannot_declare_that_it_passes_through() -> None:
    assert codes(a={"do": "keep", "passes": True}) == ["P004"]


STATUS = {"do": "keep", "values": ["assigned", "pushed"]}


def treated(field: SharedField, values: list[str | None]) -> tuple[list[str | None], list[bool]]:
    context, found, lost = Context(field.key, datetime(2026, 1, 1, tzinfo=UTC)), pa.array(values), [False] * len(values)
    for step in field.chain:
        assert isinstance(step, Technique)
        done = treat(step, found, context)
        lost = lost if done.untreated is None else done.untreated.to_pylist()
        found = done.values
    return found.to_pylist(), lost


def test_a_value_that_is_not_listed_becomes_null_and_counts_as_untreated() -> None:
    assert treated(read(a=STATUS)["a"], ["assigned", "lost", None, "pushed"]) == (
        ["assigned", None, None, "pushed"],
        [False, True, False, False],
    )


def test_listed_values_are_those_that_leave_after_the_other_techniques() -> None:
    field = read(a={"do": {"map": {"values": {"1": "assigned", "2": "gone"}}}, "values": ["assigned"]})["a"]
    assert treated(field, ["1", "2"])[0] == ["assigned", None]


@pytest.mark.parametrize("values", [[], "assigned", ["a", "a"], ["a", 1]])
def test_listed_values_are_texts_that_differ(values: Any) -> None:
    assert codes(a={"do": "keep", "values": values}) == ["P006"]


def test_only_fields_that_leave_as_text_have_listed_values() -> None:
    assert codes(a={"type": "integer", "do": "keep", "values": ["1"]}) == ["T008"]
    assert codes(a={"role": "secret", "do": "pass_through", "values": ["1"]}) == ["T008"]


@pytest.mark.parametrize("protocol", [0, "2", True])
def test_a_protocol_version_is_a_whole_number(protocol: Any) -> None:
    assert codes(a={"do": "keep", "protocol": protocol}) == ["P006"]


def test_a_field_is_required_and_of_every_protocol_by_default() -> None:
    plain, flagged = read(a="keep")["a"], read(a={"do": "keep", "optional": True, "protocol": 3})["a"]
    assert ((plain.optional, plain.protocol), (flagged.optional, flagged.protocol)) == ((False, None), (True, 3))


def vendor_codes(**changes: Any) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        vendor(**changes)
    return [finding.code for finding in caught.value.findings]


def test_a_recipient_is_read_whole() -> None:
    found = vendor()
    assert (found.recipient, found.standing, list(found.functions)) == ("vendor", "independent_controller", ["sync"])
    assert found.contract is not None
    assert (found.contract.from_, found.contract.retention) == (date(2026, 1, 1), timedelta(days=30))


def test_fields_keep_their_order() -> None:
    assert list(vendor().functions["sync"].fields) == list(SHARED_FIELDS)


def test_shared_fields_exclude_dropped_and_passed_through_ones() -> None:
    function = vendor().functions["sync"]
    assert (list(function.shared), function.pass_through_fields) == (["app_id", "device_id"], ("token",))


def test_a_recipient_may_have_no_function_at_all() -> None:
    assert vendor(functions={}).outbound == ()


def test_a_contract_holds_from_its_first_day_to_before_its_last() -> None:
    contract = vendor().contract
    assert contract is not None
    days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 12, 31), date(2027, 1, 1)]
    assert [contract.holds(day) for day in days] == [False, True, True, False]


def test_a_contract_without_an_end_holds_on() -> None:
    contract = vendor(contract={key: value for key, value in CONTRACT.items() if key != "until"}).contract
    assert contract is not None
    assert contract.holds(date(2099, 1, 1))


def test_a_contract_without_a_permission_permits_nothing() -> None:
    contract = vendor(contract={"reference": "C-1", "from": "2026-01-01", "permitted_fields": ["app_id"]}).contract
    assert contract is not None
    assert not contract.permits("app_id")


def test_a_contract_permits_what_it_lists() -> None:
    contract = vendor().contract
    assert contract is not None
    assert [contract.permits(key) for key in ("app_id", "owner")] == [True, False]


def test_a_contract_that_ends_before_it_begins_is_a_fault() -> None:
    assert vendor_codes(contract={**CONTRACT, "until": "2025-01-01"}) == ["T005"]


@pytest.mark.parametrize("day", ["2026-13-01", "20260101", "soon", 2026])
def test_a_day_that_is_none_is_a_fault(day: object) -> None:
    assert vendor_codes(contract={**CONTRACT, "from": day}) == ["P006"]


def test_an_agent_names_its_entry() -> None:
    assert vendor_codes(standing="agent") == ["T001"]
    assert vendor(standing="agent", subprocessor="Example").subprocessor == "Example"


def test_an_independent_has_no_entry() -> None:
    assert vendor_codes(subprocessor="Example") == ["T002"]


def test_a_purpose_that_is_refused_or_not_known_is_a_fault() -> None:
    assert vendor_codes(functions=sync(purpose="marketing")) == ["P009"]
    assert vendor_codes(functions=sync(purpose="curiosity")) == ["P008"]


def test_the_purpose_of_the_on_premises_product_is_not_for_sharing() -> None:
    for direction in ("outbound", "inbound"):
        assert vendor_codes(functions=sync(purpose="quality_and_security", direction=direction)) == ["T018"]


def test_data_of_the_on_premises_product_has_its_own_purpose_only() -> None:
    summary = sync(purpose="quality_and_security", direction="inbound")
    assert vendor(on_premises=True, functions=summary).on_premises
    assert vendor_codes(on_premises=True, functions=sync(purpose="operations", direction="inbound")) == ["T018"]


def test_a_function_that_shares_data_with_the_on_premises_product_is_a_fault() -> None:
    assert vendor_codes(on_premises=True, functions=sync(purpose="quality_and_security")) == ["T017"]


@pytest.mark.parametrize("permissions", [[], ["update", "read"]])
def test_a_granted_permission_is_exactly_one(permissions: list[str]) -> None:
    assert vendor_codes(functions=sync(requires=["admin_consent"], permissions=permissions)) == ["T009"]
    assert vendor_codes(functions=sync(permissions=["update"])) == ["T009"]
    assert vendor(functions=sync(requires=["admin_consent"], permissions=["update"])).functions["sync"].permissions


@pytest.mark.parametrize("key", ["direction", "purpose", "text_version"])
def test_a_missing_key_of_a_function_is_a_fault(key: str) -> None:
    assert vendor_codes(functions=sync(**{key: None})) == ["P005"]


@pytest.mark.parametrize("version", [0, -1, True, "1", 1.5, 2**60])
def test_a_text_version_is_a_whole_number(version: object) -> None:
    assert vendor_codes(functions=sync(text_version=version)) == ["P006"]


def test_a_field_is_listed_once_and_inside_no_other() -> None:
    assert vendor_codes(functions=sync(fields={"a": "keep", "/a": "drop"})) == ["P002"]
    assert vendor_codes(functions=sync(fields={"/a": "presence", "/a/b": "keep"})) == ["P018"]


def test_all_faults_are_reported_together() -> None:
    function = {**sync(purpose="marketing", direction="sideways")["sync"], "fields": {"a": "md5", "b": {"tpye": "x"}}}
    assert sorted(vendor_codes(standing="friend", functions={"sync": function, "1": sync()["sync"]})) == [
        "P004",
        "P007",
        "P007",
        "P009",
        "P012",
        "P015",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"direction": "inbound"},
        {"must_be": "pseudonymized"},
        {"fields": {"token": {"role": "secret", "do": "pass_through"}}},
    ],
)
def test_a_function_about_an_aggregate_is_like_one(changes: dict[str, Any]) -> None:
    assert "T007" in vendor_codes(functions=sync(aggregate="fleet", **changes))


def test_a_function_may_be_about_an_aggregate_with_a_required_category() -> None:
    said = sync(aggregate="fleet", must_be="aggregated", fields={"events": {"type": "integer", "do": "keep"}})
    function = vendor(functions=said).functions["sync"]
    assert (function.aggregate, function.must_be) == ("fleet", "aggregated")
