"""An organization of 40 tenants: scoping names exactly the affected tenants, fields and periods.

What is true is worked out from the records as they came, row by row, and from nothing of the program.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from minimize.governance.incidents import Exposure, exposure_scope
from minimize.governance.sharing.payload import disclosure_token
from minimize.keys import Keyring
from minimize.ledger import Actor, AuditEvent, PropertyChange, Resource, find_ledger
from minimize.ledger.audit_log import append_event
from minimize.ledger.kinds import DISCLOSURE, TENANT_SHARE, Disclosure, TenantShare
from minimize.ledger.ledger import Ledger, open_ledger
from minimize.receipts import Receipt
from minimize.workspace import Workspace as Places
from tests.acts import record_acts
from tests.project import FIELDS, POLICY, Project, without_none, write_keyring

NOW = datetime.now(UTC).replace(microsecond=0)
TENANTS = tuple(f"t{number:02}" for number in range(40))
DAYS = (NOW - timedelta(days=2), NOW - timedelta(days=1))
GRANT = "11111111-2222-3333-4444-555555555555"
PIPELINES: dict[str, dict[str, str | None]] = {
    "checkins": {"device_id": "identifier", "model": "quasi", "battery": None},
    "usage": {"device_id": "identifier", "feature": "quasi"},
    "support": {"device_id": "identifier", "ticket": "quasi"},
}
TYPES = {"battery": "double"}


DAY = f"{DAYS[0]:%Y-%m-%d}"
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Truth:
    """What was exposed of one tenant."""

    persons: frozenset[str]
    rows: int
    columns: frozenset[str]
    first: str
    last: str


@dataclass
class Organization:
    """Outputs, a ledger, and the records as they came."""

    folder: Path
    records: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    receipts: dict[tuple[str, str], Receipt] = field(default_factory=dict)

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.db"

    @property
    def keys(self) -> Keyring:
        return Keyring.load(self.folder / "test.keys")

    def out(self, pipeline: str) -> Path:
        return self.folder / pipeline / "out"

    def truth(self, *batches: tuple[str, str], tenants: tuple[str, ...] = TENANTS) -> dict[str, Truth]:
        """What is true of some batches, row by row."""
        found: dict[str, list[dict[str, Any]]] = {}
        for batch in batches:
            for row in self.records[batch]:
                if row["tenant_id"] in tenants:
                    found.setdefault(row["tenant_id"], []).append(row)
        return {tenant: _truth(rows) for tenant, rows in found.items()}

    def build(self) -> None:
        """Runs each pipeline for two days, shares with two recipients, and reads under a grant."""
        write_keyring(self.folder / "test.keys", ("device",))
        for place, (name, columns) in enumerate(PIPELINES.items()):
            project = _project(self.folder, name, columns)
            for day, when in enumerate(DAYS):
                batch = name, f"{when:%Y-%m-%d}"
                self.records[batch] = list(_rows(name, place, day, when))
                project.records(self.records[batch], batch[1])
                self.receipts[batch] = project.run(batch[1], None, ledger=self.ledger, output=None)
        with open_ledger(find_ledger(self.ledger), create=True) as ledger:
            self._share(ledger, "vendor", TENANTS[:5])
            self._share(ledger, "carrier", TENANTS[3:9])
            self._read(ledger, TENANTS[10:13])

    def _share(self, ledger: Ledger, recipient: str, tenants: tuple[str, ...]) -> None:
        """An act of sharing as the ledger has it: two devices of each tenant."""
        body = {
            "disclosure": recipient,
            "policy": {"name": "checkins", "version": 1},
            "category": "pseudonymized",
            "fields": {"device_id": f"pseudonymize (key device@{recipient})", "model": "keep"},
            "purpose": "service_maintenance",
        }
        shares = [TenantShare(recipient, name, 4, "c", 1, _tokens(self.keys, name, "d0", "d1")) for name in tenants]
        act = Disclosure(recipient, NOW - timedelta(hours=1), recipient, "sync", 4 * len(tenants), "x", None, body)
        record_acts(ledger, self.keys, DISCLOSURE, act, event=_event("disclose", NOW))
        record_acts(ledger, self.keys, TENANT_SHARE, *shares)

    def _read(self, ledger: Ledger, tenants: tuple[str, ...]) -> None:
        """A read as the server records it."""
        audited: dict[str, Any] = {
            "grants": GRANT,
            "columns": "tenant_id, model",
            "tenants": ", ".join(tenants),
            "rows": 1000,
        }
        changes = tuple(PropertyChange(name, None, value) for name, value in audited.items())
        event = _event("dataset/read", datetime.now(UTC), Resource("checkins/records", "dataset", "dataset/x", changes))
        ledger.write(lambda connection: append_event(connection, event, self.keys))


def _rows(pipeline: str, place: int, day: int, when: datetime) -> Iterator[dict[str, Any]]:
    """A few records of each tenant that was there on the day; some columns are empty for every third tenant."""
    for number, tenant in enumerate(TENANTS):
        if (number + day + place) % 4 == 0:
            continue
        for event in range(2 + number % 3):
            at = when - timedelta(minutes=7 * number + event)
            row: dict[str, Any] = {
                "tenant_id": tenant,
                "device_id": f"d{event % 2}",
                "event_time": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            }
            row |= {name: _value(name, number) for name in PIPELINES[pipeline] if name != "device_id"}
            yield {name: value for name, value in row.items() if value is not None}


def _value(name: str, number: int) -> Any:
    if name == "battery":
        return None if number % 3 == 0 else 10.0 + number
    return f"{name}-{number % 5}"


def _project(folder: Path, name: str, columns: Mapping[str, str | None]) -> Project:
    """A pipeline with some columns, whose output has nothing that is too old."""
    fields: dict[str, Any] = {column: FIELDS[column] for column in ("tenant_id", "device_id", "event_time")}
    for column, role in columns.items():
        if column != "device_id":
            fields[column] = {"type": TYPES.get(column, "string"), "role": role or "plain", "do": "keep"}
    policy = without_none(
        {**POLICY, "policy": name, "record": None, "retention": None, "features": None, "never": None}
    )
    project = Project(folder / name, base_policy={**policy, "fields": fields}, keyring=folder / "test.keys")
    project.folder.mkdir()
    project.policy()
    project.pipeline(pipeline=name, settings=None, aggregates=None)
    return project


def _truth(rows: list[dict[str, Any]]) -> Truth:
    times = sorted(row["event_time"] for row in rows)
    persons = frozenset(row["device_id"] for row in rows)
    return Truth(persons, len(rows), frozenset(name for row in rows for name in row), times[0], times[-1])


def _tokens(keys: Keyring, tenant: str, *ids: str) -> bytes:
    return b"".join(sorted(bytes.fromhex(disclosure_token(keys, tenant, each, 1).rpartition(":")[2]) for each in ids))


def _event(operation: str, at: datetime, *resources: Resource) -> AuditEvent:
    sam = Actor("user", application="door", user="sam")
    return AuditEvent(
        component="door",
        actor=sam,
        activity="decision",
        time=at,
        operation=operation,
        category="access",
        resources=resources,
    )


@pytest.fixture(name="organization", scope="module")
def _organization(tmp_path_factory: pytest.TempPathFactory) -> Organization:
    made = Organization(tmp_path_factory.mktemp("organization"))
    made.build()
    return made


def scoped(organization: Organization, *texts: str) -> dict[str, Any]:
    window = (NOW - timedelta(hours=2), datetime.now(NOW.tzinfo))
    places = Places(organization.ledger, keys=organization.keys)
    found = exposure_scope(Exposure.parse(texts), window, places, window[1]).to_json()
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


def test_a_day_of_one_output_affects_its_tenants_alone(organization: Organization) -> None:
    found = scoped(organization, f"output:{organization.out('checkins')}#records", f"date:{DAY}")
    truth = organization.truth(("checkins", DAY))
    assert set(found) == set(truth) < set(TENANTS)
    for tenant, each in found.items():
        true = truth[tenant]
        assert each["subjects"] == {"count": len(true.persons), "exact": True}
        assert (each["rows"], columns(each)) == (true.rows, set(true.columns))
        assert is_just_around(each["period"], true)


def test_a_run_affects_whom_it_wrote_of(organization: Organization) -> None:
    batch = ("usage", f"{DAYS[1]:%Y-%m-%d}")
    found = scoped(organization, f"run:{organization.receipts[batch].run_id}")
    truth = organization.truth(batch)
    assert {name: each["rows"] for name, each in found.items()} == {name: true.rows for name, true in truth.items()}


def test_two_days_count_each_person_once(organization: Organization) -> None:
    found = scoped(organization, f"output:{organization.out('support')}")
    truth = organization.truth(*((name, f"{day:%Y-%m-%d}") for name in ("support",) for day in DAYS))
    assert {name: each["subjects"]["count"] for name, each in found.items()} == {
        name: len(true.persons) for name, true in truth.items()
    }


def test_over_several_pipelines_persons_are_at_most_so_many(organization: Organization) -> None:
    batches = [(name, DAY) for name in PIPELINES]
    found = scoped(organization, f"date:{DAY}")
    truth = organization.truth(*batches)
    assert set(found) == set(truth)
    assert all(columns(each) == truth[name].columns for name, each in found.items())
    assert all(each["subjects"]["count"] >= len(truth[name].persons) for name, each in found.items())


def test_an_abused_grant_affects_the_tenants_and_columns_that_were_read(organization: Organization) -> None:
    found = scoped(organization, f"grant:{GRANT}")
    batches = [("checkins", f"{day:%Y-%m-%d}") for day in DAYS]
    truth = organization.truth(*batches, tenants=TENANTS[10:13])
    assert set(found) == set(truth)
    for tenant, each in found.items():
        assert columns(each) == {"tenant_id", "model"}
        assert each["subjects"] == {"count": len(truth[tenant].persons), "exact": False}
        assert is_just_around(each["period"], truth[tenant])


def test_an_actor_is_known_by_what_was_read_in_the_window(organization: Organization) -> None:
    assert set(scoped(organization, "actor:sam")) == set(scoped(organization, f"grant:{GRANT}"))
    assert scoped(organization, "actor:sam@2020-01-01T00:00Z/2020-01-02T00:00Z") == {}
    assert scoped(organization, "actor:sue") == {}


def test_a_leaked_key_makes_pseudonyms_of_its_version_identified(organization: Organization) -> None:
    output = f"output:{organization.out('checkins')}"
    found = scoped(organization, output, "key:device/1")
    assert {forms(each)["device_id"] for each in found.values()} == {"identified"}
    assert {forms(each)["device_id"] for each in scoped(organization, output).values()} == {"pseudonymized"}


def test_a_leaked_key_alone_affects_whom_it_was_used_for(organization: Organization) -> None:
    found = scoped(organization, "key:device/1")
    batches = [(name, f"{day:%Y-%m-%d}") for name in PIPELINES for day in DAYS]
    assert set(found) == set(organization.truth(*batches))
    assert {name for each in found.values() for name in columns(each)} == {"device_id"}


def test_a_recipient_affects_whose_records_it_got(organization: Organization) -> None:
    found = scoped(organization, "recipient:vendor")
    assert set(found) == set(TENANTS[:5])
    assert {(each["subjects"]["count"], each["subjects"]["exact"]) for each in found.values()} == {(2, True)}
    assert columns(found["t00"]) == {"device_id", "model"}


def test_recipients_with_copies_are_listed_for_each_tenant(organization: Organization) -> None:
    found = scoped(organization, f"output:{organization.out('checkins')}")
    there = {name: {each["recipient"] for each in one["recipients"]} for name, one in found.items()}
    assert there["t04"] == {"vendor", "carrier"}
    assert there["t08"] == {"carrier"}
    assert there["t20"] == set()


def test_no_other_recipient_is_named_for_an_output_that_was_not_shared(organization: Organization) -> None:
    found = scoped(organization, f"output:{organization.out('usage')}")
    assert not any(each["recipients"] for each in found.values())


def test_a_leaked_key_affects_the_columns_and_periods_that_it_was_used_for(organization: Organization) -> None:
    found = scoped(organization, "key:device/1")
    truth = organization.truth(*((name, f"{day:%Y-%m-%d}") for name in PIPELINES for day in DAYS))
    for tenant in TENANTS[9:]:
        assert is_just_around(found[tenant]["period"], truth[tenant])
        assert (forms(found[tenant]), found[tenant]["rows"]) == ({"device_id": "identified"}, truth[tenant].rows)


def test_a_leaked_key_and_a_recipient_meet_in_the_tenants_that_have_copies(organization: Organization) -> None:
    found = scoped(organization, "recipient:carrier", "key:device/1")
    assert set(found) == set(TENANTS[3:9])
    assert {forms(each)["device_id"] for each in found.values()} == {"identified"}
