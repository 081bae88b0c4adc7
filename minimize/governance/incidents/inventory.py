"""Inventory of exposed data by tenant: files, removed files by their recorded inventory, copies at recipients.

For a file that cannot be read, the inventory recorded at its removal is used, otherwise the tenant in its folder name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property, partial, reduce
from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import decode_dictionary
from minimize.arrow.nested import leaf
from minimize.datasets.inventory import RemovedFileInventory, TenantContent, read_inventory
from minimize.datasets.published_output import OutputFile
from minimize.datasets.record_age import UNKNOWN_TIME, EventTimeBounds
from minimize.errors import KeyringError, MinimizeError, OutputError, PolicyError
from minimize.governance.incidents.exposure import (
    EXPOSED_FORMS,
    CompromisedKeys,
    ExposedColumn,
    ExposedFile,
    ExposedForm,
    IdentifierSpace,
    PersonIdentifiers,
    uses_keys,
)
from minimize.governance.sharing.recipient_fields import RECIPIENT_MARK
from minimize.keys import Keyring
from minimize.ledger.kinds import (
    TENANT_SHARE,
    TOKEN_BYTES,
    Disclosure,
    TenantShare,
    find_disclosures,
    find_recall_steps,
)
from minimize.output.folder import partition_values
from minimize.policy.fields import keeps_original
from minimize.policy.treatments import DROP
from minimize.results import json_object
from minimize.techniques import published_techniques
from minimize.times import day_start, epoch_microseconds

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

PERSON_COUNTS = pa.schema(
    [
        ("tenant", pa.string()),
        ("person", pa.string()),
        ("rows", pa.int64()),
        ("since", pa.int64()),
        ("until", pa.int64()),
    ]
)
"""Records per tenant and person, with the earliest and latest event time in microseconds since 1970."""


@dataclass(frozen=True, slots=True)
class ExposedInventory:
    """Exposed content of one file."""

    exposed: ExposedFile
    persons: pa.Table = field(repr=False)
    """Table with the schema `PERSON_COUNTS`."""
    space: IdentifierSpace | None
    """Identifier space of the persons; None without comparable identifiers."""
    columns: dict[str | None, frozenset[ExposedColumn]]
    """Exposed columns with values, by tenant."""
    person_limits: dict[str, int] = field(default_factory=dict)
    """Upper bound of the number of persons, by tenant, if the file can no longer be read."""
    is_recorded: bool = False
    """Whether the content comes from a recorded inventory or folder name, because the file cannot be read."""


@dataclass(frozen=True, slots=True)
class UnreadableFile:
    """An exposed file that cannot be read, with the error code or reason. Its receipt records the number of its rows."""

    exposed: ExposedFile
    reason: str
    tenants_by: Literal["record", "folder"] | None = None
    """The source of its tenants: its recorded inventory (`record`) or its folder name; None if unknown."""

    def to_json(self) -> dict[str, Any]:
        """The file as JSON for a scope."""
        place = {"output": str(self.exposed.file.output.folder), "file": self.exposed.file.path}
        return {**place, "rows": self.exposed.file.entry.rows, "why": self.reason, "tenants_by": self.tenants_by}


@dataclass(frozen=True)
class FileCounter:
    """Counts records and persons in exposed files."""

    known_keys: frozenset[str]
    """Compromised key versions."""
    tenants: frozenset[str] = frozenset()
    """Tenants that the ledger names; used to resolve pseudonyms of tenants in a file."""

    def count(self, exposed_file: ExposedFile) -> ExposedInventory | UnreadableFile:
        """Counts the exposed content of a file."""
        reason = ""
        try:
            return _FileCount(exposed_file, self).count()
        except (OutputError, KeyringError, PolicyError) as error:
            reason = error.code
        except OSError:
            reason = "the file does not exist"
        return UnreadableFile(exposed_file, reason)


@dataclass(frozen=True)
class _FileCount:
    """The count of one exposed file."""

    exposed: ExposedFile
    counter: FileCounter = field(repr=False)

    @property
    def file(self) -> OutputFile:
        """The file."""
        return self.exposed.file

    def count(self) -> ExposedInventory:
        """Counts the exposed content of the file. Memory grows with the number of persons."""
        persons = (
            PersonIdentifiers.for_policy(self.file.policy, self.file.pointers, self.file.schema)
            if self.file.has_records
            else PersonIdentifiers()
        )
        exposed = self._exposed_columns()
        names = None if self._is_whole else self._columns_to_read([*exposed])
        parts, filled = [PERSON_COUNTS.empty_table()], dict[str | None, set[ExposedColumn]]()
        for batch in map(partial(self._only, [*exposed]), self.file.stored_file.batches(columns=names)):
            tenants = self._tenants(batch)
            parts.append(_group_counts(self._rows(batch, tenants, persons)))
            for tenant, column in _filled_columns(batch, tenants, exposed):
                filled.setdefault(tenant, set()).add(column)
        person_counts = merge_counts(parts)
        columns = {
            name: frozenset(each) for name, each in filled.items() if name is None or name in self.exposed.tenants
        }
        person_counts = person_counts.filter(pc.is_in(person_counts["tenant"], pa.array([*columns], pa.string())))
        return ExposedInventory(self.exposed, person_counts, persons.space, columns)

    @property
    def _is_whole(self) -> bool:
        """Whether all columns were exposed."""
        return self.exposed.columns is None and not self.exposed.keyed

    def _columns_to_read(self, columns: list[str]) -> frozenset[str]:
        """The columns to read: the exposed ones, and those with the tenant, the person and the event time."""
        policy, pointers = self.file.policy, self.file.pointers
        describing = (policy.tenant, policy.subject, policy.time)
        return frozenset([*columns, *(pointers[key].top for key in describing if key is not None and key in pointers)])

    def _only(self, names: list[str], batch: pa.RecordBatch) -> pa.RecordBatch:
        """Keeps the records with a value in one of these columns, unless all columns were exposed."""
        if self._is_whole:
            return batch
        none = pa.repeat(pa.scalar(False), batch.num_rows)
        return batch.filter(reduce(pc.or_, (batch.column(name).is_valid() for name in names), none))

    def _exposed_columns(self) -> dict[str, ExposedColumn]:
        """The exposed columns, by name."""
        stored = frozenset(self.file.stored_file.schema.names)
        return columns_of_file(self.exposed, self.file.schema, stored, self.counter.known_keys)

    def _rows(self, batch: pa.RecordBatch, tenants: pa.Array, persons: PersonIdentifiers) -> pa.Table:
        since, until = self._times(batch)
        who = pa.nulls(batch.num_rows, pa.string())
        if persons.pointer is not None:
            who = _as_text(leaf(batch, persons.pointer).values)
        ones = pa.repeat(pa.scalar(1, pa.int64()), batch.num_rows)
        return pa.table([tenants, who, ones, since, until], schema=PERSON_COUNTS)

    def _times(self, batch: pa.RecordBatch) -> tuple[pa.Array, pa.Array]:
        """Earliest and latest event time of each record. Without a time in the file, the bounds of its batch date."""
        times = self.file.times if self.file.has_records else None
        if times is not None:
            oldest, newest = times.oldest(batch), times.newest(batch)
            return pa.array(oldest, mask=oldest == UNKNOWN_TIME), pa.array(newest, mask=newest == UNKNOWN_TIME)
        since, until = (pa.repeat(pa.scalar(each, pa.int64()), batch.num_rows) for each in batch_date_bounds(self.file))
        return since, until

    def _tenants(self, batch: pa.RecordBatch) -> pa.Array:
        """The original tenant id of each record. Null if the file does not contain it."""
        key = self.file.policy.tenant
        pointer = None if key is None else self.file.pointers.get(key)
        if key is None or pointer is None or pointer.stars:
            return pa.nulls(batch.num_rows, pa.string())
        values = _as_text(leaf(batch, pointer).values)
        if keeps_original(self.file.policy.fields[key]):
            return values
        places = pc.index_in(values, pa.array([*self._tenant_forms], pa.string()))
        return pa.array([*self._tenant_forms.values()], pa.string()).take(places)

    @cached_property
    def _tenant_forms(self) -> dict[str, str]:
        """Maps the released form of each known tenant to the tenant."""
        key = self.file.policy.tenant
        return {form: name for name in self.counter.tenants for form in self.file.forms(key, name, name) or ()}


def batch_date_bounds(file: OutputFile) -> tuple[int | None, int | None]:
    """First and last microsecond of a file's batch date, since 1970. None without a batch date."""
    if file.date is None:
        return None, None
    first = day_start(file.date)
    return epoch_microseconds(first), epoch_microseconds(first + timedelta(days=1)) - 1


