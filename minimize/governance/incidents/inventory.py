"""Inventory of exposed data by tenant: files, removed files by their recorded inventory, copies at recipients.

Of a file that cannot be read, the inventory recorded at its removal counts, otherwise the tenant that its folder names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import decode_dictionary
from minimize.arrow.nested import leaf
from minimize.arrow.pointers import Pointer
from minimize.errors import KeyringError, MinimizeError, OutputError, PolicyError
from minimize.governance.event_times import UNKNOWN_TIME, EventTimeBounds
from minimize.governance.incidents.exposed_files import ExposedFile
from minimize.governance.incidents.exposure import (
    EXPOSED_FORMS,
    CompromisedKeys,
    ExposedColumn,
    ExposedForm,
    IdentifierSpace,
    PersonIdentifiers,
    uses_keys,
)
from minimize.governance.retention.identifier_forms import lookup_column
from minimize.governance.retention.retention_rules import field_pointers
from minimize.governance.sharing.recipient_fields import RECIPIENT_MARK
from minimize.keys import Keyring, find_kms
from minimize.keys.parquet_encryption import open_parquet
from minimize.ledger.sharing import (
    TOKEN_BYTES,
    Disclosure,
    TenantShare,
    read_disclosures,
    read_recalls,
    read_tenant_shares,
)
from minimize.output.partitions import partition_values
from minimize.output.stored_file import StoredFile, as_stored_file, open_stored_file
from minimize.policy.fields import treatments_of
from minimize.policy.model import Policy
from minimize.receipts import Receipt
from minimize.runs.removal_inventory import RemovedFileInventory, TenantContent, read_inventory
from minimize.stores import local_path
from minimize.techniques.keep import Keep
from minimize.times import day_start, epoch_microseconds, time_text

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
"""Per tenant and person the records, and the instants between which they happened, in microseconds since 1970."""


@dataclass(frozen=True, slots=True)
class ExposedInventory:
    """What one file holds of what was exposed of it.

    persons  of `PERSON_COUNTS`
    space    in which persons are named; None where they are not
    columns  by tenant the columns in which something stands
    person_limits     by tenant at most how many persons, where they are not named any more; then it is
    remembered, for the file cannot be looked at
    """

    exposed: ExposedFile
    persons: pa.Table = field(repr=False)
    space: IdentifierSpace | None
    columns: dict[str | None, frozenset[ExposedColumn]]
    person_limits: dict[str, int] = field(default_factory=dict)
    is_recorded: bool = False


@dataclass(frozen=True, slots=True)
class UnreadableFile:
    """A file that was exposed and cannot be looked at: its code, or why. Its receipt tells how many records it had.

    tenants_by  the source of its tenants: its recorded inventory (`record`) or its folder's name; None if unknown
    """

    exposed: ExposedFile
    reason: str
    tenants_by: Literal["record", "folder"] | None = None


@dataclass(frozen=True)
class FileCounter:
    """Counts what files hold.

    known_keys    the versions of keys that others have
    tenants  those that the ledger names: where a file has pseudonyms of tenants, they are tried
    """

    keys: Keyring = field(repr=False)
    known_keys: frozenset[str]
    tenants: frozenset[str] = frozenset()

    def count(self, reach: ExposedFile) -> ExposedInventory | UnreadableFile:
        """What a file holds of what was exposed."""
        lost = ""
        try:
            return self._count_file(reach)
        except (OutputError, KeyringError, PolicyError) as error:
            lost = error.code
        except OSError:
            lost = "it is gone"
        return UnreadableFile(reach, lost)

    def _count_file(self, reach: ExposedFile) -> ExposedInventory:
        stored = open_stored_file(
            reach.output.folder, reach.file.path, find_kms(self.keys, local_path(reach.output.folder))
        )
        one = OpenedFile(reach, reach.written_by.policy, stored, self)
        return one.count()


@dataclass(frozen=True)
class OpenedFile:
    """One file, and what is looked at in it."""

    exposed: ExposedFile
    policy: Policy
    stored: StoredFile = field(repr=False)
    counter: FileCounter = field(repr=False)

    def count(self) -> ExposedInventory:
        """What it holds. Memory grows with the number of persons."""
        pointers = self._pointers()
        persons = (
            PersonIdentifiers.for_policy(self.policy, pointers, self.stored.whole)
            if self.exposed.name == "records"
            else PersonIdentifiers()
        )
        wanted = self._exposed_columns()
        names = (
            None
            if self.exposed.columns is None and not self.exposed.keyed
            else self._columns_to_read(pointers, [*wanted])
        )
        parts, there = [PERSON_COUNTS.empty_table()], dict[str | None, set[ExposedColumn]]()
        for batch in map(partial(self._only, [*wanted]), self.stored.batches(columns=names)):
            tenants = self._tenants(batch, pointers)
            parts.append(_group_counts(self._rows(batch, tenants, persons)))
            for tenant, column in _filled_columns(batch, tenants, wanted):
                there.setdefault(tenant, set()).add(column)
        found = merge_counts(parts)
        columns = {
            name: frozenset(each) for name, each in there.items() if name is None or name in self.exposed.tenants
        }
        found = found.filter(pc.is_in(found["tenant"], pa.array([*columns], pa.string())))
        return ExposedInventory(self.exposed, found, persons.space, columns)

    def _columns_to_read(self, pointers: dict[str, Pointer], columns: list[str]) -> frozenset[str]:
        """The columns that are read: what was exposed, and what tells whose it is and when it happened."""
        telling = (self.policy.tenant, self.policy.subject, self.policy.time)
        return frozenset([*columns, *(pointers[key].top for key in telling if key is not None and key in pointers)])

    def _only(self, names: list[str], batch: pa.RecordBatch) -> pa.RecordBatch:
        """The records that have a value in one of these columns, where not all columns were exposed."""
        if self.exposed.columns is None and not self.exposed.keyed:
            return batch
        none = pa.repeat(pa.scalar(False), batch.num_rows)
        return batch.filter(reduce(pc.or_, (batch.column(name).is_valid() for name in names), none))

    def _pointers(self) -> dict[str, Pointer]:
        """Where the policy's fields stand: in records by their path, in an aggregate by what its columns say."""
        if self.exposed.name == "records":
            return field_pointers(self.policy, self.stored.whole)
        said = {(each.metadata or {}).get(b"minimize:field", b"").decode(): each for each in self.stored.whole}
        return {key: Pointer((each.name,)) for key, each in said.items() if key and not _is_measure(each)}

    def _exposed_columns(self) -> dict[str, ExposedColumn]:
        """The columns that were exposed."""
        inside = frozenset(self.stored.schema.names)
        return columns_of_file(self.exposed, self.stored.whole, inside, self.counter.known_keys)

    def _rows(self, batch: pa.RecordBatch, tenants: pa.Array, persons: PersonIdentifiers) -> pa.Table:
        clock = EventTimeBounds.for_policy(self.policy, self.stored.whole) if self.exposed.name == "records" else None
        since, until = self._times(batch, clock)
        who = pa.nulls(batch.num_rows, pa.string())
        if persons.pointer is not None:
            who = _as_text(leaf(batch, persons.pointer).values)
        ones = pa.repeat(pa.scalar(1, pa.int64()), batch.num_rows)
        return pa.table([tenants, who, ones, since, until], schema=PERSON_COUNTS)

    def _times(self, batch: pa.RecordBatch, clock: EventTimeBounds | None) -> tuple[pa.Array, pa.Array]:
        """Instants between which each record happened; where the file tells none, its batch date."""
        if clock is not None:
            oldest, newest = clock.oldest(batch), clock.newest(batch)
            return pa.array(oldest, mask=oldest == UNKNOWN_TIME), pa.array(newest, mask=newest == UNKNOWN_TIME)
        since, until = (
            pa.repeat(pa.scalar(each, pa.int64()), batch.num_rows) for each in batch_date_bounds(self.exposed)
        )
        return since, until

    def _tenants(self, batch: pa.RecordBatch, pointers: dict[str, Pointer]) -> pa.Array:
        """Per record its tenant, as it came in; null where the file does not tell."""
        key = self.policy.tenant
        pointer = None if key is None else pointers.get(key)
        if key is None or pointer is None or pointer.stars:
            return pa.nulls(batch.num_rows, pa.string())
        values = _as_text(leaf(batch, pointer).values)
        if all(
            isinstance(step, Keep)
            for way in treatments_of(self.policy.fields[key])
            if not isinstance(way, str)
            for step in way
        ):
            return values
        forms = self._forms(key, pointer)
        places = pc.index_in(values, pa.array([*forms], pa.string()))
        return pa.array([*forms.values()], pa.string()).take(places)

    def _forms(self, key: str, pointer: Pointer) -> dict[str, str]:
        """By form of a tenant the tenant, of those that are known."""
        clock = EventTimeBounds.for_policy(self.policy, self.stored.whole)
        column = lookup_column(self.policy, key, pointer, clock, self.stored, self.counter.keys).column
        return {form: name for name in self.counter.tenants for form in column.forms(name, name) or ()}


