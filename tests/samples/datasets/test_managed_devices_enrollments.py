"""Attempts to enrol devices."""

from __future__ import annotations

from minimize_samples.datasets.managed_devices import ENROLLMENT_TYPES, FAILURES, USERLESS_TYPES

from ..made import records

RECORDS = records("enrollments", 3000)


def test_there_are_fourteen_categories_and_seventeen_reasons() -> None:
    assert len({category for category, _ in FAILURES}) == 14
    assert len({reason for _, reason in FAILURES}) == 17


def test_every_type_and_failure_is_there() -> None:
    assert {record["enrollment_type"] for record in RECORDS} == set(ENROLLMENT_TYPES)
    failed = {(record["failure_category"], record["failure_reason"]) for record in RECORDS if not record["succeeded"]}
    assert failed == set(FAILURES)


def test_a_success_has_no_reason() -> None:
    assert not any(
        "failure_reason" in record or "failure_category" in record for record in RECORDS if record["succeeded"]
    )


def test_enrolment_without_a_user_names_none() -> None:
    named = {record["enrollment_type"] for record in RECORDS if "user_id" in record}
    assert named == set(ENROLLMENT_TYPES) - {ENROLLMENT_TYPES[place] for place in USERLESS_TYPES}


def test_types_go_with_systems() -> None:
    systems = {"Windows": {"Windows"}, "Apple": {"macOS", "iOS", "iPadOS"}, "Android": {"Android"}}
    for prefix, expected in systems.items():
        found = {record["operating_system"] for record in RECORDS if record["enrollment_type"].startswith(prefix)}
        assert found == expected
