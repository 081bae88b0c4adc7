"""The catalogue as a site: a start page, a page for each dataset with its fields, and the record of processing.

The pages are static and need no network and no server. They have names and rules of policies, and what the ledger recorded about
publications: no value of a record, no tenant, no number of rows.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, groupby
from pathlib import Path
from typing import Any, Final

from minimize.errors import MinimizeError
from minimize.pages import Table
from minimize.pages.site import render_site_page
from minimize.plan.model import FieldPlan
from minimize.report.catalogue import (
    ORIGIN_NOTE,
    UNLIMITED,
    DatasetEntry,
    DocumentedPipeline,
    FieldEntry,
    entry_table,
)
from minimize.report.context import hidden_reason
from minimize.report.documentation import (
    RECORD_SCOPE,
    Documentation,
    activity_terms,
    recipients_table,
    statement_heading,
    subprocessors_table,
)
from minimize.report.facts import RESIDUALS_BY_RISK
from minimize.report.lineage_graph import LineageGraph, LineageNode
from minimize.runs.published_runs import list_runs
from minimize.text import count_noun
from minimize.times import minute_text
from minimize.workspace import Workspace

GENERATOR: Final = "minimize docs"
"""Marks the pages of a site, so that a later one replaces them."""
DATASETS: Final = "datasets"
"""The folder of the pages of datasets."""
SHOWN_RUNS: Final = 20
"""The last publications that a page lists."""
_SECTIONS: Final = (
    ("lineage", "Lineage"),
    ("fields", "Fields"),
    ("outputs", "Outputs"),
    ("purposes", "Purposes"),
    ("published", "Published"),
)


@dataclass(frozen=True, slots=True)
class Need:
    """What needs a decision, with the page that shows it."""

    text: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class SiteField:
    """A field on the page of its dataset."""

    entry: FieldEntry
    anchor: str
    is_identifier: bool
    is_unchanged: bool
    """Whether values of records leave as they are, in at least one case."""

    @property
    def is_released(self) -> bool:
        """Whether anything made from the field is in an output, or is sent."""
        return bool(self.entry.outputs or self.entry.recipients)

    @property
    def lineage(self) -> str:
        """The way of its values, from the source to the recipients."""
        ends = [*self.entry.outputs, *(f"sent to {each}" for each in self.entry.recipients)]
        return f"{self.entry.key} in the source → {self.entry.after} → {', '.join(ends) or 'no output'}"

    @property
    def order(self) -> tuple[bool, bool, int, bool]:
        """The position among the fields: what shows most of a person is first, dropped fields are last."""
        residual = self.entry.residual
        place = RESIDUALS_BY_RISK.index(residual) if residual in RESIDUALS_BY_RISK else len(RESIDUALS_BY_RISK)
        return not self.is_released, self.entry.role == "plain", place, not self.is_identifier


@dataclass(frozen=True, slots=True)
class PublishedRuns:
    """The last publications of a pipeline according to its ledger, or why they are not shown."""

    note: str
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class SiteDataset:
    """A dataset with everything that its page shows."""

    entry: DatasetEntry
    page: str
    """The name of its page."""
    anchor: str
    """Its place in the record of processing."""
    fields: tuple[SiteField, ...]
    graph: LineageGraph
    purposes: Table
    outputs: Table
    published: PublishedRuns
    last_text: str
    """The day of the last receipt."""
    needs: tuple[str, ...]

    @property
    def fine_text(self) -> str:
        """The first line of its page if nothing needs a decision."""
        if self.last_text == "never":
            return "The policy has a retention and an owner. No receipt was found: nothing was published yet."
        return f"The policy has a retention and an owner, and has not changed since the last publication ({self.last_text})."

    @property
    def released_count(self) -> int:
        """The number of released fields."""
        return sum(each.is_released for each in self.fields)

    @property
    def released_text(self) -> str:
        """The number of released fields, of all."""
        return f"{self.released_count} of {count_noun(len(self.fields), 'field')}"

    @property
    def identifier_count(self) -> int:
        """The number of identifiers that are released in some form."""
        return sum(each.is_identifier and each.is_released for each in self.fields)

    @property
    def all_identifier_count(self) -> int:
        """The number of identifiers, released or not."""
        return sum(each.is_identifier for each in self.fields)

    @property
    def unchanged_count(self) -> int:
        """The number of fields whose values leave as they are."""
        return sum(each.is_unchanged for each in self.fields)

    @property
    def shared_count(self) -> int:
        """The number of fields that a recipient may get."""
        return sum(bool(each.entry.recipients) for each in self.fields)


@dataclass(frozen=True, slots=True)
class PurposeGroup:
    """The datasets of one purpose, in the tree."""

    purpose: str
    datasets: tuple[SiteDataset, ...]


def site_pages(
    pipelines: Sequence[DocumentedPipeline], documentation: Documentation, stated: Mapping[str, str]
) -> dict[str, str]:
    """The pages of the site by their path: the start page, the record of processing, and a page for each dataset.

    Takes the pipelines in the order of the documentation, and the statements under `processing:`.
    """
    pages = _unique_names([each.pipeline.pipeline for each in pipelines])
    datasets = [
        _site_dataset(pipeline, entry, page, stated)
        for pipeline, entry, page in zip(pipelines, documentation.catalogue, pages, strict=True)
    ]
    by_purpose = sorted(datasets, key=lambda dataset: dataset.entry.purpose)
    tree = [PurposeGroup(purpose, tuple(group)) for purpose, group in groupby(by_purpose, lambda d: d.entry.purpose)]
    shared = {"tree": tree, "datasets": datasets, "generator": GENERATOR, "sections": ()}
    return {
        "index.html": _index_page(pipelines, documentation, datasets, stated, shared),
        "record.html": _record_page(documentation, datasets, shared),
        **{f"{DATASETS}/{dataset.page}": _dataset_page(dataset, shared) for dataset in datasets},
    }


def is_site_page(text: str) -> bool:
    """Whether a file was written as a page of a site."""
    return f'<meta name="generator" content="{GENERATOR}">' in text


def _index_page(
    pipelines: Sequence[DocumentedPipeline],
    documentation: Documentation,
    datasets: Sequence[SiteDataset],
    stated: Mapping[str, str],
    shared: Mapping[str, Any],
) -> str:
    missing = len(documentation.record.missing)
    record_need = [Need(f"{count_noun(missing, 'statement')} missing in the record of processing", "record.html")]
    needs = [Need(f"{d.entry.name}: {need}", f"{DATASETS}/{d.page}") for d in datasets for need in d.needs]
    names = sorted({purpose for dataset in datasets for purpose in _purposes_of(dataset.entry)})
    return render_site_page(
        "site_index.html",
        **shared,
        root="",
        current="index",
        note=ORIGIN_NOTE,
        needs=[*(record_need if missing else ()), *needs],
        field_count=sum(len(dataset.fields) for dataset in datasets),
        graph=_overview_graph(pipelines, datasets),
        purposes=_purposes_table(names, stated),
        search=list(_search_entries(datasets)),
    )


def _record_page(documentation: Documentation, datasets: Sequence[SiteDataset], shared: Mapping[str, Any]) -> str:
    record = documentation.record
    activities = [
        (dataset, activity_terms(activity).items) for dataset, activity in zip(datasets, record.activities, strict=True)
    ]
    return render_site_page(
        "site_record.html",
        **shared,
        root="",
        current="record",
        scope=f"{RECORD_SCOPE} {ORIGIN_NOTE}",
        needs=[Need(f"missing: {text}") for text in record.missing],
        statements=[(statement_heading(word), (text,)) for word, text in record.house],
        activities=activities,
        lists=[recipients_table(record.recipients), subprocessors_table(record.subprocessors)],
    )


def _dataset_page(dataset: SiteDataset, shared: Mapping[str, Any]) -> str:
    return render_site_page(
        "site_dataset.html",
        **{**shared, "sections": _SECTIONS},
        root="../",
        current=dataset.page,
        dataset=dataset,
        needs=[Need(text) for text in dataset.needs],
    )


def _site_dataset(
    pipeline: DocumentedPipeline, entry: DatasetEntry, page: str, stated: Mapping[str, str]
) -> SiteDataset:
    anchors = _unique_names([f"field-{each.key}" for each in entry.fields])
    fields = [
        _site_field(pipeline, field, anchor, plan)
        for field, anchor, plan in zip(entry.fields, anchors, pipeline.plan.fields.values(), strict=True)
    ]
    columns = {"output": "name", **{name: name for name in ("category", "encrypted", "suppressed", "columns")}}
    return SiteDataset(
        entry=entry,
        page=f"{page}.html",
        anchor=f"pipeline-{page}",
        fields=tuple(sorted(fields, key=lambda field: field.order)),
        graph=_dataset_graph(pipeline, entry),
        purposes=_purposes_table(_purposes_of(entry), stated),
        outputs=entry_table("What a run of this pipeline publishes", columns, entry.outputs),
        published=_published_runs(pipeline),
        last_text=f"{pipeline.receipts[-1].finished:%Y-%m-%d}" if pipeline.receipts else "never",
        needs=tuple(_needs(pipeline, entry)),
    )


def _site_field(pipeline: DocumentedPipeline, entry: FieldEntry, anchor: str, plan: FieldPlan) -> SiteField:
    is_in_records = pipeline.plan.releases[plan.key].state == "records"
    unchanged = (
        branch.steps is not None and all(step.changes_nothing for step in branch.steps) for branch in plan.branches
    )
    return SiteField(entry, anchor, plan.field.role == "identifier", is_in_records and any(unchanged))


def _needs(pipeline: DocumentedPipeline, entry: DatasetEntry) -> Iterator[str]:
    if entry.kept == UNLIMITED:
        yield "no retention is set, so records are kept without end"
    if not entry.owner:
        yield "the policy names no owner"
    if pipeline.receipts and pipeline.receipts[-1].policy.digest != pipeline.pipeline.policy.digest:
        yield "the policy was changed since the last publication"


def _purposes_of(entry: DatasetEntry) -> list[str]:
    return list(dict.fromkeys([entry.purpose, *(name for field in entry.fields for name in field.purposes)]))


def _purposes_table(purposes: Iterable[str], stated: Mapping[str, str]) -> Table:
    general = stated.get("legal_basis", "")
    rows = [(name, stated.get(f"legal_basis.{name}", general) or "not stated") for name in purposes]
    caption = "Each purpose with its legal basis (GDPR Art. 6), from `processing:` of minimize.yaml"
    return Table(caption, ("purpose", "legal basis"), rows)


def _missing_ledger(receipts: int) -> str:
    if not receipts:
        return "The ledger does not exist yet: nothing was published."
    return (
        f"The ledger does not exist, but the output has {count_noun(receipts, 'receipt')}. Restore the ledger from a "
        "backup, so that this page can list the publications."
    )


def _published_runs(pipeline: DocumentedPipeline) -> PublishedRuns:
    """The publications of a pipeline. They are left out for an account that may not see runs; nothing is recorded."""
    job = pipeline.pipeline
    with Workspace(pipeline=job) as workspace:
        if not workspace.has_address:
            return PublishedRuns("No ledger is configured, so this page cannot list publications.")
        try:
            if not workspace.address.exists:
                return PublishedRuns(_missing_ledger(len(pipeline.receipts)))
            if not workspace.permits("run/read", dataset=job.pipeline):
                return PublishedRuns("Not shown: the account that wrote this page may not view runs (`run/read`).")
            runs = list_runs(workspace, pipeline=job.pipeline)
        except MinimizeError as error:
            return PublishedRuns(f"Publications cannot be shown: {hidden_reason(error)}.")
    if not runs:
        return PublishedRuns("According to the ledger, nothing was published.")
    rows = [
        (minute_text(run.finished), f"{run.kind}{', declared void' if run.void else ''}", _dates(run.dates), run.run_id)
        for run in reversed(runs[-SHOWN_RUNS:])
    ]
    caption = f"{count_noun(len(runs), 'change')} of the output according to the ledger, last first"
    caption += f"; the last {SHOWN_RUNS} are shown" if len(runs) > SHOWN_RUNS else ""
    return PublishedRuns("", Table(caption, ("finished", "change", "dates", "run"), rows))


def _dates(dates: Sequence[str]) -> str:
    if len(dates) > 3:
        return f"{dates[0]} to {dates[-1]} ({len(dates)})"
    return ", ".join(dates) or "all"


def _dataset_graph(pipeline: DocumentedPipeline, entry: DatasetEntry) -> LineageGraph:
    source = LineageNode("source", entry.source, "source")
    dataset = LineageNode("dataset", entry.name, f"policy version {entry.version}")
    outputs = [LineageNode(f"output {output.name}", output.name, output.category) for output in entry.outputs]
    functions = [
        LineageNode(f"function {function}", function.function.name, "payload, if authorized")
        for function in pipeline.fed
    ]
    names = dict.fromkeys(function.recipient for function in pipeline.fed)
    recipients = [LineageNode(f"recipient {name}", name, "recipient") for name in names]
    return LineageGraph(
        f"Lineage of {entry.name}",
        ("Source", "Dataset and policy", "Outputs and payloads", *(("Recipients",) if recipients else ())),
        ((source,), (dataset,), (*outputs, *functions), *((tuple(recipients),) if recipients else ())),
        (
            ("source", "dataset"),
            *(("dataset", node.key) for node in (*outputs, *functions)),
            *((f"function {function}", f"recipient {function.recipient}") for function in pipeline.fed),
        ),
    )


def _overview_graph(pipelines: Sequence[DocumentedPipeline], datasets: Sequence[SiteDataset]) -> LineageGraph:
    pairs = list(zip(pipelines, datasets, strict=True))
    sources = dict.fromkeys(dataset.entry.source for dataset in datasets)
    recipients = sorted({function.recipient for pipeline in pipelines for function in pipeline.fed})
    nodes = [
        LineageNode(f"dataset {dataset.page}", dataset.entry.name, dataset.entry.purpose, f"{DATASETS}/{dataset.page}")
        for dataset in datasets
    ]
    return LineageGraph(
        "Lineage of all datasets",
        ("Sources", "Datasets", "Recipients"),
        (
            tuple(LineageNode(f"source {source}", source) for source in sources),
            tuple(nodes),
            tuple(LineageNode(f"recipient {name}", name) for name in recipients),
        ),
        (
            *((f"source {dataset.entry.source}", f"dataset {dataset.page}") for dataset in datasets),
            *dict.fromkeys(
                (f"dataset {dataset.page}", f"recipient {function.recipient}")
                for pipeline, dataset in pairs
                for function in pipeline.fed
            ),
        ),
    )


def _search_entries(datasets: Sequence[SiteDataset]) -> Iterator[dict[str, str]]:
    for dataset in datasets:
        entry, page = dataset.entry, f"{DATASETS}/{dataset.page}"
        note = f"dataset, {entry.purpose}"
        yield {"title": entry.name, "note": note, "link": page, "text": f"{entry.name} {note} {entry.owner}"}
        for field in dataset.fields:
            key, about = field.entry.key, field.entry.meaning
            note = " · ".join(filter(None, (entry.name, about, field.entry.after)))
            text = f"{key} {note} {field.entry.role} {' '.join(field.entry.recipients)}"
            yield {"title": key, "note": note, "link": f"{page}#{field.anchor}", "text": text}


def _unique_names(names: Sequence[str]) -> list[str]:
    """The names with only lower-case letters, digits, `_` and `-`, each once, for files and anchors."""
    unique: dict[str, None] = {}
    for original in names:
        base = re.sub(r"[^A-Za-z0-9_-]+", "-", original).strip("-")[:80].lower() or "unnamed"
        candidates = chain([base], (f"{base}-{number}" for number in count(2)))
        name = next(candidate for candidate in candidates if candidate not in unique)
        unique[name] = None
    return list(unique)


def stale_pages(folder: Path, pages: Collection[Path]) -> list[Path]:
    """Pages of datasets in the folder that an earlier site had and this one does not have. Takes the pages of this one."""
    candidates = sorted((folder / DATASETS).glob("*.html"))
    return [
        path for path in candidates if path not in pages and is_site_page(path.read_text("utf-8", errors="replace"))
    ]