def batch_date_bounds(reach: ExposedFile) -> tuple[int | None, int | None]:
    """The first and the last microsecond of a file's batch date, since 1970; None where it has none."""
    if reach.date is None:
        return None, None
    first = day_start(reach.date)
    return epoch_microseconds(first), epoch_microseconds(first + timedelta(days=1)) - 1


def columns_of_file(
    reach: ExposedFile, whole: pa.Schema, inside: frozenset[str], key_names: frozenset[str]
) -> dict[str, ExposedColumn]:
    """The columns of a file that were exposed. Takes which of them stand in it, and not in its folders' names; known keys."""
    masters, telling = reach.file.keys or (), CompromisedKeys(key_names, is_decrypted=reach.read is not None)
    return {
        each.name: telling.column(each, masters, folder=each.name not in inside)
        for each in whole
        if (reach.columns is None or each.name in reach.columns)
        and (not reach.keyed or uses_keys(each, masters, key_names))
    }


def merge_counts(parts: Sequence[pa.Table]) -> pa.Table:
    """Tables of `PERSON_COUNTS`, each tenant and person once."""
    return _group_counts(pa.concat_tables(parts))


def _group_counts(rows: pa.Table) -> pa.Table:
    how = [("rows", "sum"), ("since", "min"), ("until", "max")]
    return rows.group_by(["tenant", "person"]).aggregate(how).rename_columns(PERSON_COUNTS.names).cast(PERSON_COUNTS)


