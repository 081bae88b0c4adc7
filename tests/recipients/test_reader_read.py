""""""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from minimize.errors import PolicyError
from tests.world import CONTRACT, SHARED_FIELDS, sync, vendor


def codes(**changes: Any) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        vendor(**changes)
    return [finding.code for finding in caught.value.findings]


def test_a_recipient_is_read_whole() -> None:
    found = vendor()
    assert (found.recipient, found.standing, list(found.functions)) == ("vendor", "independent", ["sync"])
    assert found.contract is not None
    assert (found.contract.from_, found.contract.retention) == (date(2026, 1, 1), timedelta(days=30))


def test_fields_keep_their_order() -> None:
    assert list(vendor().functions["sync"].fields) == list(SHARED_FIELDS)


def test_what_is_shared_is_neither_dropped_nor_passing() -> None:
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


def test_a_contract_that_says_nothing_permits_nothing() -> None:
    contract = vendor(contract={"reference": "C-1", "from": "2026-01-01", "permitted_fields": ["app_id"]}).contract
    assert contract is not None
    assert not contract.permits("app_id")


def test_a_contract_permits_what_it_lists() -> None:
    contract = vendor().contract
    assert contract is not None
    assert [contract.permits(key) for key in ("app_id", "owner")] == [True, False]


def test_a_contract_that_ends_before_it_begins_is_a_fault() -> None:
    assert codes(contract={**CONTRACT, "until": "2025-01-01"}) == ["T005"]


@pytest.mark.parametrize("day", ["2026-13-01", "20260101", "soon", 2026])
def test_a_day_that_is_none_is_a_fault(day: object) -> None:
    assert codes(contract={**CONTRACT, "from": day}) == ["P006"]


def test_an_agent_names_its_entry() -> None:
    assert codes(standing="agent") == ["T001"]
    assert vendor(standing="agent", subprocessor="Example").subprocessor == "Example"


def test_an_independent_has_no_entry() -> None:
    assert codes(subprocessor="Example") == ["T002"]


def test_a_purpose_that_is_refused_or_not_known_is_a_fault() -> None:
    assert codes(functions=sync(purpose="marketing")) == ["P009"]
    assert codes(functions=sync(purpose="curiosity")) == ["P008"]


def test_the_purpose_of_the_on_premises_product_is_not_for_sharing() -> None:
    for direction in ("outbound", "inbound"):
        assert codes(functions=sync(purpose="quality_and_security", direction=direction)) == ["T018"]


def test_data_of_the_on_premises_product_has_its_own_purpose_only() -> None:
    summary = sync(purpose="quality_and_security", direction="inbound")
    assert vendor(on_premises=True, functions=summary).on_premises
    assert codes(on_premises=True, functions=sync(purpose="operations", direction="inbound")) == ["T018"]


def test_a_function_that_shares_data_with_the_on_premises_product_is_a_fault() -> None:
    assert codes(on_premises=True, functions=sync(purpose="quality_and_security")) == ["T017"]


@pytest.mark.parametrize("permissions", [[], ["update", "read"]])
def test_a_granted_permission_is_exactly_one(permissions: list[str]) -> None:
    assert codes(functions=sync(requires=["admin_consent"], permissions=permissions)) == ["T009"]
    assert codes(functions=sync(permissions=["update"])) == ["T009"]
    assert vendor(functions=sync(requires=["admin_consent"], permissions=["update"])).functions["sync"].permissions


@pytest.mark.parametrize("key", ["direction", "purpose", "text_version"])
def test_what_a_function_must_say_is_missed(key: str) -> None:
    assert codes(functions=sync(**{key: None})) == ["P005"]


@pytest.mark.parametrize("version", [0, -1, True, "1", 1.5, 2**60])
def test_a_text_version_is_a_whole_number(version: object) -> None:
    assert codes(functions=sync(text_version=version)) == ["P006"]


def test_a_field_stands_once_and_within_no_other() -> None:
    assert codes(functions=sync(fields={"a": "keep", "/a": "drop"})) == ["P002"]
    assert codes(functions=sync(fields={"/a": "presence", "/a/b": "keep"})) == ["P018"]


def test_every_fault_is_told_at_once() -> None:
    function = {**sync(purpose="marketing", direction="sideways")["sync"], "fields": {"a": "md5", "b": {"tpye": "x"}}}
    assert sorted(codes(standing="friend", functions={"sync": function, "1": sync()["sync"]})) == [
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
    assert "T007" in codes(functions=sync(aggregate="fleet", **changes))


def test_a_function_may_be_about_an_aggregate_and_says_what_it_must_be() -> None:
    said = sync(aggregate="fleet", must_be="aggregated", fields={"events": {"type": "integer", "do": "keep"}})
    function = vendor(functions=said).functions["sync"]
    assert (function.aggregate, function.must_be) == ("fleet", "aggregated")
