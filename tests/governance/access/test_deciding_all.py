"""Decisions against a plain reference, over roles, denials, scopes and grants as they come."""

from __future__ import annotations

from typing import Any, TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.governance.access import Access, Account, Column, Decision, Grants, Wanted, decide
from minimize.ledger.grants import GrantAct
from tests.governance.access.factory import INCIDENT, NOW, access_file, approved, requested
from tests.governance.access.reference import COLUMNS, TENANTS, Given, Granted, open_cells
from tests.world import assignment

CATEGORY = st.sampled_from(("aggregated", "pseudonymized", "identified"))
# No role or grant names the last tenant: only those for all tenants are about it.
SOME = st.lists(st.sampled_from(TENANTS[:-1]), min_size=1, unique=True).map(tuple)
GIVEN = st.builds(Given, st.none() | CATEGORY, st.none() | CATEGORY, st.none() | SOME)
NAMED = st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, unique=True).map(tuple)
GRANTED = st.builds(lambda tenants, columns: Granted(tenants, columns, None), SOME, NAMED) | st.builds(
    lambda tenants, category: Granted(tenants, None, category), SOME, CATEGORY
)
Givens: TypeAlias = list[Given]
Granteds: TypeAlias = list[Granted]


def access(givens: Givens) -> Access:
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
    return access_file(*assignments, roles=roles)


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


def decision(givens: Givens, granted: Granteds, names: tuple[str, ...], *, incident: bool, whole: bool) -> Decision:
    columns = tuple(Column(name, COLUMNS[name]) for name in names)
    want = Wanted("telemetry", columns, "operations", INCIDENT if incident else None, whole=whole)
    return decide(access(givens), Grants(tuple(acts(granted))), Account("sam"), want, NOW)


@settings(max_examples=60, deadline=None)
@given(st.lists(GIVEN, max_size=3), st.lists(GRANTED, max_size=2), NAMED, st.booleans(), st.booleans())
def test_nothing_is_seen_that_no_cell_of_the_reference_opens(
    givens: Givens, granted: Granteds, names: tuple[str, ...], incident: bool, whole: bool
) -> None:
    found = decision(givens, granted, names, incident=incident, whole=whole)
    cells = open_cells(plain(givens), granted, incident=incident)
    seen = {(tenant, name) for tenant in TENANTS if tenant in found.tenants for name in found.columns}
    assert seen <= cells
    assert found.allowed == bool(found.columns)
    assert set(found.columns) | set(found.withheld) >= (set(names) if whole or found.allowed else set())


@settings(max_examples=60, deadline=None)
@given(st.lists(GIVEN, max_size=3), st.lists(GRANTED, max_size=2), NAMED, st.booleans())
def test_columns_that_are_named_are_seen_of_every_tenant_that_has_all_of_them_open(
    givens: Givens, granted: Granteds, names: tuple[str, ...], incident: bool
) -> None:
    found = decision(givens, granted, names, incident=incident, whole=False)
    cells = open_cells(plain(givens), granted, incident=incident)
    having = {tenant for tenant in TENANTS if all((tenant, name) in cells for name in names)}
    assert {tenant for tenant in TENANTS if tenant in found.tenants} == having
    assert found.columns == (names if having else ())
