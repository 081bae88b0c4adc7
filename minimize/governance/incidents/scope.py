"""Incident scope: findings per tenant, counts of persons, evidence, unmatched items, and the scope itself.

The scope relies only on receipts, files, disclosures, the audit log and grants. Persons are counted once if identifiers are
comparable, otherwise as an upper bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from minimize.datasets.published_output import PublishedOutput
from minimize.errors import MinimizeError
from minimize.governance.incidents.exposure import (
    ExposedColumn,
    ExposedFile,
    ExposedForm,
    ExposedItem,
    ExposedRead,
    Exposure,
    IdentifierSpace,
    exposed_disclosures,
    exposed_reads,
    find_exposed_files,
    matches_output,
    most_revealing,
    reads_without_tenant,
)
from minimize.governance.incidents.file_versions import FileVersion, file_versions, place_of
from minimize.governance.incidents.incident import Incident, load_incident, require_open_privacy
from minimize.governance.incidents.inventory import (
    DisclosedCopy,
    ExposedInventory,
    FileCounter,
    RecordedInventory,
    UnreadableFile,
    disclosed_copies,
)
from minimize.governance.incidents.workflow import record_step
from minimize.governance.known_outputs import UnreachableOutput, find_outputs
from minimize.keys import Keyring
from minimize.results import JsonResult, json_member, json_object
from minimize.stores import LocationLike, parse_output_location
from minimize.times import instant_text
from minimize.workspace import Workspace


@dataclass(frozen=True, slots=True)
class TenantFinding:
    """Data of a tenant that was exposed in one place and in one way."""

    via: str
    place: str
    """A file or a disclosure."""
    columns: frozenset[ExposedColumn]
    rows: int
    since: int | None
    until: int | None
    is_certain: bool = True
    """Whether the number of records is exact; otherwise `rows` is an upper bound."""
    is_sealed: bool = False
    """Whether the place is a sealed file with records of restricted subjects."""
    version: FileVersion | None = None
    """The versions of a file among which the place is; None if no change of the file was exposed."""


@dataclass(frozen=True, slots=True)
class PersonCount:
    """Number of persons, exact or as an upper bound."""

    count: int
    exact: bool

    def __str__(self) -> str:
        return f"{self.count:,}" if self.exact else f"at most {self.count:,}"


@dataclass(frozen=True, slots=True)
class AffectedTenant:
    """A tenant that an incident affects, with the findings about it."""

    tenant: str
    subjects: PersonCount | None
    findings: tuple[TenantFinding, ...]
    recipients: tuple[Mapping[str, Any], ...] = ()
    abouts: Mapping[str, str] = field(default_factory=dict)
    """The descriptions of the columns in the policies of the files, by name."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What people call the columns, by name."""

    @property
    def columns(self) -> tuple[ExposedColumn, ...]:
        """The exposed columns, each in the most revealing form in which it was exposed."""
        most: dict[tuple[str, str], ExposedColumn] = {}
        for column in sorted(column for finding in self.findings for column in finding.columns):
            previous = most.get((column.name, column.category))
            if previous is None or most_revealing([previous.form, column.form]) == column.form:
                most[column.name, column.category] = column
        return tuple(most[name] for name in sorted(most))

    @property
    def form(self) -> ExposedForm:
        """The most revealing form of all columns."""
        return most_revealing(each.form for each in self._inside or self.columns)

    @property
    def needs_notice(self) -> bool:
        """Whether `minimize` drafts a notice for the tenant.

        It drafts none for data encrypted under unexposed keys, nor for aggregates. You decide whether a notice is due.
        """
        return any(each.form in ("identified", "pseudonymized") for each in self._inside)

    @property
    def _inside(self) -> tuple[ExposedColumn, ...]:
        """The columns stored in files, without those in folder names."""
        return tuple(each for each in self.columns if not each.folder)

    @property
    def rows(self) -> int:
        """Number of records. A record that was exposed in several ways counts once."""
        return _count_rows(self.findings)

    @property
    def _restricted(self) -> Mapping[str, Any] | None:
        """The number of sealed records of restricted subjects, and the most revealing form in which they were exposed."""
        sealed = [each for each in self.findings if each.is_sealed]
        form = most_revealing(column.form for each in sealed for column in each.columns)
        return {"rows": _count_rows(sealed), "form": form} if sealed else None

    def _kind(self, column: ExposedColumn) -> dict[str, Any]:
        texts = {"label": self.labels.get(column.name), "about": self.abouts.get(column.name)}
        return {**column.to_json(), **{key: text for key, text in texts.items() if text}}

    def to_json(self) -> dict[str, Any]:
        """The tenant as JSON for a scope."""
        first, last = (each.since for each in self.findings), (each.until for each in self.findings)
        body = {
            "tenant_id": self.tenant,
            "subjects": self.subjects,
            "rows": self.rows,
            "rows_exact": all(each.is_certain for each in self.findings),
            "form": self.form,
            "kinds": [self._kind(each) for each in self.columns],
            "period": {"from": _first_time(first), "to": _last_time(last)},
            "recipients": self.recipients,
            "via": {each.via for each in self.findings},
            "notice": self.needs_notice,
            **({} if self._restricted is None else {"restricted": self._restricted}),
        }
        return json_object(body)


