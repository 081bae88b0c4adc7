"""Positions under the shipped policy: of no device but one that is lost and located is any found in the bytes of an output."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest

import minimize
from minimize.removal.expire import expire
from minimize.techniques.base import Context
from minimize.techniques.grid import Grid
from tests.leak.canary import Canary
from tests.leak.sweep import found
from tests.project import write_keyring, write_lines

PIPELINES: Final = Path(__file__).parents[2] / "pipelines"
AT: Final = datetime(2026, 11, 24, 20, tzinfo=UTC)
LOST: Final[dict[str, Any]] = {
    "tenant_id": "contoso",
    "event_time": "2026-11-24T12:30:00Z",
    "device_type": "iphone",
    "owner_type": "corporate",
    "is_supervised": True,
    "lost_mode": True,
}
DEVICES: Final[dict[str, dict[str, Any]]] = {
    "located": {},
    "not located": {},
    "opted out": {},
    "personal": {"owner_type": "personal"},
    "Windows": {"device_type": "windows"},
    "macOS": {"device_type": "mac"},
    "not supervised": {"is_supervised": False},
    "not lost": {"lost_mode": False},
    "another tenant": {"tenant_id": "fabrikam"},
    "before the action": {"event_time": "2026-11-24T07:30:00Z"},
}
"""Where each device differs from one that gives its position."""
ALONE: Final = {"located"}


def place(number: int) -> tuple[float, float]:
    return 40.123451371337 + number, 2.352213371337 + number


def cell(number: int) -> tuple[float, float]:
    """The centre of the cell of a device."""
    latitude, longitude = place(number)
    data = pa.array([{"latitude": latitude, "longitude": longitude}])
    centre = Grid(metres=300).apply(data, Context("position", AT)).values[0].as_py()
    return centre["latitude"], centre["longitude"]


EXACT: Final = [Canary(name, each) for number, name in enumerate(DEVICES) for each in place(number)]
CELLS: Final = [Canary(name, each) for number, name in enumerate(DEVICES) for each in cell(number)]


def settings() -> str:
    """The tenant lets devices be located; all but one are located, also those that may not give their position."""
    rows = ["contoso,,location,on,admin,2026-11-01T00:00:00Z,2026-11-01T00:00:00Z"]
    for name in DEVICES.keys() - {"not located"}:
        tenant = {**LOST, **DEVICES[name]}["tenant_id"]
        rows.append(f"{tenant},{name},location,on,admin,2026-11-24T08:00:00Z,2026-11-24T08:00:00Z")
        rows.append(f"{tenant},{name},location,off,admin,2026-11-25T08:00:00Z,2026-11-24T08:00:00Z")
    rows.append("contoso,opted out,location,off,user,2026-11-01T00:00:00Z,2026-11-01T00:00:00Z")
    return "\n".join(["tenant_id,subject,setting,value,holder,valid_from,recorded_at", *sorted(rows)]) + "\n"


def ran(folder: Path, name: str, *, encrypt: bool = True, at: datetime = AT) -> Path:
    """The output of a shipped pipeline over the devices, encrypted as shipped or not at all."""
    for pipeline in ("device_telemetry", name):
        shutil.copytree(PIPELINES / pipeline, folder / "pipelines" / pipeline, dirs_exist_ok=True)
    file = folder / "pipelines" / name / "pipeline.yaml"
    if not encrypt:
        file.write_text(file.read_text().replace("encrypt: by_category", "encrypt: off"))
    records = [
        {
            **LOST,
            **changes,
            "event_id": name,
            "device_id": name,
            "latitude": place(number)[0],
            "longitude": place(number)[1],
        }
        for number, (name, changes) in enumerate(DEVICES.items())
    ]
    write_lines(folder / "in" / "2026-11-24" / "a.ndjson.gz", records)
    (folder / "settings.csv").write_text(settings())
    keys = write_keyring(folder / "keys", ["device", "user"])
    minimize.run(
        file,
        date="2026-11-24",
        at=at,
        input=f"{folder}/in/{{date}}/*.ndjson.gz",
        settings=folder / "settings.csv",
        output=folder / "out",
        keys=keys,
        ledger=folder / "ledger.db",
        lineage="off",
    )
    return folder / "out"


@pytest.mark.parametrize("name", ["device_telemetry", "daily_checkins", "device_support"])
def test_no_output_holds_coordinates(tmp_path: Path, name: str) -> None:
    assert found(EXACT, ran(tmp_path, name, encrypt=False)) == set()


@pytest.mark.parametrize("name", ["device_telemetry", "daily_checkins"])
def test_outputs_for_other_purposes_hold_no_cell(tmp_path: Path, name: str) -> None:
    assert found(CELLS, ran(tmp_path, name)) == set()


def test_the_help_desks_output_holds_the_cell_of_the_located_device_alone(tmp_path: Path) -> None:
    assert found(CELLS, ran(tmp_path, "device_support", encrypt=False)) == ALONE


def test_without_keys_nothing_is_found_in_it(tmp_path: Path) -> None:
    assert found([*EXACT, *CELLS], ran(tmp_path, "device_support")) == set()


def test_a_run_after_the_end_leaves_no_cell(tmp_path: Path) -> None:
    out = ran(tmp_path, "device_support", encrypt=False)
    assert ran(tmp_path, "device_support", encrypt=False, at=datetime(2026, 11, 25, 8, tzinfo=UTC)) == out
    assert found(CELLS, out) == set()


@pytest.mark.parametrize("encrypt", [True, False])
def test_an_expiry_a_day_after_the_event_leaves_no_cell(tmp_path: Path, encrypt: bool) -> None:
    out = ran(tmp_path, "device_support", encrypt=encrypt)
    done = expire(
        out,
        at=AT + timedelta(hours=17),
        keys=tmp_path / "keys",
        ledger=tmp_path / "ledger.db",
        yes=True,
        allow_shrink=True,
    )
    assert [receipt.fields["position"].gated for receipt in done.receipts] == [1]
    assert found(CELLS, out) == set()
    positions = minimize.read(out, keys=tmp_path / "keys")["position"].to_pylist()
    assert positions == [None] * len(DEVICES)


def test_the_plan_names_no_position_and_the_control_finds_them(tmp_path: Path) -> None:
    ran(tmp_path, "device_support")
    source = json.dumps([place(number) for number in range(len(DEVICES))]).encode()
    assert found(EXACT, source) == set(DEVICES)
    assert found(EXACT, tmp_path / "in") == set(DEVICES)
