"""Only records of tenants that agreed go on, and everybody is counted once, however often a part is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.pointers import Pointer
from minimize.consent import Consents
from minimize.consent.terms import TenantAgreements
from minimize.governance.sharing.consent_filter import (
    ConsentCheck,
    ConsentedSource,
    TenantCodes,
    TenantConsent,
    TenantFilter,
)
from minimize.ledger.kinds import ConsentAct
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.memory import memory_source
from tests.agreements import contract_act
from tests.consent.factory import NOW, TERMS, VENDOR, act
from tests.consent.reference import verdict

ROWS = pa.table({"tenant": ["n", "s", "n", "w"], "value": [1, 2, 3, 4]})
WANTED = SourceRequest(
    (
        DeclaredField("tenant", Pointer.parse("tenant"), "string"),
        DeclaredField("value", Pointer.parse("value"), "integer"),
    )
)


def ask(names: Sequence[str]) -> Mapping[str, TenantConsent]:
    return {name: TenantConsent("c") if name != "w" else TenantConsent(None, "none") for name in names}


def source(tenants: TenantFilter) -> ConsentedSource:
    return ConsentedSource(memory_source(ROWS, WANTED), tenants)


def values(found: ConsentedSource) -> list[int]:
    return [row["value"] for part in found.parts for chunk in part.read() for row in chunk.records.to_pylist()]


def test_records_of_tenants_that_did_not_agree_are_left_out() -> None:
    assert values(source(TenantFilter(ask, Pointer.parse("tenant")))) == [1, 2, 3]


def test_a_part_that_is_read_twice_counts_once() -> None:
    tenants = TenantFilter(ask, Pointer.parse("tenant"))
    for _ in range(2):
        values(source(tenants))
    assert tenants.rows_by_tenant() == {"n": 2, "s": 1, "w": 1}
    assert tenants.withheld_counts() == {"none": (1, 1)}


def test_a_pass_that_needs_fewer_fields_gets_no_more_of_them() -> None:
    narrow = source(TenantFilter(ask, Pointer.parse("tenant"))).only(["tenant"])
    assert [chunk.records.schema.names for part in narrow.parts for chunk in part.read()] == [["tenant"]]


def test_each_tenant_is_asked_once() -> None:
    asked: list[str] = []

    def once(names: Sequence[str]) -> Mapping[str, TenantConsent]:
        asked.extend(names)
        return ask(names)

    tenants = TenantFilter(once, Pointer.parse("tenant"))
    for batch in ROWS.to_batches(max_chunksize=1):
        tenants.consented_rows(batch, "a part")
    assert sorted(asked) == ["n", "s", "w"]


@pytest.mark.parametrize("encoded", [False, True])
def test_a_record_without_a_tenant_belongs_to_no_tenant(encoded: bool) -> None:
    column = pa.array(["n", None, "n"])
    coded = TenantCodes.from_column(column.dictionary_encode() if encoded else column)
    assert coded.counts() == {"n": 2}
    assert np.asarray(coded.rows_of(["n"])).tolist() == [True, False, True]
    assert TenantCodes.from_column(pa.array(["n", "s"])).rows_of(["n", "s"]) is None


def test_repeated_and_null_names_in_a_dictionary_are_one_tenant() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None]), pa.array(["n", "n", None]))
    coded = TenantCodes.from_column(column)
    assert coded.counts() == {"n": 2}
    assert np.asarray(coded.rows_of(["n"])).tolist() == [True, True, False, False]


states = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.sampled_from(["given", "withdrawn", "refused", "requested"])),
    max_size=8,
)


@given(states, st.lists(st.sampled_from(["a", "b", "c", "d", None]), max_size=30), st.booleans(), st.integers(1, 7))
def test_of_any_mix_of_tenants_each_record_leaves_by_its_own_tenant_s_consent(
    said: list[tuple[str, str]], whose: list[str | None], encoded: bool, size: int
) -> None:
    acts = [act(state, number - 20, tenant_id=tenant) for number, (tenant, state) in enumerate(said)]
    agreements = TenantAgreements(tuple(contract_act(tenant, VENDOR, NOW) for tenant in "abcd"))
    asking = ConsentCheck(VENDOR, "sync", ("app_id",), Consents(tuple(acts), agreements), (NOW,))
    column = pa.array(whose, pa.string())
    rows = pa.table({"tenant": column.dictionary_encode() if encoded else column, "value": range(len(whose))})
    tenants = TenantFilter(asking, Pointer.parse("tenant"))
    batches = rows.to_batches(max_chunksize=size)
    given_ = [row for batch in batches for row in tenants.consented_rows(batch, "all").column("value").to_pylist()]
    agreed = {name for name in "abcd" if _reads(acts, name) is None}
    assert given_ == [number for number, name in enumerate(whose) if name in agreed]
    held = {name for name in whose if name is not None} - agreed
    assert sum(count for count, _ in tenants.withheld_counts().values()) == len(held)


def _reads(acts: Sequence[ConsentAct], name: str) -> str | None:
    return verdict([each for each in acts if each.tenant_id == name], TERMS, [NOW], NOW)
