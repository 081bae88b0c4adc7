"""Whether anybody knows a tenant."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.governance.retention.strangers import stranger
from minimize.switching import House as Places
from minimize.switching import Wish, set_setting
from tests.job.house import AT, House, built, events


@pytest.fixture(name="house")
def _house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.chdir(tmp_path)
    for name in ("MINIMIZE_KEYS", "MINIMIZE_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    house = built(tmp_path, ("device", "user"))
    house.pipeline(aggregates=None, settings=None)
    return house


def ran(house: House) -> Places:
    house.brings(events(20))
    house.run()
    return Places(output=house.out, pipeline=house.folder, keys=house.keys)


def test_records_know_their_tenants(house: House) -> None:
    places = ran(house)
    assert stranger("south", places) is None
    assert stranger("sooth", places) == ("south",)
    assert stranger("contoso", places) == ()


def test_folders_and_the_ledger_know_tenants(house: House) -> None:
    house.pipeline(aggregates=None, settings=None, records={"partition_by": ["tenant_id"]})
    places = ran(house)
    assert stranger("south", places) is None
    set_setting(Wish("contoso", "location", "on", "admin"), places, AT)
    assert stranger("contoso", places) is None
    assert stranger("Contosso", places) == ("contoso",)


def test_where_tenants_do_not_stand_as_they_came_nobody_can_tell(house: House) -> None:
    house.policy({"tenant_id": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "user"}}}})
    assert stranger("contoso", ran(house)) is None


def test_where_nothing_names_a_tenant_there_is_nothing_to_compare_with(house: House) -> None:
    house.brings([])
    house.run()
    assert stranger("contoso", Places(output=house.out, pipeline=house.folder, keys=house.keys)) is None
