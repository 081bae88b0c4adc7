"""Documentation (`minimize docs`): the record of processing activities (GDPR Art. 30(1)), and all documents.

The record has one entry per pipeline, made from the plan that is enforced. `written_documentation` writes the documents.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from minimize.errors import redact_errors
from minimize.pages import BulletList, Section, Table, TermList, markdown_page
from minimize.plan import Plan
from minimize.plan.model import CaseBranch, FieldPlan, describe_encryption
from minimize.policy.pipeline import SourceModel
from minimize.policy.treatments import DROP
from minimize.recipients import Recipient, Subprocessor
from minimize.recipients.model import standing_text
from minimize.recipients.pages import recipient_contract_text
from minimize.report.catalogue import (
    ORIGIN_NOTE,
    UNLIMITED,
    DatasetEntry,
    DocumentedPipeline,
    catalogue_document,
    dataset_entry,
    entry_table,
    pipelines_in,
    recipients_of,
    retention_of_field,
    stated_processing,
    subprocessors_of,
)
from minimize.results import JsonResult, json_member
from minimize.techniques import TECHNIQUES
from minimize.text import count_noun
from minimize.times import duration_text, time_text


@dataclass(frozen=True, slots=True)
class RecipientEntry:
    """One third party: role, functions, shared fields, contract."""

    name: str
    standing: str
    about: str
    functions: tuple[str, ...]
    fields: tuple[str, ...]
    contract: str


@dataclass(frozen=True, slots=True)
class PublicationEntry:
    """Summary of an output's receipts: number and kinds of changes, batch dates, policy of the last change."""

    receipts: int
    kinds: tuple[str, ...]
    first: str
    last: str
    dates: str
    policy: str
    as_today: bool


@dataclass(frozen=True, slots=True)
class ActivityEntry:
    """One processing activity, by the letters of GDPR Art. 30(1): b purposes, c subjects and data, d recipients, f limits,
    g measures; and a summary of its receipts. `ran` is None if nothing was published yet.
    """

    name: str
    owner: str
    purposes: tuple[str, ...]
    subjects: str
    data: tuple[str, ...]
    recipients: tuple[str, ...]
    limits: tuple[str, ...]
    measures: tuple[str, ...]
    ran: PublicationEntry | None


