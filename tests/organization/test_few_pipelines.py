"""Short sequences over a few shipped pipelines: those that once ended in an error, and one of each kind of step."""

from __future__ import annotations

import pytest

from tests.organization.people import Device, Person, devices, persons
from tests.organization.raw_records import records
from tests.organization.service import Service
from tests.organization.steps import Step, Walk, walked
from tests.organization.truth import Truth

OWNER = Person(7)
SHOWN_BY_USAGE = next(iter(records("usage_events")[3].named["device_id"]))
CONTACT = next(iter(records("support_cases")[3].named["contact_id"]))
ANOTHER_USER = next(iter(records("usage_events")[6].named["sdk_user_id"]))
IN_SUPPORT = next(iter(records("support_cases")[5].named["device_id"]))

SEQUENCES = {
    "persons deleted with their devices": [
        Step("delete", OWNER, linked=True),
        Step("delete", CONTACT, linked=True),
        Step("expire"),
        Step("rerun", pipeline="device_telemetry"),
    ],
    "company data removed, then another event": [
        Step("event", SHOWN_BY_USAGE, "device_telemetry", "company_data_removed"),
        Step("expire"),
        Step("event", ANOTHER_USER, "usage_events", "subject_left"),
        Step("event", IN_SUPPORT, word="reset"),
        Step("expire"),
        Step("late", SHOWN_BY_USAGE, "usage_events"),
    ],
    "a device deleted by its id": [
        Step("restrict", CONTACT),
        Step("delete", IN_SUPPORT),
        Step("correct", SHOWN_BY_USAGE),
        Step("lift"),
        Step("late", IN_SUPPORT, "support_cases"),
    ],
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_sequence_leaves_what_is_true(copy_of_part: tuple[Service, Truth], name: str) -> None:
    """No command fails, the deleted are gone from every byte, and the records of others are as they were."""
    assert_true(walked(*copy_of_part, SEQUENCES[name]))


def test_every_person_and_device_has_records(part: tuple[Service, Truth]) -> None:
    """The sequences delete somebody whose records are there."""
    service, truth = part
    for subject in (OWNER, SHOWN_BY_USAGE, CONTACT, IN_SUPPORT):
        assert isinstance(subject, Person | Device)
        assert truth.outputs_with(service, subject)
    assert {len(persons()), len(devices())} == {40, 60}


def assert_true(walk: Walk) -> None:
    """Fails with the steps and everything that was found wrong."""
    steps = "\n".join(f"  {number}. {each}" for number, each in enumerate(walk.done, 1))
    faults = list(dict.fromkeys(walk.faults))
    assert not faults, "\n".join([f"{len(faults)} faults after", steps, *faults])
