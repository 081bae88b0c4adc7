"""Releases of dates, by source: which figures with noise other outputs of the same source have released; and acts that permit
one more release of exact figures.

The index follows the receipts, as that of runs does. Without it, another pipeline or output could release the figures of a date
again, with new noise that can be averaged with the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from minimize.ledger.acts import ActKind
from minimize.ledger.database import Connection
from minimize.receipts import Receipt


@dataclass(frozen=True, slots=True)
class Republication:
    """A step towards one more release of the exact figures of a run: requested, then confirmed by a second person."""

    run: str
    output: str
    state: str
    reason: str
    by: str
    recorded_at: datetime

    @property
    def is_confirmed(self) -> bool:
        """Whether a second person confirmed the request."""
        return self.state == CONFIRMED


REQUESTED: Final = "requested"
CONFIRMED: Final = "confirmed"
REPUBLICATION: Final = ActKind("republication", Republication, key="{0.run}", actor="by")


def index_releases(connection: Connection, output: str, receipts: Iterable[Receipt]) -> None:
    """Adds the releases of receipts to the index. Those of a receipt that is known are replaced."""
    for receipt in receipts:
        connection.execute(
            "DELETE FROM releases WHERE output = :output AND run_id = :run_id", output=output, run_id=receipt.run_id
        )
        own = {"output": output, "run_id": receipt.run_id}
        marks = {
            (written.noise.source, date, release.mark)
            for written in receipt.outputs.values()
            if written.noise is not None
            for date, release in (written.releases or {}).items()
        }
        for source, date, mark in sorted(marks):
            connection.insert("releases", {**own, "source": source, "date": date, "mark": mark})


def remove_releases(connection: Connection, output: str) -> None:
    """Removes the releases of an output from the index."""
    connection.execute("DELETE FROM releases WHERE output = :output", output=output)


def counted_releases(connection: Connection, source: str, output: str, pipeline: str) -> dict[str, list[str]]:
    """By date, the marks of other outputs of a source that count as releases.

    The first release of a date by each other pipeline is free, if the pipeline was in the ledger before the date was first
    released. So several pipelines that were planned have one release each.
    """
    began = _beginnings(connection)
    found: dict[str, list[str]] = {}
    first: dict[str, datetime] = {}
    free = set[tuple[str, str]]()
    for row in connection.rows(
        "SELECT releases.*, runs.pipeline, runs.finished FROM releases, runs WHERE releases.source = :source"
        " AND runs.output = releases.output AND runs.run_id = releases.run_id ORDER BY runs.finished, releases.mark",
        source=source,
    ):
        date, by = row["date"], row["pipeline"]
        first.setdefault(date, row["finished"])
        is_first = (date, by) not in free
        free.add((date, by))
        if row["output"] == output or (is_first and by != pipeline and began[by] <= first[date]):
            continue
        marks = found.setdefault(date, [])
        if row["mark"] not in marks:
            marks.append(row["mark"])
    return found


def _beginnings(connection: Connection) -> dict[str, datetime]:
    """The time of the first run of each pipeline."""
    rows = connection.rows("SELECT pipeline, min(finished) AS finished FROM runs GROUP BY pipeline")
    return {row["pipeline"]: row["finished"] for row in rows}
