"""Subject view (`subject view`): all data held about a subject, as JSON and as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from minimize.datasets.published_output import PublishedOutput
from minimize.governance.known_outputs import UnreachableOutput, find_outputs
from minimize.governance.subjects.disclosures import SubjectDisclosure, disclosures_of, load_disclosures
from minimize.governance.subjects.linked import LinkedIdentifiers, find_linked_identifiers, shared_devices_text
from minimize.governance.subjects.named_subjects import DataSubject, Subjects, permitted_subjects
from minimize.governance.subjects.requests import REQUEST_ID_LENGTH, open_requests, restrictions_in_force
from minimize.governance.subjects.search import (
    SearchedFile,
    SubjectRecords,
    SubjectSearch,
    UnsearchableFile,
    absent_tenants,
    record_files,
    resolve_names,
)
from minimize.keys import Keyring
from minimize.pages import Table
from minimize.results import Line, json_value
from minimize.stores import LocationLike
from minimize.text import count_noun
from minimize.times import from_epoch_microseconds, instant_text, minute_text, time_text
from minimize.workspace import Workspace, optional_ledger

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger
    from minimize.ledger.subject_kinds import LifecycleEvent, SubjectRequestStep


@dataclass(frozen=True, slots=True)
class SubjectView:
    """All data held about one subject."""

    subject: DataSubject
    as_of: datetime
    records: tuple[SubjectRecords, ...] = field(default=(), repr=False)
    unsearchable: tuple[UnsearchableFile, ...] = ()
    """Files that cannot be searched by this identifier, with the reason."""
    unreachable: tuple[UnreachableOutput, ...] = ()
    """Outputs that cannot be checked from here."""
    disclosures: tuple[SubjectDisclosure, ...] = ()
    groups: int = 0
    """Number of row groups in the searched files; `read` is the number of those that were read."""
    read: int = 0
    is_unseen: bool = False
    """Whether neither the ledger nor an output names the tenant."""
    erasures: tuple[SubjectRequestStep, ...] = ()
    """Open or failed deletion requests: the held records are still to be deleted."""
    restrictions: tuple[LifecycleEvent, ...] = ()
    """Restrictions of the subject or its tenant in force."""
    restricted: tuple[SubjectRecords, ...] = field(default=(), repr=False)
    """The sealed records of the subject."""
    shows_restricted: bool = False
    has_ledger: bool = False
    """Whether a ledger was searched for disclosures."""
    shared_devices: int = 0
    """Number of devices of the subject that other persons also use."""

    @property
    def rows(self) -> int:
        """The number of records."""
        return sum(each.rows.num_rows for each in self.records)

    @property
    def sealed_rows(self) -> int:
        """The number of sealed records of a restriction."""
        return sum(each.rows.num_rows for each in self.restricted)

    @property
    def counts_text(self) -> str:
        """The number of records, and that of sealed ones if there are any."""
        sealed = count_noun(self.sealed_rows, "sealed record")
        if not self.rows and self.restricted:
            return f"{sealed}, and no other records"
        counts = f"{count_noun(self.rows, 'record')} in {count_noun(len(self.records), 'file')}"
        return f"{counts}, and {sealed}" if self.restricted else counts

    def to_json(self, rows: int = 0) -> dict[str, Any]:
        """The view as JSON, with the last records of each file (at most `rows`) as stored."""
        subject = {"id": self.subject.id, "tenant_id": self.subject.tenant, "field": self.subject.field}
        return {
            "subject": subject | ({"is_form": True} if self.subject.is_form else {}),
            "at": time_text(self.as_of),
            "rows": self.rows,
            "row_groups": {"all": self.groups, "read": self.read},
            "tenant_is_unseen": self.is_unseen,
            "held": [records_summary(each, rows) for each in self.records],
            "shared": json_value(self.disclosures),
            **({"to_be_deleted": self._to_be_deleted()} if self.erasures else {}),
            **({"restricted": self._restricted(rows)} if self.restrictions or self.restricted else {}),
            **({"shared_devices": self.shared_devices} if self.shared_devices else {}),
            "not_searched": json_value(self.unsearchable),
            "not_reached": json_value(self.unreachable),
        }

    def lines(self, rows: int = 0, *, verbose: bool = False) -> Iterator[Line]:
        """A table of the datasets with data of the subject; with `verbose`, each file with its fields and last records."""
        yield f"{self._subject_text()}: {self.counts_text}"
        if self.is_unseen:
            yield "  unknown tenant: neither an output nor the ledger names it. Check the spelling."
        for request in self._to_be_deleted():
            yield (
                f"  deletion {request['request']}, requested {request['asked_at']}, is {request['state']}: "
                f"{count_noun(request['rows'], 'record')} still to remove. Run `minimize subject delete` again."
            )
        if self.restrictions or self.restricted:
            dates = " and ".join(
                f"{minute_text(each.at)} by {each.actor or 'an unknown account'}" for each in self.restrictions
            )
            since = f" since {dates}" if dates else ""
            yield f"  restricted{since}. Run `minimize subject lift` to lift the restriction."
        by_file = (*self.records, *(self.restricted if self.shows_restricted else ()))
        if by_file:
            yield Table.filled("", _HELD_HEAD, [*_held_rows(records_summary(each) for each in by_file)])
        yield from self._disclosure_tables()
        if self.shared_devices:
            yield shared_devices_text(self.shared_devices)
        yield from self._unsearched_tables()
        if verbose and self.groups:
            yield f"  {self.read:,} of {count_noun(self.groups, 'row group')} read"
        for records in by_file if verbose else ():
            yield from _file_lines(records_summary(records, rows))
        if by_file and not verbose:
            yield "Pass --verbose to see files, fields and records."

    def _disclosure_tables(self) -> Iterator[Table]:
        rows = [
            (
                each.recipient,
                each.function,
                each.purpose,
                ", ".join(each.fields),
                minute_text(each.shared_at),
                "" if each.until is None else minute_text(each.until),
            )
            for each in self.disclosures
        ]
        if rows:
            head = ("shared with", "function", "purpose", "fields", "at", "kept there until")
            yield Table.filled("", head, rows)

    def _unsearched_tables(self) -> Iterator[Table]:
        files = [(f"{each['output']}/{each['file']}", each["why"]) for each in json_value(self.unsearchable)]
        outputs = [(f"{each['output']} of {each['pipeline']}", each["why"]) for each in json_value(self.unreachable)]
        for head, rows in (("not searched", files), ("not reached", outputs)):
            if rows:
                yield Table("", (head, "reason"), rows)

    def _subject_text(self) -> str:
        subject = self.subject
        if subject.id is None:
            return f"tenant {subject.tenant}"
        return subject.id if subject.tenant is None else f"{subject.id} of {subject.tenant}"

    def _restricted(self, rows: int) -> dict[str, Any]:
        """The restrictions, and the sealed records: their number, and with `shows_restricted` the records themselves."""
        summaries = [records_summary(each, rows) for each in self.restricted] if self.shows_restricted else []
        return {
            "restrictions": [
                {"since": time_text(each.at), "by": each.actor, "whole_tenant": each.subject is None}
                for each in self.restrictions
            ],
            "rows": self.sealed_rows,
            **({"held": summaries} if self.shows_restricted else {}),
        }

    def _to_be_deleted(self) -> list[dict[str, Any]]:
        return [
            {
                "request": each.id[:REQUEST_ID_LENGTH],
                "asked_at": time_text(each.asked_at),
                "state": each.state,
                "rows": self.rows,
            }
            for each in self.erasures
        ]


@dataclass(frozen=True, slots=True)
class SubjectViews:
    """The views of several subjects, with at most `rows` records of each file."""

    views: tuple[SubjectView, ...]
    rows: int = 0
    verbose: bool = False

    def to_json(self) -> dict[str, Any]:
        """The views as `subject view --json` prints them."""
        return {"subjects": [each.to_json(self.rows) for each in self.views]}

    def lines(self) -> Iterator[Line]:
        """The views, separated by blank lines."""
        for number, view in enumerate(self.views):
            yield from [""] if number else []
            yield from view.lines(self.rows, verbose=self.verbose)


_HELD_HEAD = ("dataset", "dates", "records", "category", "purpose", "events from", "to", "kept until")


def _held_rows(summaries: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """A row for each dataset, category and purpose."""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for summary in summaries:
        groups.setdefault((summary["pipeline"], summary["category"], summary["purpose"]), []).append(summary)
    for (pipeline, category, purpose), files in groups.items():
        dates = sorted({each["date"] for each in files if each["date"]})
        yield (
            pipeline,
            " to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else "",
            f"{sum(each['rows'] for each in files):,}",
            category,
            purpose,
            _minute_of(min((each["since"] for each in files if each["since"]), default=None)),
            _minute_of(max((each["to"] for each in files if each["to"]), default=None)),
            _minute_of(max((each["until"] for each in files if each["until"]), default=None)),
        )


def _minute_of(text: str | None) -> str:
    return "" if text is None else minute_text(datetime.fromisoformat(text))


def _file_lines(summary: Mapping[str, Any]) -> Iterator[Line]:
    """One file: where it is, its fields, its other identifiers, and its last records."""
    yield ""
    yield f"{summary['output']}/{summary['file']}, found by {summary['found_by']}"
    yield from (f"  also: {count_noun(count, 'form')} of {name}" for name, count in summary["beside"].items())
    records = summary["records"]
    rows = [
        (name, form_text(form), *(_value_text(row.get(name)) for row in records))
        for name, form in summary["fields"].items()
    ]
    columns = {top_field(name) for name in summary["fields"]}
    nested = [column for row in records for column in row if column not in summary["fields"] and column in columns]
    rows += [(name, "", *(_value_text(row.get(name)) for row in records)) for name in dict.fromkeys(nested)]
    head = ("field", "form", *(f"record {number}" for number in range(1, len(records) + 1)))
    yield Table.filled("", head, rows)


def _value_text(value: Any) -> str:
    return "" if value is None else str(value)


def view_subjects(
    subjects: Subjects,
    workspace: Workspace,
    at: datetime,
    *,
    named: Sequence[LocationLike] = (),
    linked: bool = False,
    restricted: bool = False,
) -> tuple[SubjectView, ...]:
    """All data held about these subjects, for the current actor, who may view it. See `find_views`."""
    permissions = ["subject/view", *(["subject/restrict"] if restricted else [])]
    subjects = permitted_subjects(subjects, workspace, *permissions)
    return find_views(subjects, workspace, at, named=named, linked=linked, restricted=restricted)


def find_views(
    subjects: Sequence[DataSubject],
    workspace: Workspace,
    at: datetime,
    *,
    named: Sequence[LocationLike] = (),
    linked: bool = False,
    restricted: bool = False,
) -> tuple[SubjectView, ...]:
    """All data held about these subjects, in every output that the ledger knows and in the given ones.

    Takes the workspace of ledger and keyring (the ledger is optional if outputs are given) and the time. `linked` adds records
    of devices that belong to a person alone, in files that do not name the person. `restricted` shows sealed records, too.
    Raises KeyringError, LedgerError, OutputError, and ConfigurationError for a field that no policy has.
    """
    keys = workspace.keyring()
    with optional_ledger(workspace, needed=not named) as ledger:
        configured = workspace.configured_outputs
        outputs, unreachable = find_outputs(ledger, named, keys, configured=configured, is_copy_refused=True)
        subjects = resolve_names(subjects, outputs)
        builder = _ViewBuilder(
            outputs=outputs,
            unreachable=unreachable,
            ledger=ledger,
            as_of=at,
            keys=keys,
            tenants=frozenset() if ledger is None else ledger.tenants(),
            linked=linked,
            shows_restricted=restricted,
        )
        return tuple(map(builder.view, subjects))


def _other_files(records: Sequence[SubjectRecords], linked_records: Iterable[SubjectRecords]) -> list[SubjectRecords]:
    """The found records of linked ids in files in which the subject was not found."""
    known_files = {(str(each.file.output.folder), each.file.path) for each in records}
    return [each for each in linked_records if (str(each.file.output.folder), each.file.path) not in known_files]


def records_summary(file_records: SubjectRecords, rows: int = 0) -> dict[str, Any]:
    """A file's data about a subject: location, times, retention, the form of each field, and its last records."""
    policy, receipt = file_records.file.policy, file_records.file.written_by.receipt
    since, until = file_records.span
    forms = {
        name: receipt_field.did if isinstance(receipt_field.did, str) else list(receipt_field.did)
        for name, receipt_field in receipt.fields.items()
    }
    return {
        "pipeline": receipt.pipeline,
        "output": str(file_records.file.output.folder),
        "file": file_records.file.path,
        "date": file_records.file.date,
        "purpose": receipt.purpose,
        "policy": {"name": receipt.policy.name, "version": receipt.policy.version},
        "collected_by": receipt.run_id,
        "found_by": ", ".join(file_records.keys),
        "category": receipt.outputs["records"].category,
        "rows": file_records.rows.num_rows,
        "since": instant_text(since),
        "to": instant_text(until),
        "until": _retained_until(until, policy.retention),
        "fields": {name: form for name, form in forms.items() if form != "drop"},
        "beside": {name: len(identifiers) for name, identifiers in file_records.other_identifiers.items()},
        "records": file_records.rows.slice(max(0, file_records.rows.num_rows - rows)).to_pylist(),
    }


