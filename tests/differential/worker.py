"""What one version makes of cases, in a process of its own: `python worker.py PACKAGE FOLDER`, FOLDER on PYTHONPATH.

Reads one JSON request a line from stdin and answers each with one line on stdout. It uses the public functions, the command
line and files on disk only, so that the same script runs with any version, and imports nothing of the tests.

    {"do": "case", "folder": CASE, "output": FOLDER}      runs, reads, verifies, applies; writes FOLDER/observed.json
    {"do": "verify", "folder": CASE, "output": FOLDER}    verifies an output that another version made
"""

from __future__ import annotations

import importlib
import io
import json
import logging
import os
import runpy
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

IGNORED = {
    "audit",
    "digest",
    "files",
    "finished",
    "index",
    "sketches",
    "ledger",
    "path",
    "plan",
    "policy",
    "previous",
    "removes",
    "replaces",
    "run_id",
    "settings",
    "signature",
    "started",
    "versions",
}
"""Parts of a receipt that differ from run to run, or by the place that a file has."""


class Worker:
    """Gives cases to one version of the package."""

    def __init__(self, package: str, folder: Path) -> None:
        self._name = package
        self._package: Any = importlib.import_module(package)
        place = Path(str(self._package.__file__)).resolve()
        if folder.resolve() not in place.parents:
            raise SystemExit(f"{package} was imported from {place}, not from {folder}")

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Does what a request asks."""
        folder, output = Path(request["folder"]), Path(request["output"])
        if request["do"] == "verify":
            return {"verify": self._verified(folder, output)}
        observed = self._case(folder, output)
        (output.parent / "observed.json").write_text(json.dumps(observed))
        return {"done": True}

    def _case(self, folder: Path, output: Path) -> dict[str, Any]:
        case = json.loads((folder / "case.json").read_text())
        runs = [self._run(folder, output, run) for run in case["runs"]]
        names = ["records", *case["pipeline"].get("aggregates", {})]
        outputs = {name: self._read(folder, output, name) for name in names}
        return {
            "lint": self._command("lint", "--json", str(folder)),
            "plan": self._command("plan", "--json", str(folder)),
            "runs": dict(enumerate(runs)),
            "outputs": outputs,
            "quarantine": {"rows": quarantined(output)},
            "verify": self._verified(folder, output) if any(output.glob("runs/*/receipt.json")) else None,
            **self._in_memory(folder, case),
        }

    def _run(self, folder: Path, output: Path, run: Mapping[str, Any]) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            self._package.run(folder, date=run["date"], at=run["at"], output=output, keys=folder / "test.keys")
            return last_receipt(output)

        return attempt(work)

    def _read(self, folder: Path, output: Path, name: str) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            table = self._package.read(output, name, keys=folder / "test.keys")
            return {"schema": schema_of(table.schema), "rows": rows_of(table)}

        return attempt(work)

    def _verified(self, folder: Path, output: Path) -> dict[str, Any]:
        return attempt(lambda: self._package.verify(output, keys=folder / "test.keys"))

    def _command(self, *words: str) -> dict[str, Any]:
        """What a command prints as JSON, and its exit code."""
        code, printed, errors = run_command(self._name, words)
        if words[0] == "lint":
            found = parsed(printed).get("findings", [])
            return {"exit": code, "findings": sorted(map(finding, found))}
        if code:
            return {"exit": code, "error": error_of(parsed(errors).get("error", {}))}
        return {"exit": code, **kept_of_plan(parsed(printed))}

    def _in_memory(self, folder: Path, case: Mapping[str, Any]) -> dict[str, Any]:
        """What `apply` and `prepare` make of the undamaged records."""
        table = pq.read_table(folder / "memory.parquet")
        at = datetime.fromisoformat(case["runs"][-1]["at"])
        options: dict[str, Any] = {"purpose": case["pipeline"]["purpose"], "keys": folder / "test.keys"}
        settings = folder / "settings.csv"

        def arrow() -> dict[str, Any]:
            policy = self._package.load_policy(folder / "policy.yaml")
            done = self._package.apply(policy, table, settings=settings, at=at, **options)
            return {"schema": schema_of(done.schema), "rows": [encoded(row) for row in done.to_pylist()]}

        def frame() -> dict[str, Any]:
            given = pd.read_csv(settings, dtype=str, keep_default_na=False)
            done = self._package.apply(folder / "policy.yaml", frame_of(table), settings=given, at=at, **options)
            types = {name: str(dtype) for name, dtype in done.dtypes.items()}
            return {"schema": types, "rows": [encoded(row) for row in done.to_dict("records")]}

        def batches() -> dict[str, Any]:
            minimizer = self._package.prepare(folder / "policy.yaml", table.schema, settings=settings, **options)
            done = [minimizer(batch, at=at) for batch in table.to_batches(max_chunksize=50)]
            return {"rows": [encoded(row) for batch in done for row in batch.to_pylist()]}

        return {"apply_arrow": attempt(arrow), "apply_pandas": attempt(frame), "prepare": attempt(batches)}


def frame_of(table: pa.Table) -> pd.DataFrame:
    """A table as pandas, in which integers with nulls stay integers."""
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return frame


def attempt(work: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
    """What the work gives, or how it failed: exit code, code, and the faults with their lines."""
    try:
        return {"exit": 0, **(work() or {})}
    except Exception as raised:  # noqa: BLE001 (a crash is what the runner looks for)
        error: Any = raised
        if not hasattr(error, "exit_code"):
            return {"exit": None, "crash": f"{type(error).__module__}.{type(error).__name__}"}
        return {"exit": error.exit_code, "error": error_of(error.to_json()["error"])}


def error_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """The stable part of an error's JSON; of an internal error its message too, which holds no values."""
    internal = {"message": body.get("message")} if body.get("code") == "E900" else {}
    return {"code": body.get("code"), "faults": sorted(map(finding, body.get("faults", ()))), **internal}


