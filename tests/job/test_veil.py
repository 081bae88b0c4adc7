"""Names of input files that may be values are shown as hashes, and recognised by them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from minimize.runs.replay import recheck_quarantine
from minimize.runs.resolve import PathMask
from tests.project import AT, DAY, Project, event, new_project

LATER = AT + timedelta(hours=1)
VEIL = PathMask(b"key", frozenset({"region"}))


def shown(path: str) -> str:
    parts = path.split("/")
    return "/".join(VEIL(part, "/".join(parts[: depth + 1])) for depth, part in enumerate(parts))


@pytest.mark.parametrize(
    "name", ["2026-11-24/part-00000.ndjson.gz", "events_2026-11-24.csv", "region=north/a.parquet", "10.0.3/a.ndjson"]
)
def test_a_name_that_no_pattern_hits_is_shown(name: str) -> None:
    assert shown(name) == name


@pytest.mark.parametrize(("name", "pattern"), [("ann@example.com.ndjson", "email"), ("device-203.0.113.77.csv", "ip")])
def test_a_name_that_a_pattern_hits_is_shown_as_the_pattern_and_a_hash(name: str, pattern: str) -> None:
    assert shown(f"2026-11-24/{name}").startswith(f"2026-11-24/[{pattern}]#")
    assert len({shown(f"{day}/{name}") for day in ("2026-11-23", "2026-11-24")}) == 2
    assert PathMask(b"")(name, name) == f"[{pattern}]#?"


def test_a_folder_that_a_pattern_hits_is_shown_so_too() -> None:
    assert shown("ann@example.com/a.ndjson").endswith("/a.ndjson")
    assert "ann" not in shown("ann@example.com/a.ndjson")


def test_a_partition_is_shown_if_its_field_is_plain_and_no_pattern_hits_its_value() -> None:
    assert shown("region=north/a.parquet") == "region=north/a.parquet"
    assert shown("region=ann%40example.com/a.parquet").startswith("region=#")
    assert shown("user=7/a.parquet").startswith("user=#")


def test_a_name_that_an_earlier_version_recorded_is_shown_as_today() -> None:
    for name in ("2026-11-24/ann@example.com.ndjson", "user=7/a.parquet", "2026-11-24/a.ndjson"):
        assert VEIL.mask_recorded(name) == shown(name)
        assert VEIL.mask_recorded(shown(name)) == shown(name)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    one = new_project(tmp_path)
    one.policy({"storage": {"type": "integer", "do": "drop"}})
    one.pipeline(aggregates=None)
    one.records([event(number) for number in range(30)], name="ann@example.com")
    one.records([event(number, storage="x") for number in range(30, 35)], name="bob@example.com")
    return one


def test_receipts_and_quarantine_name_the_pattern_and_not_the_file(project: Project) -> None:
    receipt = project.run()
    assert all(each.path.startswith(f"{DAY}/[email]#") for each in receipt.inputs)
    assert len({each.path for each in receipt.inputs}) == 2
    written = [path.read_bytes() for path in project.out.rglob("*") if path.is_file()]
    assert not any(b"ann@example" in each or b"bob@example" in each for each in written)


def test_pending_knows_the_files_again_by_the_hash(project: Project) -> None:
    project.run()
    assert project.run(pending=True, at=LATER).sequence == 0


def test_replay_finds_the_quarantined_records_by_the_hash(project: Project) -> None:
    assert project.run().rows.quarantined == 5
    project.policy({"storage": {"type": "string", "do": "drop"}})
    (found,) = recheck_quarantine(project.out, at=LATER, keys=project.keys)
    assert found.rows == 5
