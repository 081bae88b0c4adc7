"""The raw records of every shipped pipeline, filled from the fields that its policy declares.

Each record has an hour of its own in its dataset, so that it is found in an output by tenant and hour alone, and each free text
of it has a mark of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from tests.organization.people import (
    DEVICE_FIELDS,
    PERSON_FIELDS,
    Device,
    Person,
    Subject,
    devices,
    persons,
)
from tests.project import CHECKOUT

NOW: Final = datetime(2026, 11, 25, 6, tzinfo=UTC)
DATES: Final = ("2026-11-23", "2026-11-24")
LATE_DATE: Final = DATES[0]
PER_DATE: Final = 10
"""Records of a dataset and date."""
OF_BOUNDED: Final = 12
"""The same for datasets whose pipelines bound the disclosure risk: two devices may go before the bound removes the rest."""

FACTS: Final[dict[str, Any]] = {
    "device_type": "iphone",
    "operating_system": "iOS",
    "is_supervised": True,
    "lost_mode": True,
    "os_version": "17.1.2",
    "OSVersion": "17.1.2",
    "platform_version": "17.1.2",
    "software_version": "14.1.2",
    "product_version": "5.2.1",
    "app_version": "3.4.5",
    "sdk_version": "9.1.2",
    "manufacturer": "Apple",
    "model": "iPhone 14",
    "cpu": "A16",
    "os_build": "21B80",
    "carrier": "Example Mobile",
    "app_name": "Mail",
    "app_id": "example.mail",
    "install_state": "installed",
    "compliance_state": "compliant",
    "event_type": "app_launch",
    "platform": "iOS",
    "error_code": "E-17",
    "feature_name": "search",
    "product_area": "enrollment",
    "severity": "B",
    "operation": "update",
    "result": "success",
    "page": "devices",
    "control": "search box",
    "browser": "Example 12",
    "enrollment_type": "user",
    "failure_category": None,
    "failure_reason": None,
    "tpm_version": "2.0",
    "management_mode": "managed",
    "device_health": "healthy",
    "diagnostic_level": "full",
    "profile_status": "assigned",
    "threat_state": "secured",
    "inventory_state": "activated",
    "managed": True,
    "latitude": 48.8566,
    "longitude": 2.3522,
    "account_id": "account-of-the-tenant",
    "partner_tenant_id": "partner-of-the-tenant",
    "incident_id": None,
}
"""Values that conditions and groups of the shipped policies ask for."""
TENANT_FIELDS: Final = ("account_id", "partner_tenant_id")
ADMINISTRATORS: Final = 5
"""Every fifth person is an administrator."""
OF_ADMINISTRATORS: Final = frozenset(["administrators", "console_usage", "audit_events"])
"""Datasets that name administrators, and devices on which they act, which they do not use."""


@dataclass(frozen=True)
class RawRecord:
    """One raw record, with the persons and devices that it names, and the ids by which it does, per field."""

    dataset: str
    number: int
    date: str
    time: datetime
    tenant: str
    value: Mapping[str, Any] = field(repr=False)
    named: Mapping[str, frozenset[Subject]] = field(repr=False)

    @property
    def key(self) -> tuple[str, datetime]:
        """What tells its released rows from others of the dataset."""
        return self.tenant, self.time.replace(minute=0, second=0)

    @property
    def mark(self) -> str:
        """The beginning of every free value of the record."""
        return record_mark(self.dataset, self.number)

    @property
    def subjects(self) -> frozenset[Subject]:
        """All that it names."""
        return frozenset().union(*self.named.values())

    def names(self, space: str, subject: Subject) -> list[str]:
        """The fields that name a subject in an id space."""
        return [
            name for name, found in self.named.items() if subject in found and space_of(self.dataset, name) == space
        ]


def record_mark(dataset: str, number: int) -> str:
    return f"mrk-{dataset.replace('_', '')}-{number:03}x"


def space_of(dataset: str, name: str) -> str:
    """The id space of a field that names persons or devices."""
    return LIST_SPACES.get(name) or PERSON_FIELDS.get(name) or DEVICE_FIELDS[name]


LIST_SPACES: Final = {"/devices/*": "serial", "/resources/*/id": "device"}
ADMINISTRATORS_OF_ENROLMENTS: Final = ("apple_device_enrollment", ("admin_id", "device_assigned_by"))
"""The dataset and the fields in which one administrator, who uses no device, is named for all devices of a tenant."""


@cache
def datasets() -> dict[str, dict[str, Any]]:
    """The policy of each dataset, by the folder that the shipped pipelines read."""
    yaml = YAML(typ="safe")
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((CHECKOUT / "pipelines").glob("*/pipeline.yaml")):
        pipeline = yaml.load(path)
        found[Path(pipeline["source"]["path"]).parts[-3]] = yaml.load(path.parent / pipeline["policy"])
    return found


@dataclass(frozen=True)
class Bound:
    """The bound of a pipeline on the disclosure risk of its records: so many devices share each combination of a date."""

    dataset: str
    columns: tuple[str, ...]
    devices: int

    def combination(self, values: Mapping[str, Any], date: str) -> tuple[str, ...]:
        """The combination of a record."""
        return (date, *(values[name] for name in self.columns))


@cache
def bounds() -> dict[str, Bound]:
    """The bounds of the shipped pipelines, by pipeline."""
    yaml = YAML(typ="safe")
    found = {}
    for path in sorted((CHECKOUT / "pipelines").glob("*/pipeline.yaml")):
        pipeline = yaml.load(path)
        stated = (pipeline.get("records") or {}).get("risk")
        if stated:
            columns, devices = tuple(stated["quasi_identifiers"]), stated["require"]["k"]
            found[path.parent.name] = Bound(Path(pipeline["source"]["path"]).parts[-3], columns, devices)
    return found


@cache
def records(dataset: str) -> tuple[RawRecord, ...]:
    """The records of a dataset, in the order of their times."""
    return tuple(_record(dataset, number) for number in range(_per_date(dataset) * len(DATES)))


def _per_date(dataset: str) -> int:
    return OF_BOUNDED if any(each.dataset == dataset for each in bounds().values()) else PER_DATE


def late_record(dataset: str, person: Person, device: Device, number: int) -> RawRecord:
    """One more record, of the first date and an hour that no other record has."""
    return _filled(dataset, 500 + number, LATE_DATE, 12 + number % 12, person, device)


def _record(dataset: str, number: int) -> RawRecord:
    place = sorted(datasets()).index(dataset)
    device = devices()[(number * 7 + place * 3) % len(devices())]
    person = device.users[number % len(device.users)]
    if dataset in OF_ADMINISTRATORS:
        person = persons()[number * ADMINISTRATORS % len(persons())]
        device = next(each for each in devices() if each.tenant == person.tenant and each.number % 7 == number % 7)
    date, hour = DATES[number // _per_date(dataset)], number % _per_date(dataset)
    return _filled(dataset, number, date, hour, person, device)


def _filled(dataset: str, number: int, date: str, hour: int, person: Person, device: Device) -> RawRecord:
    policy = datasets()[dataset]
    time = datetime.fromisoformat(f"{date}T{hour:02}:17:23+00:00")
    value: dict[str, Any] = {}
    named: dict[str, frozenset[Subject]] = {}
    for name, declared in policy["fields"].items():
        if "from" in declared:
            continue
        cell, subject = _cell(dataset, number, name, declared, policy, person, device, time)
        _put(value, name, cell)
        if subject is not None and cell is not None:
            named[name] = frozenset([subject])
    return RawRecord(dataset, number, date, time, device.tenant, value, named)


def _cell(
    dataset: str,
    number: int,
    name: str,
    declared: Mapping[str, Any],
    policy: Mapping[str, Any],
    person: Person,
    device: Device,
    time: datetime,
) -> tuple[Any, Subject | None]:
    """The value of a field, and whom it names."""
    if name == policy["tenant"]:
        return device.tenant, None
    if name == policy["time"]:
        return f"{time:%Y-%m-%dT%H:%M:%SZ}", None
    if dataset == ADMINISTRATORS_OF_ENROLMENTS[0] and name in ADMINISTRATORS_OF_ENROLMENTS[1]:
        return f"{name}@{device.tenant}.example", None
    last = name.rsplit("/", 1)[-1]
    space = LIST_SPACES.get(name)
    if space:
        return device.ids[space], device
    if last in PERSON_FIELDS and not name.startswith("/"):
        return person.ids[PERSON_FIELDS[last]], person
    if last in DEVICE_FIELDS and not name.startswith("/"):
        return device.ids[DEVICE_FIELDS[last]], device
    if last in TENANT_FIELDS:
        return f"{FACTS[last]}-{device.tenant}", None
    if last == "owner_type":
        return "corporate" if device.is_corporate else "personal", None
    if last in FACTS:
        return FACTS[last], None
    return _free(f"{record_mark(dataset, number)}-{last.strip('*/') or name.split('/')[1]}", declared, time), None


def _free(mark: str, declared: Mapping[str, Any], time: datetime) -> Any:
    """A value of a type; a text has the mark."""
    kind = declared["type"]
    if kind == "string":
        if "truncate_ip" in str(declared):
            return "203.0.113.77"
        if "truncate_version" in str(declared):
            return "4.5.6"
        if "keep_host" in str(declared):
            return f"https://{mark}.example/a/b"
        return mark
    if kind == "timestamp":
        return f"{time - timedelta(hours=3):%Y-%m-%dT%H:%M:%SZ}"
    return {
        "integer": 7,
        "double": 61.5,
        "boolean": True,
        "date": f"{time - timedelta(days=100):%Y-%m-%d}",
        "map": {mark: mark},
    }[kind]


def _put(record: dict[str, Any], name: str, cell: Any) -> None:
    parts = name.strip("/").split("/") if name.startswith("/") else [name]
    inner: Any = record
    for here, after in zip(parts, [*parts[1:], None], strict=True):
        if here == "*":
            if after is None:
                inner[:] = [cell]
            else:
                inner[:] = inner or [{}]
                inner = inner[0]
        elif after is None:
            inner[here] = cell
        else:
            inner = inner.setdefault(here, [] if after == "*" else {})


def all_records() -> Iterator[RawRecord]:
    """The records of all datasets."""
    for dataset in datasets():
        yield from records(dataset)
