"""`subject export`: everything that is held of somebody, as files that he can take elsewhere."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from minimize.errors import ConfigurationError, OutputError
from minimize.file_operations import make_folder
from minimize.governance.sharing.files import Aside, plain
from minimize.governance.subjects.finding import Held
from minimize.governance.subjects.page import html
from minimize.governance.subjects.viewing import View, ledger_of
from minimize.io.durable import digest_of, write_private
from minimize.io.working_folder import new_folder
from minimize.ledger.asked import as_json, logged
from minimize.ledger.audit import Wanted
from minimize.switching import House
from minimize.system import said

FORMATS: Final = ("json", "csv", "parquet")
ENDINGS: Final[Mapping[str, str]] = {"json": "ndjson", "csv": "csv", "parquet": "parquet"}


@dataclass(frozen=True, slots=True)
class Exported:
    """One subject's export: the folder, and its files with their digests and rows."""

    folder: Path
    files: Mapping[str, str] = field(default_factory=dict)
    rows: int = 0
    audit: int = 0

    def as_json(self) -> dict[str, Any]:
        """The export as `subject export --json` prints it."""
        return {
            "folder": str(self.folder),
            "rows": self.rows,
            "audit_entries": self.audit,
            "files": [{"path": name, "digest": digest} for name, digest in self.files.items()],
        }


def export(
    found: Sequence[View],
    folder: Path,
    house: House,
    *,
    formats: Collection[str] = FORMATS,
    redact: Collection[str] = (),
) -> tuple[Exported, ...]:
    """Writes what was found of each subject into a new folder: of one into the folder itself, of several each into its own.

    Takes the formats of records, and the fields that the organization leaves out. Files are their owner's alone. With a ledger
    the audit entries in which the subject is the actor are among them. Raises ConfigurationError, OutputError, LedgerError.
    """
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown:
        raise ConfigurationError(f"there is no format {unknown[0]}", hint=f"choose {', '.join(FORMATS)}")
    if folder.exists() or folder.is_symlink():
        raise OutputError(f"{folder} is there already", hint="an export goes into a new folder")
    names = [""] if len(found) == 1 else [str(number) for number in range(1, len(found) + 1)]
    try:
        with new_folder(folder, "export") as work:
            done = [
                _in_folder(view, work / name, house, formats, frozenset(redact))
                for view, name in zip(found, names, strict=True)
            ]
        return tuple(replace(each, folder=folder / name) for each, name in zip(done, names, strict=True))
    except OSError as error:
        what, hint = said(error)
    raise OutputError(f"{folder} was not made: {what}", hint=hint)


def _in_folder(view: View, folder: Path, house: House, formats: Collection[str], redact: frozenset[str]) -> Exported:
    make_folder(folder, private=True)
    return _export(view, folder, house, formats, redact)


def _export(view: View, folder: Path, house: House, formats: Collection[str], redact: frozenset[str]) -> Exported:
    names = [*_records(view, folder, formats, redact)]
    body = json.dumps(_view(view, redact), indent=2, ensure_ascii=False, default=plain)
    write_private(folder / "view.json", lambda out: out.write(body + "\n"))
    page = html([view], redacted=redact)
    write_private(folder / "view.html", lambda out: out.write(page))
    entries = _audit(view, folder, house)
    names += ["view.json", "view.html", *(["audit.ndjson"] if entries is not None else [])]
    digests = {name: digest_of(folder / name) for name in names}
    return Exported(folder, digests, view.rows, entries or 0)


def _view(view: View, redact: frozenset[str]) -> dict[str, Any]:
    """The view without what is left out, which it names."""
    body = view.as_json()
    for each in body["held"]:
        each["fields"] = {name: form for name, form in each["fields"].items() if _top(name) not in redact}
    return {**body, "redacted": sorted(redact)}


def _records(view: View, folder: Path, formats: Collection[str], redact: frozenset[str]) -> Iterator[str]:
    """The files of records: one for each pipeline, and another wherever columns have other types."""
    for number, (pipeline, batch) in enumerate(_gathered(view.held), start=1):
        left = batch.select([name for name in batch.schema.names if name not in redact])
        for format_ in [each for each in FORMATS if each in formats]:
            name = f"{number}-{pipeline}.{ENDINGS[format_]}"
            table = _flat(left) if format_ == "csv" else left
            aside = Aside(folder / name, table.schema)
            try:
                for each in table.to_batches():
                    aside.take(each)
                aside.finish()
                aside.publish().chmod(0o600)
            finally:
                aside.abandon()
            yield name


def _gathered(held: Sequence[Held]) -> Iterator[tuple[str, pa.Table]]:
    groups: dict[tuple[str, str], list[pa.Table]] = {}
    for each in held:
        schema = each.rows.schema.remove_metadata()
        groups.setdefault((each.written.receipt.pipeline, str(schema)), []).append(
            each.rows.replace_schema_metadata(None)
        )
    yield from ((pipeline, pa.concat_tables(tables)) for (pipeline, _), tables in groups.items())


def _flat(table: pa.Table) -> pa.Table:
    """Nested columns as JSON text, which CSV has a place for."""
    for index, each in enumerate(table.schema):
        if pa.types.is_nested(each.type):
            texts = [
                None if value is None else json.dumps(value, default=plain) for value in table[each.name].to_pylist()
            ]
            table = table.set_column(index, each.name, pa.array(texts, pa.string()))
    return table


def _audit(view: View, folder: Path, house: House) -> int | None:
    """The entries of the audit log in which the subject is the actor; None without a ledger."""
    with ledger_of(house, needed=False) as ledger:
        if ledger is None or view.subject.id is None:
            return None
        entries = logged(ledger, Wanted(actor=view.subject.id))
    lines = "".join(json.dumps(as_json(entry), ensure_ascii=False) + "\n" for entry in entries)
    write_private(folder / "audit.ndjson", lambda out: out.write(lines))
    return len(entries)


def _top(name: str) -> str:
    return name.split("/")[1] if name.startswith("/") else name
