"""Lines through minimize's NDJSON source alone: no technique, no sink. Pieces side by side in two threads, as in a run."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.contenders.ingest import Piece, finish
from benchmarks.given import Given
from benchmarks.places import JOBS
from minimize import load_policy
from minimize.plan import request
from minimize.records import Chunk
from minimize.sources import FORMATS
from minimize.sources.base import SourcePart
from minimize.sources.files import file_parts


def run(given: Given, out: Path) -> None:
    """Piece by piece."""
    finish(_pieces(given), out)


def _pieces(given: Given) -> Iterator[Piece]:
    wanted = request(load_policy(JOBS / "ingest"), "service_maintenance")
    source = FORMATS["ndjson"].bind(file_parts([given.lines], given.folder), wanted)
    with ThreadPoolExecutor(2) as pool:
        for some in pool.map(_read, (piece for part in source.parts for piece in part.pieces())):
            yield from some


def _read(part: SourcePart) -> list[Piece]:
    return [_piece(chunk) for chunk in part.read()]


def _piece(chunk: Chunk) -> Piece:
    rejects = [(reject.position, reject.field, reject.code) for reject in chunk.rejects]
    undeclared = {str(pointer.parts[0]): carried.records for pointer, carried in chunk.undeclared.items()}
    return Piece(chunk.records, rejects, undeclared)
