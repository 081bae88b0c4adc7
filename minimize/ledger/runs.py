"""Index of runs: rows from receipts, the locations of outputs, and the rebuild of the index from receipts."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from minimize.failpoints import fail_point
from minimize.ledger.anchor import REBUILD, RECOVER, compare_receipts, is_head_in_log, publication_events
from minimize.ledger.audit_event import Actor
from minimize.ledger.audit_log import EntryFilter, EntrySigner, append_event, read_entries
from minimize.ledger.database import lock_ledger
from minimize.ledger.tables import OUTPUTS, RUNS
from minimize.receipts import Receipt, time_text

ROW_COUNTS: Final = ("read", "written", "gated", "quarantined", "suppressed", "deduplicated")


@dataclass(frozen=True, slots=True)
class OutputLocation:
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
        rows = {name: said.pop(name) for name in ROW_COUNTS}
        return {**said, "dates": list(self.dates), "rows": rows}


def record_location(connection: Connection, output: str, pipeline: str, folder: str) -> None:
    """Says where an output is."""
    said = {"pipeline": pipeline, "folder": folder, "host": socket.gethostname()}
    if connection.execute(update(OUTPUTS).where(OUTPUTS.c.output == output).values(**said)).rowcount == 0:
        connection.execute(insert(OUTPUTS).values(output=output, **said))


def index_receipts(connection: Connection, output: str, receipts: Iterable[Receipt]) -> None:
    """Puts receipts of an output into the index; those that stand in it are put in anew."""
    for receipt in receipts:
        connection.execute(delete(RUNS).where((RUNS.c.output == output) & (RUNS.c.run_id == receipt.run_id)))
        connection.execute(insert(RUNS).values(output=output, **_receipt_values(receipt)))
        fail_point("run.indexed")


def remove_runs(connection: Connection, output: str) -> None:
    """Takes all runs of an output out of the index."""
    connection.execute(delete(RUNS).where(RUNS.c.output == output))


def output_locations(connection: Connection) -> list[OutputLocation]:
    """Where the outputs are that the ledger knows."""
    found = connection.execute(select(OUTPUTS).order_by(OUTPUTS.c.folder)).all()
    return [OutputLocation(row.output, row.pipeline, row.folder, row.host) for row in found]


def find_location(connection: Connection, output: str) -> OutputLocation | None:
    """Where an output was seen last."""
    return next((place for place in output_locations(connection) if place.output == output), None)


def select_runs(connection: Connection, output: str | None = None, pipeline: str | None = None) -> list[RunRow]:
    """The runs of an output (in their order, whatever the clock said), or of a pipeline, or all, oldest first."""
    order = (RUNS.c.finished, RUNS.c.sequence) if output is None else (RUNS.c.sequence,)
    asked = _run_query().order_by(*order)
    asked = asked if output is None else asked.where(RUNS.c.output == output)
    asked = asked if pipeline is None else asked.where(RUNS.c.pipeline == pipeline)
    return [_run_from_row(row) for row in connection.execute(asked).all()]


def select_runs_by_id(connection: Connection, run_id: str) -> list[RunRow]:
    """The runs whose id begins so."""
    asked = _run_query().where(RUNS.c.run_id.startswith(run_id, autoescape=True)).order_by(RUNS.c.run_id)
    return [_run_from_row(row) for row in connection.execute(asked).all()]


def _run_query() -> Select[Any]:
    return select(RUNS, OUTPUTS.c.folder, OUTPUTS.c.host).join(OUTPUTS, OUTPUTS.c.output == RUNS.c.output)


def _receipt_values(receipt: Receipt) -> dict[str, Any]:
    names = ("run_id", "sequence", "kind", "pipeline", "purpose", "engine", "at", "started", "finished", "digest")
    counts = {name: getattr(receipt.rows, name) for name in ROW_COUNTS}
    return {**{name: getattr(receipt, name) for name in names}, "dates": json.dumps(list(receipt.dates)), **counts}


def _run_from_row(row: Row[Any]) -> RunRow:
    return RunRow(**{**row._mapping, "dates": tuple(json.loads(row.dates))})


@dataclass(frozen=True, slots=True)
class IndexedOutput:
    """An output: its identity, and where it lies."""

    identity: str
    folder: str


def rebuild_index(
    connection: Connection,
    output: IndexedOutput,
    chain: Sequence[Receipt],
    signer: EntrySigner,
    actor: Actor,
    now: datetime,
) -> int:
    """Indexes a chain of receipts. Gives how many the log was told of.

    These are: receipts that it did not know; those that name entries of another log; the last, where later ones were cut off.
    """
    lock_ledger(connection)
    remove_runs(connection, output.identity)
    if not chain:
        return 0
    record_location(connection, output.identity, chain[-1].pipeline, output.folder)
    index_receipts(connection, output.identity, chain)
    found = compare_receipts(connection, output.identity, chain)
    untold = chain[-1:] if found.state == "cut" else found.unrecorded
    events = [(RECOVER, receipt) for receipt in untold if found.state != "cut" and is_head_in_log(connection, receipt)]
    events += [(REBUILD, receipt) for receipt in chain if _is_in_another_log(connection, receipt)]
    events += [(REBUILD, receipt) for receipt in untold if found.state == "cut"]
    for operation, receipt in events:
        for event in publication_events(operation, output.identity, receipt, actor=actor, now=now):
            append_event(connection, event, signer)
    return len(events)


def _is_in_another_log(connection: Connection, receipt: Receipt) -> bool:
    """Whether a receipt names an entry of another log, and this one does not say yet that it took it over."""
    said = read_entries(connection, EntryFilter(correlation=receipt.run_id, operation=REBUILD))
    return not is_head_in_log(connection, receipt) and not any(True for _ in said)
