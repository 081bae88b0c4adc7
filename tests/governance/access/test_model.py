from __future__ import annotations

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.access import UserAccount
from minimize.access.model import access_from_mapping, same_dataset
from minimize.access.permissions import (
    ALL_TENANTS,
    NO_TENANTS,
    Permission,
    TenantSet,
    common_tenants,
    highest_or_none,
    parse_permission,
    parse_permissions,
    union_of_tenants,
)
from minimize.errors import PolicyError
from minimize.identifiers import is_invisible
from minimize.plan.model import CATEGORY_ORDER
from tests.governance.access.factory import access_of
from tests.world import access_file, assignment


def test_groups_are_those_of_the_file_and_those_that_it_leaves_to_others() -> None:
    access = access_of(
        assignment("analyst", groups=("insights", "guests")), groups={"insights": ["ann"], "guests": "external"}
    )
    assert access.groups_of(UserAccount("ann")) == {"insights"}
    assert access.groups_of(UserAccount("eve", frozenset({"insights", "guests", "elsewhere"}))) == {"guests"}


def test_separate_people_are_recognized_by_accounts_and_groups() -> None:
    access = access_of(people={"Sam": ["sam", "samuel"]}, groups={"support": ["sam", "sue"], "site": ["samuel", "pia"]})
    assert not access.are_separate("sam", "sam")
    assert not access.are_separate("samuel", "sam")
    assert not access.are_separate("sue", "sam")
    assert not access.are_separate("pia", "sam")
    assert access.are_separate("olga", "sam")
    assert access.are_separate("pia", "sue")


def test_a_pipelines_name_alone_is_that_of_its_records() -> None:
    assert same_dataset("telemetry", "telemetry/records")
    assert not same_dataset("telemetry", "telemetry/fleet")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dataset/read:identified", Permission("dataset/read", "identified")),
        ("dataset/read", Permission("dataset/read")),
        ("grant/approve:pseudonymized", Permission("grant/approve", "pseudonymized")),
        ("audit/read", Permission("audit/read")),
        ("audit/read:identified", None),
        ("dataset/read:secret", None),
        ("dataset/read:", None),
        ("dataset", None),
        ("dataset/write", None),
        ("", None),
    ],
)
def test_a_permission_is_a_resource_an_operation_and_of_data_a_category(text: str, expected: Permission | None) -> None:
    assert parse_permission(text) == expected
    assert expected is None or str(expected) == text


def test_an_unknown_permission_raises() -> None:
    with pytest.raises(ValueError, match="unknown permission"):
        parse_permissions("audit/read", "audit/burn")


def test_a_permission_reaches_down_and_a_denial_up() -> None:
    some = Permission("dataset/read", "pseudonymized")
    assert [some.allows("dataset/read", each) for each in CATEGORY_ORDER] == [True, True, False]
    assert [some.denies("dataset/read", each) for each in CATEGORY_ORDER] == [False, True, True]
    assert not some.denies("dataset/read")
    assert Permission("dataset/read").denies("dataset/read", "aggregated")
    assert not some.allows("audit/read")


def test_seeing_is_not_writing() -> None:
    assert not Permission("audit/read").writes
    assert not Permission("dataset/read", "identified").writes
    assert Permission("settings/set").writes
    assert Permission("audit/truncate").writes


def test_the_highest_category_of_none_is_none() -> None:
    assert highest_or_none(()) is None
    assert highest_or_none(("aggregated", "identified")) == "identified"


NAMES = ("north", "south", "east", "west")
SETS = st.builds(TenantSet, st.frozensets(st.sampled_from(NAMES)), st.booleans())


def members(tenants: TenantSet) -> set[str]:
    return {name for name in (*NAMES, "somebody else") if name in tenants}


@given(SETS, SETS)
def test_they_add_up_as_sets_do(one: TenantSet, other: TenantSet) -> None:
    assert members(one | other) == members(one) | members(other)
    assert members(one & other) == members(one) & members(other)
    assert members(one - other) == members(one) - members(other)
    assert (one <= other) == (members(one) <= members(other))
    assert members(union_of_tenants([one, other])) == members(one | other)
    assert members(common_tenants([one, other])) == members(one & other)


@given(SETS)
def test_rows_are_filtered_by_tenant_and_rows_without_a_tenant_need_all_tenants(tenants: TenantSet) -> None:
    rows = [*NAMES, "somebody else", None]
    table = pa.table({"tenant_id": pa.array(rows, pa.string())})
    found = ds.dataset(table).to_table(filter=tenants.filter("tenant_id"))["tenant_id"].to_pylist()
    assert set(found) == members(tenants) | ({None} if tenants.is_all else set())


def test_the_empty_tenant_set_and_the_full_tenant_set_are_distinct() -> None:
    assert (NO_TENANTS.is_empty, ALL_TENANTS.is_all) == (True, True)
    assert [str(each) for each in (NO_TENANTS, ALL_TENANTS, TenantSet.from_names("b", "a"))] == ["none", "all", "a, b"]


def test_an_account_is_found_however_it_is_written() -> None:
    access = access_of(
        assignment("analyst", "Ann@Example.com"),
        people={"Pia": ["pia", "pia-admin"]},
        groups={"support": ["Sam", "sue"]},
    )
    assert [role.name for _, role in access.assignments_of(UserAccount(" ANN@example.com\u200b"))] == ["analyst"]
    assert access.accounts("PIA") == {"pia", "pia-admin"}
    assert not access.are_separate("Pia-Admin", "pia ")
    assert not access.are_separate("sam", "SUE")
    assert access.users == ("ann@example.com", "sam", "sue", "pia", "pia-admin")


@pytest.mark.parametrize("other", ["Rob@example.com", "rob@example.com ", "\uff52ob@example.com"])
@pytest.mark.parametrize("place", ["assignment", "group", "person"])
def test_two_spellings_of_one_account_are_a_fault(other: str, place: str) -> None:
    body = access_file(assignment("role_administrator", "rob@example.com"), groups={"support": ["sam"]})
    if place == "assignment":
        body["assignments"].append(assignment("privacy_officer", other))
    elif place == "group":
        body["groups"]["support"].append(other)
    else:
        body["people"] = {"Rob": [other]}
    with pytest.raises(PolicyError) as error:
        access_from_mapping(body)
    assert "U210" in {each.code for each in error.value.findings}


def test_the_conflict_of_roles_is_found_behind_two_spellings() -> None:
    body = access_file(assignment("role_administrator", "rob"), assignment("privacy_officer", "ROB"))
    with pytest.raises(PolicyError) as error:
        access_from_mapping(body)
    assert {each.code for each in error.value.findings} == {"U210", "U007"}


@pytest.mark.parametrize("name", ["rob\u200b", "rob\x00", "\u2060", " ", "r\u00adob", "rob\ufe0f"])
def test_an_account_with_what_is_not_shown_is_a_fault(name: str) -> None:
    with pytest.raises(PolicyError) as error:
        access_from_mapping(access_file(assignment("analyst", name, "ann")))
    (fault,) = error.value.findings
    assert fault.code == "U211"
    assert not any(map(is_invisible, fault.message))