def finding(found: Mapping[str, Any]) -> str:
    """A finding without its wording: severity, code, file, line, field."""
    place = Path(found.get("file") or "").name
    return f"{found.get('severity')} {found.get('code')} {place}:{found.get('line') or ''} {found.get('field') or ''}".strip()


def kept_of_plan(plan: Mapping[str, Any]) -> dict[str, Any]:
    """The documented part of a plan's JSON, without its wording."""
    fields = {
        key: {word: said.get(word) for word in ("action", "technique", "leaves")}
        for key, said in plan["fields"].items()
    }
    return {"fields": fields, "outputs": {name: said.get("category") for name, said in plan["outputs"].items()}}


def run_command(package: str, words: tuple[str, ...]) -> tuple[int, str, str]:
    """The exit code of a command, its stdout and its stderr, in this process."""
    out, err = io.StringIO(), io.StringIO()
    before, finders, level = sys.argv, list(sys.meta_path), logging.root.handlers[:]
    sys.argv = [package, *words]
    code: Any = 0
    try:
        with redirect_stdout(out), redirect_stderr(err):
            runpy.run_module(package, run_name="__main__", alter_sys=True)
    except SystemExit as stop:
        code = stop.code
    finally:
        sys.argv, sys.meta_path[:], logging.root.handlers[:] = before, finders, level
    return code if isinstance(code, int) else int(code is not None), out.getvalue(), err.getvalue()


def parsed(text: str) -> dict[str, Any]:
    """The JSON object in what a command printed; an empty one where there is none."""
    start = text.find("{")
    try:
        found = json.JSONDecoder().raw_decode(text[start:])[0] if start >= 0 else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def last_receipt(output: Path) -> dict[str, Any]:
    """The receipt with the highest sequence, without what differs from run to run."""
    receipts = [json.loads(path.read_text()) for path in output.glob("runs/*/receipt.json")]
    last = max(receipts, key=lambda receipt: receipt["sequence"], default=None)
    return {"receipt": None if last is None else without_ignored(last)}


def without_ignored(value: Any) -> Any:
    """A receipt's part without the keys that are not compared."""
    if isinstance(value, dict):
        return {key: without_ignored(each) for key, each in value.items() if key not in IGNORED}
    return [without_ignored(each) for each in value] if isinstance(value, list) else value


def quarantined(output: Path) -> list[Any]:
    """The rows of all quarantine files on disk, without the run's id, sorted."""
    rows = [row for path in output.glob("quarantine/**/*.parquet") for row in pq.ParquetFile(path).read().to_pylist()]
    kept = [encoded({name: value for name, value in row.items() if name != "run_id"}) for row in rows]
    return sorted(kept, key=json.dumps)


def schema_of(schema: pa.Schema) -> dict[str, str]:
    """Each column's type, in order, with what its metadata says under the package's own keys."""
    return {field.name: f"{field.type}{'' if field.nullable else ' not null'}{metadata_of(field)}" for field in schema}


def metadata_of(field: pa.Field) -> str:
    """A column's metadata, without the prefix that is the package's name."""
    said = field.metadata or {}
    texts = sorted(f"{key.decode().partition(':')[2]}={value.decode()}" for key, value in said.items() if b":" in key)
    return f" {{{', '.join(texts)}}}" if texts else ""


def rows_of(table: pa.Table) -> list[Any]:
    """A table's rows, sorted."""
    return sorted((encoded(row) for row in table.to_pylist()), key=json.dumps)


def encoded(value: Any) -> Any:
    """A value as JSON in which different values stay different: floats by their bits, types by a letter."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return f"float {value.hex()} ({value!r})"
    if isinstance(value, dict):
        return {str(key): encoded(each) for key, each in value.items()}
    if isinstance(value, datetime | date | time | timedelta | Decimal | bytes):
        return f"{type(value).__name__} {value!s}"
    if hasattr(value, "tolist"):
        return encoded(value.tolist())
    if isinstance(value, list | tuple):
        return [encoded(each) for each in value]
    return f"{type(value).__name__} {value!s}"


@contextmanager
def protocol() -> Iterator[io.TextIOWrapper]:
    """Where answers go. Everything else that is printed goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    yield answers


def main() -> None:
    """Answers requests until stdin ends."""
    warnings.simplefilter("ignore")
    worker = Worker(sys.argv[1], Path(sys.argv[2]))
    with protocol() as answers:
        for line in sys.stdin:
            answers.write(json.dumps(worker.answer(json.loads(line))) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