def _filled_columns(
    batch: pa.RecordBatch, tenants: pa.Array, columns: dict[str, ExposedColumn]
) -> Iterator[tuple[str | None, ExposedColumn]]:
    """The columns that have a value for a tenant. The loop runs over distinct tenants."""
    flags = {f"{place}": batch.column(name).is_valid() for place, name in enumerate(columns)}
    if not flags:
        return
    table = pa.table({"tenant": tenants, **flags}).group_by("tenant").aggregate([(name, "any") for name in flags])
    for place, column in enumerate(columns.values()):
        some = table.filter(table[f"{place}_any"])["tenant"].to_pylist()
        yield from ((tenant, column) for tenant in some)


def _as_text(values: pa.Array) -> pa.Array:
    return decode_dictionary(values).cast(pa.string())


def _is_measure(each: pa.Field) -> bool:
    return b"minimize:measure" in (each.metadata or {})


_KEYED_TECHNIQUES: Final = frozenset({"pseudonymize", "tokenize", "shift_dates"})


@dataclass(frozen=True)
class RecordedInventory:
    """Tells of files that cannot be looked at.

    known_keys  the versions of keys that others have
    by_receipt   per receipt what it took down, once it was read
    """

    keys: Keyring = field(repr=False)
    known_keys: frozenset[str]
    by_receipt: dict[str, dict[str, RemovedFileInventory]] = field(default_factory=dict, repr=False)

    def look_up(self, lost: UnreadableFile) -> tuple[UnreadableFile, ExposedInventory | None]:
        """The file with what tells of its tenants, and what that is: all columns are meant, and at most so many persons."""
        reach = lost.exposed
        with suppress(MinimizeError, OSError):
            taken = self._recorded(reach)
            if taken is not None:
                return replace(lost, tenants_by="record"), self._count_contents(
                    reach, taken.schema, _with_time_bounds(reach, taken)
                )
            held = tuple(_tenant_of_folder(reach))
            if held:
                return replace(lost, tenants_by="folder"), self._count_contents(reach, _file_schema(reach), held)
        return lost, None

    def _recorded(self, reach: ExposedFile) -> RemovedFileInventory | None:
        """What the receipt says that took the file away."""
        gone = next((each for each in reach.output.chain if _removes(each, reach.file.path)), None)
        if gone is None:
            return None
        if gone.run_id not in self.by_receipt:
            self.by_receipt[gone.run_id] = dict(read_inventory(reach.output.folder, gone, self.keys))
        return self.by_receipt[gone.run_id].get(reach.file.path)

    def _count_contents(
        self, reach: ExposedFile, schema: pa.Schema, contents: tuple[TenantContent, ...]
    ) -> ExposedInventory | None:
        stored = frozenset(schema.names) - partition_values(reach.file.path).keys()
        columns = columns_of_file(reach, schema, stored, self.known_keys)
        some = [each for each in contents if each.tenant is None or each.tenant in reach.tenants] if columns else []
        lines = [(each.tenant, None, each.rows, each.since, each.until) for each in some]
        persons = pa.Table.from_pylist(
            [dict(zip(PERSON_COUNTS.names, line, strict=True)) for line in lines], PERSON_COUNTS
        )
        there = {each.tenant: frozenset(columns.values()) for each in some}
        most = {each.tenant: each.persons for each in some if each.tenant is not None and each.persons is not None}
        return ExposedInventory(reach, persons, None, there, most, is_recorded=True)


