"""`audit log` and `audit export`: filters, columns and formats; the entries that a tenant's administrator sees."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.cli.permission_table import prepare
from tests.world import World

CASE = "incident open CASE-1 --kind support --title text --reference none"
GRANT = "access request usage --incident CASE-1 --justification text --category aggregated"


@pytest.fixture(name="organization")
def _organization(world: World) -> World:
    """A copy of the world, with an entry about two tenants."""
    prepare(world)
    assert world.command("sam", *CASE.split(), "--tenant", "north", "--tenant", "south").code == 0
    asked = world.command("sam", *GRANT.split(), "--tenant", "north", "--tenant", "south")
    assert asked.code == 0, asked.err
    return world


def test_a_tenant_sees_no_entry_that_concerns_other_tenants_or_none(organization: World) -> None:
    found = organization.command("tess", "audit", "log", "--json").json["entries"]
    assert found
    assert {each["event"]["tenant"] for each in found} == {"north"}


def test_an_entry_shows_a_tenant_no_number_that_counts_the_others(organization: World) -> None:
    found = organization.command("tess", "audit", "log", "--json").json["entries"]
    assert {tuple(each) for each in found} == {("digest", "event")}
    line = organization.command("tess", "audit", "log", "--last", "1").out.splitlines()[0]
    assert line.startswith("2026-11-25T")


def test_entries_are_selected_by_tenant_category_and_columns(organization: World) -> None:
    words = "audit log --tenant north --category consent --columns time,operation,tenant"
    listed = organization.command("pia", *words.split())
    assert listed.out.splitlines() == [
        "time\toperation\ttenant",
        "2026-11-25T00:01:00.000000Z\trecord\tnorth",
        "2026-11-25T00:04:00.000000Z\tgive\tnorth",
        "2026-11-25T00:05:00.000000Z\tconfirm\tnorth",
    ]
    assert organization.command("pia", *words.split(), "--json").json["entries"][1:] == [
        {"time": "2026-11-25T00:04:00.000000Z", "operation": "give", "tenant": "north"},
        {"time": "2026-11-25T00:05:00.000000Z", "operation": "confirm", "tenant": "north"},
    ]


def test_an_unknown_column_is_named_with_a_hint(organization: World) -> None:
    refused = organization.command("pia", "audit", "log", "--columns", "time,operatoin")
    assert (refused.code, "Did you mean `operation`?" in refused.err) == (2, True)


@pytest.mark.parametrize("suffix", ["csv", "json", "ndjson"])
def test_a_tenant_exports_its_entries(organization: World, suffix: str) -> None:
    file = organization.folder / f"entries.{suffix}"
    done = organization.command("tess", "audit", "export", file.name, "--columns", "actor,tenant")
    assert (done.code, "limited to the tenants in your scope" in done.out) == (0, True)
    entries = read_entries(file)
    assert {"actor": "pia", "tenant": "north"} in entries
    assert {each["tenant"] for each in entries} == {"north"}


def read_entries(file: Path) -> list[dict[str, str]]:
    """The entries of an exported file."""
    with file.open(newline="") as text:
        if file.suffix == ".csv":
            return list(csv.DictReader(text))
        return json.load(text) if file.suffix == ".json" else [json.loads(line) for line in text]


def test_an_export_of_nothing_is_valid_json(organization: World) -> None:
    done = organization.command("pia", "audit", "export", "none.json", "--actor", "nobody")
    assert (done.code, read_entries(organization.folder / "none.json")) == (0, [])


def test_every_entry_has_the_application_and_the_permissions_of_its_actor(organization: World) -> None:
    ran = organization.command("otto", "run", "checkins", "--date", "2026-11-24")
    assert ran.code == 0, ran.err
    found = organization.command("pia", "audit", "log", "--activity", "run", "--last", "2", "--json").json["entries"]
    actors = [each["event"]["actor"] for each in found]
    assert {each["user"] for each in actors} == {"otto"}
    assert {each["application"] for each in actors} == {"minimize/0.1.0"}
    assert all("settings/set" in each["permissions"] for each in actors)
    assert {each["ip"] for each in actors} == {None}