def columns_of_file(
    exposed_file: ExposedFile, whole: pa.Schema, inside: frozenset[str], key_names: frozenset[str]
) -> dict[str, ExposedColumn]:
    """The exposed columns of a file. `inside` are those stored in the file and not in its folder names."""
    masters, seals = exposed_file.file.entry.keys or (), exposed_file.file.sealing_keys
    compromised = CompromisedKeys(key_names, is_decrypted=exposed_file.read is not None)
    return {
        each.name: compromised.column(each, masters, folder=not seals and each.name not in inside, seals=seals)
        for each in whole
        if (exposed_file.columns is None or each.name in exposed_file.columns)
        and (not exposed_file.keyed or seals & key_names or uses_keys(each, masters, key_names))
    }


def merge_counts(parts: Sequence[pa.Table]) -> pa.Table:
    """Merges tables of `PERSON_COUNTS` into one with a single row per tenant and person."""
    return _group_counts(pa.concat_tables(parts))


def _group_counts(rows: pa.Table) -> pa.Table:
    aggregations = [("rows", "sum"), ("since", "min"), ("until", "max")]
    return (
        rows.group_by(["tenant", "person"])
        .aggregate(aggregations)
        .rename_columns(PERSON_COUNTS.names)
        .cast(PERSON_COUNTS)
    )


