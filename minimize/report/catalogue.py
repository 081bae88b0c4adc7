"""Data catalogue: pipelines with plans, receipts and recipients, an entry per dataset, the Markdown page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final

from minimize.errors import ConfigurationError, PolicyError
from minimize.governance.sharing import EligibleFunction, eligible_functions
from minimize.output.folder import has_runs, read_receipts
from minimize.pages import Section, Table, TermList
from minimize.plan import Plan, request
from minimize.plan.bind import examine
from minimize.plan.columns import column_meanings, describe_form
from minimize.plan.model import FieldPlan, describe_encryption
from minimize.plan.request import FieldRelease
from minimize.policy.describe import gate_texts, treatment_text
from minimize.policy.load import load_pipeline
from minimize.policy.pipeline import Pipeline, SourceModel
from minimize.receipts import Receipt
from minimize.recipients import Recipient, Recipients, Subprocessor, find_recipients, load_recipients
from minimize.records import PIPELINE_FILE
from minimize.sources import declared_schema
from minimize.times import duration_text


@dataclass(frozen=True, slots=True)
class FieldEntry:
    """One field of a dataset."""

    key: str
    meaning: str
    unit: str
    role: str
    category: str
    before: str
    """Type in the source."""
    after: str
    """Released form; `absent` if nothing is released."""
    residual: str
    """What a reader can learn about a value in the worst case (`original`, `linkable`, …); empty if nothing is released."""
    purposes: tuple[str, ...]
    collected: str
    """Condition for collecting the field."""
    kept: str
    """Retention."""
    outputs: tuple[str, ...]
    """Outputs that contain the field or data made from it."""
    recipients: tuple[str, ...]
    """Recipients that may get it from this pipeline, with their function."""

    @property
    def meaning_with_unit(self) -> str:
        """The meaning, with the unit in parentheses."""
        return f"{self.meaning} ({self.unit})" if self.unit else self.meaning


@dataclass(frozen=True, slots=True)
class OutputEntry:
    """One output: category, columns, encryption, and the groups that it suppresses."""

    name: str
    category: str
    columns: tuple[str, ...]
    encrypted: str
    suppressed: str


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """The dataset that one pipeline makes."""

    name: str
    policy: str
    version: int
    owner: str
    purpose: str
    source: str
    kept: str
    features: tuple[str, ...]
    never: tuple[str, ...]
    fields: tuple[FieldEntry, ...]
    outputs: tuple[OutputEntry, ...]


STATED_KEYS: Final = (
    *("controller", "contact", "representative", "dpo", "subjects", "legal_basis", "transfers", "security"),
    *("organizational_measures", "source", "authority"),
)
"""Permitted keys under `processing:` of `minimize.yaml`: facts that no policy contains. `legal_basis.PURPOSE` states the legal
basis of one purpose."""


@dataclass(frozen=True, slots=True)
class RecipientFolder:
    """A folder of recipients, with all of them."""

    source: Recipients
    recipients: tuple[Recipient, ...]


@dataclass(frozen=True, slots=True)
class DocumentedPipeline:
    """One pipeline: plan (with the policy's types), receipts of its output, its folder of recipients, and the functions of
    recipients that it can supply."""

    pipeline: Pipeline
    plan: Plan
    receipts: tuple[Receipt, ...]
    folder: RecipientFolder | None
    fed: tuple[EligibleFunction, ...]


def pipelines_in(paths: Sequence[str], on: date) -> list[DocumentedPipeline]:
    """The pipelines that these paths name, by name: a file, a folder of one, or a folder of such folders.

    Takes the day on which contracts of recipients must be in force.
    Raises ConfigurationError if there is none, PolicyError if one has faults.
    """
    files = dict.fromkeys(file.resolve() for path in paths for file in _pipeline_files(Path(path)))
    if not files:
        raise ConfigurationError(
            "no pipeline found", hint=f"Pass a {PIPELINE_FILE}, its folder, or a folder of such folders."
        )
    load_folder = cache(_load_recipient_folder)
    pipelines = [_document_pipeline(file, on, load_folder) for file in files]
    return sorted(pipelines, key=lambda documented: (documented.pipeline.pipeline, documented.pipeline.purpose))


def recipients_of(pipelines: Iterable[DocumentedPipeline]) -> tuple[Recipient, ...]:
    """The recipients configured for these pipelines, by name; none if no folder of recipients is configured."""
    recipients = [recipient for folder in _recipient_folders(pipelines) for recipient in folder.recipients]
    return tuple(sorted(recipients, key=lambda recipient: recipient.recipient))


def subprocessors_of(pipelines: Iterable[DocumentedPipeline]) -> tuple[Subprocessor, ...]:
    """The entries of the lists of subprocessors next to these recipients, by name and first day."""
    entries = [entry for folder in _recipient_folders(pipelines) for entry in folder.source.subprocessors.entries]
    return tuple(sorted(entries, key=lambda entry: (entry.name, entry.from_)))


def stated_processing(pipelines: Sequence[DocumentedPipeline]) -> dict[str, str]:
    """The statements under `processing:` of the configuration. Raises PolicyError for any other content."""
    config = pipelines[0].pipeline.config
    places = {word: _statement_place(word) for word in config.processing}
    if config.is_faulty("processing") or None in places.values():
        hint = f"Use texts under the keys {', '.join(STATED_KEYS)}, and legal_basis.PURPOSE."
        raise PolicyError(f"{config.path}: `processing:` has an unknown key or a value that is not a text", hint=hint)
    return {word: config.processing[word] for word in sorted(places, key=lambda word: (places[word], word))}


def _statement_place(word: str) -> int | None:
    """The place of a key of `processing:` in the record; None for an unknown key."""
    key, _, purpose = word.partition(".")
    return STATED_KEYS.index(key) if key in STATED_KEYS and (not purpose or key == "legal_basis") else None


def _pipeline_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [path / PIPELINE_FILE] if (path / PIPELINE_FILE).is_file() else sorted(path.glob(f"*/{PIPELINE_FILE}"))


def _document_pipeline(file: Path, on: date, load_folder: Callable[[Path], RecipientFolder]) -> DocumentedPipeline:
    job = load_pipeline(file)
    source = declared_schema(request(job.policy, job.purpose, job))
    plan = examine(job.policy, source, purpose=job.purpose, pipeline=job).require_allowed()
    output = job.target()
    receipts = read_receipts(output) if has_runs(output) else ()
    try:
        place = find_recipients(start=job.config).resolve()
    except PolicyError:
        return DocumentedPipeline(job, plan, receipts, None, ())
    folder = load_folder(place)
    fed = tuple(eligible_functions(job, folder.source, on, folder.recipients))
    return DocumentedPipeline(job, plan, receipts, folder, fed)


def _load_recipient_folder(folder: Path) -> RecipientFolder:
    known = load_recipients(folder)
    return RecipientFolder(known, tuple(map(known.load, known.names())))


def _recipient_folders(pipelines: Iterable[DocumentedPipeline]) -> Iterable[RecipientFolder]:
    return {each.folder.source.folder: each.folder for each in pipelines if each.folder is not None}.values()


ABSENT = "absent"
UNLIMITED = "no limit is set"


def dataset_entry(pipeline: DocumentedPipeline) -> DatasetEntry:
    """The entry of one pipeline."""
    plan, job = pipeline.plan, pipeline.pipeline
    policy = plan.policy
    return DatasetEntry(
        name=job.pipeline,
        policy=policy.policy,
        version=policy.version,
        owner=policy.owner,
        purpose=job.purpose,
        source=_source_text(job.source),
        kept=UNLIMITED if policy.retention is None else duration_text(policy.retention),
        features=tuple(_feature_text(plan, name) for name in policy.features),
        never=tuple(each.forbidden_text for each in policy.never),
        fields=tuple(_field_entry(plan, field, pipeline.fed) for field in plan.fields.values()),
        outputs=tuple(_output_entry(plan, name) for name in plan.outputs),
    )


def retention_of_field(plan: Plan, field: FieldPlan) -> str:
    """Retention of a field: of its feature, else of the policy."""
    feature = plan.policy.features.get(field.field.feature or "")
    spans = [each for each in (plan.policy.retention, feature.retention if feature else None) if each is not None]
    return duration_text(min(spans)) if spans else UNLIMITED


def _source_text(source: SourceModel) -> str:
    if source.deciding_function is None:
        return source.format
    recipient, function = source.deciding_function
    return f"{source.format} {'from' if source.is_received else 'only for'} {recipient} ({function})"


def _field_entry(plan: Plan, field: FieldPlan, fed: Sequence[EligibleFunction]) -> FieldEntry:
    declared, released = field.field, plan.releases[field.key]
    return FieldEntry(
        key=field.key,
        meaning=declared.about,
        unit=declared.unit,
        role=declared.role,
        category=field.category or "",
        before=str(declared.type),
        after="; ".join(_released_forms(field, released)),
        residual=(field.residual or "") if released.state == "records" else "",
        purposes=declared.purposes or plan.policy.purposes,
        collected="; ".join(gate_texts(declared, plan.policy)),
        kept=retention_of_field(plan, field) if released.outputs else "",
        outputs=tuple(name for name in plan.outputs if field.key in _input_fields(plan, name)),
        recipients=tuple(str(each) for each in fed if each.sends(field.key)),
    )


def _released_forms(field: FieldPlan, released: FieldRelease) -> Iterator[str]:
    yield describe_form(field) if released.state == "records" else ABSENT
    steps = field.field.in_aggregates
    if released.statistics and (steps or released.state != "records"):
        yield f"in aggregates {treatment_text(steps) if steps else describe_form(field)}"


def _input_fields(plan: Plan, name: str) -> set[str]:
    """The fields from which an output's columns are made."""
    return {key for meaning in column_meanings(plan, name).values() for key in meaning.inputs}


def _feature_text(plan: Plan, name: str) -> str:
    feature = plan.policy.features[name]
    parts = [feature.about, f"kept {duration_text(feature.retention)}" if feature.retention else ""]
    parts.append(f"turned on only by {' or '.join(feature.holders)}" if feature.holders else "")
    parts.append("turned on for each subject separately" if feature.per_subject else "")
    return "; ".join([f"{name}: {parts[0]}" if parts[0] else name, *filter(None, parts[1:])])


def _output_entry(plan: Plan, name: str) -> OutputEntry:
    aggregate = plan.aggregates.get(name)
    below = (
        ""
        if aggregate is None
        else f"groups of fewer than {aggregate.model.suppress.below} subjects; {aggregate.figures_text}"
    )
    below += f"; kept {duration_text(plan.own_retentions[name])}" if name in plan.own_retentions else ""
    output = plan.outputs[name]
    columns = tuple(".".join(path) for path in column_meanings(plan, name))
    return OutputEntry(name, output.category, columns, describe_encryption(plan, name), below)


ORIGIN_NOTE: Final = "Generated by minimize docs from the enforced policies."
_FIELD_COLUMNS: Final = {
    "field": "key",
    "meaning": "meaning_with_unit",
    "role": "role",
    "before": "before",
    "after": "after",
    "residual": "residual",
    "category": "category",
    "purposes": "purposes",
    "collected if": "collected",
    "kept": "kept",
    "outputs": "outputs",
    "recipients": "recipients",
}
"""The headings of the table of fields, each with the attribute below it."""
_OUTPUT_COLUMNS: Final = {
    "output": "name",
    **{name: name for name in ("category", "columns", "encrypted", "suppressed")},
}


def catalogue_document(datasets: Sequence[DatasetEntry]) -> Section:
    """The data catalogue.

    >>> from minimize.pages import markdown_page
    >>> print(markdown_page(catalogue_document(())), end="")
    # Data catalogue
    <BLANKLINE>
    Generated by minimize docs from the enforced policies. Recipients: those with a function the pipeline can supply.
    """
    note = f"{ORIGIN_NOTE} Recipients: those with a function the pipeline can supply."
    return Section("Data catalogue", (note, *map(_dataset_section, datasets)))


def _dataset_section(dataset: DatasetEntry) -> Section:
    terms = TermList(
        (
            ("Policy", (f"{dataset.policy}, version {dataset.version}",)),
            ("Owner", (dataset.owner or "not named",)),
            ("Purpose", (dataset.purpose,)),
            ("Source", (dataset.source,)),
            ("Kept", (dataset.kept,)),
            ("Features", (" · ".join(dataset.features),)),
            ("Forbidden paths", (", ".join(dataset.never),)),
        )
    )
    return Section(
        dataset.name,
        (
            terms,
            entry_table("Fields", _FIELD_COLUMNS, dataset.fields),
            entry_table("Outputs", _OUTPUT_COLUMNS, dataset.outputs),
        ),
    )


def entry_table(caption: str, columns: Mapping[str, str], entries: Sequence[object]) -> Table:
    """A table with one row for each entry. Takes the attribute of each heading."""
    values = [[getattr(each, name) for name in columns.values()] for each in entries]
    return Table(caption, tuple(columns), [[*map(_cell_text, row)] for row in values])


def _cell_text(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    return "" if value is None else str(value)
