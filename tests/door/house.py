"""A house with a door: an output with tokens, pseudonyms and counts, people with roles, and a ledger."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from minimize.door.datasets import datasets_at
from minimize.door.door import Door
from minimize.door.reader import Reader
from minimize.door.telling import Caller
from minimize.governance.access.acting import answer, request
from minimize.governance.access.asks import Wish
from minimize.governance.access.grants import Grant, Operation
from minimize.keys import Keyring
from minimize.ledger import find_ledger
from minimize.ledger.asked import logged
from minimize.ledger.audit import Wanted, told
from minimize.ledger.ledger import Ledger, open_ledger
from minimize.plan.model import Category
from minimize.switching import House as Places
from tests.job.house import AT, DAY, House, built, event

PURPOSE = "customer_support"
INCIDENT = "INC-7"
PHONE = "+3361234"
ROWS = 120
FIELDS: dict[str, Any] = {
    "phone": {
        "type": "string",
        "role": "identifier",
        "purposes": [PURPOSE],
        "do": {"tokenize": {"key": "support", "per": "tenant_id"}},
    },
    "owner": {"type": "string", "role": "identifier", "do": "keep"},
    "model": {"type": "string", "role": "quasi", "do": "keep"},
    "latitude": None,
}
AGGREGATES: dict[str, Any] = {
    "per_tenant": {
        "group_by": {"day": {"event_time": "day"}, "tenant_id": "tenant_id"},
        "measures": {"events": "count"},
        "suppress": {"below": 2, "counting": "device_id"},
    },
    "per_model": {
        "group_by": {"model": "model"},
        "measures": {"events": "count"},
        "suppress": {"below": 2, "counting": "device_id", "related": "accepted"},
    },
}


def given(role: str, *users: str, groups: tuple[str, ...] = (), **scope: Any) -> dict[str, Any]:
    """An assignment, everywhere where nothing else is said."""
    where = {"tenants": "all", "datasets": "all", **scope}
    return {"role": role, "members": {"users": list(users), "groups": list(groups)}, "scope": where}


ACCESS: dict[str, Any] = {
    "version": 1,
    "groups": {"support": ["sam", "sue"]},
    "roles": {
        "by_day": {"copy": "analyst", "views": {"checkins": {"event_time": {"truncate_time": {"to": "day"}}}}},
        "coarse": {
            "copy": "analyst",
            "views": {"checkins": {"model": {"map": {"values": {"A": "old"}, "otherwise": "new"}}}},
        },
        "insider": {"copy": "analyst", "allow": ["dataset/read:identified"]},
    },
    "assignments": [
        given("analyst", "ann"),
        given("analyst", "nora", tenants=["north"]),
        given("by_day", "dan"),
        given("coarse", "cora"),
        given("insider", "ian", tenants=["north"]),
        given("operator", "otto"),
        given("support_engineer", groups=("support",)),
        given("privacy_officer", "pia", "pit"),
    ],
}


def checkin(number: int, **changes: Any) -> dict[str, Any]:
    """One check-in, with a telephone number and an owner; every number gives another."""
    return event(number, phone=f"{PHONE}{number:05}", owner=f"owner-{number % 7}@example.com", **changes)


@dataclass
class Time:
    """A clock that stands until it is moved."""

    at: datetime = AT

    def __call__(self) -> datetime:
        return self.at

    def passes(self, **much: float) -> None:
        """Moves it on."""
        self.at += timedelta(**much)


@dataclass
class Home:
    """Everything that a door needs, and what becomes of it."""

    house: House
    ledger: Ledger
    keys: Keyring
    time: Time
    monkeypatch: pytest.MonkeyPatch
    doors: list[Door] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.house.folder

    @property
    def access(self) -> Path:
        return self.folder / "access.yaml"

    def rules(self, **changes: Any) -> None:
        """Writes the access file anew."""
        self.access.write_text(json.dumps(ACCESS | changes))
        os.utime(self.access, ns=(0, self.access.stat().st_mtime_ns + 1))

    def door(self) -> Door:
        """A door with the house's clock."""
        found = Door(datasets_at([self.house.out]), self.access, self.ledger, self.keys, self.time)
        self.doors.append(found)
        return found

    def reader(self, user: str = "ann") -> Reader:
        """A door in this process, as an account."""
        from minimize.door.opening import Inside

        return Reader(Inside(self.door(), Caller(user), self.ledger), "checkins")

    def read(self, user: str = "ann", *arguments: Any, **words: Any) -> Any:
        """What an account sees, for the usual purpose."""
        return self.reader(user).read(*arguments, **{"purpose": PURPOSE, **words})

    def acts(self, user: str) -> None:
        """Who acts from now on."""
        self.monkeypatch.setenv("MINIMIZE_ACTOR", user)

    def places(self) -> Places:
        return Places(ledger=self.ledger.address.path, keys=self.keys)

    def granted(
        self,
        user: str = "sam",
        *,
        tenants: tuple[str, ...] = ("north",),
        columns: tuple[str, ...] | None = None,
        operation: Operation = "read",
        by: str = "pia",
        **more: Any,
    ) -> Grant:
        """A grant that a privacy officer approved."""
        up_to: Category | None = "identified" if columns is None else None
        wish = Wish(INCIDENT, "it is needed", "checkins", tenants, columns, up_to, operation=operation, **more)
        self.acts(user)
        asked = request(wish, self.places(), self.time.at)
        self.acts(by)
        return answer("approve", asked.id, self.places(), self.time.at)

    def told(self, operation: str | None = "dataset/read") -> list[dict[str, Any]]:
        """What the audit log was told of reads."""
        wanted = Wanted(activity="decision", operation=operation)
        return [told(entry) for entry in logged(self.ledger, wanted)]

    def run(self, count: int = ROWS, first: int = 0, day: str = DAY, **options: Any) -> None:
        """A run over so many check-ins."""
        self.house.brings([checkin(number) for number in range(first, first + count)], day)
        self.house.run(date=day, **options)


def changes_of(event: dict[str, Any]) -> dict[str, Any]:
    """What an event says of its first resource."""
    return {each["name"]: each["new"] for each in event["resources"][0]["changed_properties"]}


@contextmanager
def home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A house with a door, and one day of data behind it."""
    monkeypatch.chdir(folder)
    house = built(folder, ("device", "support"))
    house.policy(FIELDS)
    house.pipeline(purpose=PURPOSE, records={"must_be": "identified", "encrypt": "by_category"}, aggregates=AGGREGATES)
    (folder / "minimize.yaml").write_text("access: access.yaml\nledger: ledger.db\n")
    keys = Keyring.load(house.keys)
    monkeypatch.setenv("MINIMIZE_LEDGER", str(folder / "ledger.db"))
    with open_ledger(find_ledger(folder / "ledger.db"), create=True) as ledger:
        found = Home(house, ledger, keys, Time(), monkeypatch)
        found.rules()
        found.run()
        yield found
