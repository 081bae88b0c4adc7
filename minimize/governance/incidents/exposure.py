"""Exposed items of an incident, such as `output:PATH#name`, `run:ID`, `date:D`, `recipient:NAME` or `key:NAME/1`.

Also the form in which a column of an exposed file can be read, and the identifiers of persons in the file.

Exposed reads and files: reads in the audit log by actor and grant, and the files that an incident exposed.

The audit log contains no values. If it does not name all columns or tenants of a read, all of them count as exposed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, Self, get_args

import pyarrow as pa

from minimize.access.permissions import ALL_TENANTS, NO_TENANTS, READ, REIDENTIFY, TenantSet
from minimize.arrow.pointers import Pointer
from minimize.datasets.published_output import OutputFile, PublishedOutput, TimeWindow
from minimize.errors import ConfigurationError
from minimize.keys.master_keys import MasterKey, is_master_key, master_key_name
from minimize.keys.parquet_encryption import column_category
from minimize.ledger.access_log import read_begun_reads
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter, entry_event, utc_text
from minimize.output.folder import identity_of, is_date
from minimize.plan.model import CATEGORY_ORDER
from minimize.policy.fields import treatments_of
from minimize.policy.model import Policy
from minimize.results import JsonResult, json_member
from minimize.stores import parse_output_location
from minimize.techniques import TechniqueStep, published_techniques
from minimize.techniques.pseudonymize import Pseudonymize
from minimize.text import did_you_mean_any, similar_words
from minimize.times import EPOCH, parse_time

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

ExposureKind = Literal["output", "run", "date", "column", "recipient", "key", "grant", "actor"]
EXPOSURE_KINDS: Final[tuple[ExposureKind, ...]] = get_args(ExposureKind)
NARROWING_KINDS: Final = ("date", "column")
"""Kinds that narrow the outputs and runs named in the same incident. Alone, they apply to all outputs."""
_KEY_VERSION: Final = re.compile(r"[^/\s]+/[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True, order=True)
class ExposedItem:
    """One exposed item."""

    kind: ExposureKind
    name: str
    """A path, run, date, column, recipient, key version, grant or account."""
    detail: str = ""
    """For an output its name below the folder, for an actor the window; empty if not given."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses the text form of an item. Raises ConfigurationError.

        >>> ExposedItem.parse("output:out/device_telemetry#records").detail
        'records'
        """
        word, _, reference = text.partition(":")
        kind = next((each for each in EXPOSURE_KINDS if each == word), None)
        name, detail = _split_detail(word, reference)
        if kind is None:
            message = f"unknown kind `{word}` of exposed items" if ":" in text else "an exposed item needs its kind"
            raise ConfigurationError(
                message, hint=did_you_mean_any(similar_words(word, EXPOSURE_KINDS)) or _SYNTAX_HINT
            )
        item = cls(kind, name, detail)
        if not name or not item._is_sound():
            raise ConfigurationError(f"this is not the name of an exposed {kind}", hint=_SYNTAX_HINT)
        return item

    @property
    def window(self) -> tuple[datetime, datetime] | None:
        """Time window of an actor's exposed reads. None means the period of the incident. Raises ConfigurationError."""
        first, slash, last = self.detail.partition("/")
        if self.kind != "actor" or not slash:
            return None
        since, until = parse_time(first, "FROM of `actor:NAME@FROM/TO`"), parse_time(last, "TO of `actor:NAME@FROM/TO`")
        return None if since is None or until is None else (since, until)

    def __str__(self) -> str:
        mark = {"output": "#", "actor": "@"}.get(self.kind, "")
        return f"{self.kind}:{self.name}" + (f"{mark}{self.detail}" if self.detail else "")

    def _is_sound(self) -> bool:
        if self.kind == "key":
            return bool(_KEY_VERSION.fullmatch(self.name))
        if self.kind == "date":
            return is_date(self.name)
        if self.kind != "actor" or not self.detail:
            return True
        window = self.window
        return window is not None and window[0] <= window[1]


def _split_detail(word: str, reference: str) -> tuple[str, str]:
    """Splits a name from its detail. The name of an account may contain `@` itself."""
    name, mark, detail = reference.rpartition({"output": "#", "actor": "@"}.get(word, "\0"))
    return (name, detail) if mark and (word != "actor" or "/" in detail) else (reference, "")