def _count_rows(findings: Iterable[TenantFinding]) -> int:
    """The number of records. A file that a rewrite replaced is not added to the files that replaced it; the larger counts."""
    most: dict[tuple[str, str], dict[str, int]] = {}
    for finding in findings:
        version = finding.version or FileVersion(finding.place)
        places = most.setdefault((version.group, version.age), {})
        places[finding.place] = max(finding.rows, places.get(finding.place, 0))
    rows = {key: sum(places.values()) for key, places in most.items()}
    return sum(max(rows.get((group, age), 0) for age in ("first", "last")) for group in {group for group, _ in rows})


def _first_time(times: Iterable[int | None]) -> str | None:
    """The earliest time. None if one of the times is unknown."""
    moments = list(times)
    known_times = [each for each in moments if each is not None]
    return instant_text(min(known_times)) if known_times and len(known_times) == len(moments) else None


def _last_time(times: Iterable[int | None]) -> str | None:
    known = [each for each in times if each is not None]
    return instant_text(max(known)) if known else None


_SEEN_PERSONS = pa.schema([("tenant", pa.string()), ("person", pa.string()), ("sure", pa.bool_())])


@dataclass(frozen=True)
class PersonCounter:
    """Counts affected persons across the exposed files: exactly if identifiers are comparable, otherwise as an upper bound."""

    versions: Mapping[str, FileVersion] = field(default_factory=dict, repr=False)
    """The versions of rewritten files, by place."""
    spaces: dict[IdentifierSpace, list[pa.Table]] = field(default_factory=dict, repr=False)
    """The persons seen so far, by identifier space."""
    later: dict[str, dict[IdentifierSpace, list[pa.Table]]] = field(default_factory=dict, repr=False)
    """The persons seen so far in files that a rewrite made, by version and space: the first version has all of these persons."""
    nameless: dict[str, dict[str, int]] = field(default_factory=dict, repr=False)
    """Number of records without a person identifier, by tenant and file."""
    capped: dict[str, dict[str, int] | None] = field(default_factory=dict, repr=False)
    """Rows returned by each read, by tenant, if only reads exposed its data; otherwise None."""

    def add_file(self, inventory: ExposedInventory) -> None:
        """Adds the persons in a file. Aggregates contain no persons to count."""
        exposed_file = inventory.exposed
        if exposed_file.file.has_records:
            place = place_of(exposed_file)
            self._add(
                inventory.space,
                inventory.persons,
                place,
                certain=exposed_file.read is None,
                most=inventory.person_limits,
            )
        for tenant in pc.unique(inventory.persons["tenant"]).to_pylist():
            if tenant is not None and exposed_file.file.has_records:
                self._cap(
                    tenant,
                    None if exposed_file.read is None else (str(exposed_file.read.started_at), exposed_file.read.rows),
                )

    def add_copy(self, copy: DisclosedCopy) -> None:
        """Adds the persons in a copy at a recipient."""
        self._add(copy.space, copy.persons(), copy.act.disclosure, certain=True, most={})
        self._cap(copy.tenant, None)

    def counts(self) -> dict[str, PersonCount]:
        """Number of persons, by tenant."""
        counts_by_tenant: dict[str, list[PersonCount]] = {}
        for tenant, count in self._counts_by_tenant():
            counts_by_tenant.setdefault(tenant, []).append(count)
        return {tenant: self._total(tenant, each) for tenant, each in counts_by_tenant.items()}

    def _add(
        self, space: IdentifierSpace | None, persons: pa.Table, place: str, *, certain: bool, most: Mapping[str, int]
    ) -> None:
        named_rows = persons.filter(pc.and_(pc.is_valid(persons["tenant"]), pc.is_valid(persons["person"])))
        if space is not None and named_rows.num_rows:
            seen_persons = pa.table(
                [named_rows["tenant"], named_rows["person"], pa.repeat(certain, named_rows.num_rows)],
                schema=_SEEN_PERSONS,
            )
            self.spaces.setdefault(space, []).append(seen_persons)
            version = self.versions.get(place)
            if version is not None and version.age == "last":
                self.later.setdefault(version.group, {}).setdefault(space, []).append(seen_persons)
        nameless_rows = persons.filter(pc.and_(pc.is_valid(persons["tenant"]), pc.is_null(persons["person"])))
        for line in nameless_rows.group_by("tenant").aggregate([("rows", "sum")]).to_pylist():
            places = self.nameless.setdefault(line["tenant"], {})
            places[place] = max(most.get(line["tenant"], line["rows_sum"]), places.get(place, 0))

    def _cap(self, tenant: str, read: tuple[str, int | None] | None) -> None:
        known = self.capped.setdefault(tenant, {})
        if read is None or read[1] is None or known is None:
            self.capped[tenant] = None
        else:
            known[read[0]] = read[1]

    def _counts_by_tenant(self) -> Iterator[tuple[str, PersonCount]]:
        for space, tables in self.spaces.items():
            person_rows = pa.concat_tables(tables).group_by(["tenant", "person"]).aggregate([("sure", "any")])
            rows_by_tenant = person_rows.group_by("tenant").aggregate([("person", "count"), ("sure_any", "all")])
            for line in rows_by_tenant.to_pylist():
                yield line["tenant"], PersonCount(line["person_count"], space.exact and line["sure_any_all"])
        later = {group: self._later_counts(group) for group in self.later}
        for tenant, places in self.nameless.items():
            most: dict[tuple[str, str], int] = {}
            for place, count in places.items():
                version = self.versions.get(place, FileVersion(place))
                key = (version.group, version.age)
                most[key] = most.get(key, 0) + count
            groups = {group for group, _ in most}
            remaining_counts = (
                max(most.get((group, "first"), 0), most.get((group, "last"), 0)) - later.get(group, {}).get(tenant, 0)
                for group in groups
            )
            total = sum(max(0, count) for count in remaining_counts)
            if total:
                yield tenant, PersonCount(total, False)

    def _later_counts(self, group: str) -> dict[str, int]:
        """Number of persons in the files that rewrites left, by tenant; of several spaces the largest."""
        counts_by_tenant: dict[str, int] = {}
        for tables in self.later[group].values():
            person_rows = pa.concat_tables(tables).group_by(["tenant", "person"]).aggregate([])
            for line in person_rows.group_by("tenant").aggregate([("person", "count")]).to_pylist():
                counts_by_tenant[line["tenant"]] = max(line["person_count"], counts_by_tenant.get(line["tenant"], 0))
        return counts_by_tenant

    def _total(self, tenant: str, person_counts: list[PersonCount]) -> PersonCount:
        """Adds the counts of several spaces. The sum is an upper bound, because one person may occur in several spaces."""
        count, cap = sum(each.count for each in person_counts), self.capped.get(tenant)
        if cap is not None:
            count = min(count, sum(cap.values()))
        return PersonCount(count, len(person_counts) == 1 and person_counts[0].exact)


