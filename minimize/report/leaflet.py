"""Leaflet of a dataset (`minimize leaflet`): what an organization can see, might see and cannot see, in plain language.

Every declared field is in exactly one group. The groups come from the plans that are enforced, one per purpose of the policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from minimize.errors import ConfigurationError, redact_errors
from minimize.governance.sharing import EligibleFunction
from minimize.pages import BulletList, Columns, Section, StatusLine, Table, TermList, markdown_page
from minimize.plan import Plan, request
from minimize.plan.bind import examine
from minimize.plan.model import FieldPlan
from minimize.policy.condition import (
    fields_read_by_condition,
)
from minimize.policy.model import FeatureModel, Field, RecordsGate
from minimize.policy.plain_words import PlainWords, capitalized, field_name, holds_bytes, plain_name, sizes_in_words
from minimize.policy.processing_statements import (
    missing_statements,
    responsible_section,
    rights_section,
    source_text,
)
from minimize.report.catalogue import DocumentedPipeline, pipelines_in, stated_processing
from minimize.results import JsonResult
from minimize.sources import declared_schema
from minimize.stores import PathText
from minimize.times import period_text


@dataclass(frozen=True, slots=True)
class LeafletEntry(JsonResult):
    """One declared field, in the words of the leaflet."""

    field: str
    name: str
    """What people call it."""
    text: str
    """Its name, its description and its unit."""
    conditions: tuple[str, ...] = ()
    """The conditions that are met for every value that is seen, except those of the whole dataset."""
    form: str = ""
    """The form in which a value is seen; empty if it is never seen."""
    retention: str = ""
    """How long it is kept; empty if it is never seen."""
    recipients: tuple[str, ...] = ()
    """Third parties that may receive it, each with its function."""
    note: str = ""
    """What becomes of a field that is never seen, and what the others show of it."""


@dataclass(frozen=True, slots=True)
class Leaflet(JsonResult):
    """The leaflet of a dataset."""

    dataset: str
    policy: str
    version: int
    purpose: str
    retention: str
    whole: tuple[str, ...]
    """Conditions of every record of the dataset."""
    can_see: tuple[LeafletEntry, ...]
    might_see: tuple[LeafletEntry, ...]
    cannot_see: tuple[LeafletEntry, ...]
    forbidden: tuple[str, ...]
    """Names that a record must not contain."""
    statistics: tuple[str, ...]
    """The groups of each aggregate, and how long it is kept."""
    optional: tuple[tuple[str, tuple[str, ...]], ...]
    """Optional kinds of collection."""
    sharing: tuple[str, ...]
    """Third parties that may receive parts of the dataset."""
    contacts: tuple[tuple[str, str], ...]
    """Who answers questions."""
    legal_basis: str = ""
    source: str = ""
    """Where the data comes from."""
    transfers: str = ""
    """Transfers to third countries."""
    processing: Mapping[str, str] = field(default_factory=dict)
    """What `minimize.yaml` states about the processing."""

    @property
    def document(self) -> Section:
        """The leaflet as a page."""
        return leaflet_document(self)

    def lines(self) -> Sequence[str]:
        """The leaflet as Markdown."""
        return markdown_page(self.document).rstrip("\n").split("\n")


@redact_errors
def create_leaflet(path: PathText, on: date) -> Leaflet:
    """The leaflet of the dataset that a pipeline makes.

    Takes the pipeline's file or folder, and the day on which contracts of recipients must be in force.
    Raises ConfigurationError, PolicyError, RefusedError.
    """
    pipelines = pipelines_in([str(path)], on)
    if len(pipelines) != 1:
        raise ConfigurationError("a leaflet is about one pipeline", hint="Pass one pipeline or its folder.")
    return _LeafletWriter(pipelines[0]).leaflet()


class _LeafletWriter:
    """Writes the leaflet of one pipeline."""

    def __init__(self, source: DocumentedPipeline) -> None:
        self._source = source
        self._plan = source.plan
        self._policy = source.plan.policy
        elsewhere = [each for each in self._policy.purposes if each != self._plan.purpose]
        self._elsewhere: Mapping[str, Plan] = {
            purpose: examine(self._policy, declared_schema(request(self._policy, purpose)), purpose=purpose).plan
            for purpose in elsewhere
        }
        """The plans for the other purposes of the policy."""
        self._releases = source.plan.releases
        self._whole = tuple(map(capitalized, self._conditions_of_records()))

    def leaflet(self) -> Leaflet:
        """The leaflet."""
        policy, job = self._policy, self._source.pipeline
        groups: dict[str, list[LeafletEntry]] = {"can": [], "might": [], "cannot": []}
        for field_plan in self._plan.fields.values():
            group, entry = self._entry(field_plan)
            groups[group].append(entry)
        stated = stated_processing([self._source])
        contacts = [("Controller", stated.get("controller", "")), ("Contact", stated.get("contact", ""))]
        contacts += [("Data protection officer", stated.get("dpo", "")), (_RULES_CONTACT, policy.owner)]
        sender = job.source.deciding_function[0] if job.source.deciding_function and job.source.is_received else None
        return Leaflet(
            dataset=job.pipeline,
            policy=policy.policy,
            version=policy.version,
            purpose=job.purpose,
            retention=_period_or_unlimited(policy.retention),
            whole=self._whole,
            can_see=tuple(groups["can"]),
            might_see=tuple(groups["might"]),
            cannot_see=tuple(groups["cannot"]),
            forbidden=tuple(plain_name(each.forbidden_text) for each in policy.never),
            statistics=tuple(self._statistics()),
            optional=tuple(self._optional()),
            sharing=tuple(map(self._sharing_text, self._source.fed)),
            contacts=tuple((title, text) for title, text in contacts if text),
            legal_basis=stated.get("legal_basis", ""),
            source=source_text(stated, sender),
            transfers=stated.get("transfers", ""),
            processing=stated,
        )

    def _entry(self, planned: FieldPlan) -> tuple[str, LeafletEntry]:
        """The group of a field, and its entry."""
        if self._is_visible(planned):
            conditions = self._conditions(planned.field)
            entry = self._visible_entry(planned, conditions)
            return ("might" if conditions or self._whole else "can"), entry
        purposes = self._releases[planned.key].purposes
        if purposes:
            names = " or ".join(f"“{plain_name(each)}”" for each in purposes)
            conditions = (f"The data is used for another purpose: {names}", *self._conditions(planned.field))
            return "might", self._visible_entry(self._elsewhere[purposes[0]].fields[planned.key], conditions)
        return "cannot", LeafletEntry(
            planned.key, self._name(planned.field), self._text(planned.field), note=self._note(planned)
        )

    def _is_visible(self, planned: FieldPlan) -> bool:
        """Whether an output for this purpose has values of the field."""
        return bool(self._releases[planned.key].outputs)

    def _visible_entry(self, planned: FieldPlan, conditions: tuple[str, ...]) -> LeafletEntry:
        declared = planned.field
        return LeafletEntry(
            declared.key,
            self._name(declared),
            self._text(declared),
            conditions,
            "; ".join(self._forms(planned)),
            self._retention_text(declared),
            tuple(str(each) for each in self._source.fed if each.sends(declared.key)),
        )

    def _name(self, declared: Field) -> str:
        return capitalized(field_name(declared))

    def _text(self, declared: Field) -> str:
        about = f": {declared.about}" if declared.about else ""
        has_unit = declared.unit and not holds_bytes(declared)
        return self._name(declared) + about + (f" ({declared.unit})" if has_unit else "")

    def _parts(self, declared: Field) -> Iterator[Field]:
        """A field, and those from which it is computed: their conditions and their retention are its own, too."""
        yield from (declared, *(self._policy.fields[key] for key in declared.from_))

    def _conditions(self, declared: Field) -> tuple[str, ...]:
        texts = (text for part in self._parts(declared) for text in self._gate_texts(part))
        by_case = (_BY_CASE,) if declared.cases else ()
        return (*dict.fromkeys(map(capitalized, texts)), *by_case)

    def _gate_texts(self, gated: Field | RecordsGate) -> Iterator[str]:
        """The conditions of a field or a record. The first level is always on."""
        is_always_reached = gated.level in self._policy.levels[:1]
        return PlainWords(self._policy).gate(gated.model_copy(update={"level": None}) if is_always_reached else gated)

    def _conditions_of_records(self) -> Iterator[str]:
        """The conditions of every record: of the policy, of the pipeline, and the consent to receive it."""
        yield from self._gate_texts(self._policy.records)
        source, records = self._source.pipeline.source, self._source.pipeline.records
        if records is not None and records.collect_if is not None:
            yield PlainWords(self._policy).condition(records.collect_if)
        if source.deciding_function is not None:
            recipient, function = source.deciding_function
            way = "receive it from" if source.is_received else "pass it on to"
            yield f"the organization’s administrator has agreed to {way} {recipient} ({plain_name(function)})"

    def _forms(self, planned: FieldPlan) -> Iterator[str]:
        """What is left of a value, with each case, and in statistics if that differs."""
        words = PlainWords(self._policy)
        released = self._releases[planned.key]
        if planned.gives is not None and released.state in ("records", "other purposes"):
            yield words.form(planned.field)
            if planned.field.from_:
                yield f"computed from {' and '.join(map(words.field, planned.field.from_))}"
            if planned.field.in_aggregates and released.statistics:
                yield f"in statistics: {sizes_in_words(planned.field, words.treatment(planned.field.in_aggregates))}"
        else:
            text = words.treatment(planned.field.in_aggregates or planned.steps)
            yield f"only in statistics about groups: {sizes_in_words(planned.field, text)}"

    def _retention_text(self, declared: Field) -> str:
        features = [self._policy.features.get(part.feature or "") for part in self._parts(declared)]
        spans = [self._policy.retention, *(each.retention for each in features if each is not None)]
        return _period_or_unlimited(min((each for each in spans if each is not None), default=None))

    def _note(self, planned: FieldPlan) -> str:
        """What becomes of a field that is never seen, and what the others show of it."""
        return "; ".join(self._traces(planned.key))

    def _traces(self, key: str) -> Iterator[str]:
        passed = [str(each) for each in self._source.fed if each.sends(key)]
        if passed:
            yield f"passed on to {' and '.join(passed)} without being stored"
        seen_fields = [each.field for each in self._seen_fields()]
        parts = [each for each in seen_fields if key in each.from_]
        if parts:
            yield f"only in a coarser form, as part of {_names(parts)}"
        decided = [each for each in seen_fields if key in _fields_of_conditions(each)]
        if decided:
            yield f"it decides what is seen of {_names(decided)}"
        if key in fields_read_by_condition(self._policy.records.collect_if):
            yield "it decides whether a record is kept"
        if key == self._policy.subject and self._plan.aggregates:
            yield "used to count how many there are, in statistics about groups"

    def _seen_fields(self) -> Iterator[FieldPlan]:
        """The fields that are seen for any purpose of the policy."""
        for field_plan in self._plan.fields.values():
            if self._releases[field_plan.key].state != "not":
                yield field_plan

    def _statistics(self) -> Iterator[str]:
        for name, aggregate in self._plan.aggregates.items():
            kept = self._plan.own_retentions.get(name)
            below = f"groups with fewer than {aggregate.model.suppress.below} of those counted are left out"
            exact = aggregate.model.exact
            below += (
                ", and all numbers are inexact on purpose"
                if exact is None
                else f", and all numbers are exact (reason: {exact.because})"
            )
            yield f"{capitalized(plain_name(name))}: {below}" + (
                "" if kept is None else f"; kept for {period_text(kept)}"
            )

    def _optional(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        for name, feature in self._policy.features.items():
            yield capitalized(plain_name(name)), tuple(_feature_texts(feature))
        if self._policy.levels:
            first, *higher = self._policy.levels
            yield (
                "Level of collection",
                (f"“{first}” is always on; higher levels include the lower ones: {', '.join(higher)}",),
            )

    def _sharing_text(self, eligible: EligibleFunction) -> str:
        folder = self._source.folder
        standings = {
            recipient.recipient: recipient.standing for recipient in (() if folder is None else folder.recipients)
        }
        what = "statistics about groups" if eligible.function.aggregate else "the items that name it above"
        about = _STANDING_TEXTS[standings[eligible.recipient]]
        return f"{eligible}, for {plain_name(eligible.function.purpose)}: {what}. {about}"


_RULES_CONTACT: Final = "Responsible for the rules"
_BY_CASE: Final = "It depends on the record, as the form says"
_STANDING_TEXTS: Final = {
    "processor": "It works on behalf of the provider of this service, under a contract.",
    "independent_controller": "It acts for itself. It receives something only if the organization's administrator has agreed "
    "and a contract permits it.",
}


def _period_or_unlimited(span: timedelta | None) -> str:
    return "no limit is set" if span is None else period_text(span)


def _fields_of_conditions(declared: Field) -> set[str]:
    conditions = (declared.collect_if, *(case.when for case in declared.cases))
    return {key for condition in conditions for key in fields_read_by_condition(condition)}


def _names(fields: Iterable[Field]) -> str:
    return ", ".join(f"“{field_name(each)}”" for each in fields)


_HOLDERS: Final = {
    "admin": "an administrator",
    "user": "the person who uses the device",
    "developer": "the developer of the application",
}


def _feature_texts(feature: FeatureModel) -> Iterator[str]:
    if feature.about:
        yield capitalized(feature.about)
    if feature.holders:
        yield f"Only {' or '.join(_HOLDERS[each] for each in feature.holders)} can turn it on"
    if feature.per_subject:
        yield "It must be turned on separately for each person or device, and then ends after 24 hours at the latest"
    if feature.retention is not None:
        yield f"Kept for {period_text(feature.retention)}"


def leaflet_document(leaflet: Leaflet) -> Section:
    """The leaflet as a page: who sees what at a glance, then what GDPR Art. 13 asks for, then each item."""
    name = plain_name(leaflet.dataset)
    groups = (leaflet.can_see, leaflet.might_see, leaflet.cannot_see)
    names = [[each.name for each in group] for group in groups]
    titles = ("Your organization can see", "Your organization might see", "Your organization cannot see")
    return Section(
        f"What your organization can see: {name}",
        (
            _leaflet_status(leaflet),
            Columns([(f"{title}: {len(each)}", each) for title, each in zip(titles, names, strict=True)]),
            f"This privacy notice is about the dataset “{name}”. It is generated from the rules that the system enforces "
            f"({leaflet.policy}, version {leaflet.version}). “Your organization” is the organization that manages your device "
            "or account, together with the provider that runs this service for it.",
            _facts_of_processing(leaflet),
            responsible_section(leaflet.processing),
            Section(titles[0], tuple(_can_see(leaflet)), is_folded=True),
            Section(titles[1], tuple(_might_see(leaflet)), is_folded=True),
            Section(titles[2], tuple(_cannot_see(leaflet)), is_folded=True),
            *_further_sections(leaflet),
        ),
    )


def _leaflet_status(leaflet: Leaflet) -> StatusLine:
    """What the notice still lacks, else how much can be seen."""
    missing = missing_statements(leaflet.processing)
    if missing:
        return StatusLine("attention", "Before you publish this notice", missing)
    counts = [len(group) for group in (leaflet.can_see, leaflet.might_see, leaflet.cannot_see)]
    return StatusLine("good", f"{counts[0]} items can be seen, {counts[1]} might be, {counts[2]} cannot be")


def _facts_of_processing(leaflet: Leaflet) -> Section:
    recipients = "; ".join(leaflet.sharing) or "no third party"
    terms = [
        (
            "Purpose",
            f"{plain_name(leaflet.purpose)}; profiling, advertising, marketing and sale are refused as purposes",
        ),
        ("Legal basis", leaflet.legal_basis),
        ("Kept for", f"{leaflet.retention}, from the time of the event"),
        ("Source", leaflet.source),
        ("Recipients", recipients),
        ("Transfers to other countries", leaflet.transfers),
    ]
    return Section("Why, for how long, and for whom", (TermList([(title, (text,)) for title, text in terms]),))


def _can_see(leaflet: Leaflet) -> Iterator[str | Table]:
    head = ("what", "in which form", "kept for", "may be passed on to")
    rows = [(each.text, each.form, each.retention, ", ".join(each.recipients)) for each in leaflet.can_see]
    yield Table.filled("Seen in every record", head, rows) if rows else "Nothing without a condition."


def _might_see(leaflet: Leaflet) -> Iterator[str | Table | BulletList]:
    if leaflet.whole:
        yield "Everything in this list also depends on this:"
        yield BulletList(leaflet.whole)
    head = ("what", "only if", "in which form", "kept for", "may be passed on to")
    rows = [
        (item.text, "; ".join(item.conditions), item.form, item.retention, ", ".join(item.recipients))
        for item in leaflet.might_see
    ]
    yield Table.filled("Seen under a condition", head, rows) if rows else "Nothing else."
    if rows:
        yield "Where such an item is present, that alone can show that its condition is met."


def _cannot_see(leaflet: Leaflet) -> Iterator[str | Table | Section | BulletList]:
    rows = [(each.text, each.note) for each in leaflet.cannot_see]
    yield Table.filled("Discarded before anything is stored", ("what", "but"), rows)
    if leaflet.forbidden:
        yield f"A record that contains one of these is refused as a whole: {', '.join(leaflet.forbidden)}."
    yield "Everything that is not listed on this page is discarded, too. Another dataset can contain an item of this list."


def _further_sections(leaflet: Leaflet) -> Iterator[Section]:
    if leaflet.statistics:
        about = (
            "Your organization can also see statistics about groups. They have no line about a single person or device."
        )
        yield Section("Statistics", (about, BulletList(leaflet.statistics)))
    if leaflet.optional:
        about = (
            "An optional collection is off unless it is turned on. If anyone who may decide turns it off, it is off."
        )
        yield Section("Optional collection", (about, TermList(leaflet.optional)))
    nothing = "Nothing in this dataset is passed on to third parties."
    yield Section("Who else may receive it", (BulletList(leaflet.sharing) if leaflet.sharing else nothing,))
    yield rights_section(leaflet.processing)
    limits = (
        "A code (pseudonym) replaces a name or number, but the record is still about the same person or device. "
        "The keepers of the secret key can find it again. This reduces what can be seen; it is not anonymous.",
        "Whether an optional collection is on for your organization. Its administrator can tell you.",
        "Other datasets. Each has a page of its own.",
    )
    yield Section("What this page does not show", (BulletList(limits),), is_folded=True)
    responsible = [(title, (text,)) for title, text in leaflet.contacts if title == _RULES_CONTACT]
    if responsible:
        yield Section("Questions about the rules", (TermList(responsible),))
