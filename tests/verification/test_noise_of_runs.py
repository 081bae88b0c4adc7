"""Outputs of runs with noise pass verification, whatever changes between them."""

from __future__ import annotations

from typing import Any

import pytest

import minimize
from tests.project import NOISY_AGGREGATES, Project, event

PER_SUBJECT = {"rows": 30}
MEASURES: dict[str, Any] = {
    "events": "count",
    "devices": {"count_distinct": "device_id"},
    "battery": {"mean": "battery"},
    "drained": {"sum": "battery"},
    "models": {"histogram": "model"},
    "plain": {"share": {"of": "model", "is": "A"}},
    "tenants": {"count_distinct": "tenant_id"},
}
TABLES: dict[str, Any] = {
    "total": {"group_by": {}, "measures": MEASURES, "per_subject": PER_SUBJECT, "suppress": {"below": 3}},
    "again": {
        "group_by": {},
        "measures": {"number": {"count_distinct": "device_id"}, "mean": {"mean": "battery"}},
        "per_subject": PER_SUBJECT,
        "suppress": {"below": 3},
    },
    "by_tenant": {
        "group_by": {"tenant": "tenant_id"},
        "measures": {**MEASURES, "models": "count"},
        "per_subject": PER_SUBJECT,
        "suppress": {"below": 3},
    },
}


def publish(project: Project, count: int, **options: Any) -> minimize.Receipt:
    project.records([event(number, device_id=f"d{number % 60}") for number in range(count)])
    return project.run(ledger=project.folder / "ledger.db", **options)


@pytest.fixture(name="noisy")
def _noisy(project: Project) -> Project:
    project.pipeline(aggregates=TABLES)
    return project


def marks(receipt: minimize.Receipt) -> dict[str, Any]:
    return {name: dict(output.releases or {}) for name, output in receipt.outputs.items() if name != "records"}


def digests(receipt: minimize.Receipt) -> dict[str, Any]:
    return {
        name: [file.digest for file in output.files] for name, output in receipt.outputs.items() if name != "records"
    }


def test_a_run_with_noise_is_verified(noisy: Project) -> None:
    receipt = publish(noisy, 240)
    assert [len(noisy.rows(name)) for name in TABLES] == [1, 1, 2]
    assert {output.noise.sd for name, output in receipt.outputs.items() if output.noise} == {"2"}
    minimize.verify(noisy.out, keys=noisy.keys)


def test_equal_and_other_releases_are_verified(noisy: Project) -> None:
    first, again, other = publish(noisy, 240), publish(noisy, 240), publish(noisy, 241)
    assert marks(first) == marks(again) != marks(other)
    assert digests(first) == digests(again)
    minimize.verify(noisy.out, keys=noisy.keys)


def test_after_the_last_release_tables_stay(noisy: Project) -> None:
    receipts = [publish(noisy, count) for count in (240, 241, 242, 243)]
    assert [bool(receipt.outputs["total"].files) for receipt in receipts] == [True, True, True, False]
    minimize.verify(noisy.out, keys=noisy.keys)


def test_default_tables_of_tests_are_verified(project: Project) -> None:
    project.pipeline(aggregates=NOISY_AGGREGATES)
    publish(project, 400)
    assert project.rows("per_model")
    minimize.verify(project.out, keys=project.keys)
