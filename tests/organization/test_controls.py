"""Controls of the sweep: a value that is left is found in each kind of file that the service writes."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import zlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.datasets.erasure_list import _SUBKEY_PURPOSES as ERASURES
from minimize.datasets.inventory import _SUBKEY_PURPOSES as INVENTORIES
from minimize.datasets.inventory import INVENTORY_FILE
from minimize.keys import Keyring
from minimize.keys.keyring import seal_content
from tests.organization.people import Person
from tests.organization.raw_records import NOW
from tests.organization.remains import file_remains, needles, opened, remains
from tests.organization.service import Service
from tests.organization.steps import Step, Walk
from tests.organization.test_few_pipelines import CONTACT
from tests.organization.truth import Truth

STRANGER = Person(39)
"""A person whose values are planted."""
PLANTED = STRANGER.ids["apple_number"]


def _columns(path: Path) -> None:
    """One more column, compressed, as a rewrite would leave it."""
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.append_column("more", pa.array([PLANTED] * len(table))), path, compression="zstd")


def _line(path: Path) -> None:
    with path.open("ab") as file:
        file.write(json.dumps({"value": PLANTED}).encode() + b"\n")


def _bytes(path: Path) -> None:
    path.write_bytes(path.read_bytes() + PLANTED.encode())


def _row(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as ledger:
        ledger.execute("CREATE TABLE planted (value TEXT)")
        ledger.execute("INSERT INTO planted VALUES (?)", [PLANTED])
        ledger.commit()


def _inventory(path: Path) -> None:
    body = zlib.compress(json.dumps({"value": PLANTED}).encode())
    path.write_bytes(seal_content(body, _keys(path), INVENTORIES, INVENTORY_FILE.encode()))


def _erasures(path: Path) -> None:
    path.write_bytes(seal_content(json.dumps([PLANTED]).encode(), _keys(path), ERASURES, b"erasures"))


def _keys(path: Path) -> Keyring:
    return Keyring.load(next(each for each in path.parents if (each / "test.keys").exists()) / "test.keys")


KINDS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "records": ("out/device_telemetry/records/**/*.parquet", _columns),
    "quarantine": ("out/device_telemetry/quarantine/**/*.parquet", _columns),
    "index": ("out/device_telemetry/index/**/*.index", _bytes),
    "receipt": ("out/device_telemetry/runs/*/receipt.json", _line),
    "page of columns": ("out/device_telemetry/runs/*/columns.md", _bytes),
    "inventory": (f"out/*/runs/*/{INVENTORY_FILE}", _inventory),
    "erasure list": ("out/*/erasures/*.sealed", _erasures),
    "lineage": ("out/_*.lineage.ndjson", _line),
    "ledger": ("ledger.db", _row),
    "log": ("logs/*.log", _line),
    "metrics": ("metrics/*.prom", _bytes),
}


@pytest.fixture(name="walk", scope="module")
def _walk(part: tuple[Service, Truth], tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """A service with a restricted and a deleted person, so that there is a file of every kind."""
    service, truth = part
    walk = Walk(service.copy(tmp_path_factory.mktemp("controls") / "part"), Truth(truth.baseline), by_field=True)
    walk.do(Step("restrict", Person(7)))
    walk.do(Step("delete", CONTACT))
    return walk


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_value_is_found(walk: Walk, kind: str) -> None:
    """Each kind of file: the value is found after it is planted, and not before."""
    pattern, plant = KINDS[kind]
    path = next(each for each in sorted(walk.service.folder.glob(pattern)) if each.is_file())
    wanted, before = needles([STRANGER], [], {}), path.read_bytes()
    name = path.relative_to(walk.service.folder).as_posix()
    planted = [each for each in wanted if each.value == PLANTED]
    assert not file_remains(walk.service, path, planted)
    plant(path)
    try:
        assert remains(walk.service, planted)[name] == ["Person 39: apple_number"]
    finally:
        path.write_bytes(before)


def test_a_value_is_found_in_a_file_name(walk: Walk) -> None:
    path = walk.service.folder / "out" / "device_telemetry" / f"{PLANTED}.tmp"
    path.touch()
    try:
        assert remains(walk.service, needles([STRANGER], [], {}))
    finally:
        path.unlink()


def test_values_are_found_behind_encryption(part: tuple[Service, Truth]) -> None:
    """A contact's name is in an encrypted column alone: the bytes do not show it, the keyring does."""
    service, _ = part
    name = CONTACT.ids["name"]
    files = sorted(service.output("support_cases").glob("records/**/*.parquet"))
    assert all(name.encode() not in path.read_bytes() for path in files)
    found = remains(service, [each for each in needles([CONTACT], [], {}) if each.value == name])
    assert any(file.startswith("out/support_cases/records/") for file in found)


def test_values_are_found_in_sealed_records(walk: Walk) -> None:
    """The pseudonym of a restricted person is in sealed files, and in no file of records."""
    forms = walk.truth.forms(Person(7))
    sealed = sorted(walk.service.folder.glob("out/*/restricted/**/*.sealed"))
    assert sealed
    assert any(form.encode() in content for path in sealed for content in opened(walk.service, path) for form in forms)
    found = remains(walk.service, needles([Person(7)], [], {Person(7): forms}))
    assert {path.relative_to(walk.service.folder).as_posix() for path in sealed} & found.keys()


def test_a_value_is_found_in_the_export_of_another_person(walk: Walk) -> None:
    """An export is swept as it was handed out."""
    to = walk.service.folder / "export-of-another"
    other = Person(16)
    ended = walk.service.command(
        NOW + timedelta(hours=3),
        *("subject", "export", other.ids["user"], "--id-field", "user_id", "--tenant", other.tenant, "--to", to),
    )
    assert ended.code in (0, 1)
    planted = [each for each in needles([STRANGER], [], {}) if each.value == PLANTED]
    assert not remains(walk.service, planted)
    _line(next(to.rglob("*.ndjson")))
    assert remains(walk.service, planted)


def test_a_removed_record_and_a_changed_value_are_noticed(copy_of_part: tuple[Service, Truth]) -> None:
    """The comparison with the truth finds a lost record, one that came back, and another value."""
    service, truth = copy_of_part
    assert not list(truth.faults(service))
    [(key, row), (other, lost), *rest] = truth.baseline["usage_events"].items()
    changed = {key: {**row, "platform": "another"}, **dict(rest)}
    assert other not in changed, lost
    faults = list(Truth({**truth.baseline, "usage_events": changed}).faults(service))
    assert len(faults) == 1
    truth.gone.add(CONTACT)
    assert any("is left" in each for each in truth.faults(service))
