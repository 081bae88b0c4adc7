"""The organization that tests share: what it holds, that builds are alike, and that a copy is on its own."""

from __future__ import annotations

import json
from pathlib import Path

import minimize
from tests.project import AT, DAY
from tests.world import DATES, TENANTS, World, build_world


def test_three_tenants_have_records_of_both_dates(shared_world: World) -> None:
    for project in shared_world.projects:
        for date in DATES:
            assert {row["tenant_id"] for row in project.rows(keys=project.keys, dates=date)} == set(TENANTS)


def test_published_output_is_valid(shared_world: World) -> None:
    for project in shared_world.projects:
        minimize.verify(project.out, keys=project.keys, ledger=shared_world.ledger)


def test_each_build_has_the_same_rows(shared_world: World, tmp_path: Path) -> None:
    other = build_world(tmp_path / "other")
    pairs = zip(shared_world.projects, other.projects, strict=True)
    assert all(mine.rows(keys=mine.keys) == theirs.rows(keys=theirs.keys) for mine, theirs in pairs)


def test_a_tenant_without_the_feature_has_no_position(shared_world: World) -> None:
    found = {(row["tenant_id"], row["latitude"] is None) for row in shared_world.checkins.rows(dates=DAY)}
    assert found == {("north", False), ("south", False), ("east", True)}


def test_the_vendor_got_the_records_of_the_tenant_that_consents(world: World) -> None:
    sent = json.loads(world.command("pia", "share", "log", "--json").out)
    assert [each["rows"] for each in sent["disclosures"]] == [40]
    assert minimize.read(world.usage.out).num_rows == 120


def test_one_grant_is_active_and_one_is_pending(world: World) -> None:
    listed = json.loads(world.command("pia", "access", "list", "--json").out)
    assert [(each["requester"], each["state"]) for each in listed["grants"]] == [
        ("sam", "active"),
        ("sue", "requested"),
    ]


def test_an_incident_is_open(world: World) -> None:
    assert "INC-7  A lost backup: open" in world.command("pia", "incident", "list").out


def test_a_run_in_a_copy_continues_the_chain_of_the_original(world: World, shared_world: World) -> None:
    with world.as_actor("otto"):
        receipt = world.checkins.run(date=DAY, at=AT)
    assert receipt.sequence == 3
    assert (world.checkins.out / "runs" / ".id").read_bytes() == (
        shared_world.checkins.out / "runs" / ".id"
    ).read_bytes()


def test_a_command_in_a_copy_leaves_the_original_as_it_is(world: World, shared_world: World) -> None:
    before = shared_world.digests()
    assert world.command("pia", "incident", "declare", "INC-7").code == 0
    assert shared_world.digests() == before
    assert world.digests() != before
