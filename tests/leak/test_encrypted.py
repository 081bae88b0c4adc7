"""Of values in encrypted columns nothing is found without keys: in pages, statistics, footers, indexes, receipts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.errors import KeyringError
from minimize.keys import Keyring, new_keyring
from minimize.keys.parquet_footer import read_encrypted_columns
from tests.conftest import ledger_in
from tests.leak.canary import Canary
from tests.leak.sweep import found

NOW = datetime(2026, 11, 25, tzinfo=UTC)
KEPT = ("serial", "model", "phone", "number", "weight", "name", "label")
POLICY: dict[str, Any] = {
    "policy": "kept",
    "version": 1,
    "purposes": ["operations"],
    "tenant": "tenant_id",
    "subject": "serial",
    "time": "event_time",
    "fields": {
        "tenant_id": {"type": "string", "do": "keep"},
        "event_time": {"type": "timestamp", "do": "keep"},
        "serial": {"type": "string", "role": "identifier", "do": "keep"},
        "model": {"type": "string", "role": "quasi", "do": "keep"},
        "phone": {"type": "string", "role": "identifier", "do": "keep"},
        "number": {"type": "integer", "role": "quasi", "do": "keep"},
        "weight": {"type": "double", "role": "quasi", "do": "keep"},
        "/apps/*/name": {"type": "string", "do": "keep"},
        "/labels/*": {"type": "string", "do": "keep"},
    },
}
PIPELINE: dict[str, Any] = {
    "pipeline": "kept",
    "policy": "policy.yaml",
    "purpose": "operations",
    "source": {"path": "in/{date}/*.ndjson", "format": "ndjson"},
    "output": "out",
}
ROWS = 40


def canaries() -> list[Canary]:
    each = []
    for number in range(ROWS):
        each += [
            Canary("serial", f"CANARY-serial-{number:04}"),
            Canary("model", f"CANARY-model-{number % 3}"),
            Canary("number", 7_405_112_633_911_000 + number),
            Canary("weight", 48.856613371337 + number),
            Canary("name", f"CANARY-app-{number:04}"),
            Canary("label", f"CANARY-label-{number:04}"),
        ]
    return [*each, *(Canary("phone", f"+1202555014{number:04}7") for number in range(ROWS))]


@pytest.fixture(autouse=True)
def _own_ledger(tmp_path: Path) -> Iterator[None]:
    """Each test has a keyring of its own."""
    yield from ledger_in(tmp_path)


def record(number: int) -> dict[str, Any]:
    return {
        "tenant_id": ("north", "south")[number % 2],
        "event_time": "2026-11-24T10:00:00Z",
        "serial": f"CANARY-serial-{number:04}",
        "model": f"CANARY-model-{number % 3}",
        "phone": f"+1202555014{number:04}7",
        "number": 7_405_112_633_911_000 + number,
        "weight": 48.856613371337 + number,
        "apps": [{"name": f"CANARY-app-{number:04}"}],
        "labels": {"a": f"CANARY-label-{number:04}"},
    }


def ran(folder: Path, records: dict[str, Any]) -> Path:
    """A pipeline in which everything is kept, and its output."""
    (folder / "policy.yaml").write_text(json.dumps(POLICY))
    (folder / "pipeline.yaml").write_text(json.dumps({**PIPELINE, "records": records}))
    (folder / "in" / "2026-11-24").mkdir(parents=True)
    lines = "".join(json.dumps(record(number)) + "\n" for number in range(ROWS))
    (folder / "in" / "2026-11-24" / "a.ndjson").write_text(lines)
    new_keyring(folder / "keys", now=NOW)
    minimize.run(folder, keys=folder / "keys")
    return folder / "out"


HOW: dict[str, dict[str, Any]] = {
    "one key for all": {"encrypt": "by_category"},
    "a key for each tenant": {"partition_by": ["tenant_id"], "encrypt": {"by_category": {"per": "tenant_id"}}},
}


def test_the_control_leaks_every_kept_value(tmp_path: Path) -> None:
    assert found(canaries(), ran(tmp_path, {"encrypt": "off"})) == set(KEPT)


@pytest.mark.parametrize("how", HOW)
def test_an_encrypted_output_shows_none(tmp_path: Path, how: str) -> None:
    out = ran(tmp_path, HOW[how])
    assert all(read_encrypted_columns(path).masters for path in out.glob("records/**/*.parquet"))
    assert found(canaries(), out) == set()


def test_with_keys_all_of_it_is_there(tmp_path: Path) -> None:
    out = ran(tmp_path, HOW["one key for all"])
    table = minimize.read(out, keys=tmp_path / "keys")
    assert sorted(table["serial"].to_pylist()) == [f"CANARY-serial-{number:04}" for number in range(ROWS)]


def test_the_output_contains_no_key(tmp_path: Path) -> None:
    out = ran(tmp_path, HOW["one key for all"])
    ring = Keyring.load(tmp_path / "keys")
    secrets = [Canary(name, ring.bytes_of(name).hex()) for name in ring.names()]
    raw = [content.read_bytes() for content in out.rglob("*") if content.is_file()]
    assert not any(ring.bytes_of(name) in content for name in ring.names() for content in raw)
    assert found(secrets, out) == set()


def test_an_error_about_missing_keys_shows_no_value(tmp_path: Path) -> None:
    out = ran(tmp_path, HOW["one key for all"])
    with pytest.raises(KeyringError) as caught:
        minimize.read(out)
    error: BaseException | None = caught.value
    while error is not None:
        assert found(canaries(), repr((error, error.args, str(error))).encode()) == set()
        error = error.__cause__ or error.__context__
