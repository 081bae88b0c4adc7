"""The truth about the service in plain Python: which records must be there, which must be gone, and which may be either.

It knows the raw records and what was asked, and nothing of how `minimize` finds records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any, Final

from tests.organization.people import DEVICE, USER, Device, Person, Subject
from tests.organization.raw_records import OF_ADMINISTRATORS, RawRecord, bounds, datasets, records
from tests.organization.service import PIPELINES, Service

FEW_SUBJECTS: Final = 10
"""A value of fewer subjects becomes `OTHER` under `top`."""
OTHER: Final = "other"
"""What the shipped policies call the values that `top` combines."""
Key = tuple[str, datetime]
Rows = Mapping[Key, Mapping[str, Any]]


def rows_by_key(service: Service, pipeline: str) -> tuple[dict[Key, dict[str, Any]], list[Key]]:
    """The published rows of a pipeline by tenant and hour, and the keys that occur more than once."""
    receipts = sorted(each.name for each in (service.output(pipeline) / "runs").iterdir())
    return _rows_by_key(service, pipeline, tuple(receipts))


@lru_cache(maxsize=200)
def _rows_by_key(
    service: Service, pipeline: str, receipts: tuple[str, ...]
) -> tuple[dict[Key, dict[str, Any]], list[Key]]:
    """The rows as of these receipts, which are read once."""
    time = datasets()[PIPELINES[pipeline]]["time"]
    rows = service.rows(pipeline)
    keys = [(row["tenant_id"], row[time]) for row in rows]
    return dict(zip(keys, rows, strict=True)), [key for key, count in Counter(keys).items() if count > 1]


@dataclass
class Truth:
    """What must be true of the service.

    baseline    the rows of each pipeline as they were published first
    late        records that came later, by dataset
    removed     deletions that were asked; removed_by_event: removals that an expiry has made after an event
    gone        subjects of which nothing may be left
    restricted  subjects whose records are sealed
    loose       subjects whose values may have changed after an event
    leaving     tenants with an event of closure; those that an expiry has seen are closed
    corrected   the values that were corrected, by pipeline, record and column
    """

    baseline: Mapping[str, Rows]
    late: dict[str, list[RawRecord]] = field(default_factory=dict)
    removed: list[Removal] = field(default_factory=list)
    gone: set[Subject] = field(default_factory=set)
    removed_by_event: list[Removal] = field(default_factory=list)
    restricted: list[Removal] = field(default_factory=list)
    once_restricted: set[Subject] = field(default_factory=set)
    loose: set[Subject] = field(default_factory=set)
    leaving: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)
    corrected: dict[tuple[str, Key], dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, service: Service, pipelines: Iterable[str]) -> Truth:
        """The truth about a service that was just published."""
        return cls({name: rows_by_key(service, name)[0] for name in pipelines})

    def records(self, pipeline: str) -> list[RawRecord]:
        """The raw records of a pipeline."""
        dataset = PIPELINES[pipeline]
        return [*records(dataset), *self.late.get(dataset, [])]

    def all_records(self) -> Iterator[RawRecord]:
        """The raw records of all datasets that are published."""
        for dataset in sorted({PIPELINES[name] for name in self.baseline}):
            yield from (*records(dataset), *self.late.get(dataset, []))

    @cached_property
    def shown(self) -> dict[str, dict[str, dict[str, frozenset[Subject]]]]:
        """Per pipeline and field, the subjects that each published form of an id stands for."""
        return {name: _forms(PIPELINES[name], rows) for name, rows in self.baseline.items()}

    def visible(self, pipeline: str, name: str) -> bool:
        """Whether the output of a pipeline tells the subjects of a field apart."""
        forms = self.shown[pipeline].get(name, {})
        return bool(forms) and all(len(subjects) == 1 for subjects in forms.values())

    def shows(self, pipeline: str, record: RawRecord) -> frozenset[Subject]:
        """The subjects that the output of a pipeline shows in a record."""
        found = [named for name, named in record.named.items() if self.visible(pipeline, name)]
        return frozenset().union(*found)

    def forms(self, subject: Subject) -> set[str]:
        """The pseudonyms of a subject's ids in all outputs."""
        found = {
            form
            for fields in self.shown.values()
            for forms in fields.values()
            for form, subjects in forms.items()
            if subjects == {subject}
        }
        return {each for each in found - set(subject.ids.values()) if len(each) >= 12}

    def marked_as_gone(self) -> list[RawRecord]:
        """The records that must be in no output, so that no value of them may be left."""
        found = []
        for dataset in sorted({PIPELINES[name] for name in self.baseline}):
            readers = [name for name in self.baseline if PIPELINES[name] == dataset]
            came = (*records(dataset), *self.late.get(dataset, []))
            found += [each for each in came if all(self.shows(name, each) & self.gone for name in readers)]
        return found

    def must_be_gone(self, pipeline: str, record: RawRecord) -> bool:
        """Whether a record must not be published: it shows an id by which its removal was asked, or a subject that is gone."""
        if record.tenant in self.closed or self.shows(pipeline, record) & self.gone:
            return True
        return any(each.reaches(self, pipeline, record) for each in self._removals)

    def may_be_rare(self, pipeline: str, record: RawRecord) -> bool:
        """Whether the bound of a pipeline may have removed a record: too few devices that share its combination need stay."""
        bound = bounds().get(pipeline)
        if bound is None:
            return False
        combination = bound.combination(record.value, record.date)
        staying = [
            each
            for each in self.records(pipeline)
            if bound.combination(each.value, each.date) == combination and not self.may_be_gone(each)
        ]
        return len(_devices(staying)) < bound.devices

    def _may_be_other(self, pipeline: str, record: RawRecord) -> bool:
        """Whether `top` may have put frequent values of a record into `other`: a later run of its date saw too few subjects."""
        same_date = (each for each in self.records(pipeline) if each.date == record.date)
        return len(_devices(each for each in same_date if not self.may_be_gone(each))) < FEW_SUBJECTS

    def may_be_gone(self, record: RawRecord) -> bool:
        """Whether a record may be missing: it is about a subject whose removal was asked in some way."""
        touched = self.gone | self.loose | self.once_restricted
        for each in self._removals:
            touched = touched | each.affected
        return record.tenant in self.leaving or bool(record.subjects & touched)

    @property
    def _removals(self) -> list[Removal]:
        return [*self.removed, *self.removed_by_event, *self.restricted]

    def faults(self, service: Service) -> Iterator[str]:
        """What is not as it must be in the published records."""
        for pipeline, baseline in self.baseline.items():
            rows, doubled = rows_by_key(service, pipeline)
            expected = {each.key: each for each in self.records(pipeline)}
            yield from (f"{pipeline}: a record is published twice: {key}" for key in doubled)
            yield from (f"{pipeline}: a record of nobody: {key}" for key in rows.keys() - expected.keys())
            yield from self._rare_combinations(pipeline, [each for key, each in expected.items() if key in rows])
            for key, record in expected.items():
                if key in rows and self.must_be_gone(pipeline, record):
                    yield f"{pipeline}: record {record.number} of {_names(record)} is left"
                if key not in rows and not (self.may_be_gone(record) or self.may_be_rare(pipeline, record)):
                    yield f"{pipeline}: record {record.number} of {_names(record)} is lost"
                if (
                    key in rows
                    and key in baseline
                    and not record.subjects & self.loose
                    and record.tenant not in self.leaving
                ):
                    wanted = {**baseline[key], **self.corrected.get((pipeline, key), {})}
                    if self._may_be_other(pipeline, record):
                        wanted = {name: _with_other(wanted[name], rows[key].get(name)) for name in wanted}
                    changed = sorted(name for name in wanted if wanted[name] != rows[key].get(name))
                    if changed:
                        yield f"{pipeline}: record {record.number} of {_names(record)} has other values: {changed}"

    def _rare_combinations(self, pipeline: str, published: Iterable[RawRecord]) -> Iterator[str]:
        """The combinations of which a pipeline publishes fewer devices than it must."""
        bound = bounds().get(pipeline)
        if bound is None:
            return
        together: dict[tuple[str, ...], list[RawRecord]] = {}
        for each in published:
            together.setdefault(bound.combination(each.value, each.date), []).append(each)
        for combination, found in together.items():
            if len(_devices(found)) < bound.devices:
                yield f"{pipeline}: only {len(_devices(found))} devices have {combination}"

    def own_devices(self, service: Service, person: Subject) -> frozenset[Subject]:
        """The devices of a person that no published record shows with another person."""
        companions: dict[Subject, set[Subject]] = {}
        for pipeline in self.baseline:
            if PIPELINES[pipeline] in OF_ADMINISTRATORS:
                continue
            rows, _ = rows_by_key(service, pipeline)
            for record in self.records(pipeline):
                if record.key in rows:
                    shown = self.shows(pipeline, record)
                    for device in record.subjects:
                        if isinstance(device, Device):
                            companions.setdefault(device, set()).update(
                                each for each in shown if isinstance(each, Person) and record.names(USER, each)
                            )
        return frozenset(device for device, found in companions.items() if found == {person})

    def outputs_with(self, service: Service, subject: Subject) -> set[str]:
        """The pipelines whose output still has a record of a subject."""
        left = set()
        for pipeline in self.baseline:
            rows, _ = rows_by_key(service, pipeline)
            if any(subject in self.shows(pipeline, each) and each.key in rows for each in self.records(pipeline)):
                left.add(pipeline)
        return left


