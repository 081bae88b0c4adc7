"""Subject export (`subject export`): all data about a subject, as files in a new private folder.

`subject export --then-delete` then deletes the data. Data that could not be exported is not deleted.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from operator import methodcaller
from pathlib import Path
from typing import Any

import pyarrow as pa

from minimize.errors import ConfigurationError, OutputError, RefusedError, describe_os_error
from minimize.governance.sharing.export_file import EXPORT_OPTIONS, StagedExport, json_default
from minimize.governance.subjects.coverage import NO_REASONS, unexplained_files
from minimize.governance.subjects.delete import RemovalOptions, remove_subjects
from minimize.governance.subjects.named_subjects import Subjects, permitted_subjects
from minimize.governance.subjects.removal_result import SubjectRemoval
from minimize.governance.subjects.requests import new_request, next_step, open_requests, record_steps, request_statuses
from minimize.governance.subjects.search import SubjectRecords
from minimize.governance.subjects.subject_page import view_page
from minimize.governance.subjects.view import SubjectView, find_views, top_field
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter
from minimize.output.publish import write_new_folder
from minimize.records import FileRef
from minimize.results import OMIT_IF_EMPTY, JsonResult, Line, json_member
from minimize.stores import LocationLike
from minimize.stores.durable_files import file_digest, write_private_file
from minimize.stores.file_operations import make_folder
from minimize.text import count_noun
from minimize.workspace import Workspace, optional_ledger


def _file_entries(files: Mapping[str, str]) -> list[FileRef]:
    return [FileRef(path, digest) for path, digest in files.items()]


@dataclass(frozen=True, slots=True)
class SubjectExport(JsonResult):
    """The export of one subject: the folder, and its files with their digests and rows."""

    folder: Path
    rows: int
    audit_entries: int
    files: Mapping[str, str] = field(metadata=json_member(convert=_file_entries))
    restricted: int = field(default=0, metadata=OMIT_IF_EMPTY)
    """Number of sealed records of a restriction, which are not exported."""
    unsearched: Mapping[str, str] = field(default_factory=dict, metadata=OMIT_IF_EMPTY)
    """Outputs that may hold records of the subject and were not searched, with the reason; the request then stays open."""

    def lines(self) -> Iterator[Line]:
        """The folder with its numbers of records and files."""
        yield f"{self.folder}: {count_noun(self.rows, 'record')}, {count_noun(len(self.files), 'file')}"
        if self.restricted:
            records = count_noun(self.restricted, "sealed record")
            yield f"  {records} of a restriction not exported. Run `minimize subject lift` first."
        for output, reason in self.unsearched.items():
            yield f"  Q004 {output} was not searched: {reason}. The request stays open; pass --linked or --unsearchable."


def export_subjects(
    subjects: Subjects,
    folder: Path,
    workspace: Workspace,
    now: datetime,
    *,
    named: Sequence[LocationLike] = (),
    linked: bool = False,
    formats: Collection[str] = (),
    redact: Collection[str] = (),
    unsearchable: Mapping[str, str] = NO_REASONS,
) -> tuple[SubjectExport, ...]:
    """Exports all data about these subjects into a new folder. Takes the arguments of `find_views` and `write_exports`."""
    subjects = permitted_subjects(subjects, workspace, "subject/export")
    views = find_views(subjects, workspace, now, named=named, linked=linked)
    return write_exports(views, folder, workspace, formats=formats, redact=redact, unsearchable=unsearchable)


def write_exports(
    views: Sequence[SubjectView],
    folder: Path,
    workspace: Workspace,
    *,
    formats: Collection[str] = (),
    redact: Collection[str] = (),
    unsearchable: Mapping[str, str] = NO_REASONS,
) -> tuple[SubjectExport, ...]:
    """Writes the data found about each subject into a new folder. Several subjects get one subfolder each.

    Takes the formats of records (default: all), the fields to leave out, and the outputs that cannot be searched with the reason.
    Only the owner can read the files. With a ledger, the export includes the audit entries in which the subject is the actor, and
    the ledger records the request and the fields that were left out. The request stays open if an output that may hold records
    of the subject was not searched. Raises ConfigurationError, OutputError, LedgerError.
    """
    unknown = sorted(set(formats) - set(EXPORT_OPTIONS))
    if unknown:
        raise ConfigurationError(f"unknown format {unknown[0]}", hint=f"Use one of {', '.join(EXPORT_OPTIONS)}.")
    if folder.exists() or folder.is_symlink():
        raise OutputError(f"{folder} already exists", hint="Pass a new folder.")
    names = [""] if len(views) == 1 else [str(number) for number in range(1, len(views) + 1)]
    try:
        with write_new_folder(folder, "export") as work:
            staged_exports = [
                replace(
                    _export_in_folder(view, work / name, workspace, formats, frozenset(redact)),
                    unsearched=_unsearched_outputs(view, unsearchable),
                )
                for view, name in zip(views, names, strict=True)
            ]
        exports = tuple(replace(each, folder=folder / name) for each, name in zip(staged_exports, names, strict=True))
    except OSError as error:
        what, hint = describe_os_error(error)
    else:
        _record_exports(views, exports, workspace, sorted(redact), unsearchable)
        return exports
    raise OutputError(f"{folder} was not created: {what}", hint=hint)


def _record_exports(
    views: Sequence[SubjectView],
    exports: Sequence[SubjectExport],
    workspace: Workspace,
    redacted: Sequence[str],
    unsearchable: Mapping[str, str],
) -> None:
    """Records each copy that was given, and its limits: fields that it leaves out, and outputs that cannot be searched.

    A subject without a tenant has a request in each tenant. An open request for a copy is continued.
    """
    with optional_ledger(workspace, needed=False) as ledger:
        if ledger is None:
            return
        known_subjects = {each.last.subject for each in request_statuses(ledger)}
        for view, export in zip(views, exports, strict=True):
            subject, now = view.subject, view.as_of
            tenants = (
                {name for each in view.records for name in each.tenants} if subject.tenant is None else {subject.tenant}
            )
            subjects = [replace(subject, tenant=tenant) for tenant in sorted(tenants) if not subject.is_form]
            continued = open_requests(ledger, "export", subjects)
            for tenant_subject in subjects:
                request = continued.get(tenant_subject) or new_request(
                    "export", tenant_subject, ledger.keyring, now, known_subjects
                )
                reasons = {"unsearchable": dict(unsearchable)} if unsearchable else {}
                outcome = {"rows": export.rows, "redacted": list(redacted), **reasons}
                final_steps = [] if export.unsearched else [next_step(request, "done", now, **outcome)]
                record_steps(ledger, [*([] if tenant_subject in continued else [request]), *final_steps], now)


def _unsearched_outputs(view: SubjectView, reasons: Mapping[str, str]) -> dict[str, str]:
    """The outputs that may hold records of a subject and were not searched, with the reason why."""
    return {each.file.output.pipeline: each.reason for each in unexplained_files(view.unsearchable, reasons)}


def _export_in_folder(
    view: SubjectView, folder: Path, workspace: Workspace, formats: Collection[str], redact: frozenset[str]
) -> SubjectExport:
    make_folder(folder, private=True)
    return _write_export(view, folder, workspace, formats, redact)


def _write_export(
    view: SubjectView, folder: Path, workspace: Workspace, formats: Collection[str], redact: frozenset[str]
) -> SubjectExport:
    digests = dict(_write_records(view, folder, formats, redact))
    body = json.dumps(_redacted_view(view, redact), indent=2, ensure_ascii=False, default=json_default)
    texts = {
        "view.json": f"{body}\n",
        "view.html": view_page([view], redacted=redact, processing=workspace.config.processing),
    }
    entries = _audit_lines(view, workspace)
    texts |= {} if entries is None else {"audit.ndjson": "".join(entries)}
    for name, text in texts.items():
        write_private_file(folder / name, methodcaller("write", text))
        digests[name] = file_digest(text.encode())
    return SubjectExport(folder, view.rows, len(entries or ()), digests, view.sealed_rows)


def _redacted_view(view: SubjectView, redact: frozenset[str]) -> dict[str, Any]:
    """The view without the fields left out, and with their names. Of a location, only the last part leaves the server."""
    body = view.to_json()
    for entry in (*body["held"], *body["not_searched"], *body["not_reached"]):
        entry["output"] = entry["output"].rstrip("/").rpartition("/")[2]
    for entry in body["held"]:
        entry["fields"] = {name: form for name, form in entry["fields"].items() if top_field(name) not in redact}
    return {**body, "redacted": sorted(redact)}


def _write_records(
    view: SubjectView, folder: Path, formats: Collection[str], redact: frozenset[str]
) -> Iterator[tuple[str, str]]:
    """The files of records with their digests: one for each pipeline, and another one if column types differ."""
    for number, (pipeline, batch) in enumerate(_tables_by_pipeline(view.records), start=1):
        exported_rows = batch.select([name for name in batch.schema.names if name not in redact])
        for format_ in [each for option, each in EXPORT_OPTIONS.items() if option in formats or not formats]:
            name = f"{number}-{pipeline}{format_.suffixes[0]}"
            table = exported_rows if format_.nested else _nested_as_json(exported_rows)
            aside = StagedExport(folder / name, table.schema)
            try:
                for chunk in table.to_batches():
                    aside.take(chunk)
                digest, _ = aside.finish()
                aside.publish().chmod(0o600)
            finally:
                aside.discard()
            yield name, digest


def _tables_by_pipeline(records: Sequence[SubjectRecords]) -> Iterator[tuple[str, pa.Table]]:
    groups: dict[tuple[str, str], list[pa.Table]] = {}
    for file_records in records:
        schema = file_records.rows.schema.remove_metadata()
        groups.setdefault((file_records.file.written_by.receipt.pipeline, str(schema)), []).append(
            file_records.rows.replace_schema_metadata(None)
        )
    yield from ((pipeline, pa.concat_tables(tables)) for (pipeline, _), tables in groups.items())


def _nested_as_json(table: pa.Table) -> pa.Table:
    """Nested columns as JSON text, for formats that have none."""
    for index, schema_field in enumerate(table.schema):
        if pa.types.is_nested(schema_field.type):
            texts = [
                None if value is None else json.dumps(value, default=json_default)
                for value in table[schema_field.name].to_pylist()
            ]
            table = table.set_column(index, schema_field.name, pa.array(texts, pa.string()))
    return table


def _audit_lines(view: SubjectView, workspace: Workspace) -> list[str] | None:
    """The audit log entries in which the subject is the actor; None without a ledger."""
    with optional_ledger(workspace, needed=False) as ledger:
        if ledger is None or view.subject.id is None:
            return None
        entries = find_entries(ledger, EntryFilter(actor=view.subject.id))
    return [entry.json_line() for entry in entries]


@dataclass(frozen=True, slots=True)
class ExportedDeletion(JsonResult):
    """The export and then the deletion of subjects. `folder` is that of the export; None if nothing was changed."""

    deletion: SubjectRemoval = field(metadata=json_member(merge=True))
    folder: Path | None = field(default=None, metadata=json_member("exported_to"))

    def lines(self) -> Iterator[Line]:
        """The lines of the deletion."""
        yield from self.deletion.lines()


def export_then_delete(
    subjects: Subjects,
    folder: Path,
    workspace: Workspace,
    now: datetime,
    *,
    named: Sequence[LocationLike] = (),
    formats: Collection[str] = (),
    redact: Collection[str] = (),
    linked: bool = False,
    unsearchable: Mapping[str, str] = NO_REASONS,
    unseen: bool = False,
    yes: bool = False,
    records: int | None = None,
) -> ExportedDeletion:
    """Exports all data about these subjects into a new folder, then deletes it; without `yes` only makes the plan.

    Takes the arguments and raises the errors of `write_exports` and `delete_subjects`. Exports nothing if the deletion is
    refused, and deletes nothing if the export fails. Raises RefusedError for a restricted subject, because its sealed records are
    not exported, and if the plan does not have the number of `records` that was confirmed.
    """
    subjects = permitted_subjects(subjects, workspace, "subject/export", "subject/delete")
    views = find_views(subjects, workspace, now, named=named, linked=linked)
    sealed = sum(each.sealed_rows for each in views)
    if sealed:
        raise RefusedError(
            f"{count_noun(sealed, 'record')} of restricted subjects cannot be exported, and would be deleted",
            hint="Run `minimize subject lift` first.",
        )
    options: RemovalOptions = {
        "named": named,
        "linked": linked,
        "unsearchable": unsearchable,
        "unseen": unseen,
        "yes": yes,
        "records": records,
        "before_change": partial(
            write_exports, views, folder, workspace, formats=formats, redact=redact, unsearchable=unsearchable
        ),
    }
    deletion = remove_subjects("delete", subjects, workspace, now, **options)
    return ExportedDeletion(deletion, folder if yes else None)
