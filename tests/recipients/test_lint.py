from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from minimize.errors import PolicyError
from minimize.recipients import Subprocessors, lint_recipients
from minimize.recipients.inbound import check_recipient, is_recipient_path
from tests.pipelines.shipped import RECIPIENTS
from tests.project import write_yaml
from tests.world import CONTRACT, SHARED_FIELDS, sync, vendor, vendor_file

DAY = date(2026, 11, 25)


def found(on: date = DAY, **changes: Any) -> list[tuple[str, str | None]]:
    return [(one.code, one.field) for one in check_recipient(vendor(**changes), Subprocessors(entries=()), on)]


def test_a_careful_recipient_has_no_finding() -> None:
    assert found() == []


def test_without_a_contract_nothing_is_shared() -> None:
    assert found(contract=None) == [("T010", None)]
    assert found(contract={**CONTRACT, "permits_transmission": False}) == [("T010", None)]


def test_an_expired_contract_is_reported() -> None:
    assert found(on=date(2027, 1, 1)) == [("T011", None)]


def test_an_inbound_function_needs_a_current_contract_without_transmission() -> None:
    functions = sync(direction="inbound")
    silent = {**CONTRACT, "permits_transmission": False, "permitted_fields": []}
    assert found(contract=silent, functions=functions) == []
    assert found(contract=None, functions=functions) == [("T010", None)]
    assert found(contract=silent, functions=functions, on=date(2027, 1, 1)) == [("T011", None)]


def test_a_field_that_the_contract_does_not_permit_is_reported() -> None:
    assert found(contract={**CONTRACT, "permitted_fields": ["app_id", "token"]}) == [("T012", "device_id")]


def test_a_secret_that_passes_through_must_be_permitted_too() -> None:
    assert found(contract={**CONTRACT, "permitted_fields": ["app_id", "device_id"]}) == [("T012", "token")]


def test_an_example_of_another_type_is_reported() -> None:
    fields = {
        **SHARED_FIELDS,
        "size": {"type": "integer", "do": "drop", "example": "large", "about": "no purpose needs it"},
    }
    assert found(functions=sync(fields=fields)) == [("T024", "size")]


def test_a_contract_that_permits_more_than_is_shared_is_reported() -> None:
    assert found(contract={**CONTRACT, "permitted_fields": [*CONTRACT["permitted_fields"], "owner"]}) == [
        ("T013", None)
    ]


def test_a_contract_without_retention_is_reported() -> None:
    assert found(contract={key: value for key, value in CONTRACT.items() if key != "retention"}) == [("T014", None)]


def test_an_agent_missing_from_the_subprocessor_list_is_reported() -> None:
    assert found(standing="agent", subprocessor="Desk") == [("T015", None)]


def test_an_identifier_that_is_shared_unchanged_is_reported() -> None:
    fields = {**SHARED_FIELDS, "device_id": {"role": "identifier", "do": "keep", "about": "names it"}}
    assert found(functions=sync(fields=fields)) == [("T020", "device_id")]


def test_a_chain_leaves_no_more_than_its_least_revealing_step() -> None:
    chain = [{"pseudonymize": {"key": "device"}}, "keep"]
    fields = {**SHARED_FIELDS, "device_id": {"role": "identifier", "do": chain, "about": "names it"}}
    assert found(functions=sync(fields=fields)) == []


def test_free_text_that_is_shared_unchanged_is_reported() -> None:
    fields = {**SHARED_FIELDS, "app_id": {"role": "free_text", "do": "keep", "about": "says it"}}
    assert found(functions=sync(fields=fields)) == [("T021", "app_id")]


def test_a_function_without_a_text_is_reported() -> None:
    assert found(functions=sync(text=None)) == [("T022", None)]


def test_a_field_without_a_description_is_reported() -> None:
    assert found(functions=sync(fields={**SHARED_FIELDS, "app_id": "keep"})) == [("T023", "app_id")]


def test_a_folder_is_judged_file_by_file_with_its_list(tmp_path: Path) -> None:
    write_yaml(tmp_path / "vendor.yaml", vendor_file(functions=sync(fields={"bad": "md5"})))
    write_yaml(tmp_path / "agent.yaml", vendor_file(recipient="agent", standing="agent", subprocessor="Desk"))
    write_yaml(tmp_path / "subprocessors.yaml", {"subprocessors": [{"name": "Desk", "from": "2027-01-01"}]})
    assert [
        (one.code, Path(str(one.file)).stem) for one in lint_recipients(tmp_path, DAY) if one.severity == "error"
    ] == [
        ("T015", "agent"),
        ("P012", "vendor"),
    ]


def test_two_entries_of_one_name_for_the_same_days_are_reported(tmp_path: Path) -> None:
    desk = {"name": "Desk", "from": "2026-01-01", "until": "2026-07-01"}
    twice = [desk, {"name": "Desk", "from": "2026-06-30"}, {"name": "Other", "from": "2026-06-30"}]
    assert [
        one.code for one in lint_recipients(write_yaml(tmp_path / "subprocessors.yaml", {"subprocessors": twice}), DAY)
    ] == ["T016"]
    once = [desk, {"name": "Desk", "from": "2026-07-01"}]
    assert lint_recipients(write_yaml(tmp_path / "subprocessors.yaml", {"subprocessors": once}), DAY) == []


def test_the_shipped_recipients_have_no_fault() -> None:
    assert {one.code for one in lint_recipients(RECIPIENTS, DAY)} == {"T020"}


def test_a_missing_recipient_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError):
        lint_recipients(tmp_path / "nobody.yaml", DAY)


def test_recipient_files_are_recognized_among_other_files(tmp_path: Path) -> None:
    path = write_yaml(tmp_path / "other.yaml", {"policy": "p"})
    assert [
        is_recipient_path(each) for each in (RECIPIENTS, RECIPIENTS / "apple.yaml", RECIPIENTS / "subprocessors.yaml")
    ] == [True] * 3
    assert [
        is_recipient_path(each) for each in (path, tmp_path, tmp_path / "none", RECIPIENTS.parent / "usage_events")
    ] == [False] * 4


def test_an_example_that_is_none_of_the_listed_values_is_a_warning() -> None:
    fields = {"app_id": {"do": "keep", "about": "the app", "values": ["a"], "example": "b"}}
    assert ("T024", "app_id") in found(functions=sync(fields=fields))
