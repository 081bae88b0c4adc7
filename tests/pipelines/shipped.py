"""Running the shipped pipelines through the command line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from tests.commands import Result, command
from tests.project import clean_environment

ROOT = Path(__file__).parents[2]
PIPELINES = ROOT / "pipelines"
RECIPIENTS = PIPELINES / "recipients"
NAMES = tuple(sorted(path.parent.name for path in PIPELINES.glob("*/pipeline.yaml")))
AT = "2026-11-25T00:00:00Z"


@dataclass(frozen=True)
class Ran:
    """A run of one pipeline: its output folder and what the command said."""

    output: Path
    done: Result

    @property
    def receipt(self) -> dict[str, Any]:
        """The receipt, as `run --json` prints it."""
        receipt: dict[str, Any] = self.done.json
        return receipt

    def table(self, name: str = "records") -> pa.Table:
        """One output, read as anybody would."""
        return ds.dataset(self.output / name, partitioning="hive").to_table()

    def rows(self, name: str = "records") -> list[dict[str, Any]]:
        """One output's rows."""
        rows: list[dict[str, Any]] = self.table(name).to_pylist()
        return rows


@dataclass
class Runs:
    """The runs of this session, each made when it is first asked for."""

    folder: Path
    keys: Path
    made: dict[str, Ran] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Ran:
        if name not in self.made:
            output = self.folder / name
            arguments = ["run", str(PIPELINES / name), "--at", AT, "--output", str(output), "--json"]
            self.made[name] = Ran(output, minimize(*arguments, keys=self.keys))
        return self.made[name]


def minimize(*arguments: str, keys: Path | None = None, cwd: Path = ROOT) -> Result:
    """Runs the command with a keyring, a ledger next to it, and nothing else set."""
    with clean_environment(cwd) as patch:
        if keys is not None:
            patch.setenv("MINIMIZE_KEYS", str(keys))
            patch.setenv("MINIMIZE_LEDGER", str(keys.with_name("ledger.db")))
        return command(*arguments)


def new_keys(path: Path) -> Path:
    """A keyring with every key that the shipped pipelines name."""
    done = minimize("keys", "new", str(path), "--name", "device", "--name", "user", "--name", "session")
    assert done.code == 0, done.err
    return path


def sample_lines(dataset: str) -> Iterator[list[str]]:
    """The lines of each committed file."""
    for path in sorted((ROOT / "sample_data" / dataset).glob("*/*.ndjson.gz")):
        yield gzip.decompress(path.read_bytes()).decode("utf-8", "replace").splitlines()


def sample(dataset: str) -> Iterator[dict[str, Any]]:
    """The committed records that are whole objects, duplicates of a key and wrong types included."""
    for lines in sample_lines(dataset):
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                yield record
