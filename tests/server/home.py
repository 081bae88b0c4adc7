"""A project behind a server: an output with tokens, pseudonyms and counts, people with roles, and a ledger."""

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

from minimize.access.entitlements import AccessOperation, Grant
from minimize.governance.grants import NewGrant, answer_grant, request_grant
from minimize.keys import Keyring
from minimize.ledger import find_ledger
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter, entry_event
from minimize.ledger.kinds import INCIDENT as INCIDENT_STEPS
from minimize.ledger.ledger import Ledger, open_ledger
from minimize.plan.model import Category
from minimize.server.authorizer import Caller
from minimize.server.client import DatasetReader
from minimize.server.service import DataAccessService, find_datasets
from minimize.workspace import Workspace as Places
from tests.incidents import open_support
from tests.project import AT, DAY, Builds, Project, enter, new_project
from tests.world import ASSIGNMENTS, INCIDENT, SUPPORT, access_file, assignment, owned_event, write_configuration

PURPOSE = "customer_support"
ROWS = 120
FIELDS: dict[str, Any] = {
    "phone": {**SUPPORT["fields"]["phone"], "purposes": [PURPOSE]},
    "owner": SUPPORT["fields"]["owner"],
    "model": {"type": "string", "role": "quasi", "do": "keep"},
    "latitude": None,
}
AGGREGATES: dict[str, Any] = {
    "per_tenant": {
        "group_by": {"day": {"event_time": "day"}, "tenant_id": "tenant_id"},
        "measures": {"events": "count"},
        "suppress": {"below": 2, "counting": "device_id"},
        "noise": {"sd": 1},
        "per_subject": {"rows": 30},
    },
    "per_model": {
        "group_by": {"model": "model"},
        "measures": {"events": "count"},
        "suppress": {"below": 2, "counting": "device_id"},
        "noise": {"sd": 1},
        "per_subject": {"rows": 30},
    },
}


ACCESS: dict[str, Any] = access_file(
    *ASSIGNMENTS,
    assignment("analyst", "nora", tenants=["north"]),
    assignment("by_day", "dan"),
    assignment("coarse", "cora"),
    assignment("insider", "ian", tenants=["north"]),
    roles={
        "by_day": {"copy": "analyst", "views": {"checkins": {"event_time": {"truncate_time": {"to": "day"}}}}},
        "coarse": {
            "copy": "analyst",
            "views": {"checkins": {"model": {"map": {"values": {"A": "old"}, "otherwise": "new"}}}},
        },
        "insider": {"copy": "analyst", "allow": ["dataset/read:identified"]},
    },
)


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

    project: Project
    ledger: Ledger
    keys: Keyring
    time: Time
    monkeypatch: pytest.MonkeyPatch
    doors: list[DataAccessService] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.project.folder

    @property
    def access(self) -> Path:
        return self.folder / "access.yaml"

    def rules(self, **changes: Any) -> None:
        """Writes the access file anew."""
        self.access.write_text(json.dumps(ACCESS | changes))
        os.utime(self.access, ns=(0, self.access.stat().st_mtime_ns + 1))

    def door(self) -> DataAccessService:
        """A door with the project's clock."""
        found = DataAccessService(find_datasets([self.project.out]), self.access, self.ledger, self.time)
        self.doors.append(found)
        return found

    def door_of(self, output: Path, keys: Keyring) -> DataAccessService:
        """A door to another output, with the keys that it has by now."""
        ledger = open_ledger(self.ledger.address, verifier=keys)
        return DataAccessService(find_datasets([output]), self.access, ledger, self.time)

    def reader(self, user: str = "ann") -> DatasetReader:
        """A door in this process, as an account."""
        from minimize.server.service import LocalTransport

        return DatasetReader(LocalTransport(self.door(), Caller(user)), "checkins")

    def read(self, user: str = "ann", *arguments: Any, **words: Any) -> Any:
        """What an account sees, for the usual purpose."""
        return self.reader(user).read(*arguments, **{"purpose": PURPOSE, **words})

    def acts(self, user: str) -> None:
        """Who acts from now on."""
        self.monkeypatch.setenv("MINIMIZE_ACTOR", user)

    def places(self) -> Places:
        return Places(ledger=self.ledger.address.path, keys=self.keys)

    def incident(self) -> None:
        """Opens the incident of grants."""
        if not self.ledger.find(INCIDENT_STEPS, key=INCIDENT):
            open_support(self.places(), INCIDENT, self.time.at, "north", "south", "east", "west")

    def granted(
        self,
        user: str = "sam",
        *,
        tenants: tuple[str, ...] = ("north",),
        columns: tuple[str, ...] | None = None,
        operation: AccessOperation = "read",
        by: str = "pia",
        **more: Any,
    ) -> Grant:
        """A grant that a privacy officer approved."""
        up_to: Category | None = "identified" if columns is None else None
        wish = NewGrant(INCIDENT, "it is needed", "checkins", tenants, columns, up_to, operation=operation, **more)
        self.acts(user)
        self.incident()
        asked = request_grant(wish, self.places(), self.time.at)
        self.acts(by)
        return answer_grant("approve", asked.id, self.places(), self.time.at)

    def told(self, operation: str | None = "dataset/read") -> list[dict[str, Any]]:
        """What the audit log was told of reads."""
        wanted = EntryFilter(activity="decision", operation=operation)
        return [entry_event(entry) for entry in find_entries(self.ledger, wanted)]

    def run(self, count: int = ROWS, first: int = 0, day: str = DAY, **options: Any) -> None:
        """A run over so many check-ins."""
        self.project.records([owned_event(number) for number in range(first, first + count)], day)
        self.project.run(date=day, **options)


def changes_of(event: dict[str, Any]) -> dict[str, Any]:
    """What an event says of its first resource."""
    return {each["name"]: each["new"] for each in event["resources"][0]["changed_properties"]}


def build(folder: Path) -> None:
    """A project with an access file, a ledger and one day of published output."""
    project = new_project(folder, ("device", "support"))
    project.policy(FIELDS)
    records = {"must_be": "identified", "encrypt": "by_category"}
    project.pipeline(purpose=PURPOSE, records=records, aggregates=AGGREGATES)
    write_configuration(folder, access=ACCESS, keys=None)
    project.records(map(owned_event, range(ROWS)))
    project.run(date=DAY, ledger=folder / "ledger.db")


@contextmanager
def home(builds: Builds, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A copy of it in a folder, which becomes the current one."""
    enter(folder, monkeypatch)
    builds.copy(build, folder)
    monkeypatch.setenv("MINIMIZE_LEDGER", str(folder / "ledger.db"))
    project = Project(folder)
    keys = Keyring.load(project.keys)
    with open_ledger(find_ledger(folder / "ledger.db"), verifier=keys) as ledger:
        yield Home(project, ledger, keys, Time(), monkeypatch)