_SYNTAX_HINT: Final = (
    "Use output:PATH[#NAME], run:ID, date:YYYY-MM-DD, column:NAME, recipient:NAME, key:NAME/VERSION, grant:ID or "
    "actor:NAME[@FROM/TO]."
)


@dataclass(frozen=True, slots=True)
class Exposure:
    """All exposed items of an incident."""

    items: tuple[ExposedItem, ...]

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Self:
        """Parses several items and removes duplicates. Raises ConfigurationError."""
        return cls(tuple(dict.fromkeys(map(ExposedItem.parse, texts))))

    def items_of(self, kind: ExposureKind) -> tuple[ExposedItem, ...]:
        """The items of one kind."""
        return tuple(each for each in self.items if each.kind == kind)

    def names(self, kind: ExposureKind) -> frozenset[str]:
        """The names of the items of one kind."""
        return frozenset(each.name for each in self.items_of(kind))

    @property
    def keys(self) -> frozenset[str]:
        """The compromised key versions."""
        return self.names("key")

    @property
    def only_keys(self) -> bool:
        """Whether only keys were exposed. Then the incident covers everything that was made with them."""
        return bool(self.items) and all(each.kind == "key" for each in self.items)

    @property
    def includes_files(self) -> bool:
        """Whether the incident exposed files of outputs: outputs, runs, or dates and columns of any output."""
        kinds = {each.kind for each in self.items}
        return bool(kinds & {"output", "run"}) or (
            bool(kinds & set(NARROWING_KINDS)) and kinds <= {*NARROWING_KINDS, "key"}
        )


ExposedForm = Literal["identified", "pseudonymized", "aggregated", "encrypted"]
EXPOSED_FORMS: Final[tuple[ExposedForm, ...]] = ("encrypted", *CATEGORY_ORDER)
"""Forms from the least to the most revealing."""


@dataclass(frozen=True, slots=True, order=True)
class ExposedColumn(JsonResult):
    """One kind of data: the column, its category (output contract), and the form in which it was exposed."""

    name: str = field(metadata=json_member("column"))
    category: str
    form: ExposedForm
    technique: str
    folder: bool = field(default=False, metadata=json_member("in_folder_name", omit_empty=True))
    """Whether the value is part of a folder name, which is never encrypted and does not identify a person by itself."""


@dataclass(frozen=True, slots=True)
class CompromisedKeys:
    """Compromised key versions."""

    keys: frozenset[str] = frozenset()
    is_decrypted: bool = False
    """Whether encrypted data was exposed in decrypted form."""

    def column(
        self,
        field: pa.Field,
        masters: Collection[str],
        *,
        folder: bool = False,
        seals: frozenset[str] = frozenset(),
    ) -> ExposedColumn:
        """The exposed form of one column of a file, or of a column in its folder names.

        `masters` are the master keys of the file; empty if it is not encrypted. `seals` are the key versions
        under which the whole file may be sealed; empty if it is not sealed.
        """
        category = column_category(field)
        technique = ", ".join(dict.fromkeys(_field_metadata(field, b"minimize:technique")))
        is_sealed = bool(seals) and not self.is_decrypted and not seals & self.keys
        form: ExposedForm = "encrypted" if is_sealed else self._form(field, category, () if folder else masters)
        return ExposedColumn(field.name, category, form, technique, folder)

    def _form(self, field: pa.Field, category: str, masters: Collection[str]) -> ExposedForm:
        if not self.is_decrypted and (under := encrypting_keys(category, masters)) and not under & self.keys:
            return "encrypted"
        if category == "pseudonymized" and technique_keys(field) & self.keys and _is_made_with_key(field):
            return "identified"
        return next(form for form in EXPOSED_FORMS if form == category)


def encrypting_keys(category: str, masters: Collection[str]) -> frozenset[str]:
    """Those master keys of a file that encrypt the columns of a category. Empty if these columns are not encrypted.

    >>> sorted(encrypting_keys("pseudonymized", ["encrypt.footer/1", "encrypt.pseudonymized/2"]))
    ['encrypt.pseudonymized/2']
    """
    name = master_key_name(category)
    return frozenset(
        each for each in masters if _master_key_name(each) == name or _master_key_name(each).startswith(f"{name}.")
    )


def technique_keys(field: pa.Field) -> frozenset[str]:
    """The key versions that the techniques of a column used."""
    return frozenset(key for each in _field_metadata(field, b"minimize:key") for key in each.split(","))


