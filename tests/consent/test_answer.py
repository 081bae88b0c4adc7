from __future__ import annotations

import pyarrow as pa

from minimize.consent import ConsentAnswer, Consents
from tests.consent.factory import NOW, VENDOR, act

NORTH, SOUTH = act("given", -1), act("given", -1, tenant_id="south")
ACTS = (NORTH, SOUTH, act("withdrawn", -1, tenant_id="east"), act("given", -1, tenant_id="west"))


def answered(*tenants: str | None) -> ConsentAnswer:
    return Consents(ACTS).effective_at(NOW).evaluate(VENDOR, "sync", pa.array(tenants, pa.string()))


def test_the_consents_are_those_of_tenants_that_are_among_the_rows() -> None:
    assert answered("north", "north", "east", None).consents == (NORTH.id,)
    assert answered("south", "north").consents == tuple(sorted([NORTH.id, SOUTH.id]))


def test_tenants_are_counted_and_not_rows() -> None:
    assert answered("north", "north", "south", "east", "east").tenants == {None: 2, "withdrawn": 1}


def test_every_row_has_the_answer_of_its_tenant() -> None:
    found = answered("east", "north", "nobody", "north")
    assert found.valid.to_pylist() == [False, True, False, True]
    assert found.ids.to_pylist() == [None, NORTH.id, None, NORTH.id]
    assert found.reasons.to_pylist() == ["withdrawn", None, "none", None]
