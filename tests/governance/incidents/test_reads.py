"""Reads that the door told of, found by grant and by actor."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from minimize.governance.incidents import Exposure, scope_of
from minimize.governance.incidents.reads import Read, reads
from tests.door.house import INCIDENT, Home, home
from tests.job.house import AT


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    for name in ("MINIMIZE_KEYS", "MINIMIZE_TOKEN", "MINIMIZE_ACTOR"):
        monkeypatch.delenv(name, raising=False)
    with home(tmp_path, monkeypatch) as found:
        yield found


def found(home: Home, *texts: str) -> list[Read]:
    return reads(home.ledger, Exposure.of(texts), (AT - timedelta(days=1), AT + timedelta(days=1)))


def test_reads_under_a_grant_are_found_by_its_name(home: Home) -> None:
    grant = home.granted()
    home.read("sam", columns=["tenant_id", "owner"], incident=INCIDENT)
    (read,) = found(home, f"grant:{grant.id}")
    assert (read.actor, read.pipeline, read.name, read.columns) == (
        "sam",
        "checkins",
        "records",
        frozenset({"tenant_id", "owner"}),
    )
    assert ("north" in read.tenants, "south" in read.tenants) == (True, False)
    assert (read.rows or 0) > 0
    assert found(home, "grant:another") == []


def test_reads_by_an_actor_are_found_in_the_window(home: Home) -> None:
    home.read("ann", columns=["model"])
    assert [read.actor for read in found(home, "actor:ann")] == ["ann"]
    assert found(home, "actor:ann@2020-01-01T00:00Z/2020-01-02T00:00Z") == []
    assert found(home, "actor:sue") == []


def test_a_read_reaches_the_tenants_and_columns_that_it_showed(home: Home) -> None:
    home.time.at += timedelta(days=3650)
    home.granted()
    home.read("sam", columns=["tenant_id", "owner"], incident=INCIDENT)
    at = home.time.at
    scope = scope_of(Exposure.of(["actor:sam"]), (at - timedelta(hours=1), at), home.places(), at)
    (tenant,) = scope.as_json()["tenants"]
    assert (tenant["tenant_id"], tenant["form"]) == ("north", "identified")
    assert {kind["column"] for kind in tenant["kinds"]} == {"tenant_id", "owner"}