def _filled_columns(
    batch: pa.RecordBatch, tenants: pa.Array, columns: dict[str, ExposedColumn]
) -> Iterator[tuple[str | None, ExposedColumn]]:
    """Yields the columns with a value, by tenant. The loop runs over distinct tenants."""
    flags = {f"{place}": batch.column(name).is_valid() for place, name in enumerate(columns)}
    if not flags:
        return
    table = pa.table({"tenant": tenants, **flags}).group_by("tenant").aggregate([(name, "any") for name in flags])
    for place, column in enumerate(columns.values()):
        some = table.filter(table[f"{place}_any"])["tenant"].to_pylist()
        yield from ((tenant, column) for tenant in some)


def _as_text(values: pa.Array) -> pa.Array:
    return decode_dictionary(values).cast(pa.string())


@dataclass(frozen=True)
class RecordedInventory:
    """Finds the recorded inventory of files that cannot be read."""

    keys: Keyring = field(repr=False)
    known_keys: frozenset[str]
    """Compromised key versions."""
    by_receipt: dict[str, dict[str, RemovedFileInventory]] = field(default_factory=dict, repr=False)
    """Cache of the inventories that were read, by receipt."""

    def look_up(self, unreadable: UnreadableFile) -> tuple[UnreadableFile, ExposedInventory | None]:
        """The file with the source of its tenants, and its inventory. It assumes all columns; person counts are upper bounds."""
        exposed_file = unreadable.exposed
        with suppress(MinimizeError, OSError):
            removed = self._recorded(exposed_file)
            if removed is not None:
                return replace(unreadable, tenants_by="record"), self._count_contents(
                    exposed_file, removed.schema, _with_time_bounds(exposed_file.file, removed)
                )
            contents = tuple(_tenant_of_folder(exposed_file.file))
            if contents:
                return replace(unreadable, tenants_by="folder"), self._count_contents(
                    exposed_file, _file_schema(exposed_file.file), contents
                )
        return unreadable, None

    def _recorded(self, exposed_file: ExposedFile) -> RemovedFileInventory | None:
        """The inventory in the receipt that removed the file."""
        output = exposed_file.file.output
        removal = output.removals.get(exposed_file.file.path)
        if removal is None:
            return None
        if removal.run_id not in self.by_receipt:
            self.by_receipt[removal.run_id] = dict(read_inventory(output.folder, removal, self.keys))
        return self.by_receipt[removal.run_id].get(exposed_file.file.path)

    def _count_contents(
        self, exposed_file: ExposedFile, schema: pa.Schema, contents: tuple[TenantContent, ...]
    ) -> ExposedInventory | None:
        stored = frozenset(schema.names) - partition_values(exposed_file.file.path).keys()
        columns = columns_of_file(exposed_file, schema, stored, self.known_keys)
        some = (
            [each for each in contents if each.tenant is None or each.tenant in exposed_file.tenants] if columns else []
        )
        lines = [(each.tenant, None, each.rows, each.since, each.until) for each in some]
        persons = pa.Table.from_pylist(
            [dict(zip(PERSON_COUNTS.names, line, strict=True)) for line in lines], PERSON_COUNTS
        )
        filled = {each.tenant: frozenset(columns.values()) for each in some}
        limits = {each.tenant: each.persons for each in some if each.tenant is not None and each.persons is not None}
        return ExposedInventory(exposed_file, persons, None, filled, limits, is_recorded=True)