@dataclass(frozen=True)
class Removal:
    """A removal that was asked: by one id of a subject, in the fields that it was asked for.

    devices  with --linked, the devices that belonged to the person alone when it was asked
    """

    subject: Subject
    space: str
    fields: frozenset[str]
    devices: frozenset[Subject] = frozenset()

    @property
    def affected(self) -> frozenset[Subject]:
        """The subject and its devices."""
        return self.devices | {self.subject}

    def reaches(self, truth: Truth, pipeline: str, record: RawRecord) -> bool:
        """Whether the output shows in this record the id that was asked for."""
        return any(
            name in self.fields and truth.visible(pipeline, name) for name in record.names(self.space, self.subject)
        )


def _forms(dataset: str, rows: Rows) -> dict[str, dict[str, frozenset[Subject]]]:
    found: dict[str, dict[str, frozenset[Subject]]] = {}
    for record in records(dataset):
        row = rows.get(record.key, {})
        for name, named in record.named.items():
            for text in _texts(row.get(name.strip("/").split("/")[0]), name):
                forms = found.setdefault(name, {})
                forms[text] = forms.get(text, frozenset()) | named
    return found


def _texts(value: Any, name: str) -> Iterator[str]:
    """The texts of a released value, below lists and structs."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, name)
    elif isinstance(value, dict):
        yield from _texts(value.get(name.rsplit("/", 1)[-1]), name)


def _with_other(wanted: Any, published: Any) -> Any:
    """A value of which the parts that are published as `other` may be that."""
    if isinstance(wanted, dict) and isinstance(published, dict):
        return {name: _with_other(wanted[name], published.get(name)) for name in wanted}
    return published if published == OTHER else wanted


def _devices(found: Iterable[RawRecord]) -> set[Subject]:
    return {subject for each in found for subject in each.subjects if isinstance(subject, Device)}


def _names(record: RawRecord) -> str:
    return ", ".join(sorted(f"{type(each).__name__} {each.number}" for each in record.subjects))


SERVICE_SPACES = {Person: USER, Device: DEVICE}
"""The id space of the service's own ids."""
