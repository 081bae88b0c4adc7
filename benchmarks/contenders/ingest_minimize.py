"""Lines through minimize's NDJSON source alone: no technique, no sink."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.contenders.ingest import Piece, finish
from benchmarks.given import Given
from benchmarks.places import JOBS
from minimize import load_policy
from minimize.io import FORMATS
from minimize.plan import request


def run(given: Given, out: Path) -> None:
    """Chunk by chunk."""
    finish(_pieces(given), out)


def _pieces(given: Given) -> Iterator[Piece]:
    wanted = request(load_policy(JOBS / "ingest"), "service_maintenance")
    source = FORMATS["ndjson"]([given.lines], given.folder, wanted)
    for part in source.parts:
        for chunk in part.read():
            rejects = [(reject.position, reject.field, reject.code) for reject in chunk.rejects]
            undeclared = {str(pointer.parts[0]): carried.records for pointer, carried in chunk.undeclared.items()}
            yield Piece(chunk.records, rejects, undeclared)