def _with_time_bounds(file: OutputFile, removed: RemovedFileInventory) -> tuple[TenantContent, ...]:
    """Adds the earliest and latest event time, from the precision of the recorded times or from the batch date."""
    clock = EventTimeBounds.for_policy(file.policy, removed.schema) if file.has_records else None
    return tuple(_with_bounds(file, each, clock) for each in removed.contents)


def _with_bounds(file: OutputFile, content: TenantContent, clock: EventTimeBounds | None) -> TenantContent:
    if clock is None:
        since, until = batch_date_bounds(file)
        return replace(content, since=since, until=until)
    since = None if content.since is None else content.since - clock.slack
    return replace(content, since=since, until=None if content.until is None else content.until + clock.width)


def _tenant_of_folder(file: OutputFile) -> Iterator[TenantContent]:
    """Yields the tenant in the file's folder name."""
    tenant = partition_values(file.path).get(file.policy.tenant or "")
    if tenant is not None:
        yield TenantContent(tenant, file.entry.rows, None, *batch_date_bounds(file))


def _file_schema(file: OutputFile) -> pa.Schema:
    """The file's columns from its footer, readable without a key. Without the file, from the techniques in its receipt."""
    return file.open_schema or pa.schema(_receipt_fields(file))


def _receipt_fields(file: OutputFile) -> Iterator[pa.Field]:
    wrote = file.written_by.receipt
    for name, treatment in wrote.fields.items():
        did = ", ".join([treatment.did] if isinstance(treatment.did, str) else treatment.did)
        about = {
            "minimize:category": wrote.outputs[file.content_name].category,
            "minimize:technique": did,
            "minimize:key": ",".join(wrote.keys) if any(kind.is_keyed() for kind in published_techniques(did)) else "",
        }
        if did != DROP:
            yield pa.field(name, pa.null(), metadata=about)


_KEY_IN_FORM: Final = re.compile(r"\bkey ([^\s,()]+)")
"""Matches the key named in the description of a form."""