def _removes(receipt: Receipt, path: str) -> bool:
    return any(each.path == path for each in (*receipt.replaces, *receipt.removes))


def _with_time_bounds(reach: ExposedFile, taken: RemovedFileInventory) -> tuple[TenantContent, ...]:
    """The same, with instants between which the records happened: by how precise their times were, else the batch date."""
    clock = EventTimeBounds.for_policy(reach.written_by.policy, taken.schema) if reach.name == "records" else None
    return tuple(_with_bounds(reach, each, clock) for each in taken.contents)


def _with_bounds(reach: ExposedFile, content: TenantContent, clock: EventTimeBounds | None) -> TenantContent:
    if clock is None:
        since, until = batch_date_bounds(reach)
        return replace(content, since=since, until=until)
    since = None if content.since is None else content.since - clock.slack
    return replace(content, since=since, until=None if content.until is None else content.until + clock.width)


def _tenant_of_folder(reach: ExposedFile) -> Iterator[TenantContent]:
    """The tenant that the file's folder is named by."""
    tenant = partition_values(reach.file.path).get(reach.written_by.policy.tenant or "")
    if tenant is not None:
        yield TenantContent(tenant, reach.file.rows, None, *batch_date_bounds(reach))


def _file_schema(reach: ExposedFile) -> pa.Schema:
    """The file's columns, which its footer tells without a key; where it is gone what its receipt did to fields."""
    place = reach.output.folder / reach.file.path
    with suppress(OSError, pa.ArrowException):
        return as_stored_file(reach.file.path, open_parquet(place, None, columns=())).whole
    return pa.schema(_receipt_fields(reach))


def _receipt_fields(reach: ExposedFile) -> Iterator[pa.Field]:
    wrote = reach.written_by.receipt
    for name, said in wrote.fields.items():
        did = [said.did] if isinstance(said.did, str) else [*said.did]
        about = {
            "minimize:category": wrote.outputs[reach.name].category,
            "minimize:technique": ", ".join(did),
            "minimize:key": ",".join(wrote.keys) if set(did) & _KEYED_TECHNIQUES else "",
        }
        if did != ["drop"]:
            yield pa.field(name, pa.null(), metadata=about)


_KEY_IN_FORM: Final = re.compile(r"\bkey ([^\s,()]+)")
"""The key that a form names."""