@dataclass(frozen=True)
class ExposureEvidence:
    """Evidence of an exposure from receipts, files, disclosures and the audit log."""

    keys: Keyring
    outputs: Sequence[PublishedOutput]
    """Outputs that can be searched."""
    unreachable: tuple[UnreachableOutput, ...]
    """Outputs that cannot be searched."""
    files: Sequence[ExposedFile]
    """Exposed files."""
    reads: Sequence[ExposedRead]
    """Exposed reads."""
    reads_without_tenant: Sequence[Mapping[str, Any]]
    """Views and exports of persons that named no tenant."""
    disclosures: Mapping[str, str]
    """Disclosures by exposed actors, each with the item that exposed it."""
    copies: Sequence[DisclosedCopy]
    """Copies that recipients held within the window."""
    tenants: frozenset[str]
    """Tenants that the ledger names."""

    @classmethod
    def gather(
        cls,
        exposure: Exposure,
        window: tuple[datetime, datetime],
        workspace: Workspace,
        named: Sequence[LocationLike] = (),
    ) -> Self:
        """Collects the evidence of an exposure within a window. Also searches the outputs in `named`.

        Raises LedgerError, KeyringError, OutputError.
        """
        keys = workspace.keyring()
        with workspace.open_ledger() as ledger:
            outputs, unreachable = find_outputs(ledger, [*named, *_named_folders(exposure)], keys)
            reads, acts = exposed_reads(ledger, exposure, window), reads_without_tenant(ledger, exposure, window)
            disclosures, copies = exposed_disclosures(ledger, exposure, window), list(disclosed_copies(ledger, window))
            tenants = ledger.tenants()
        files = list(find_exposed_files(exposure, outputs, reads, window))
        return cls(
            keys=keys,
            outputs=outputs,
            unreachable=unreachable,
            files=files,
            reads=reads,
            reads_without_tenant=acts,
            disclosures=disclosures,
            copies=copies,
            tenants=tenants,
        )

    @property
    def acts(self) -> frozenset[str]:
        """The exposed grants and actors with events in the audit log."""
        placed = {each.via for each in self.reads} | {str(each["via"]) for each in self.reads_without_tenant}
        return frozenset(placed | {*self.disclosures.values()})

    def columns(self) -> frozenset[str] | None:
        """The columns of the exposed files, read from one file of each kind. None if one cannot be opened."""
        files = [each.file for each in self.files]
        kinds = {(each.output.folder, each.name, each.written_by.rewrite_group): each for each in files}
        try:
            return frozenset(name for each in kinds.values() for name in each.schema.names)
        except (MinimizeError, OSError):
            return None


