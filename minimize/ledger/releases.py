"""Releases of dates, by source: which figures with noise other outputs of the same source have released; and acts that permit
one more release of exact figures.

The index follows the receipts, as that of runs does. Without it, another pipeline or output could release the figures of a date
again, with new noise that can be averaged with the first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
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


EXACT: Final = "exact"
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
        for source, date, mark in sorted(set(_releases_of(receipt))):
            connection.insert("releases", {**own, "source": source, "date": date, "mark": mark})


def _releases_of(receipt: Receipt) -> Iterator[tuple[str, str, str]]:
    """Source, date and mark of each release; of exact figures, `EXACT` instead of a mark."""
    for written in receipt.outputs.values():
        if written.noise is not None:
            for date, release in (written.releases or {}).items():
                yield written.noise.source, date, release.mark
        elif written.exact_of is not None and written.files:
            for date in written.days or receipt.dates:
                yield written.exact_of, date, EXACT


def remove_releases(connection: Connection, output: str) -> None:
    """Removes the releases of an output from the index."""
    connection.execute("DELETE FROM releases WHERE output = :output", output=output)


@dataclass(slots=True)
class OtherReleases:
    """Releases of one date by other outputs of a source, in their order.

    marks    all of them: figures that are published already can be published again
    counted  those that leave fewer releases
    exact    whether one of the outputs has exact figures of the date
    """

    marks: list[str] = field(default_factory=list, repr=False)
    counted: list[str] = field(default_factory=list, repr=False)
    exact: bool = False


def other_releases(
    connection: Connection, source: str, output: str, pipeline: str, runs: Collection[str]
) -> dict[str, OtherReleases]:
    """By date, the releases of a source by other outputs than that of a pipeline, and by its runs whose receipts it lacks.

    Takes the runs of its receipts. An output that was restored from an older copy lacks later ones; their releases count.
    A pipeline is planned for a date if it was in the ledger before the date was first released. The first release of each planned
    pipeline is free, so that several of them have one release each. A pipeline that came later begins with what the date has had.
    """
    began = _beginnings(connection)
    found: dict[str, OtherReleases] = {}
    first: dict[str, datetime] = {}
    released = set[tuple[str, str]]()
    for row in connection.rows(
        "SELECT releases.*, runs.pipeline, runs.finished FROM releases, runs WHERE releases.source = :source"
        " AND runs.output = releases.output AND runs.run_id = releases.run_id ORDER BY runs.finished, releases.mark",
        source=source,
    ):
        date, by = row["date"], row["pipeline"]
        is_first_of_date = date not in first
        first.setdefault(date, row["finished"])
        is_planned = pipeline in began and began[pipeline] <= first[date]
        is_free = (date, by) not in released and by != pipeline and began[by] <= first[date]
        released.add((date, by))
        is_own = row["output"] == output
        if is_own and row["run_id"] in runs:
            continue
        others = found.setdefault(date, OtherReleases())
        counts = is_own or not is_free or (is_first_of_date and not is_planned)
        if row["mark"] == EXACT:
            others.exact = True
            continue
        for marks in (others.marks, others.counted) if counts else (others.marks,):
            if row["mark"] not in marks:
                marks.append(row["mark"])
    for date, others in found.items():
        if (date, pipeline) not in released and pipeline in began and began[pipeline] <= first[date]:
            others.counted.clear()
    return found


def _beginnings(connection: Connection) -> dict[str, datetime]:
    """The time of the first run of each pipeline."""
    rows = connection.rows("SELECT pipeline, min(finished) AS finished FROM runs GROUP BY pipeline")
    return {row["pipeline"]: row["finished"] for row in rows}
