"""Decisions against a plain reference, over roles, denials, scopes and grants as they come."""

from __future__ import annotations

from typing import Any, TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minimize.access import AccessDecision, AccessRequest, AccessRules, DatasetColumn, UserAccount, decide_access
from minimize.access.entitlements import Grants
from minimize.ledger.kinds import GrantAct
from tests.governance.access.factory import INCIDENT, NOW, access_of, approved, requested
from tests.governance.access.reference import COLUMNS, EVERY_TENANT, OTHER, TENANTS, Given, Granted, open_cells
from tests.world import assignment

CATEGORY = st.sampled_from(("aggregated", "pseudonymized", "identified"))
SOME = st.lists(st.sampled_from(TENANTS), min_size=1, unique=True).map(tuple)
GIVEN = st.builds(Given, st.none() | CATEGORY, st.none() | CATEGORY, st.none() | SOME)
NAMED = st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, unique=True).map(tuple)
GRANTED = st.builds(lambda tenants, columns: Granted(tenants, columns, None), SOME, NAMED) | st.builds(
    lambda tenants, category: Granted(tenants, None, category), SOME, CATEGORY
)
DENIED_BY_NAME = [Given(None, None, None), Given(None, "aggregated", TENANTS)]
"""A role that allows for all tenants, and one that denies everything for each tenant that has a name here."""
APART: dict[str, Any] = {
    "givens": [Given(None, None, ("south",)), Given(None, "pseudonymized", ("south",))],
    "granted": [Granted(("north", "south"), ("device_id",), None)],
    "names": ("device_id", "event_time", "events"),
    "incident": True,
}
"""One column is open for one tenant, another for another one, and the third for none."""
Givens: TypeAlias = list[Given]
Granteds: TypeAlias = list[Granted]


def access(givens: Givens) -> AccessRules:
    """The file: a role for each thing that is given to Sam, who may ask for everything, too."""
    roles: dict[str, Any] = {}
    assignments = [assignment("support_engineer", "sam"), assignment("privacy_officer", "pia")]
    for number, each in enumerate(givens):
        role: dict[str, Any] = {"copy": "analyst"}
        if each.allow is not None:
            role["allow"] = [f"dataset/read:{each.allow}"]
        if each.deny is not None:
            role["deny"] = [f"dataset/read:{each.deny}"]
        roles[f"r{number}"] = role
        assignments.append(
            assignment(f"r{number}", "sam", tenants="all" if each.tenants is None else list(each.tenants))
        )
    return access_of(*assignments, roles=roles)


def plain(givens: Givens) -> Givens:
    """What the roles come to: a copy of the analyst opens what is pseudonymized at least."""
    return [
        Given(each.allow if each.allow == "identified" else "pseudonymized", each.deny, each.tenants) for each in givens
    ]


def acts(granted: Granteds) -> list[GrantAct]:
    found = []
    for number, each in enumerate(granted):
        name = f"g{number}"
        more: dict[str, Any] = {
            "tenants": each.tenants,
            "columns": each.columns,
            "category": each.category,
            "groups": (),
        }
        found += [requested(grant=name, **more), approved(grant=name)]
    return found


def decision(
    givens: Givens, granted: Granteds, names: tuple[str, ...], *, incident: bool, whole: bool
) -> AccessDecision:
    columns = tuple(DatasetColumn(name, COLUMNS[name]) for name in names)
    want = AccessRequest("telemetry", columns, "operations", INCIDENT if incident else None, whole=whole)
    return decide_access(access(givens), Grants(tuple(acts(granted))), UserAccount("sam"), want, NOW)


@example(givens=DENIED_BY_NAME, granted=[], names=("device_id",), incident=False, whole=False)
@example(**APART, whole=True)
@given(st.lists(GIVEN, max_size=3), st.lists(GRANTED, max_size=2), NAMED, st.booleans(), st.booleans())
def test_nothing_is_seen_that_no_cell_of_the_reference_opens(
    givens: Givens, granted: Granteds, names: tuple[str, ...], incident: bool, whole: bool
) -> None:
    found = decision(givens, granted, names, incident=incident, whole=whole)
    cells = open_cells(plain(givens), granted, incident=incident)
    seen = {(tenant, name) for tenant in EVERY_TENANT if tenant in found.tenants for name in found.columns}
    assert seen <= cells
    assert found.allowed == bool(found.columns)
    assert set(found.columns) | set(found.withheld) >= (set(names) if whole or found.allowed else set())


@example(givens=DENIED_BY_NAME, granted=[], names=("device_id",), incident=False)
@given(st.lists(GIVEN, max_size=3), st.lists(GRANTED, max_size=2), NAMED, st.booleans())
def test_columns_that_are_named_are_seen_of_every_tenant_that_has_all_of_them_open(
    givens: Givens, granted: Granteds, names: tuple[str, ...], incident: bool
) -> None:
    found = decision(givens, granted, names, incident=incident, whole=False)
    cells = open_cells(plain(givens), granted, incident=incident)
    having = {tenant for tenant in EVERY_TENANT if all((tenant, name) in cells for name in names)}
    assert {tenant for tenant in EVERY_TENANT if tenant in found.tenants} == having
    assert found.columns == (names if having else ())


@pytest.mark.parametrize("whole", [False, True])
def test_a_denial_for_tenants_by_name_leaves_the_column_open_for_the_others_alone(whole: bool) -> None:
    found = decision(DENIED_BY_NAME, [], ("device_id",), incident=False, whole=whole)
    assert found.columns == ("device_id",)
    assert [tenant for tenant in EVERY_TENANT if tenant in found.tenants] == [OTHER]


@pytest.mark.parametrize("whole", [False, True])
def test_a_denial_for_all_tenants_leaves_no_column(whole: bool) -> None:
    found = decision(
        [Given(None, None, None), Given(None, "aggregated", None)], [], ("device_id",), incident=False, whole=whole
    )
    assert (found.allowed, found.columns, str(found.tenants)) == (False, (), "none")


def test_columns_that_are_open_for_different_tenants_are_withheld_with_that_reason() -> None:
    found = decision(**APART, whole=True)
    assert found.columns == ()
    assert found.withheld == {
        "device_id": "no_common_tenant",
        "event_time": "denied",
        "events": "no_common_tenant",
    }