def _named_folders(exposure: Exposure) -> list[str]:
    """The folders of outputs that the exposure names."""
    return [each.name for each in exposure.items_of("output") if parse_output_location(each.name).is_dir()]


def unmatched_items(incident: Incident, workspace: Workspace) -> tuple[ExposedItem, ...]:
    """The exposed items that match no receipt, disclosure or audit event. Reads no values from files.

    Returns nothing if the evidence cannot be read. `scope_incident` checks more thoroughly.
    """
    try:
        evidence = ExposureEvidence.gather(incident.exposure, incident.window, workspace)
        return tuple(ItemMatcher(evidence, evidence.columns()).unmatched(incident.exposure))
    except (MinimizeError, OSError):
        return ()


@dataclass(frozen=True)
class ItemMatcher:
    """Matches exposed items with the evidence. `columns` are the columns of the exposed files; None if unknown."""

    evidence: ExposureEvidence
    columns: frozenset[str] | None

    def unmatched(self, exposure: Exposure) -> Iterator[ExposedItem]:
        """Yields the exposed items without a match, in their order."""
        yield from (each for each in exposure.items if not self._is_matched(each))

    def _is_matched(self, item: ExposedItem) -> bool:
        files = [exposed_file for exposed_file in self.evidence.files if exposed_file.read is None]
        if item.kind == "output":
            return any(
                matches_output(item, exposed_file.file.output) and item.detail in ("", exposed_file.file.name)
                for exposed_file in files
            )
        if item.kind == "run":
            return any(exposed_file.file.written_by.receipt.run_id == item.name for exposed_file in files)
        if item.kind == "date":
            return any(exposed_file.file.date == item.name for exposed_file in files)
        if item.kind == "column":
            return self.columns is None or item.name in self.columns
        if item.kind == "recipient":
            return any(copy.recipient == item.name for copy in self.evidence.copies)
        return str(item) in self.evidence.acts if item.kind in ("grant", "actor") else self._is_key(item.name)

    def _is_key(self, key: str) -> bool:
        """Whether the key exists, or was ever used to make or encrypt data."""
        evidence = self.evidence
        existing = {f"{each.name}/{each.version}" for each in evidence.keys.listing()}
        used = {each for output in evidence.outputs for receipt in output.chain for each in receipt.keys}
        return key in existing | used or any(copy.columns(frozenset({key}), keyed=True) for copy in evidence.copies)


