"""The page of a subject view: the data held about a data subject, in plain language, with what GDPR Art. 15(1) asks for.

It shows no folder or file of the server. Fields have the names that people use, and their stored form in words.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from minimize.governance.sharing.export_file import json_default
from minimize.governance.subjects.disclosures import SubjectDisclosure
from minimize.governance.subjects.named_subjects import DataSubject
from minimize.governance.subjects.search import SubjectRecords
from minimize.governance.subjects.view import SubjectView, records_summary, top_field
from minimize.pages import Block, Section, StatusLine, Table, TermList, html_page
from minimize.policy.model import Policy
from minimize.policy.plain_words import capitalized, column_name, holds_bytes, plain_form, plain_name
from minimize.policy.processing_statements import (
    legal_basis_text,
    missing_statements,
    responsible_section,
    rights_section,
    source_text,
    transfers_text,
)
from minimize.text import bytes_text, count_noun
from minimize.times import minute_text

_CATEGORY_TEXTS: Final[Mapping[str, str]] = {
    "identified": "data that identifies you directly",
    "pseudonymized": "data in which codes (pseudonyms) replace your identifiers; it is still about you",
    "aggregated": "statistics about groups",
}
_MOST_VALUES: Final = 40


def view_page(
    views: Sequence[SubjectView],
    rows: int = 3,
    redacted: Iterable[str] = (),
    processing: Mapping[str, str] | None = None,
) -> str:
    """The views as an HTML page, with at most `rows` records of each dataset and without redacted columns.

    `processing` are the statements of `minimize.yaml` about who is responsible.
    """
    stated = processing or {}
    sections = [_view_section(each, rows, frozenset(redacted), stated) for each in views]
    return html_page(sections[0] if len(sections) == 1 else Section("Data held about several data subjects", sections))


def _view_section(view: SubjectView, rows: int, without: frozenset[str], stated: Mapping[str, str]) -> Section:
    sealed = view.restricted if view.shows_restricted else ()
    return Section(
        f"Data held about {_subject_name(view.subject)}",
        (
            _status(view, stated),
            f"As of {minute_text(view.as_of)}.",
            *(f"A deletion request of {each.asked_at:%Y-%m-%d} is in progress." for each in view.erasures),
            *_restriction_texts(view),
            *(_dataset_section(each, rows, without, stated) for each in _by_dataset(view.records)),
            *(_dataset_section(each, rows, without, stated, is_sealed=True) for each in _by_dataset(sealed)),
            _recipients_section(view, stated),
            responsible_section(stated),
            rights_section(stated),
            *_unsearched_sections(view),
        ),
    )


def _status(view: SubjectView, stated: Mapping[str, str]) -> StatusLine:
    """How much is held, and what is open or missing."""
    recipients = sorted({each.recipient for each in view.disclosures})
    sent = f"sent to {count_noun(len(recipients), 'recipient')}" if recipients else "sent to no third party"
    unsearched = len(view.unsearchable) + len(view.unreachable)
    needs = [
        *(["deletion in progress"] if view.erasures else []),
        *(["use restricted"] if view.restrictions or view.restricted else []),
        *([f"{count_noun(unsearched, 'place')} not searched, so this may not be all"] if unsearched else []),
        *missing_statements(stated, without="legal_basis"),
    ]
    headline = f"{count_noun(view.rows + view.sealed_rows, 'record')} held"
    return StatusLine(
        "attention" if needs else "good", headline, [sent if view.has_ledger else "", *needs][not view.has_ledger :]
    )


def _restriction_texts(view: SubjectView) -> Iterator[str]:
    if view.restrictions or view.restricted:
        yield "The use of sealed records is restricted. They are kept, and are not used until the restriction is lifted."


def _by_dataset(records: Sequence[SubjectRecords]) -> Iterator[list[SubjectRecords]]:
    """The records of each dataset with the same policy, oldest file first."""
    groups: dict[tuple[str, str], list[SubjectRecords]] = {}
    for file_records in records:
        receipt = file_records.file.written_by.receipt
        groups.setdefault((receipt.pipeline, receipt.policy.digest), []).append(file_records)
    yield from groups.values()


def _dataset_section(
    files: Sequence[SubjectRecords],
    rows: int,
    without: frozenset[str],
    stated: Mapping[str, str],
    *,
    is_sealed: bool = False,
) -> Section:
    summaries = [records_summary(each, rows) for each in files]
    newest, policy = summaries[-1], files[-1].file.policy
    records = [row for summary in summaries for row in summary["records"]][-rows:] if rows else []
    count = sum(each["rows"] for each in summaries)
    times = [(each["since"], each["to"]) for each in summaries if each["since"] and each["to"]]
    period = f"{_minute(min(since for since, _ in times))} to {_minute(max(to for _, to in times))}" if times else ""
    until = max((each["until"] for each in summaries if each["until"]), default=None)
    terms = [
        ("Purpose", plain_name(newest["purpose"])),
        ("Legal basis", legal_basis_text(stated)),
        ("Kind of data", _CATEGORY_TEXTS.get(newest["category"], newest["category"])),
        ("Events from", period),
        ("Kept until", _minute(until) if until else "no limit is set"),
        ("Source", source_text(stated)),
    ]
    rows_of_table = [*_field_rows(policy, newest["fields"], records, without)]
    head = ("what", "in which form", *(f"record {number}" for number in range(1, len(records) + 1)))
    sealed_text = ", sealed" if is_sealed else ""
    return Section(
        f"{capitalized(plain_name(newest['pipeline']))}: {count_noun(count, 'record')}{sealed_text}",
        (
            TermList([(title, (text,)) for title, text in terms]),
            _values_table(f"What is stored{_last_text(records, count)}", head, rows_of_table),
        ),
    )


def _last_text(records: Sequence[Mapping[str, Any]], count: int) -> str:
    if not records:
        return ""
    return f", with the last {count_noun(len(records), 'record')}" if len(records) < count else ", with all records"


def _values_table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table.filled(caption, head, rows)
    return Table(table.caption, table.head, table.rows, is_literal=True)


def _field_rows(
    policy: Policy, fields: Mapping[str, Any], records: Sequence[Mapping[str, Any]], without: frozenset[str]
) -> Iterator[tuple[str, ...]]:
    """A row for each stored column: its name, its form, and its values."""
    columns: dict[str, list[str]] = {}
    for key in fields:
        columns.setdefault(top_field(key), []).append(key)
    for row in records:
        for column in row:
            columns.setdefault(column, [])
    for column, keys in columns.items():
        if column not in without:
            values = (_cell_text(policy, column, row.get(column)) for row in records)
            yield capitalized(column_name(policy, column)), _form_text(policy, fields, keys), *values


def _form_text(policy: Policy, fields: Mapping[str, Any], keys: Sequence[str]) -> str:
    """The form of a column, or of each field in it."""
    if len(keys) == 1:
        return plain_form(policy, keys[0], fields[keys[0]])
    return "; ".join(f"{column_name(policy, key)}: {plain_form(policy, key, fields[key])}" for key in keys)


def _cell_text(policy: Policy, column: str, value: Any) -> str:
    """A stored value for readers: times to the minute, bytes as sizes."""
    field = policy.fields.get(column)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime) and value.tzinfo is not None:
        return minute_text(value)
    if isinstance(value, int) and field is not None and holds_bytes(field):
        return bytes_text(value)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=json_default)
    return str(value)


def _recipients_section(view: SubjectView, stated: Mapping[str, str]) -> Section:
    policies = [each.file.policy for each in (*view.records, *view.restricted)]
    shared = Table.filled(
        "Disclosures, the first one first",
        ("recipient", "function", "purpose", "fields", "sent", "kept by the recipient until"),
        [_disclosure_cells(each, policies) for each in view.disclosures],
    )
    transfers = transfers_text(stated)
    blocks: tuple[Block, ...] = (
        shared,
        "No disclosure to third parties is recorded." if view.has_ledger and not shared else "",
        "The record of disclosures was not searched, because there is no ledger." if not view.has_ledger else "",
        f"Transfers to other countries: {transfers}." if transfers else "",
    )
    return Section("Who received it", blocks)


def _disclosure_cells(disclosure: SubjectDisclosure, policies: Sequence[Policy]) -> tuple[str, ...]:
    until = "" if disclosure.until is None else minute_text(disclosure.until)
    fields = ", ".join(_shared_name(each, policies) for each in disclosure.fields)
    names = (disclosure.recipient, plain_name(disclosure.function), plain_name(disclosure.purpose), fields)
    return (*names, minute_text(disclosure.shared_at), until)


def _shared_name(field: str, policies: Sequence[Policy]) -> str:
    policy = next((each for each in policies if field in each.fields), None)
    return plain_name(field) if policy is None else column_name(policy, field)


def _unsearched_sections(view: SubjectView) -> Iterator[Section]:
    """What could not be searched: datasets with the reason, without places on the server."""
    files = [(plain_name(each.file.output.pipeline), each.file.date or "", each.reason) for each in view.unsearchable]
    outputs = [(plain_name(each.pipeline), "", each.reason) for each in view.unreachable]
    rows = list(dict.fromkeys([*files, *outputs]))
    if rows:
        more = len(rows) - _MOST_VALUES
        note = f"And {more:,} more." if more > 0 else ""
        table = Table.filled("Datasets and reasons", ("dataset", "date", "reason"), rows[:_MOST_VALUES])
        yield Section("What could not be searched", (table, note))


def _minute(text: str) -> str:
    return minute_text(datetime.fromisoformat(text))


def _subject_name(subject: DataSubject) -> str:
    if subject.id is None:
        return f"the tenant {subject.tenant}"
    return subject.id if subject.tenant is None else f"{subject.id} of {subject.tenant}"
