"""A world of 40 tenants: scoping names exactly the affected tenants, fields and periods."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from minimize.governance.incidents import Exposure, scope_of
from minimize.switching import House as Places
from tests.governance.incidents.world import DAYS, GRANT, NOW, PIPELINES, TENANTS, Truth, World, world

DAY = f"{DAYS[0]:%Y-%m-%d}"
HOUR = timedelta(hours=1)


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world(tmp_path_factory.mktemp("world"))


def scoped(world: World, *texts: str) -> dict[str, Any]:
    window = (NOW - timedelta(hours=2), datetime.now(NOW.tzinfo))
    places = Places(world.ledger, keys=world.keys)
    found = scope_of(Exposure.of(texts), window, places, window[1]).as_json()
    assert not found["not_searched"]
    assert not found["not_reached"]
    affected = {each["tenant_id"]: each for each in found["tenants"]}
    assert not [name for name in TENANTS if name not in affected and f"'{name}'" in str(found)]
    return affected


def columns(each: Mapping[str, Any]) -> set[str]:
    return {kind["column"] for kind in each["kinds"]}


def forms(each: Mapping[str, Any]) -> dict[str, str]:
    return {kind["column"]: kind["form"] for kind in each["kinds"]}


def is_just_around(period: Mapping[str, str], truth: Truth) -> bool:
    """Whether a period holds all events, and no more than the hours in which they lie."""
    since, until = (datetime.fromisoformat(period[end]) for end in ("from", "to"))
    first, last = datetime.fromisoformat(truth.first), datetime.fromisoformat(truth.last)
    return first - HOUR < since <= first and last <= until < last + HOUR


def test_a_day_of_one_output_affects_its_tenants_alone(world: World) -> None:
    found = scoped(world, f"output:{world.out('checkins')}#records", f"date:{DAY}")
    truth = world.truth(("checkins", DAY))
    assert set(found) == set(truth) < set(TENANTS)
    for tenant, each in found.items():
        true = truth[tenant]
        assert each["subjects"] == {"count": len(true.persons), "exact": True}
        assert (each["rows"], columns(each)) == (true.rows, set(true.columns))
        assert is_just_around(each["period"], true)


def test_a_run_affects_whom_it_wrote_of(world: World) -> None:
    batch = ("usage", f"{DAYS[1]:%Y-%m-%d}")
    found = scoped(world, f"run:{world.receipts[batch].run_id}")
    truth = world.truth(batch)
    assert {name: each["rows"] for name, each in found.items()} == {name: true.rows for name, true in truth.items()}


def test_two_days_count_each_person_once(world: World) -> None:
    found = scoped(world, f"output:{world.out('support')}")
    truth = world.truth(*((name, f"{day:%Y-%m-%d}") for name in ("support",) for day in DAYS))
    assert {name: each["subjects"]["count"] for name, each in found.items()} == {
        name: len(true.persons) for name, true in truth.items()
    }


def test_over_several_pipelines_persons_are_at_most_so_many(world: World) -> None:
    batches = [(name, DAY) for name in PIPELINES]
    found = scoped(world, f"date:{DAY}")
    truth = world.truth(*batches)
    assert set(found) == set(truth)
    assert all(columns(each) == truth[name].columns for name, each in found.items())
    assert all(each["subjects"]["count"] >= len(truth[name].persons) for name, each in found.items())


def test_an_abused_grant_affects_the_tenants_and_columns_that_were_read(world: World) -> None:
    found = scoped(world, f"grant:{GRANT}")
    batches = [("checkins", f"{day:%Y-%m-%d}") for day in DAYS]
    truth = world.truth(*batches, tenants=TENANTS[10:13])
    assert set(found) == set(truth)
    for tenant, each in found.items():
        assert columns(each) == {"tenant_id", "model"}
        assert each["subjects"] == {"count": len(truth[tenant].persons), "exact": False}
        assert is_just_around(each["period"], truth[tenant])


def test_an_actor_is_known_by_what_was_read_in_the_window(world: World) -> None:
    assert set(scoped(world, "actor:sam")) == set(scoped(world, f"grant:{GRANT}"))
    assert scoped(world, "actor:sam@2020-01-01T00:00Z/2020-01-02T00:00Z") == {}
    assert scoped(world, "actor:sue") == {}


def test_a_leaked_key_makes_pseudonyms_of_its_version_identified(world: World) -> None:
    output = f"output:{world.out('checkins')}"
    found = scoped(world, output, "key:device/1")
    assert {forms(each)["device_id"] for each in found.values()} == {"identified"}
    assert {forms(each)["device_id"] for each in scoped(world, output).values()} == {"pseudonymized"}


def test_a_leaked_key_alone_affects_whom_it_was_used_for(world: World) -> None:
    found = scoped(world, "key:device/1")
    batches = [(name, f"{day:%Y-%m-%d}") for name in PIPELINES for day in DAYS]
    assert set(found) == set(world.truth(*batches))
    assert {name for each in found.values() for name in columns(each)} == {"device_id"}


def test_a_recipient_affects_whose_records_it_got(world: World) -> None:
    found = scoped(world, "recipient:vendor")
    assert set(found) == set(TENANTS[:5])
    assert {(each["subjects"]["count"], each["subjects"]["exact"]) for each in found.values()} == {(2, True)}
    assert columns(found["t00"]) == {"device_id", "model"}


def test_recipients_with_copies_are_named_beside_each_tenant(world: World) -> None:
    found = scoped(world, f"output:{world.out('checkins')}")
    there = {name: {each["recipient"] for each in one["recipients"]} for name, one in found.items()}
    assert there["t04"] == {"vendor", "carrier"}
    assert there["t08"] == {"carrier"}
    assert there["t20"] == set()


def test_no_other_recipient_is_named_for_an_output_that_was_not_shared(world: World) -> None:
    found = scoped(world, f"output:{world.out('usage')}")
    assert not any(each["recipients"] for each in found.values())


def test_a_leaked_key_affects_the_columns_and_periods_that_it_was_used_for(world: World) -> None:
    found = scoped(world, "key:device/1")
    truth = world.truth(*((name, f"{day:%Y-%m-%d}") for name in PIPELINES for day in DAYS))
    for tenant in TENANTS[9:]:
        assert is_just_around(found[tenant]["period"], truth[tenant])
        assert (forms(found[tenant]), found[tenant]["rows"]) == ({"device_id": "identified"}, truth[tenant].rows)


def test_a_leaked_key_and_a_recipient_meet_in_the_tenants_that_have_copies(world: World) -> None:
    found = scoped(world, "recipient:carrier", "key:device/1")
    assert set(found) == set(TENANTS[3:9])
    assert {forms(each)["device_id"] for each in found.values()} == {"identified"}
