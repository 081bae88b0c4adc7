from __future__ import annotations

import pyarrow as pa
import pyarrow.dataset as ds
from hypothesis import given
from hypothesis import strategies as st

from minimize.governance.access.model import ALL_TENANTS, NO_TENANTS, TenantSet, common_tenants, union_of_tenants

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
def test_rows_are_chosen_by_whose_they_are_and_rows_of_nobody_only_by_everybody(tenants: TenantSet) -> None:
    rows = [*NAMES, "somebody else", None]
    table = pa.table({"tenant_id": pa.array(rows, pa.string())})
    found = ds.dataset(table).to_table(filter=tenants.filter("tenant_id"))["tenant_id"].to_pylist()
    assert set(found) == members(tenants) | ({None} if tenants.is_all else set())


def test_nobody_and_everybody_are_told_apart() -> None:
    assert (NO_TENANTS.is_empty, ALL_TENANTS.is_all) == (True, True)
    assert [str(each) for each in (NO_TENANTS, ALL_TENANTS, TenantSet.from_names("b", "a"))] == ["none", "all", "a, b"]
