"""Permissions of commands, with access control on: a table of roles and commands, and what an account sees of other tenants."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.results import LIMITED_TO_SCOPE
from tests.cli.permission_table import (
    CALLS,
    DECLARED,
    OPEN_COMMANDS,
    OWN_GRANTS,
    OWN_TOKENS,
    command_names,
    open_table,
    permission_table,
    prepare,
    roles_table,
)
from tests.world import World

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "access.md"
LISTS = (
    "consent show --history",
    "share log",
    "share recall list --all",
    "incident list",
    "events list",
    "audit log",
    "audit log --json",
    "settings show",
    "subject status",
    "runs",
)


@pytest.fixture(name="organization", scope="module")
def _organization(shared_world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A copy of the world with an account for each role, to read."""
    world = shared_world.copy(tmp_path_factory.mktemp("organization") / "world")
    prepare(world)
    for tenant in ("north", "south", "east"):
        assert world.command("otto", "settings", "set", tenant, "location", "on").code == 0
    assert world.command("pia", "subject", "delete", "d1", "--tenant", "east", "--yes").code == 0
    return world


def test_every_command_asks_for_a_permission_or_is_listed_as_open() -> None:
    asking = {name.partition(" --")[0] for name in CALLS} | OWN_GRANTS | OWN_TOKENS
    unlisted = {name for name in command_names() if name not in asking and name not in OPEN_COMMANDS}
    assert unlisted == set()
    assert asking | set(OPEN_COMMANDS) == set(command_names())


def test_permissions_of_each_role_match_the_page(world: World) -> None:
    prepare(world)
    table = permission_table(world)
    assert table in PAGE.read_text(), f"\n{table}"
    denied = [line.split(" | ")[1] for line in table.splitlines()[2:]]
    assert set(denied) == {"no"}


def test_a_tenant_administrator_views_exports_and_deletes_data_of_its_own_users_only(world: World) -> None:
    prepare(world)
    export = ("subject", "export", "d1", "--to", "exported")
    for asked in (("subject", "view", "d1"), export, ("subject", "delete", "d1", "--yes")):
        own, other = (world.command("tess", *asked, "--tenant", tenant) for tenant in ("north", "south"))
        assert own.code == 0, own.err
        assert (other.code, "U102" in other.err) == (3, True)


def test_the_page_lists_the_permissions_of_each_built_in_role() -> None:
    assert roles_table() in PAGE.read_text(), f"\n{roles_table()}"


def test_the_page_lists_the_commands_that_ask_for_no_permission() -> None:
    assert open_table() in PAGE.read_text(), f"\n{open_table()}"


@pytest.mark.parametrize("listing", LISTS)
def test_a_tenant_administrator_sees_nothing_of_other_tenants(organization: World, listing: str) -> None:
    shown = organization.command("tess", *listing.split())
    assert "south" not in shown.out
    assert "east" not in shown.out
    assert ("limited_to_tenants_in_scope" if "--json" in listing else LIMITED_TO_SCOPE) in shown.out
    assert LIMITED_TO_SCOPE not in organization.command("pia", *listing.split()).out


@pytest.mark.parametrize("listing", ["consent show", "settings show", "audit log", "share log"])
def test_a_tenant_administrator_sees_what_concerns_the_own_tenant(organization: World, listing: str) -> None:
    found = organization.command("tess", *listing.split(), "--json").json
    (entries,) = (each for each in found.values() if isinstance(each, list) and each)
    assert entries


@pytest.mark.parametrize("listing", ["consent show", "settings show", "audit log", "share log", "events list"])
def test_another_tenant_is_refused_as_an_unknown_one_is(organization: World, listing: str) -> None:
    refused, unknown = (
        organization.command("tess", *listing.split(), "--tenant", tenant) for tenant in ("east", "nowhere")
    )
    assert (refused.code, "U102" in refused.err, refused.err) == (3, True, unknown.err)


@pytest.mark.parametrize("words", ["explain checkins model", "plan checkins"])
def test_settings_of_the_ledger_of_another_tenant_are_not_explained(organization: World, words: str) -> None:
    asked = (*words.split(), "--settings", "ledger", "--tenant")
    refused = organization.command("tess", *asked, "east")
    assert (refused.code, "U102" in refused.err) == (3, True)
    assert organization.command("tess", *asked, "north").code == 0
    assert organization.command("tess", *words.split(), "--tenant", "east").code == 0


def test_a_tenant_sees_its_part_of_a_declared_incident(organization: World) -> None:
    seen = organization.command("tess", "incident", "show", DECLARED, "--json").json
    assert [each["tenant_id"] for each in seen["scope"]["tenants"]] == ["north"]
    assert (seen["exposed"], seen["pending"]) == ([], ["north"])
    assert "exposed" not in organization.command("tess", "incident", "show", DECLARED).out


def test_a_tenant_does_not_see_an_incident_that_is_not_declared(organization: World) -> None:
    hidden, unknown = (organization.command("tess", "incident", "show", name) for name in ("INC-7", "INC-0"))
    assert (hidden.code, hidden.err) == (2, unknown.err)


def test_a_tenant_sees_its_rows_of_a_disclosure_without_the_signature_of_the_whole(organization: World) -> None:
    (listed,) = organization.command("tess", "share", "log", "--json").json["disclosures"]
    assert (list(listed["tenants"]), listed["signature"]) == (["north"], None)
    shown = organization.command("tess", "share", "show", listed["disclosure"])
    assert shown.json["rows"] == listed["tenants"]["north"]["rows"]


def test_a_tenant_administrator_decides_on_consents_and_sets_features_of_the_own_tenant(world: World) -> None:
    prepare(world)
    assert world.command("tess", "consent", "withdraw", "north", "vendor", "sync", "--evidence", "FORM-1").code == 0
    assert "withdrawn  by tess" in world.command("tess", "consent", "show").out
    assert world.command("tess", "settings", "set", "north", "location", "off").code == 0
    assert "off" in world.command("tess", "settings", "show").out