def most_revealing(forms: Iterable[str]) -> ExposedForm:
    """The most revealing of several forms.

    >>> most_revealing(["encrypted", "pseudonymized"])
    'pseudonymized'
    """
    some = frozenset(forms)
    return max((form for form in EXPOSED_FORMS if form in some), key=EXPOSED_FORMS.index, default="encrypted")


def uses_keys(field: pa.Field, masters: Collection[str], keys: Collection[str]) -> bool:
    """Whether a technique of a column used one of these key versions, or the column is encrypted under one."""
    return bool((technique_keys(field) | encrypting_keys(column_category(field), masters)) & frozenset(keys))


def _is_made_with_key(field: pa.Field) -> bool:
    texts = _field_metadata(field, b"minimize:technique")
    return any(kind.is_pseudonym() for text in texts for kind in published_techniques(text))


def _field_metadata(field: pa.Field, what: bytes) -> Iterator[str]:
    """The metadata values of a column; for a nested column, those of each of its leaves."""
    for name, value in (field.metadata or {}).items():
        if name == what or name.startswith(what + b"/"):
            yield value.decode()


def _master_key_name(master: str) -> str:
    return MasterKey.parse(master).name if is_master_key(master) else master


@dataclass(frozen=True, slots=True)
class IdentifierSpace:
    """A set of files in which identifiers of persons are comparable."""

    id: str
    """Equal for files in which one person has one identifier."""
    exact: bool
    """Whether each person has only one identifier in this space."""


@dataclass(frozen=True, slots=True)
class PersonIdentifiers:
    """Location and space of a file's person identifiers. None if it has none, or several persons can share one."""

    pointer: Pointer | None = None
    space: IdentifierSpace | None = None

    @classmethod
    def for_policy(cls, policy: Policy, pointers: Mapping[str, Pointer], schema: pa.Schema) -> Self:
        """The person identifiers in files of a policy, given the pointers of its fields."""
        key = policy.subject
        pointer = None if key is None else pointers.get(key)
        if key is None or pointer is None or pointer.stars:
            return cls()
        chains = [way for way in treatments_of(policy.fields[key]) if not isinstance(way, str)]
        chain = [step for step in chains[0] if not step.changes_nothing] if len(chains) == 1 else None
        space = None if chain is None else _identifier_space(key, chain, schema.field(pointer.top))
        return cls() if space is None else cls(pointer, space)


def _identifier_space(key: str, chain: list[TechniqueStep], field: pa.Field) -> IdentifierSpace | None:
    """The space of one treatment. None if different persons could receive the same identifier."""
    if not chain:
        return IdentifierSpace(f"as it came, {key}", exact=True)
    step = chain[0]
    if len(chain) > 1 or not isinstance(step, Pseudonymize):
        return None
    keys = ", ".join(sorted(technique_keys(field)))
    parts = (step.link or key, keys, step.per or "", step.rotate or "", "folded" if step.fold else "")
    return IdentifierSpace("pseudonyms, " + "|".join(parts), exact=step.rotate is None)


_SERVER: Final = "door"
_STARTED: Final = "begun"
_SUBJECT_OPERATIONS: Final = ("subject/view", "subject/export")
_DISCLOSE: Final = "disclose"
_TRUNCATED: Final = "…"
_ALL_BUT: Final = "all but "


@dataclass(frozen=True, slots=True)
class ExposedRead(JsonResult):
    """One read, completed or in progress."""

    via: str
    actor: str
    started_at: datetime = field(metadata=json_member("at"))
    """Time at which the read began; it reads the files in force at that time to the end."""
    dataset: str
    """Empty if any records may have been shown, because data of persons was viewed or exported."""
    columns: frozenset[str] | None
    """None if the log does not name all of them."""
    tenants: TenantSet
    """Tenants whose rows the reader could see; all tenants if the log does not name all of them."""
    rows: int | None
    """Number of rows returned; None if not recorded."""
    json_names = "actor dataset started_at rows"

    @property
    def pipeline(self) -> str:
        """The pipeline of the dataset."""
        return self.dataset.partition("/")[0]

    def is_of(self, pipeline: str) -> bool:
        """Whether the read may have shown outputs of a pipeline."""
        return self.pipeline in ("", pipeline)

    @property
    def name(self) -> str:
        """The name of the output within the pipeline."""
        return self.dataset.partition("/")[2] or "records"