@dataclass(frozen=True, kw_only=True)
class IncidentScope(JsonResult):
    """Scope of an incident: the affected tenants, and the limits of the search."""

    as_of: datetime = field(metadata=json_member("at"))
    tenants: tuple[AffectedTenant, ...] = ()
    reads: tuple[ExposedRead, ...] = field(default=(), repr=False)
    """Exposed reads."""
    unmatched: tuple[ExposedItem, ...] = field(
        default=(), metadata=json_member("nothing_matches", convert=lambda items: [str(each) for each in items])
    )
    """Exposed items without a match."""
    reads_without_tenant: tuple[Mapping[str, Any], ...] = field(
        default=(), repr=False, metadata=json_member("acts_of_unknown_tenants")
    )
    """Views and exports of persons that named no tenant."""
    records_without_tenant: int = field(default=0, metadata=json_member("records_of_unknown_tenants"))
    """Number of records whose tenant is unknown."""
    unreadable: tuple[UnreadableFile, ...] = field(default=(), metadata=json_member("not_searched"))
    """Exposed files that can no longer be read."""
    unreachable: tuple[UnreachableOutput, ...] = field(default=(), metadata=json_member("not_reached"))
    """Outputs that cannot be reached from this machine."""


def scope_incident(name: str, workspace: Workspace, now: datetime, *, named: Sequence[LocationLike] = ()) -> Incident:
    """Determines the scope of an incident and records it.

    Raises ConfigurationError if the incident is closed; LedgerError, KeyringError.
    """
    workspace.require("incident/assess")
    this = require_open_privacy(load_incident(name, workspace))
    scope = exposure_scope(this.exposure, this.window, workspace, now, named=named)

    def body_of(incident: Incident | None) -> Mapping[str, Any]:
        require_open_privacy(incident)
        return {"scope": scope.to_json()}

    return record_step(name, "scoped", body_of, workspace, now)


def exposure_scope(
    exposure: Exposure,
    window: tuple[datetime, datetime],
    workspace: Workspace,
    now: datetime,
    *,
    named: Sequence[LocationLike] = (),
) -> IncidentScope:
    """Determines the scope of an exposure within a window. Raises LedgerError, KeyringError, OutputError."""
    evidence = ExposureEvidence.gather(exposure, window, workspace, named)
    counter = FileCounter(exposure.keys, evidence.tenants)
    files = [counter.count(each) for each in evidence.files]
    recorded = RecordedInventory(evidence.keys, exposure.keys)
    unreadable = [recorded.look_up(each) for each in files if isinstance(each, UnreadableFile)]
    counted = [each for each in files if isinstance(each, ExposedInventory)]
    counted += [each for _, each in unreadable if each is not None]
    exposed_copies = [
        (each, via)
        for each in evidence.copies
        if (via := _exposing_item(each, exposure, evidence.disclosures)) is not None
    ]
    filled = frozenset(
        column.name for inventory in counted for columns in inventory.columns.values() for column in columns
    )
    return IncidentScope(
        as_of=now,
        tenants=tuple(_affected_tenants(counted, exposed_copies, evidence.copies, exposure)),
        unreadable=tuple(each for each, _ in unreadable),
        unreachable=evidence.unreachable,
        records_without_tenant=sum(_records_without_tenant(each) for each in counted),
        reads=tuple(evidence.reads),
        reads_without_tenant=tuple(evidence.reads_without_tenant),
        unmatched=tuple(ItemMatcher(evidence, filled).unmatched(exposure)),
    )