@dataclass(frozen=True)
class DisclosedCopy:
    """Data of one tenant that one recipient received in one disclosure."""

    act: Disclosure
    share: TenantShare = field(repr=False)

    @property
    def tenant(self) -> str:
        """The tenant of the records."""
        return self.share.tenant_id

    @property
    def recipient(self) -> str:
        """The recipient that received the records."""
        return self.act.recipient

    @property
    def policy(self) -> str:
        """The name of the policy of the records."""
        return str(self.act.body["policy"]["name"])

    @property
    def space(self) -> IdentifierSpace | None:
        """Identifier space of the subject tokens in the ledger. None without tokens."""
        version = self.share.key_version
        return None if version is None else IdentifierSpace(f"disclosed/{version}", exact=True)

    def persons(self) -> pa.Table:
        """Records by person, as far as the ledger shows: at least one per person. The last row contains the remaining records."""
        tokens = self.share.tokens
        names: list[str | None] = [tokens[at : at + TOKEN_BYTES].hex() for at in range(0, len(tokens), TOKEN_BYTES)]
        rows = [1 for _ in names]
        remaining_rows = self.share.rows - len(rows)
        if not names:
            names, rows = [None], [self.share.rows]
        elif remaining_rows > 0:
            rows[-1] += remaining_rows
        until = int(self.act.recorded_at.timestamp() * 1_000_000)
        lines = {"tenant": [self.tenant] * len(names), "person": names, "rows": rows, "since": [None] * len(names)}
        return pa.Table.from_pydict({**lines, "until": [until] * len(names)}, PERSON_COUNTS)

    def columns(self, keys: frozenset[str], *, keyed: bool = False) -> frozenset[ExposedColumn]:
        """The sent fields, in the form that remains if `keys` are compromised. With `keyed`, only fields made with them."""
        category = str(self.act.body["category"])
        return frozenset(
            ExposedColumn(
                name, category, _exposed_form(category, str(form), opened=self._is_made(str(form), keys)), str(form)
            )
            for name, form in self.act.body["fields"].items()
            if not keyed or self._is_made(str(form), keys)
        )

    def _is_made(self, form: str, keys: frozenset[str]) -> bool:
        """Whether a field was made with one of these keys, or with a key of the recipient derived from one.

        If the disclosure does not record key versions, any compromised version of the key counts.
        """
        names = set(_KEY_IN_FORM.findall(form))
        recorded = self.act.body.get("keys")
        used = [each for each in recorded or () if each.rpartition("/")[0] in names]
        if recorded is None:
            return bool(
                {each for name in names for each in _original_keys(name)} & {key.rpartition("/")[0] for key in keys}
            )
        return bool({each for key in used for each in _original_keys(key)} & keys)

    def to_json(self) -> dict[str, Any]:
        """The copy as JSON for a scope."""
        act = {"function": self.act.function, "disclosure": self.act.disclosure, "at": self.act.recorded_at}
        return json_object({"recipient": self.recipient, **act, "rows": self.share.rows})


def disclosed_copies(ledger: Ledger, window: tuple[datetime, datetime]) -> Iterator[DisclosedCopy]:
    """Yields the copies that recipients held within the window: sent before its end, deletion not confirmed before its start."""
    deleted = {
        (each.disclosure, each.tenant_id)
        for each in find_recall_steps(ledger)
        if each.state == "confirmed" and each.recorded_at < window[0]
    }
    for act in find_disclosures(ledger):
        if act.recorded_at <= window[1]:
            for share in ledger.find(TENANT_SHARE, key=act.disclosure):
                if share.rows and (act.disclosure, share.tenant_id) not in deleted:
                    yield DisclosedCopy(act, share)


def _exposed_form(category: str, technique: str, *, opened: bool) -> ExposedForm:
    """The exposed form of a sent field. A pseudonym stays one, regardless of the category of the payload."""
    kinds = published_techniques(technique)
    if opened and any(kind.is_pseudonym() for kind in kinds):
        return "identified"
    if any(kind.residual == "linkable" for kind in kinds):
        return "pseudonymized"
    return next((form for form in EXPOSED_FORMS if form == category), "identified")


def _original_keys(key: str) -> frozenset[str]:
    """A key, and the key that it is derived from if it belongs to a recipient.

    >>> sorted(_original_keys("device@vendor/2"))
    ['device/2', 'device@vendor/2']
    """
    name, slash, version = key.partition("/")
    return frozenset({key, f"{name.partition(RECIPIENT_MARK)[0]}{slash}{version}"})