def exposed_reads(ledger: Ledger, exposure: Exposure, window: tuple[datetime, datetime]) -> list[ExposedRead]:
    """The reads under exposed grants, and the reads by exposed actors that overlap their window.

    Views and exports of persons are included if they named a tenant; the log does not name the person. Raises
    ConfigurationError if the beginning of a grant's name is ambiguous.
    """
    items = [*exposure.items_of("grant"), *exposure.items_of("actor")]
    if not items:
        return []
    events = list(_read_events(ledger))
    _check_grant_names(items, {grant for event in events for grant in _event_grants(event)})
    exposed_events = [(event, item) for event in events if (item := _exposing_item(event, items, window)) is not None]
    return [
        _parse_read(event, item)
        for event, item in exposed_events
        if event["component"] == _SERVER or _named_tenant(event) is not None
    ]


def reads_without_tenant(
    ledger: Ledger, exposure: Exposure, window: tuple[datetime, datetime]
) -> list[Mapping[str, Any]]:
    """Views and exports of persons by exposed actors that named no tenant. The log does not show which persons they covered."""
    items = [*exposure.items_of("actor")]
    events = _read_events(ledger) if items else ()
    return [
        {"actor": event["actor"]["user"], "operation": event["operation"], "at": event["time"], "via": str(item)}
        for event in events
        if event["component"] != _SERVER
        and _named_tenant(event) is None
        and (item := _exposing_item(event, items, window)) is not None
    ]


def exposed_disclosures(ledger: Ledger, exposure: Exposure, window: tuple[datetime, datetime]) -> Mapping[str, str]:
    """The disclosures by exposed actors within their window, each with the item that exposed it."""
    items = [*exposure.items_of("actor")]
    events = map(entry_event, find_entries(ledger, EntryFilter(operation=_DISCLOSE))) if items else ()
    sent = (event for event in events if event["result"] != "refused" and event["resources"])
    exposed_events = ((event, _exposing_item(event, items, window)) for event in sent)
    return {event["resources"][0]["id"]: str(item) for event, item in exposed_events if item is not None}


def _read_events(ledger: Ledger) -> Iterator[Mapping[str, Any]]:
    """The read events of the log, each with the time when the read began; reads in progress included."""
    known = read_begun_reads(ledger)
    for operation in (READ, REIDENTIFY, *_SUBJECT_OPERATIONS):
        for entry in find_entries(ledger, EntryFilter(operation=operation)):
            event = entry_event(entry)
            wants = event["component"] == _SERVER or operation in _SUBJECT_OPERATIONS
            if wants and event["result"] != "refused" and event["resources"]:
                start = known.get(event["id"])
                yield event if start is None else {**event, _STARTED: utc_text(start.at)}
    yield from ({**each.event, _STARTED: utc_text(each.at)} for each in known.values() if not each.ended)


def _named_tenant(event: Mapping[str, Any]) -> str | None:
    """The tenant that an operation on persons named."""
    name = str(event["resources"][0]["name"])
    return None if name == event["operation"] else name


def _exposing_item(
    event: Mapping[str, Any], items: list[ExposedItem], window: tuple[datetime, datetime]
) -> ExposedItem | None:
    for item in items:
        if item.kind == "grant" and any(grant.startswith(item.name) for grant in _event_grants(event)):
            return item
        since, until = item.window or window
        within = utc_text(since) <= event["time"] and event.get(_STARTED, event["time"]) <= utc_text(until)
        if item.kind == "actor" and item.name == event["actor"]["user"] and within:
            return item
    return None


def _event_grants(event: Mapping[str, Any]) -> set[str]:
    grants = {*str(_event_properties(event).get("grants") or "").split(", "), str(event["correlation_id"] or "")}
    return grants - {""}


def _check_grant_names(items: list[ExposedItem], grants: set[str]) -> None:
    for item in items:
        matches = {grant for grant in grants if item.kind == "grant" and grant.startswith(item.name)}
        if len(matches) > 1 and item.name not in matches:
            raise ConfigurationError("more than one grant has a name that begins like this", hint="Pass the full name.")