@dataclass(frozen=True)
class DisclosedCopy:
    """What one recipient got of one tenant in one act of sharing."""

    act: Disclosure
    share: TenantShare = field(repr=False)

    @property
    def tenant(self) -> str:
        """Whose records."""
        return self.share.tenant_id

    @property
    def recipient(self) -> str:
        """Who has them."""
        return self.act.recipient

    @property
    def policy(self) -> str:
        """The policy of the records."""
        return str(self.act.body["policy"]["name"])

    @property
    def space(self) -> IdentifierSpace | None:
        """In which space the ledger names the persons."""
        version = self.share.key_version
        return None if version is None else IdentifierSpace(f"disclosed/{version}", exact=True)

    def persons(self) -> pa.Table:
        """The records by person, as far as the ledger tells: of each person one at least; the last line has the rest."""
        tokens = self.share.tokens
        names: list[str | None] = [tokens[at : at + TOKEN_BYTES].hex() for at in range(0, len(tokens), TOKEN_BYTES)]
        rows = [1 for _ in names]
        rest = self.share.rows - len(rows)
        if not names:
            names, rows = [None], [self.share.rows]
        elif rest > 0:
            rows[-1] += rest
        until = int(self.act.recorded_at.timestamp() * 1_000_000)
        lines = {"tenant": [self.tenant] * len(names), "person": names, "rows": rows, "since": [None] * len(names)}
        return pa.Table.from_pydict({**lines, "until": [until] * len(names)}, PERSON_COUNTS)

    def columns(self, keys: frozenset[str], *, keyed: bool = False) -> frozenset[ExposedColumn]:
        """The fields that were sent, in the form that is left once these keys are known; `keyed`: only what they made."""
        category = str(self.act.body["category"])
        return frozenset(
            ExposedColumn(
                name, category, _exposed_form(category, str(form), opened=self._is_made(str(form), keys)), str(form)
            )
            for name, form in self.act.body["fields"].items()
            if not keyed or self._is_made(str(form), keys)
        )

    def _is_made(self, form: str, keys: frozenset[str]) -> bool:
        """Whether a field was made with one of these keys, or with one of the recipient's own that comes from one.

        Acts of before their keys were recorded: any version that is known counts.
        """
        names = set(_KEY_IN_FORM.findall(form))
        told = self.act.body.get("keys")
        used = [each for each in told or () if each.rpartition("/")[0] in names]
        if told is None:
            return bool(
                {each for name in names for each in _original_keys(name)} & {key.rpartition("/")[0] for key in keys}
            )
        return bool({each for key in used for each in _original_keys(key)} & keys)

    def as_json(self) -> dict[str, Any]:
        """The copy, as a scope names it."""
        return {
            "recipient": self.recipient,
            "function": self.act.function,
            "disclosure": self.act.disclosure,
            "at": time_text(self.act.recorded_at),
            "rows": self.share.rows,
        }


def disclosed_copies(ledger: Ledger, window: tuple[datetime, datetime]) -> Iterator[DisclosedCopy]:
    """Every copy that was out at some time within the window: sent before its end, and not confirmed to be gone at its start."""
    gone = {
        (each.disclosure, each.tenant_id)
        for each in read_recalls(ledger)
        if each.state == "confirmed" and each.recorded_at < window[0]
    }
    for act in read_disclosures(ledger):
        if act.recorded_at <= window[1]:
            for share in read_tenant_shares(ledger, act.disclosure):
                if share.rows and (act.disclosure, share.tenant_id) not in gone:
                    yield DisclosedCopy(act, share)


def _exposed_form(category: str, technique: str, *, opened: bool) -> ExposedForm:
    """A pseudonym is one whatever else was sent."""
    if "pseudonymize" in technique:
        return "identified" if opened else "pseudonymized"
    return next((form for form in EXPOSED_FORMS if form == category), "identified")


def _original_keys(key: str) -> frozenset[str]:
    """A key, and the one that it comes from: a recipient's own comes from ours.

    >>> sorted(_original_keys("device@vendor/2"))
    ['device/2', 'device@vendor/2']
    """
    name, slash, version = key.partition("/")
    return frozenset({key, f"{name.partition(RECIPIENT_MARK)[0]}{slash}{version}"})
