"""The same pipeline with its records as CSV or Parquet, and what only such files can carry."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.leak.canary import Canary
from tests.leak.planted import CANARIES, POLICY, VALUE, configured, records
from tests.project import DAY

MORE = tuple(
    Canary(place, f"CANARY-{place.replace(' ', '-')}-{number:02}x")
    for number, place in enumerate(
        (
            "metadata of the schema",
            "metadata of a field",
            "metadata for pandas",
            "value in a path",
            "undeclared value in a path",
            "undeclared inside",
            "spare entry",
            "bad integer",
            "bad double",
            "ragged row",
            "unclosed quote",
        )
    )
)
SAID = {canary.place: str(canary.value) for canary in MORE}
PLANTED = (*CANARIES, *MORE)
_NAMES = (
    *(key for key in POLICY["fields"] if not key.startswith("/")),
    *("contacts", "new_thing", VALUE["undeclared name"], VALUE["undeclared name of one subject"]),
)
_INNER = str(VALUE["undeclared name in an element"])
_APPS = pa.list_(
    pa.struct([("name", pa.string()), ("managed", pa.bool_()), ("inside", pa.string()), (_INNER, pa.int64())])
)
_TYPES: dict[Any, pa.DataType] = {
    "serial": pa.int64(),
    "latitude": pa.float64(),
    "longitude": pa.float64(),
    "battery": pa.float64(),
    "event_time": pa.timestamp("us", "UTC"),
    "contacts": pa.list_(pa.string()),
    VALUE["undeclared name"]: pa.int64(),
}


def build(folder: Path, kind: str) -> Path:
    """Writes pipeline, policy, settings and a day of records of a kind, `csv` or `parquet`; gives the pipeline's folder."""
    project = configured(folder)
    project.pipeline(source={"path": f"in/{{date}}/**/*.{kind}", "format": kind})
    if kind == "csv":
        project.policy({key: None for key in POLICY["fields"] if key.startswith("/")}, never=["contacts"])
    else:
        project.policy({"office": {"type": "string", "role": "quasi", "do": "drop", "optional": True}})
    (_csv if kind == "csv" else _parquet)(folder / "in" / DAY)
    return folder


def _rows() -> list[dict[Any, Any]]:
    """The records that a file with types can hold."""
    typed = [
        {**record, "serial": record["serial"] if isinstance(record.get("serial"), int) else None}
        for record in records()
    ]
    return [record for record in typed if record["event_time"] != VALUE["bad time"]]


def _parquet(day: Path) -> None:
    rows = [{**row, "event_time": datetime.fromisoformat(row["event_time"])} for row in _rows()]
    arrays = {name: pa.array([row.get(name) for row in rows], _TYPES.get(name, pa.string())) for name in _NAMES}
    apps = [[{**app, "inside": SAID["undeclared inside"]} for app in row["apps"]] for row in rows]
    arrays |= {"apps": pa.array(apps, _APPS), "kind": _with_spare(arrays["kind"])}
    fields = [pa.field(str(name), a.type, metadata={"was": SAID["metadata of a field"]}) for name, a in arrays.items()]
    pandas = {"index_columns": [], "columns": [], "creator": SAID["metadata for pandas"]}
    metadata = {"from": SAID["metadata of the schema"], "pandas": json.dumps(pandas)}
    folder = day / f"office={SAID['value in a path']}" / f"other={SAID['undeclared value in a path']}"
    folder.mkdir(parents=True)
    pq.write_table(pa.table(list(arrays.values()), pa.schema(fields, metadata)), folder / "part.parquet")


def _with_spare(values: pa.Array) -> pa.DictionaryArray:
    encoded = values.dictionary_encode()
    return pa.DictionaryArray.from_arrays(
        encoded.indices, pa.concat_arrays([encoded.dictionary, pa.array([SAID["spare entry"]])])
    )


def _csv(day: Path) -> None:
    day.mkdir(parents=True)
    with (day / "part.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_NAMES)
        changes: list[dict[str, Any]] = [
            {"serial": SAID["bad integer"]},
            {"battery": SAID["bad double"]},
            {"event_time": VALUE["bad time"]},
        ]
        rows = _rows()
        for row in [*rows, *({**rows[0], **change} for change in changes)]:
            writer.writerow([_cell(row.get(name)) for name in _NAMES])
        file.write(f"short,{SAID['ragged row']}\n")
        file.write(f'"unclosed {SAID["unclosed quote"]}\n')


def _cell(value: Any) -> Any:
    return "" if value is None else value[0] if isinstance(value, list) else value