def _parse_read(event: Mapping[str, Any], item: ExposedItem) -> ExposedRead:
    properties, who = _event_properties(event), str(event["actor"]["user"])
    when = datetime.fromisoformat(event.get(_STARTED, event["time"]))
    if event["component"] != _SERVER:
        return ExposedRead(
            via=str(item),
            actor=who,
            started_at=when,
            dataset="",
            columns=None,
            tenants=TenantSet.from_names(_named_tenant(event) or ""),
            rows=None,
        )
    rows = properties.get("rows")
    return ExposedRead(
        via=str(item),
        actor=who,
        started_at=when,
        dataset=event["resources"][0]["name"],
        columns=_parse_columns(str(properties.get("columns") or "")),
        tenants=_parse_tenants(str(properties.get("tenants") or "all")),
        rows=rows if isinstance(rows, int) else None,
    )


def _event_properties(event: Mapping[str, Any]) -> dict[str, Any]:
    return {change["name"]: change["new"] for change in event["resources"][0]["changed_properties"]}


def _parse_columns(text: str) -> frozenset[str] | None:
    """Parses a list of columns. None if the text was truncated or is empty."""
    return None if not text or text.endswith(_TRUNCATED) else frozenset(text.split(", "))


def _parse_tenants(text: str) -> TenantSet:
    """Parses a list of tenants. If the text was truncated, it means all tenants."""
    if text in ("all", "none"):
        return ALL_TENANTS if text == "all" else NO_TENANTS
    if text.endswith(_TRUNCATED):
        return ALL_TENANTS
    names = TenantSet.from_names(*text.removeprefix(_ALL_BUT).split(", "))
    return ~names if text.startswith(_ALL_BUT) else names


@dataclass(frozen=True, slots=True)
class ExposedFile:
    """One file that was exposed, fully or partly."""

    file: OutputFile
    via: str
    """The item of the incident that exposed the file."""
    columns: frozenset[str] | None = None
    """The exposed columns; None for all."""
    tenants: TenantSet = ALL_TENANTS
    """The tenants whose rows were exposed, as far as known."""
    read: ExposedRead | None = None
    """The read that exposed the file; None if the file itself was exposed."""
    keyed: bool = False
    """Whether only data made with compromised keys was exposed."""


def find_exposed_files(
    exposure: Exposure, outputs: Sequence[PublishedOutput], reads: Sequence[ExposedRead], window: TimeWindow
) -> Iterator[ExposedFile]:
    """Every file that an incident exposed, once for each way in which it was exposed."""
    for output in outputs:
        yield from _files_by_item(exposure, output, window)
        for read in reads:
            yield from _files_of_read(read, output)


def _files_by_item(exposure: Exposure, output: PublishedOutput, window: TimeWindow) -> Iterator[ExposedFile]:
    if not exposure.includes_files and not exposure.only_keys:
        return
    columns = exposure.names("column") or None
    dates, runs = exposure.names("date"), exposure.names("run")
    named, everywhere = _matching_items(exposure, output), not exposure.items_of("output") and not runs
    for file in output.files_within((EPOCH, max(window[1], output.chain[-1].finished))):
        run_id = file.written_by.receipt.run_id
        via = [f"run:{run_id}"] if run_id in runs else []
        if file.was_in_force(window):
            via += [str(each) for each in named if each.detail in ("", file.name)]
            via += [", ".join(map(str, exposure.items))] if everywhere else []
        if via and (not dates or file.date in dates):
            yield ExposedFile(file, via[0], columns, keyed=exposure.only_keys)


def _matching_items(exposure: Exposure, output: PublishedOutput) -> list[ExposedItem]:
    """The exposed items that match this output."""
    return [each for each in exposure.items_of("output") if matches_output(each, output)]


def matches_output(item: ExposedItem, output: PublishedOutput) -> bool:
    """Whether an exposed item names this output, by its folder or by its pipeline."""
    by_name = item.name == output.pipeline or parse_output_location(item.name) == output.folder
    return by_name or _is_same_output(item.name, identity_of(output.folder))


def _is_same_output(path: str, identity: str | None) -> bool:
    return identity is not None and identity_of(parse_output_location(path)) == identity


def _files_of_read(read: ExposedRead, output: PublishedOutput) -> Iterator[ExposedFile]:
    """The files in force when a read of their output began. A view of a person may also show sealed records."""
    if not read.is_of(output.pipeline):
        return
    for file in output.files_within((read.started_at, read.started_at)):
        if file.name == read.name or (file.is_sealed and not read.dataset):
            yield ExposedFile(file, read.via, read.columns, read.tenants, read)