@dataclass(frozen=True, slots=True)
class ProcessingRecord:
    """The record of processing: controller (a), transfers (e), activities, recipients, and missing statements."""

    house: tuple[tuple[str, str], ...] = field(metadata=json_member(convert=dict))
    """The statements under `processing:` of `minimize.yaml`, by key."""
    activities: tuple[ActivityEntry, ...]
    recipients: tuple[RecipientEntry, ...]
    subprocessors: tuple[Subprocessor, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Documentation(JsonResult):
    """Both documents."""

    catalogue: tuple[DatasetEntry, ...]
    record: ProcessingRecord = field(metadata=json_member("processing"))

    def lines(self) -> Sequence[str]:
        """Both documents as Markdown."""
        documents = (catalogue_document(self.catalogue), record_document(self.record))
        return "\n".join(map(markdown_page, documents)).rstrip("\n").split("\n")


_REQUIRED_STATEMENTS = {
    "controller": "Art. 30(1)(a): the controller",
    "contact": "Art. 30(1)(a): contact details of the controller",
    "dpo": "Art. 30(1)(a): the data protection officer, if one is designated",
    "subjects": "Art. 30(1)(c): the categories of data subjects",
    "transfers": "Art. 30(1)(e): transfers to third countries, or a statement that there are none",
    "organizational_measures": "Art. 30(1)(g): the organizational security measures",
}
_ROLE_NAMES = {
    "identifier": "identifiers",
    "quasi": "data that can identify a person in combination",
    "sensitive": "sensitive data",
    "free_text": "free text",
    "plain": "other data",
}


def processing_record(
    pipelines: Sequence[DocumentedPipeline],
    recipients: Sequence[Recipient],
    processing: dict[str, str],
    listed: Sequence[Subprocessor] = (),
) -> ProcessingRecord:
    """The whole record. Takes the entries of the list of subprocessors, too."""
    missing = [about for word, about in _REQUIRED_STATEMENTS.items() if not processing.get(word)]
    missing += [f"{each.pipeline.pipeline}: retention" for each in pipelines if each.plan.policy.retention is None]
    return ProcessingRecord(
        house=tuple(processing.items()),
        activities=tuple(map(activity_entry, pipelines)),
        recipients=tuple(map(recipient_entry, recipients)),
        subprocessors=tuple(listed),
        missing=tuple(missing),
    )


def activity_entry(pipeline: DocumentedPipeline) -> ActivityEntry:
    """The entry of one pipeline."""
    plan = pipeline.plan
    return ActivityEntry(
        name=pipeline.pipeline.pipeline,
        owner=plan.policy.owner,
        purposes=(pipeline.pipeline.purpose,),
        subjects=_subjects_text(plan),
        data=tuple(_data_categories(plan)),
        recipients=tuple(map(str, pipeline.fed)),
        limits=tuple(_time_limits(plan)),
        measures=(*_authorization_measure(pipeline.pipeline.source), *_security_measures(plan)),
        ran=_publications(pipeline),
    )


def recipient_entry(recipient: Recipient) -> RecipientEntry:
    """The entry of one third party."""
    ways = {"outbound": "sent to the recipient", "inbound": "received from the recipient"}
    functions = (f"{each.name} ({each.purpose}, {ways[each.direction]})" for each in recipient.functions.values())
    fields = dict.fromkeys(
        key for function in recipient.outbound for key in (*function.shared, *function.pass_through_fields)
    )
    return RecipientEntry(
        name=recipient.recipient,
        standing=standing_text(recipient.standing),
        about=recipient.about,
        functions=tuple(functions),
        fields=tuple(fields),
        contract=recipient_contract_text(recipient),
    )


def _subjects_text(plan: Plan) -> str:
    key = plan.policy.subject
    if key is None:
        return "the policy declares no subject field"
    about = plan.policy.fields[key].about
    return f"persons or devices identified by {key}" + (f" ({about})" if about else "")


def _data_categories(plan: Plan) -> Iterator[str]:
    """Released fields by role, with their techniques."""
    leaving = [field for field in plan.fields.values() if field.gives is not None]
    for role, about in _ROLE_NAMES.items():
        fields = [_field_text(field) for field in leaving if field.field.role == role]
        if fields:
            yield f"{about}: {', '.join(fields)}"


def _field_text(field: FieldPlan) -> str:
    ways = list(dict.fromkeys(map(_branch_text, field.branches)))
    return field.key if ways == ["unchanged"] else f"{field.key} ({' or '.join(ways)})"


def _branch_text(branch: CaseBranch) -> str:
    """The techniques of one case."""
    if branch.steps is None:
        return "dropped"
    return " → ".join(step.name for step in branch.steps if not step.changes_nothing) or "unchanged"


def _time_limits(plan: Plan) -> Iterator[str]:
    policy = plan.policy
    yield UNLIMITED if policy.retention is None else f"{duration_text(policy.retention)} from the time of the event"
    for name, feature in policy.features.items():
        used = any(field.field.feature == name and field.gives is not None for field in plan.fields.values())
        if feature.retention is not None and used:
            yield f"{name}: {duration_text(feature.retention)}"
    for name, span in plan.own_retentions.items():
        yield f"{name}: {duration_text(span)}"
    shorter = [
        field.key
        for field in plan.fields.values()
        if field.gives is not None and retention_of_field(plan, field) == UNLIMITED
    ]
    if shorter and policy.retention is not None:
        yield f"no limit: {', '.join(shorter)}"


def _authorization_measure(source: SourceModel) -> Iterator[str]:
    if source.deciding_function is None:
        return
    recipient, function = source.deciding_function
    if source.is_received:
        sender = f"{recipient} ({function})"
        yield f"authorization: a record from {sender} is kept only if its tenant has authorized it, at arrival and at processing"
    else:
        yield f"authorization: a record is collected only while its tenant has authorized that {recipient} gets it ({function})"


def _security_measures(plan: Plan) -> Iterator[str]:
    """Art. 30(1)(g), 32: technical measures that the plan enforces."""
    dropped = sum(field.gives is None for field in plan.fields.values())
    yield (
        f"minimization: {dropped} of {len(plan.fields)} declared fields are dropped; "
        "undeclared fields are never written to an output"
    )
    names = {name for field in plan.fields.values() if field.gives is not None for name in field.technique}
    kinds = [TECHNIQUES[name] for name in TECHNIQUES if name in names]
    used = [kind for kind in kinds if not kind.changes_nothing]
    yield from dict.fromkeys(kind.safeguard for kind in used if kind.safeguard)
    coarse = sorted({*(kind.name for kind in used if not kind.safeguard), *(names & {DROP})})
    if coarse:
        yield f"generalization: {', '.join(coarse)}"
    for name, aggregate in plan.aggregates.items():
        yield f"{name}: groups of fewer than {aggregate.model.suppress.below} subjects are suppressed; {aggregate.figures_text}"
    for name in plan.outputs:
        words = describe_encryption(plan, name)
        if words:
            yield f"{name}: {words}"
    yield "accountability: signed, chained receipts of every change; `minimize verify` checks the published output again"


def _publications(pipeline: DocumentedPipeline) -> PublicationEntry | None:
    """Summary of the receipts. The last one shows whether the current policy was applied."""
    if not pipeline.receipts:
        return None
    first, last = pipeline.receipts[0], pipeline.receipts[-1]
    kinds = Counter(each.kind for each in pipeline.receipts)
    days = sorted(day for receipt in pipeline.receipts for day in receipt.dates)
    return PublicationEntry(
        receipts=len(pipeline.receipts),
        kinds=tuple(f"{kind} {count}" for kind, count in sorted(kinds.items())),
        first=time_text(first.finished),
        last=time_text(last.finished),
        dates=f"{days[0]} to {days[-1]}" if days else "",
        policy=f"{last.policy.name} version {last.policy.version}",
        as_today=last.policy.digest == pipeline.pipeline.policy.digest,
    )


RECORD_SCOPE: Final = (
    "Record under GDPR Art. 30(1), as controller. If you act as processor, keep the record under Art. 30(2) separately."
)
STATEMENT_HEADINGS: Final[Mapping[str, str]] = {
    "controller": "Controller",
    "contact": "Contact",
    "representative": "Representative",
    "dpo": "Data protection officer",
    "subjects": "Data subjects",
    "legal_basis": "Legal basis",
    "transfers": "Transfers to third countries",
    "security": "Security",
    "organizational_measures": "Organizational measures",
    "source": "Source of the data",
    "authority": "Supervisory authority",
}


def record_document(record: ProcessingRecord) -> Section:
    """The record of processing activities."""
    recipients = recipients_table(record.recipients)
    subprocessors = subprocessors_table(record.subprocessors)
    blocks = (
        f"{RECORD_SCOPE} {ORIGIN_NOTE}",
        TermList([(statement_heading(word), (text,)) for word, text in record.house]),
        Section("Missing statements", (BulletList(record.missing),)) if record.missing else "",
        *(Section(each.name, (activity_terms(each),)) for each in record.activities),
        Section("Recipients", (recipients,)) if recipients else "",
        Section("Subprocessors", (subprocessors,)) if subprocessors else "",
    )
    return Section("Record of processing activities", blocks)


def statement_heading(word: str) -> str:
    """The heading of a statement under `processing:`.

    >>> statement_heading("legal_basis.customer_support")
    'Legal basis of customer support'
    """
    key, _, purpose = word.partition(".")
    return f"{STATEMENT_HEADINGS[key]} of {purpose.replace('_', ' ')}" if purpose else STATEMENT_HEADINGS[key]


def recipients_table(recipients: Sequence[RecipientEntry]) -> Table:
    """The recipients of the record."""
    names = {"role": "standing", **{name: name for name in ("about", "functions", "fields", "contract")}}
    return entry_table("Recipients", {"recipient": "name", **names}, recipients)


def subprocessors_table(subprocessors: Sequence[Subprocessor]) -> Table:
    """The list of subprocessors of the record."""
    columns = {"name": "name", "from": "from_", "until": "until", "service": "about"}
    return entry_table("Subprocessors", columns, subprocessors)


def activity_terms(activity: ActivityEntry) -> TermList:
    """What Art. 30(1) requires about an activity, by its letters."""
    return TermList(
        (
            ("Owner", (activity.owner or "not named",)),
            ("Purposes (b)", activity.purposes),
            ("Data subjects (c)", (activity.subjects,)),
            ("Categories of data (c)", activity.data),
            ("Recipients (d)", activity.recipients or ("none",)),
            ("Time limits (f)", activity.limits),
            ("Security measures (g)", activity.measures),
            ("Changes to the output", tuple(_publication_texts(activity))),
        )
    )


def _minute(time: str) -> str:
    """A time in UTC, as in the receipt, for readers: to the minute."""
    return f"{time[:16].replace('T', ' ')} UTC"


def _publication_texts(activity: ActivityEntry) -> Iterator[str]:
    ran = activity.ran
    if ran is None:
        yield "nothing published yet"
        return
    yield f"{count_noun(ran.receipts, 'receipt')} ({', '.join(ran.kinds)}), {_minute(ran.first)} to {_minute(ran.last)}"
    if ran.dates:
        yield f"dates {ran.dates}"
    yield f"last policy: {ran.policy}" + ("" if ran.as_today else " (changed since)")


@redact_errors
def collect_documentation(paths: Sequence[str], on: date) -> Documentation:
    """Collect the documentation of pipelines, their recipients, and the receipts of their outputs.

    Takes files or folders of pipelines, or folders of such folders, and the day on which contracts must be in force.
    Raises ConfigurationError, PolicyError, RefusedError.
    """
    known = pipelines_in(paths, on)
    return document_pipelines(known, stated_processing(known))


def document_pipelines(pipelines: Sequence[DocumentedPipeline], stated: dict[str, str]) -> Documentation:
    """The documentation of loaded pipelines. Takes the statements under `processing:`."""
    return Documentation(
        tuple(map(dataset_entry, pipelines)),
        processing_record(pipelines, recipients_of(pipelines), stated, subprocessors_of(pipelines)),
    )
