"""A policy that uses each way to drop, gate and generalize, over data with a planted value for each of them."""

from __future__ import annotations

from tests.golden.runner import Session
from tests.leak import columnar, planted


def steps(session: Session) -> None:
    """The same records as NDJSON, CSV and Parquet; none of the planted values is found anywhere."""
    session.canaries += columnar.PLANTED
    planted.build(session.folder / "ndjson")
    for kind in ("csv", "parquet"):
        columnar.build(session.folder / kind, kind)
    for kind in ("ndjson", "csv", "parquet"):
        session.run(f"run {kind} --json")
        session.run(f"verify {kind}/out --json")
        session.run(f"quarantine {kind}/out --json")
    session.run("plan ndjson --preview 5 --json")
    session.run("drift ndjson --json")
    session.run("report ndjson/out --html report.html --at 2026-11-25T12:00:00Z --json")
    session.run("plan csv --preview 5")
    session.run("runs --output ndjson/out")
    session.run("lint ndjson", actor="")
