"""Who is measured: one script a contender, each run in its own process, and the table of them.

A contender is a function `run(given, out)` in a file of its own. Those of one job write the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.places import BOUNDED_JOBS, EXACT_JOBS, JOBS

Job = Literal["a", "b", "h", "ingest"]
OURS = "minimize"
BELOW: Mapping[Job, str] = {"a": "records", "b": "fleet", "h": "records", "ingest": "."}
"""Where our rows stand: below the output's folder for a run of a pipeline."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One contender: `module` is its script, None for the command line of minimize itself.

    same_result  whether its output must equal ours (a plain copy and a lenient reader do less, and say so)
    exact        whether it runs the job whose figures have no noise
    bounded      whether it runs the job whose records have a bound on disclosure risk
    """

    name: str
    job: Job
    module: str | None
    same_result: bool = True
    exact: bool = False
    bounded: bool = False

    @property
    def pipeline(self) -> Path:
        """The folder of its pipeline."""
        return (EXACT_JOBS if self.exact else BOUNDED_JOBS if self.bounded else JOBS) / f"job_{self.job}"


CONTENDERS = (
    Contender(OURS, "a", None),
    Contender("bounded", "a", None, bounded=True),
    Contender("kernels", "a", "records_kernels"),
    Contender("copy all", "a", "copy_all", same_result=False),
    Contender("copy needed", "a", "copy_needed", same_result=False),
    Contender("duckdb join", "a", "records_duckdb"),
    Contender("duckdb row", "a", "records_duckdb_row"),
    Contender("polars", "a", "records_polars"),
    Contender(OURS, "b", None),
    Contender("exact", "b", None, exact=True),
    Contender("kernels", "b", "fleet_kernels"),
    Contender("duckdb plain", "b", "fleet_duckdb_plain"),
    Contender("duckdb tuned", "b", "fleet_duckdb"),
    Contender("polars plain", "b", "fleet_polars_plain"),
    Contender("polars tuned", "b", "fleet_polars"),
    Contender(OURS, "h", None),
    Contender("copy all", "h", "copy_all", same_result=False),
    Contender("duckdb join", "h", "varied_duckdb"),
    Contender(OURS, "ingest", "ingest_minimize"),
    Contender("duckdb lenient", "ingest", "ingest_duckdb_lenient", same_result=False),
    Contender("polars lenient", "ingest", "ingest_polars_lenient", same_result=False),
    Contender("duckdb strict", "ingest", "ingest_duckdb"),
    Contender("polars strict", "ingest", "ingest_polars"),
)