@dataclass(frozen=True)
class _ViewBuilder:
    outputs: Sequence[PublishedOutput]
    unreachable: Sequence[UnreachableOutput]
    ledger: Ledger | None
    as_of: datetime
    keys: Keyring = field(repr=False)
    tenants: frozenset[str] = field(repr=False)
    linked: bool = False
    shows_restricted: bool = False

    def view(self, subject: DataSubject) -> SubjectView:
        """The data held about one subject."""
        search = SubjectSearch(subject, self.tenants)
        searched_files = list(search.search_files(self.outputs))
        records = [each.found for each in searched_files if isinstance(each.found, SubjectRecords)]
        restricted = list(search.find_restricted(self.outputs))
        linked = self._linked(subject, [*records, *restricted])
        records += _other_files(
            records, (file_records for identifiers in linked for file_records in identifiers.records(self.outputs))
        )
        restricted += _other_files(
            restricted,
            (file_records for identifiers in linked for file_records in identifiers.sealed_records(self.outputs)),
        )
        forms = frozenset(form for file_records in (*records, *restricted) for form in file_records.subjects)
        disclosures = () if self.ledger is None else load_disclosures(self.ledger)
        return SubjectView(
            subject=subject,
            as_of=self.as_of,
            records=tuple(records),
            unsearchable=self._unsearchable(searched_files, linked),
            shared_devices=sum(each.shared for each in linked),
            unreachable=tuple(self.unreachable),
            disclosures=tuple(disclosures_of(disclosures, subject, self._tenants(subject, records), self.keys, forms)),
            groups=sum(each.groups for each in searched_files),
            read=sum(each.read for each in searched_files),
            is_unseen=not records and self._is_unseen(subject),
            erasures=self._erasures(subject, records),
            restrictions=self._restrictions(subject),
            restricted=tuple(restricted),
            shows_restricted=self.shows_restricted,
            has_ledger=self.ledger is not None,
        )

    def _linked(self, subject: DataSubject, records: Sequence[SubjectRecords]) -> list[LinkedIdentifiers]:
        """The other ids of the subject and, if asked for, its devices; without a tenant, in each tenant in which it was found."""
        tenants = [subject.tenant] if subject.tenant is not None else sorted({*self._tenants(subject, records)})
        return [
            find_linked_identifiers(replace(subject, tenant=name), self.outputs, self.keys, devices=self.linked)
            for name in tenants
        ]

    def _unsearchable(
        self, searched: Sequence[SearchedFile], linked: Sequence[LinkedIdentifiers]
    ) -> tuple[UnsearchableFile, ...]:
        unsearchable_files = [each.found for each in searched if isinstance(each.found, UnsearchableFile)]
        files = [*record_files(self.outputs)]
        distinct_files = (
            [file for identifiers in linked for file in identifiers.unsearched(files, unsearchable_files)]
            if linked
            else unsearchable_files
        )
        return tuple({(str(each.file.output.folder), each.file.path): each for each in distinct_files}.values())

    def _erasures(self, subject: DataSubject, records: Sequence[SubjectRecords]) -> tuple[SubjectRequestStep, ...]:
        """The unfinished deletion requests of the subject."""
        if self.ledger is None or subject.is_form:
            return ()
        tenants = [subject.tenant] if subject.tenant is not None else sorted(self._tenants(subject, records))
        subjects = [replace(subject, tenant=tenant) for tenant in tenants]
        return tuple(open_requests(self.ledger, "delete", subjects).values())

    def _restrictions(self, subject: DataSubject) -> tuple[LifecycleEvent, ...]:
        """The restrictions of the subject and of its tenant in force; without a tenant, in every tenant."""
        if self.ledger is None or subject.is_form:
            return ()
        tenants = [subject.tenant] if subject.tenant is not None else sorted(self.ledger.tenants())
        subjects = [replace(subject, tenant=name) for name in tenants]
        subjects += [] if subject.tenant is None or subject.is_tenant else [DataSubject(None, subject.tenant)]
        restrictions = restrictions_in_force(self.ledger, subjects)
        return tuple(row for rows in restrictions.values() for row in rows)

    def _tenants(self, subject: DataSubject, records: Sequence[SubjectRecords]) -> frozenset[str]:
        """The tenants whose disclosures may name the subject."""
        return self.tenants.union(*(each.tenants for each in records)) if subject.tenant is None else frozenset()

    def _is_unseen(self, subject: DataSubject) -> bool:
        tenant = subject.tenant
        return tenant is not None and tenant not in self.tenants and bool(absent_tenants([tenant], self.outputs))


def _retained_until(newest: int | None, retention: timedelta | None) -> str | None:
    """The time until which the youngest of these records may be kept."""
    if newest is None or retention is None:
        return None
    return time_text(from_epoch_microseconds(newest) + retention)


def form_text(form: Any) -> str:
    """The form of a field, or the sequence of its forms."""
    return form if isinstance(form, str) else " → ".join(form)


def top_field(name: str) -> str:
    """The column of a field; for a nested field, the first step of its pointer."""
    return name.split("/")[1] if name.startswith("/") else name
