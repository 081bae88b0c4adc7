"""An output in two versions, old and new, and what receipts, our own reader, pandas, DuckDB and Polars say of it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl

import minimize
from minimize.datasets.reader import load_receipts
from tests.project import AT, BEFORE, DAY, Project, events, new_project

COLUMNS = {"records": ("tenant_id", "device_id"), "per_model": ("model", "events"), "quarantine": ("source", "code")}
State = dict[str, Any]


@dataclass(frozen=True)
class Versions:
    """A project whose old output is in `folder`, an input that changes it, and the states before and after."""

    project: Project
    folder: Path
    old: State
    new: State

    def out(self, folder: Path) -> Path:
        """A copy of the old version, in a place where no other has been."""
        return Path(shutil.copytree(self.folder, folder / "out"))

    def command(self, out: Path, *more: str) -> list[str]:
        """The command that makes the new version of the old."""
        words = ["run", self.project.folder, "--date", DAY, "--at", AT.isoformat(), "--output", out, *more]
        return [str(word) for word in (*words, "--keys", self.project.keys, "--ledger", out / "ledger.db")]

    def run(self, out: Path, ledger: Path | None = None) -> None:
        """The same in this process."""
        self.project.run(output=out, date=DAY, ledger=ledger or out / "ledger.db")

    def settled(self, out: Path, ledger: Path | None = None) -> State:
        """What stands, once the next command has looked: whole, signed, the same to all, and one of the two versions."""
        found = self.is_whole(out, ledger)
        assert found in (self.old, self.new)
        return found

    def is_whole(self, out: Path, ledger: Path | None = None) -> State:
        """What stands: whole, signed, and the same to all."""
        minimize.verify(out, keys=self.project.keys, ledger=ledger or out / "ledger.db")
        found = state(out)
        assert by_others(out) == {name: [rows] * 3 for name, rows in by_us(out).items()}
        return found

    def becomes_new(self, out: Path, ledger: Path | None = None) -> None:
        """The next run gives the new version, and leaves nothing else behind."""
        self.run(out, ledger)
        assert self.is_whole(out, ledger)["rows"] == self.new["rows"]
        assert not [path for path in (out / "runs").glob("*/*") if path.is_dir() or path.suffix == ".tmp"]


def versions_in(folder: Path) -> Versions:
    """Makes both. The place where the old one was made is given up, so that a copy of it is the output itself, moved."""
    project = new_project(folder)
    project.records([*events(60), "no json"])
    project.records(events(30, 500), day=BEFORE)
    project.run(ledger=project.out / "ledger.db")
    old = state(project.out)
    project.out.rename(folder / "old")
    project.records(events(90, 100))
    made = Versions(project, folder / "old", old, {})
    after = made.out(folder / "after")
    made.run(after)
    return Versions(project, folder / "old", old, state(after))


def state(out: Path) -> State:
    """How many receipts there are, and the rows of everything that stands."""
    rows = {name: sorted(map(str, minimize.read(out, name).to_pylist())) for name in ("records", "per_model")}
    rejects = minimize.files(out, "quarantine")
    return {"receipts": len(load_receipts(out)), "rows": rows | {"quarantine": len(rejects)}}


def by_us(out: Path) -> dict[str, list[tuple[str, ...]]]:
    """Some columns of what stands, by the receipts."""
    return {
        name: _rows(minimize.read(out, name).select(columns).to_pylist())
        for name, columns in COLUMNS.items()
        if minimize.files(out, name)
    }


def by_others(out: Path) -> dict[str, list[list[tuple[str, ...]]]]:
    """The same columns by pandas, DuckDB and Polars, which read folders and know nothing of receipts."""
    return {
        name: [_rows(read(out / name, [*columns])) for read in (_pandas, _duckdb, _polars)]
        for name, columns in COLUMNS.items()
        if (out / name).is_dir() and any((out / name).rglob("*.parquet"))
    }


def _rows(found: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    return sorted(tuple(map(str, row.values())) for row in found)


def _pandas(folder: Path, columns: list[str]) -> list[dict[str, Any]]:
    return [
        {str(key): each for key, each in row.items()} for row in pd.read_parquet(folder)[columns].to_dict("records")
    ]


def _duckdb(folder: Path, columns: list[str]) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT {', '.join(columns)} FROM read_parquet('{folder}/**/*.parquet')").fetchall()
    return [dict(zip(columns, row, strict=True)) for row in found]


def _polars(folder: Path, columns: list[str]) -> list[dict[str, Any]]:
    return pl.scan_parquet(folder).select(columns).collect().to_dicts()