def _affected_tenants(
    counted: Sequence[ExposedInventory],
    taken: Sequence[tuple[DisclosedCopy, str]],
    out: Sequence[DisclosedCopy],
    exposure: Exposure,
) -> Iterator[AffectedTenant]:
    findings: dict[str, list[TenantFinding]] = {}
    versions = file_versions(each.exposed for each in counted)
    counter = PersonCounter(versions)
    for inventory in counted:
        counter.add_file(inventory)
        for tenant, finding in _findings_of_file(inventory, versions):
            findings.setdefault(tenant, []).append(finding)
    for copy, via in taken:
        counter.add_copy(copy)
        findings.setdefault(copy.tenant, []).append(_finding_of_copy(copy, via, exposure))
    subjects = counter.counts()
    abouts, labels = _descriptions(each.exposed for each in counted)
    policies = {each.exposed.file.written_by.receipt.policy.name for each in counted} | {
        each.policy for each, _ in taken
    }
    for tenant in sorted(findings):
        held_copies = tuple(each.to_json() for each in out if each.tenant == tenant and each.policy in policies)
        yield AffectedTenant(tenant, subjects.get(tenant), tuple(findings[tenant]), held_copies, abouts, labels)


def _descriptions(files: Iterable[ExposedFile]) -> tuple[dict[str, str], dict[str, str]]:
    """What the policies of the files say about their fields, and how they label them, by name.

    A policy that cannot be read says nothing.
    """
    abouts: dict[str, str] = {}
    labels: dict[str, str] = {}
    for run in {each.file.written_by.receipt.policy.digest: each.file.written_by for each in files}.values():
        with suppress(MinimizeError, OSError):
            fields = run.policy.fields
            abouts |= {key: field.about for key, field in fields.items() if field.about}
            labels |= {key: field.label for key, field in fields.items() if field.label}
    return abouts, labels


def _findings_of_file(
    inventory: ExposedInventory, versions: Mapping[str, FileVersion]
) -> Iterator[tuple[str, TenantFinding]]:
    """Yields one finding per tenant of a file. The loop runs over tenants."""
    aggregations = [("rows", "sum"), ("since", "min"), ("until", "max")]
    rows_by_tenant = inventory.persons.group_by("tenant").aggregate(aggregations)
    place = place_of(inventory.exposed)
    for line in rows_by_tenant.to_pylist():
        tenant = line["tenant"]
        if tenant is not None:
            columns = inventory.columns.get(tenant, frozenset())
            times = (line["since_min"], line["until_max"])
            certain = not inventory.is_recorded and inventory.exposed.read is None
            yield (
                tenant,
                TenantFinding(
                    inventory.exposed.via,
                    place,
                    columns,
                    line["rows_sum"],
                    *times,
                    is_certain=certain,
                    is_sealed=inventory.exposed.file.is_sealed,
                    version=versions.get(place),
                ),
            )


def _exposing_item(copy: DisclosedCopy, exposure: Exposure, sent: Mapping[str, str]) -> str | None:
    """The item that exposed a copy: its recipient, its sender, or the keys of its fields. None if it was not exposed."""
    if exposure.only_keys:
        keyed_columns = copy.columns(exposure.keys, keyed=True)
        return ", ".join(map(str, exposure.items)) if keyed_columns else None
    if copy.recipient in exposure.names("recipient"):
        return f"recipient:{copy.recipient}"
    return sent.get(copy.act.disclosure)


def _finding_of_copy(copy: DisclosedCopy, via: str, exposure: Exposure) -> TenantFinding:
    until = int(copy.act.recorded_at.timestamp() * 1_000_000)
    columns = copy.columns(exposure.keys, keyed=exposure.only_keys)
    return TenantFinding(
        via=via, place=copy.act.disclosure, columns=columns, rows=copy.share.rows, since=None, until=until
    )


def _records_without_tenant(inventory: ExposedInventory) -> int:
    unknown = inventory.persons.filter(pc.is_null(inventory.persons["tenant"]))
    return int(pc.sum(unknown["rows"]).as_py() or 0)
