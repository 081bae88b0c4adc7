"""What arrives, byte for byte: which records are kept, and how the others are told, over whole runs."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pyarrow.parquet as pq
import pytest
import zstandard

import minimize
from minimize.errors import SourceError
from tests.project import Builds, Project, event

LIMIT = 16 << 20
ONE, TWO = (json.dumps(event(number)).encode() + b"\n" for number in (1, 2))
POLICY: dict[str, Any] = {
    "free": {"type": "double", "do": "keep"},
    "seen": {"type": "date", "do": "drop"},
    "must": {"type": "string", "do": "drop"},
    "/apps/*/name": {"type": "string", "do": "drop"},
    "note": {"type": "string", "do": "drop"},
}


def arrivals_content(project: Project) -> None:
    project.policy(POLICY, never=["/contacts", "/sms/*", "/apps/*/secret", "password"])
    project.pipeline(aggregates=None, settings=None, source={"path": "in", "format": "ndjson"}, quarantine={})


@pytest.fixture(name="arrivals")
def _arrivals(builds: Builds, project: Project) -> Project:
    return builds.fill(project, arrivals_content)


def lands(project: Project, data: bytes, name: str = "a.ndjson") -> list[tuple[int, str | None, str]]:
    """Runs over one file of these bytes: position, pointer and code of each record in quarantine."""
    (project.folder / "in").mkdir(exist_ok=True)
    (project.folder / "in" / name).write_bytes(data)
    receipt = project.run()
    minimize.verify(project.out, keys=project.keys)
    assert receipt.rows.read == sum(receipt.rows.by_result[name] for name in ("written", "quarantined"))
    files = [project.out / file.path for file in receipt.quarantine.files]
    rows = [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]
    assert all(row["unit"] == "byte" and row["source"] == name for row in rows)
    return sorted((row["position"], row["field"], row["code"]) for row in rows)


def line(number: int = 0, **changes: Any) -> bytes:
    return json.dumps(event(number, **changes)).encode() + b"\n"


@pytest.mark.parametrize(
    ("name", "data", "count"),
    [
        ("a.ndjson", ONE + TWO, 2),
        ("a.ndjson", (ONE + TWO).replace(b"\n", b"\r\n"), 2),
        ("a.ndjson", b"\xef\xbb\xbf" + ONE + TWO[:-1], 2),
        ("a.ndjson", b"\n \t\r\n" + ONE + b"\n\n", 1),
        ("a.ndjson", b"", 0),
        ("a.ndjson.gz", gzip.compress(ONE[:9], mtime=0) + gzip.compress(ONE[9:] + TWO, mtime=0), 2),
        ("a.ndjson.gz", gzip.compress(b"", mtime=0), 0),
        ("a.ndjson.zst", zstandard.compress(ONE) + zstandard.compress(TWO), 2),
    ],
)
def test_line_ends_marks_blank_lines_and_members_are_no_matter(
    arrivals: Project, name: str, data: bytes, count: int
) -> None:
    assert lands(arrivals, data, name) == []
    assert len(arrivals.rows()) == count


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.ndjson.gz", gzip.compress((ONE + TWO) * 99, mtime=0)[:-4]),
        ("a.ndjson.gz", gzip.compress(ONE, mtime=0) + gzip.compress(TWO * 99, mtime=0)[:-12]),
        ("a.ndjson.gz", gzip.compress(ONE, mtime=0) + b"rest"),
        ("a.ndjson.gz", ONE),
        ("a.ndjson.zst", zstandard.compress((ONE + TWO) * 99)[:-3]),
    ],
)
def test_a_damaged_file_stops_the_run_and_nothing_is_published(arrivals: Project, name: str, data: bytes) -> None:
    with pytest.raises(SourceError, match="damaged"):
        lands(arrivals, data, name)
    assert not arrivals.files()


@pytest.mark.parametrize(
    ("faulty", "pointer", "code"),
    [
        (b"[1]\n", None, "malformed"),
        (b'{"tenant_id": "n"\n', None, "malformed"),
        (line()[:-2] + b', "free": 1, "free": 1}\n', None, "malformed"),
        (line()[:-2] + b', "new": {"a": 1, "a": 2}}\n', None, "malformed"),
        (line(note="x").replace(b'"x"', b'"\xff"'), None, "malformed"),
        (line()[:-2] + b', "free": NaN}\n', None, "malformed"),
        (line(contacts=""), "/contacts", "forbidden_field"),
        (line(contacts=[]), "/contacts", "forbidden_field"),
        (line(sms=[None, "x"]), "/sms/*", "forbidden_field"),
        (line(sms={"to": 0}), "/sms/*", "forbidden_field"),
        (line(apps=[{"name": "x"}, {"secret": False}]), "/apps/*/secret", "forbidden_field"),
        (line(password=1, storage="x"), "/password", "forbidden_field"),
        (line(storage=1.0), "/storage", "wrong_type"),
        (line()[:-2] + b', "seen": 20240229}\n', "/seen", "wrong_type"),
        (line(seen="2023-02-29"), "/seen", "bad_time"),
        (line(event_time="yesterday", tenant_id=None), "/event_time", "bad_time"),
        (line(event_time=1764000000), "/event_time", "wrong_type"),
        (line(apps=[{"name": "x"}, {"name": 5}]), "/apps/*/name", "wrong_type"),
        (line(apps={"name": "x"}), "/apps/*/name", "wrong_type"),
        (line(free="1"), "/free", "wrong_type"),
        (line(free=True), "/free", "wrong_type"),
        (line(tenant_id=None), "/tenant_id", "missing_field"),
        (line(device_id=None, tenant_id=None), "/tenant_id", "missing_field"),
    ],
)
def test_a_faulty_record_is_rejected_by_its_first_fault_and_its_neighbours_are_kept(
    arrivals: Project, faulty: bytes, pointer: str | None, code: str
) -> None:
    assert lands(arrivals, ONE + faulty + TWO) == [(len(ONE), pointer, code)]
    assert len(arrivals.rows()) == 2


def test_null_counts_as_absent_and_an_integer_is_accepted_as_a_double(arrivals: Project) -> None:
    null = line()[:-2] + b', "contacts": null, "sms": [null], "apps": [null, {"secret": null}], "seen": null}\n'
    assert lands(arrivals, null + line(3, free=2)) == []
    assert sorted(str(row["free"]) for row in arrivals.rows()) == ["2.0", "None"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_the_longest_line_has_sixteen_mebibytes_without_its_end(arrivals: Project, end: bytes) -> None:
    empty = line(note="-")[:-1]
    longest = empty.replace(b'"-"', b'"' + b"x" * (LIMIT - len(empty) + 1) + b'"')
    assert len(longest) == LIMIT
    longer = longest.replace(b'"xx', b'"xxx')
    data = longest + end + longer + end + TWO
    assert lands(arrivals, data) == [(len(longest + end), None, "too_large")]
    assert len(arrivals.rows()) == 2
