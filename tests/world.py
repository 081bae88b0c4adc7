"""A small organization on disk, built through public functions and commands as of a fixed day, and shared by all tests."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import time_machine

from minimize.recipients import Recipient, recipient_from
from tests.commands import Result, command
from tests.project import (
    AT,
    BEFORE,
    DAY,
    FIELDS,
    PIPELINE,
    POLICY,
    SETTINGS,
    Project,
    clean_environment,
    copy_outputs,
    event,
    event_time,
    without_none,
    write_keyring,
    write_yaml,
)

NOW = AT + timedelta(hours=1)
INCIDENT = "INC-7"
TENANTS = ("north", "south", "east")
DATES = (BEFORE, DAY)
WORLD_SETTINGS = SETTINGS + "south,,location,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n"
PHONE = "+3361234"
KEYS = ("device", "support", "user")


def _pipeline(name: str, purpose: str, records: Mapping[str, Any]) -> dict[str, Any]:
    return without_none({**PIPELINE, "pipeline": name, "purpose": purpose, "records": records, "aggregates": None})


USAGE: dict[str, Any] = {
    "policy": "usage",
    "version": 1,
    "purposes": ["operations"],
    "tenant": "tenant_id",
    "subject": "device_id",
    "time": "event_time",
    "retention": "30d",
    "fields": {
        "tenant_id": {"type": "string", "do": "keep"},
        "device_id": FIELDS["device_id"],
        "event_time": FIELDS["event_time"],
        "app_id": {"type": "string", "role": "quasi", "do": "keep"},
    },
}
SUPPORT: dict[str, Any] = {
    "policy": "support",
    "version": 1,
    "purposes": ["customer_support"],
    "tenant": "tenant_id",
    "subject": "device_id",
    "time": "event_time",
    "retention": "30d",
    "fields": {
        "tenant_id": {"type": "string", "do": "keep"},
        "device_id": FIELDS["device_id"],
        "event_time": FIELDS["event_time"],
        "owner": {"type": "string", "role": "identifier", "do": "keep"},
        "phone": {
            "type": "string",
            "role": "identifier",
            "do": {"tokenize": {"key": "support", "per": "tenant_id"}},
        },
    },
}
SHARED_FIELDS: dict[str, Any] = {
    "app_id": {"do": "keep", "about": "identifies the app", "example": "com.example.mail"},
    "device_id": {"role": "identifier", "do": {"pseudonymize": {"key": "device"}}, "about": "names the device"},
    "token": {"role": "secret", "do": "pass_through", "about": "reaches the device"},
    "owner": {"role": "identifier", "do": "drop", "about": "no purpose needs it"},
}
SYNC: dict[str, Any] = {
    "direction": "outbound",
    "purpose": "operations",
    "text_version": 1,
    "text": "Which apps a device has goes to the vendor.",
    "fields": SHARED_FIELDS,
}
CONTRACT: dict[str, Any] = {
    "reference": "C-1",
    "from": "2026-01-01",
    "until": "2027-01-01",
    "permits_transmission": True,
    "permitted_fields": ["app_id", "device_id", "token"],
    "retention": "30d",
}

SIGNED = "--document signed.txt"
"""The option for the evidence of a decision: a file that `write_configuration` writes next to `minimize.yaml`."""
OFFERED = f"--reference {CONTRACT['reference']} --offered --from {CONTRACT['from']} {SIGNED}"
"""The options of `contract record` for the contract that the file of the recipient offers."""
LASTING_OFFER = (*OFFERED.split(), "--until", "2099-01-01")
"""The same, for a contract that is in force on any day on which tests run."""


def vendor_file(**changes: Any) -> dict[str, Any]:
    """The file of the recipient `vendor` with some keys changed; None removes one."""
    body = {"recipient": "vendor", "standing": "independent", "contract": CONTRACT, "functions": {"sync": SYNC}}
    return without_none({**body, **changes})


def vendor(**changes: Any) -> Recipient:
    """The recipient `vendor`, loaded."""
    return recipient_from(vendor_file(**changes))


def sync(**changes: Any) -> dict[str, Any]:
    """The function of the recipient with some keys changed, under its name; None removes one."""
    return {"sync": without_none({**SYNC, **changes})}


def assignment(role: str, *users: str, groups: tuple[str, ...] = (), **scope: Any) -> dict[str, Any]:
    """An assignment of the access file, for all tenants and datasets by default."""
    where = {"tenants": "all", "datasets": "all", **scope}
    return {"role": role, "members": {"users": list(users), "groups": list(groups)}, "scope": where}


ASSIGNMENTS: tuple[dict[str, Any], ...] = (
    assignment("analyst", "ann"),
    assignment("support_engineer", groups=("support",), tenants=["north", "south"]),
    assignment("privacy_officer", "pia", "pit"),
    assignment("operator", "otto"),
    assignment("auditor", "olga"),
    assignment("role_administrator", "rob"),
)


def access_file(*assignments: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An access file with these assignments (by default those of the world) and more keys."""
    body = {"version": 1, "groups": {"support": ["sam", "sue"]}, "assignments": list(assignments or ASSIGNMENTS)}
    return {**body, **more}


