"""Names that an attacker chose: they take no memory, and a receipt lists no more of them than it may."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from minimize.arrow.pointers import Pointer
from minimize.records import OTHER_PATHS
from minimize.sources.base import SourceRequest
from minimize.sources.ndjson.strict_reader import UndeclaredCounter
from minimize.sources.projection import field_tree
from tests.project import AT, DAY, Project, event, new_project, table

PEAK: Final = """
import resource, sys
import minimize

minimize.run(sys.argv[1], keys=sys.argv[2], at=sys.argv[3], output=sys.argv[4])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
FIELDS: Final = {
    "device_id": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "device"}}},
    "event_time": {"type": "timestamp", "do": {"truncate_time": {"to": "hour"}}},
}
KINDS: Final[Mapping[str, Callable[[int], Mapping[str, Any]]]] = {
    "none": lambda number: {"extra": {"name": number}},
    "nested": lambda number: {"extra": {f"name{number}": number}},
    "at the top": lambda number: {f"name{number}": number},
    "now and then": lambda number: {"extra": {f"name{number}" if number % 7 == 0 else "name": number}},
    "in lists": lambda number: {"extra": [{f"name{number}": number}]},
}


def project_of(folder: Path, kind: str, lines: int) -> Project:
    """A project of two fields, with so many records of which each carries undeclared names."""
    one = new_project(folder)
    one.write(
        "policy",
        {"policy": "names", "version": 1, "purposes": ["service_maintenance"], "subject": "device_id"}
        | {"time": "event_time", "fields": FIELDS},
    )
    one.write(
        "pipeline",
        {"pipeline": "names", "policy": "policy.yaml", "purpose": "service_maintenance", "output": "out"}
        | {"source": {"path": "in/*.ndjson", "format": "ndjson"}, "records": {}},
    )
    (folder / "in").mkdir(exist_ok=True)
    with (folder / "in" / "part.ndjson").open("w") as file:
        for number in range(lines):
            known = {"device_id": f"d{number % 1000}", "event_time": f"{AT:%Y-%m-%dT%H:%M:%SZ}"}
            file.write(json.dumps({**known, **KINDS[kind](number)}) + "\n")
    return one


def peak(folder: Path, kind: str, lines: int) -> int:
    """The most memory that a process takes which runs such a project."""
    one = project_of(folder, kind, lines)
    command = [sys.executable, "-c", PEAK, str(one.folder / "pipeline.yaml"), str(one.keys), AT.isoformat()]
    command.append(str(one.out))
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return int(done.stdout)


@pytest.mark.slow
def test_a_new_nested_name_in_each_line_takes_no_memory(tmp_path: Path) -> None:
    assert peak(tmp_path / "b", "nested", 20_000) <= 1.2 * peak(tmp_path / "a", "none", 20_000)


@pytest.mark.nightly
def test_new_names_in_many_lines_take_no_memory_wherever_they_are(tmp_path: Path) -> None:
    clean = peak(tmp_path / "none", "none", 200_000)
    taken = {kind: peak(tmp_path / kind, kind, 200_000) / clean for kind in KINDS}
    assert all(share <= 1.2 for share in taken.values()), taken


def test_a_line_with_many_names_shares_one_sample_of_subjects() -> None:
    request = SourceRequest((), subject=Pointer(("device_id",)), salt=b"salt")
    counter = UndeclaredCounter(request, field_tree(request))
    record = {"device_id": "d1"} | {f"name{number}": 1 for number in range(20_000)}
    tracemalloc.start()
    try:
        counter.add_record(record)
        assert tracemalloc.get_traced_memory()[1] <= 300 * len(record), (
            "a set of its own takes another 200 bytes a name"
        )
    finally:
        tracemalloc.stop()
    counts = counter.counts()
    assert (len(counts), counts[OTHER_PATHS].records) == (1001, len(record) - 1000)
    assert {carried.subjects for pointer, carried in counts.items() if pointer != OTHER_PATHS} == {frozenset({"d1"})}


def test_a_run_lists_a_thousand_names_at_most_and_counts_the_rest(tmp_path: Path) -> None:
    one = project_of(tmp_path, "none", 0)
    for file in range(2):
        with (tmp_path / "in" / f"{file}.ndjson").open("w") as lines:
            for number in range(10 * 550):
                known = {"device_id": f"d{number // 550}", "event_time": f"{AT:%Y-%m-%dT%H:%M:%SZ}"}
                lines.write(json.dumps(known | {f"name{file}x{number % 550}": 1}) + "\n")
    receipt = one.run(at=AT)
    assert len(receipt.undeclared) == 1001
    assert receipt.undeclared["/*"] == 100 * 10
    assert {count for name, count in receipt.undeclared.items() if name != "/*"} == {10}


@pytest.mark.parametrize("kind", ["ndjson.gz", "parquet"])
def test_an_id_with_an_invisible_character_is_the_same_id_or_no_id(project: Project, kind: str) -> None:
    ids = ["d1", "d1\0", "\u3164d1\u2800", "d\0001", "d\u200b1", "d" + "\u0301\u0316" * 50_000]
    records = [event(number, device_id=each, tenant_id="north") for number, each in enumerate(ids)]
    if kind == "parquet":
        project.columns(table(records))
        project.source("parquet", aggregates=None)
    else:
        project.records(records)
        project.pipeline(aggregates=None)
    receipt = project.run(date=DAY)
    assert (receipt.rows.written, dict(receipt.quarantine.by_code)) == (3, {"missing_field": 3})
    assert len({row["device_id"] for row in project.rows()}) == 1
