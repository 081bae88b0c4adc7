"""The goals: ratios of medians, lower is better. They are reported, not enforced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.contenders import OURS, Job
from benchmarks.measure import Figure

Figures = Mapping[tuple[Job, str], Figure]
DUCKDB, POLARS = ("duckdb join", "duckdb row"), ("polars",)
FLEETS = ("duckdb plain", "duckdb tuned", "polars plain", "polars tuned")


@dataclass(frozen=True, slots=True)
class Goal:
    """Ours over the best of some others, in one measure."""

    about: str
    job: Job
    others: tuple[str, ...]
    limit: float
    what: str = "cpu"

    def reached(self, figures: Figures) -> float | None:
        """The ratio; None where one side was not measured."""
        ours = figures.get((self.job, OURS))
        theirs = [figures[self.job, name].of(self.what) for name in self.others if (self.job, name) in figures]
        return ours.of(self.what) / min(theirs) if ours is not None and theirs else None


GOALS = (
    Goal("job A CPU ÷ full copy", "a", ("copy all",), 0.58),
    Goal("job A CPU ÷ better of DuckDB and Polars", "a", (*DUCKDB, *POLARS), 0.65),
    Goal("job A wall ÷ better of DuckDB and Polars", "a", (*DUCKDB, *POLARS), 0.65, "wall"),
    Goal("job A CPU ÷ the same kernels by hand", "a", ("kernels",), 1.10),
    Goal("job B CPU ÷ better of DuckDB and Polars", "b", FLEETS, 0.80),
    Goal("job B wall ÷ better of DuckDB and Polars", "b", FLEETS, 0.70, "wall"),
    Goal("job H CPU ÷ full copy", "h", ("copy all",), 0.70),
    Goal("NDJSON CPU ÷ faster peer with the same result", "ingest", ("duckdb strict", "polars strict"), 0.8),
    Goal("NDJSON wall ÷ faster peer with the same result", "ingest", ("duckdb strict", "polars strict"), 0.8, "wall"),
    Goal("NDJSON CPU ÷ fastest lenient reader", "ingest", ("duckdb lenient", "polars lenient"), 2.0),
    Goal("NDJSON wall ÷ fastest lenient reader", "ingest", ("duckdb lenient", "polars lenient"), 2.0, "wall"),
)
INDEX = 1.05
EXPIRE = 1.10
DELETE = 1.20
RETRACT = 2.0
SHARING = 1.15
ENCRYPT = 1.15
DOOR = 1 / 0.7
MEMORY, CEILING = 1.10, 1024**3 / 1e6
PREPARED, ONE_ROW_MS, MANY_ROWS_MS, IMPORT, HELP = 2.0, 0.2, 0.6, 1.3, 2.0