def write_configuration(
    folder: Path,
    *,
    access: Mapping[str, Any] | None = None,
    vendor: Mapping[str, Any] | None = None,
    keys: Iterable[str] | None = (),
    ledger: str = "ledger.db",
) -> None:
    """Writes `minimize.yaml` and what it names: a keyring (not with None), an access file and a recipient."""
    words = {
        "keys": None if keys is None else "test.keys",
        "ledger": ledger,
        "access": "access.yaml" if access else "off",
        "encrypt": "off",
    }
    write_yaml(folder / "minimize.yaml", without_none({**words, "recipients": "recipients" if vendor else None}))
    if access:
        write_yaml(folder / "access.yaml", access)
    if vendor:
        write_yaml(folder / "recipients" / "vendor.yaml", vendor)
        (folder / "signed.txt").write_text("A signed form.\n")
    if keys is not None and not (folder / "test.keys").exists():
        write_keyring(folder / "test.keys", keys)


@dataclass(frozen=True)
class World:
    """An organization with three tenants, three pipelines with published output of two dates, and everything around them.

    - `checkins`: records, an aggregate, a quarantine, and a field behind the feature `location`, which east has not turned on
    - `support`: encrypted records with names and tokenized telephone numbers
    - `usage`: shared with the recipient `vendor`; north consented, south refused, east consented and withdrew
    - one approved grant (Sam), one pending (Sue), one disclosure, one open incident, one lifecycle event
    """

    folder: Path

    @property
    def keys(self) -> Path:
        return self.folder / "test.keys"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.db"

    @property
    def checkins(self) -> Project:
        return self._project("checkins", POLICY, PIPELINE)

    @property
    def support(self) -> Project:
        records = {"must_be": "identified", "encrypt": "by_category"}
        return self._project("support", SUPPORT, _pipeline("support", "customer_support", records))

    @property
    def usage(self) -> Project:
        records = {"must_be": "pseudonymized"}
        return self._project("usage", USAGE, _pipeline("usage", "operations", records))

    @property
    def projects(self) -> tuple[Project, Project, Project]:
        return self.checkins, self.support, self.usage

    def command(self, actor: str, *arguments: object, at: datetime = NOW) -> Result:
        """Runs a `minimize` command in this process, in the world's folder, as a person and at a time."""
        with self.as_actor(actor, at):
            return command(*arguments)

    @contextlib.contextmanager
    def as_actor(self, actor: str, at: datetime = NOW) -> Iterator[None]:
        """Acts as a person in the world's folder, with the clock started at a time."""
        with clean_environment(self.folder) as patch, time_machine.travel(at, tick=False):
            patch.setenv("MINIMIZE_ACTOR", actor)
            yield

    def copy(self, folder: Path) -> World:
        """A copy, to write to."""
        copy_outputs(self.folder, folder)
        return World(folder)

    def digests(self) -> dict[str, str]:
        """The digest of every file; what SQLite keeps next to an open database is left out."""
        return {
            path.relative_to(self.folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and not path.name.endswith(("-wal", "-shm"))
        }

    def _project(self, name: str, policy: Mapping[str, Any], pipeline: Mapping[str, Any]) -> Project:
        return Project(self.folder / name, base_policy=policy, base_pipeline=pipeline, keyring=self.keys)


def build_world(folder: Path) -> World:
    """Builds the world in a new folder."""
    made = World(folder)
    _write_files(made)
    with made.as_actor("otto", AT):
        for each in made.projects:
            for day in DATES:
                each.run(date=day)
    minutes = itertools.count(1)
    for actor, words, more in _acts():
        _done(made.command(actor, *words.split(), *more, at=AT + timedelta(minutes=next(minutes))))
    grant = json.loads(made.command("pia", "access", "list", "--json").out)["grants"][0]["grant"]
    _done(made.command("pia", "access", "approve", grant, at=AT + timedelta(minutes=next(minutes))))
    return made


def _acts() -> list[tuple[str, str, list[str]]]:
    """Who does what, one act a minute: the words of a command, and arguments that have spaces."""
    wish = f"access request support --incident {INCIDENT} --tenant north --field phone --reason"
    exposed = f"--exposed output:usage/out#records --exposed date:{DAY} --since {DAY}T08:00Z --known-at {DAY}T20:00Z"
    return [
        *(("pia", f"contract record {tenant} vendor {OFFERED}", []) for tenant in TENANTS),
        ("pia", f"consent give north vendor sync --since 2026-01-01T00:00Z --evidence FORM-1 {SIGNED}", []),
        ("pit", f"consent confirm north vendor sync {SIGNED}", []),
        ("pia", "consent refuse south vendor sync --evidence FORM-2", []),
        ("pia", f"consent give east vendor sync --since 2026-01-01T00:00Z --evidence FORM-3 {SIGNED}", []),
        ("pit", f"consent confirm east vendor sync {SIGNED}", []),
        ("pia", "consent withdraw east vendor sync --evidence FORM-4", []),
        ("pia", "share send vendor sync --pipeline usage --to shared.parquet", []),
        ("otto", f"incident open {INCIDENT} {exposed} --tenant north --title", ["A lost backup"]),
        ("sam", wish, ["A device is lost."]),
        ("sue", wish, ["A device is lost."]),
        ("otto", "events add east subject_left --subject d1 --pipeline checkins", []),
    ]


def _write_files(world: World) -> None:
    write_configuration(world.folder, access=access_file(), vendor=vendor_file(), keys=KEYS)
    for each in world.projects:
        each.folder.mkdir()
        each.policy()
        each.pipeline()
        (each.folder / "settings.csv").write_text(WORLD_SETTINGS)
        for number, day in enumerate(DATES):
            each.records(world_events(day, 60 * number), day)
    world.checkins.records(["no JSON"], name="b")


def world_events(day: str, first: int, count: int = 60) -> list[dict[str, Any]]:
    """Events of all tenants on a day, with the columns of all three pipelines."""
    back = AT - timedelta(days=1) - datetime.fromisoformat(f"{day}T00:00:00Z")
    return [
        owned_event(
            number,
            tenant_id=TENANTS[number % 3],
            event_time=f"{event_time(number) - back:%Y-%m-%dT%H:%M:%SZ}",
            app_id=("mail", "maps", "music")[number % 3],
        )
        for number in range(first, first + count)
    ]


def owned_event(number: int, **changes: Any) -> dict[str, Any]:
    """One check-in with the name of an owner and a telephone number; every number gives another."""
    return event(number, phone=f"{PHONE}{number:05}", owner=f"owner-{number % 7}@example.com", **changes)


def _done(result: Result) -> Result:
    assert result.code == 0, result.err
    return result
