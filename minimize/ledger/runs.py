"""The index of runs: rows from receipts, and back."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from minimize.failpoints import fail_point
from minimize.ledger.tables.runs import OUTPUTS, RUNS
from minimize.receipt import Receipt, time_text

COUNTS: Final = ("read", "written", "gated", "quarantined", "suppressed", "deduplicated")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an output was seen last."""

    output: str
    pipeline: str
    folder: str
    host: str

    @property
    def is_here(self) -> bool:
        """Whether that was on this host."""
        return self.host == socket.gethostname()


@dataclass(frozen=True, slots=True)
class RunRow:
    """One published run, as the index knows it."""

    run_id: str
    output: str
    folder: str
    host: str
    sequence: int
    kind: str
    pipeline: str
    purpose: str
    engine: str
    dates: tuple[str, ...]
    at: datetime
    started: datetime
    finished: datetime
    read: int
    written: int
    gated: int
    quarantined: int
    suppressed: int
    deduplicated: int
    digest: str
    void: bool = False
    """Whether a later receipt says that the run does not count; the index does not know (see `list_runs`)."""

    def as_json(self) -> dict[str, Any]:
        """The row as the JSON object that `runs --json` prints."""
        said = {
            name: time_text(value) if isinstance(value, datetime) else value for name, value in asdict(self).items()
        }
        rows = {name: said.pop(name) for name in COUNTS}
        return {**said, "dates": list(self.dates), "rows": rows}


def place_output(connection: Connection, output: str, pipeline: str, folder: str) -> None:
    """Says where an output is."""
    said = {"pipeline": pipeline, "folder": folder, "host": socket.gethostname()}
    if connection.execute(update(OUTPUTS).where(OUTPUTS.c.output == output).values(**said)).rowcount == 0:
        connection.execute(insert(OUTPUTS).values(output=output, **said))


def index(connection: Connection, output: str, receipts: Iterable[Receipt]) -> None:
    """Puts receipts of an output into the index; those that stand in it are put in anew."""
    for receipt in receipts:
        connection.execute(delete(RUNS).where((RUNS.c.output == output) & (RUNS.c.run_id == receipt.run_id)))
        connection.execute(insert(RUNS).values(output=output, **_row(receipt)))
        fail_point("run.indexed")


def forget(connection: Connection, output: str) -> None:
    """Takes all runs of an output out of the index."""
    connection.execute(delete(RUNS).where(RUNS.c.output == output))


def places(connection: Connection) -> list[Place]:
    """Where the outputs are that the ledger knows."""
    found = connection.execute(select(OUTPUTS).order_by(OUTPUTS.c.folder)).all()
    return [Place(row.output, row.pipeline, row.folder, row.host) for row in found]


def place_of(connection: Connection, output: str) -> Place | None:
    """Where an output was seen last."""
    return next((place for place in places(connection) if place.output == output), None)


def listed(connection: Connection, output: str | None = None, pipeline: str | None = None) -> list[RunRow]:
    """The runs of an output (in their order, whatever the clock said), or of a pipeline, or all, oldest first."""
    order = (RUNS.c.finished, RUNS.c.sequence) if output is None else (RUNS.c.sequence,)
    asked = _asked().order_by(*order)
    asked = asked if output is None else asked.where(RUNS.c.output == output)
    asked = asked if pipeline is None else asked.where(RUNS.c.pipeline == pipeline)
    return [_as_row(row) for row in connection.execute(asked).all()]


def named(connection: Connection, run_id: str) -> list[RunRow]:
    """The runs whose id begins so."""
    asked = _asked().where(RUNS.c.run_id.startswith(run_id, autoescape=True)).order_by(RUNS.c.run_id)
    return [_as_row(row) for row in connection.execute(asked).all()]


def _asked() -> Select[Any]:
    return select(RUNS, OUTPUTS.c.folder, OUTPUTS.c.host).join(OUTPUTS, OUTPUTS.c.output == RUNS.c.output)


def _row(receipt: Receipt) -> dict[str, Any]:
    names = ("run_id", "sequence", "kind", "pipeline", "purpose", "engine", "at", "started", "finished", "digest")
    counts = {name: getattr(receipt.rows, name) for name in COUNTS}
    return {**{name: getattr(receipt, name) for name in names}, "dates": json.dumps(list(receipt.dates)), **counts}


def _as_row(row: Row[Any]) -> RunRow:
    return RunRow(**{**row._mapping, "dates": tuple(json.loads(row.dates))})
