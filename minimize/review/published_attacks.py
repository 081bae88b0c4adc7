"""`risk attack` and `risk differences`: attacks on the records that an output has published.

An attack knows the released columns only. Results have counts and rates, and no value of a record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import pyarrow as pa

from minimize.arrow.dictionaries import value_type
from minimize.arrow.nested import leaf_values
from minimize.arrow.pointers import Pointer
from minimize.datasets.pipelines import find_pipeline
from minimize.datasets.published_output import OutputFile, PublishedOutput, field_pointers
from minimize.datasets.reader import check_key_versions
from minimize.datasets.writing_run import PolicyCache
from minimize.disclosure_risk.attacks import measure_attacks
from minimize.disclosure_risk.attacks.base import AttackedRecords, AttackResult
from minimize.disclosure_risk.attacks.differences import Differences
from minimize.errors import ConfigurationError, OutputError, redact_errors
from minimize.keys import Keyring
from minimize.output.folder import batch_date_of
from minimize.pages import Table
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.receipts import ReceiptFile
from minimize.records import RECORDS
from minimize.results import JsonResult, Line, json_member
from minimize.stages.identifier_forms import rotation_units
from minimize.stores import LocationLike, PathText
from minimize.text import count_noun, did_you_mean
from minimize.workspace import Workspace

MOST_COMPARISONS: Final = 100
"""How many pairs of releases `differences` compares at most, the newest first."""


@dataclass(frozen=True, slots=True)
class AttackFields:
    """The fields by which released records are attacked, by their keys in the policy."""

    quasi_identifiers: tuple[str, ...]
    sensitive: tuple[str, ...] = ()
    person: str | None = None
    """The field of the data subject; None if each record is attacked as a data subject of its own."""

    @property
    def keys(self) -> tuple[str, ...]:
        """All of these fields."""
        return (*self.quasi_identifiers, *self.sensitive, *(() if self.person is None else (self.person,)))


def attack_fields(
    policy: Policy,
    released: Collection[str],
    *,
    quasi_identifiers: Sequence[str] = (),
    sensitive: Sequence[str] = (),
    person: str | None = None,
) -> AttackFields:
    """The fields of an attack: those that are named, else by the roles of the policy and its subject, as far as released.

    Takes the keys of the released fields with one value per record. Raises ConfigurationError for a named field that is not
    released, and if there are no quasi-identifiers.
    """
    named = [*quasi_identifiers, *sensitive, *(() if person is None else (person,))]
    unknown = [key for key in named if key not in released]
    if unknown:
        hint = did_you_mean(unknown[0], released) or "Name released fields with one value per record."
        raise ConfigurationError(f"{unknown[0]} is not released with one value per record", hint=hint)
    subject = person or (policy.subject if policy.subject in released and policy.subject not in named else None)
    secrets = tuple(sensitive) or tuple(key for key in _fields_of_role(policy, "sensitive", released) if key != subject)
    known = tuple(quasi_identifiers) or tuple(
        key for key in _fields_of_role(policy, "quasi", released) if key != subject and key not in secrets
    )
    if not known:
        hint = "Name fields that an attacker may know (`--quasi FIELD`), or give fields the role `quasi` in the policy."
        raise ConfigurationError("no released field is a quasi-identifier", hint=hint)
    return AttackFields(known, secrets, subject)


def _fields_of_role(policy: Policy, role: str, released: Collection[str]) -> list[str]:
    return [key for key, each in policy.fields.items() if each.role == role and key in released]


def single_pointers(policy: Policy, schema: pa.Schema) -> dict[str, Pointer]:
    """The pointers of the released fields that have one value per record."""
    pointers = field_pointers(policy, schema)
    return {key: pointer for key, pointer in pointers.items() if not pointer.stars and not _is_nested(pointer, schema)}


def _is_nested(pointer: Pointer, schema: pa.Schema) -> bool:
    return pointer.is_flat and pa.types.is_nested(value_type(schema.field(pointer.top).type))


def table_of_fields(parts: Iterable[tuple[pa.RecordBatch, Mapping[str, Pointer]]], keys: Sequence[str]) -> pa.Table:
    """The columns of some fields, by key. A part without a field has nulls; types that differ become text."""
    columns: dict[str, list[pa.Array]] = {key: [] for key in keys}
    for batch, pointers in parts:
        for key, chunks in columns.items():
            chunks.append(leaf_values(batch, pointers[key]) if key in pointers else pa.nulls(batch.num_rows))
    return pa.table({key: _joined_column(chunks) for key, chunks in columns.items()})


def _joined_column(chunks: Sequence[pa.Array]) -> pa.ChunkedArray:
    types = {chunk.type for chunk in chunks if not pa.types.is_null(chunk.type)}
    if len(types) > 1:
        plain = {value_type(type_) for type_ in types}
        types = plain if len(plain) == 1 else {pa.string()}
        chunks = [chunk.cast(value_type(chunk.type)) for chunk in chunks]
    type_ = next(iter(types), pa.null())
    return pa.chunked_array([_as_type(chunk, type_) for chunk in chunks], type_)


def _as_type(chunk: pa.Array, type_: pa.DataType) -> pa.Array:
    if pa.types.is_null(chunk.type):
        return pa.nulls(len(chunk), type_)
    return chunk if chunk.type == type_ else chunk.cast(type_)


@dataclass(frozen=True, slots=True)
class OutputAttacks(JsonResult):
    """The attacks on the records in force of an output, with the fields that the attacker knows and wants."""

    output: str
    quasi_identifiers: tuple[str, ...]
    sensitive: tuple[str, ...]
    person: str | None
    dates: tuple[str, ...]
    """The batch dates of the records; empty if the output has none."""
    records: int
    attacks: tuple[AttackResult, ...]
    notes: tuple[str, ...] = ()
    """What limits the results."""

    def lines(self) -> Iterator[Line]:
        """What was attacked, and a table of the attacks."""
        yield f"attacks on {self.output}: {count_noun(self.records, 'record')}{_dates_text(self.dates)}"
        yield f"  the attacker knows  {', '.join(self.quasi_identifiers)}"
        if self.sensitive:
            yield f"  and wants to learn  {', '.join(self.sensitive)}"
        yield f"  data subjects       {_person_text(self.person)}"
        yield attack_table(self.attacks)
        yield from (f"note: {note}" for note in self.notes)


@dataclass(frozen=True, slots=True)
class ComparedReleases(JsonResult):
    """The comparison of two releases."""

    earlier: str
    """The batch date, or the run, of the earlier release."""
    later: str
    relation: str
    """`dates` for two dates in force, `replaced` for a release that another one of its date replaced."""
    result: AttackResult = field(metadata=json_member(merge=True))


@dataclass(frozen=True, slots=True)
class ReplacedRelease(JsonResult):
    """An earlier release of a date whose files are removed: a person who kept a copy can compare it, this command cannot."""

    run: str
    date: str | None
    records: int
    records_in_force: int


@dataclass(frozen=True, slots=True)
class OutputDifferences(JsonResult):
    """What the releases of an output show if they are compared."""

    output: str
    quasi_identifiers: tuple[str, ...]
    person: str | None
    compared: tuple[ComparedReleases, ...]
    not_compared: tuple[ReplacedRelease, ...]
    """Earlier releases whose files are removed."""

    def lines(self) -> Iterator[Line]:
        """What was compared and what could not be, and a table of the comparisons."""
        yield f"differences between releases of {self.output}"
        yield f"  the attacker knows  {', '.join(self.quasi_identifiers)}"
        yield f"  data subjects       {_person_text(self.person)}"
        if not self.compared:
            yield "  nothing to compare: one release is in force, and no files of an earlier one are left"
        rows = [
            (each.earlier, each.later, f"{each.result.attack.attempts:,}", *_rate_cells(each.result))
            for each in self.compared
        ]
        yield Table(
            "Releases that were compared",
            ("earlier", "later", f"{self._targets} that differ", "isolated", "rate", "95 % interval"),
            rows,
            2,
        )
        rows_removed = [
            (each.run, each.date or "", f"{each.records:,}", f"{each.records_in_force:,}") for each in self.not_compared
        ]
        yield Table(
            "Earlier releases that were not compared, because their files are removed",
            ("run", "date", "records", "in force"),
            rows_removed,
            2,
        )

    @property
    def _targets(self) -> str:
        return "records" if self.person is None else "data subjects"


def attack_table(attacks: Sequence[AttackResult]) -> Table:
    """The rates of attacks next to their controls."""
    head = ("attack", "attempts", "successes", "rate", "95 % interval", "control", "95 % interval", "risk")
    return Table("Attacks", head, [_attack_row(each) for each in attacks], 1)


def _attack_row(result: AttackResult) -> tuple[str, ...]:
    name = result.name if result.sensitive is None else f"{result.name} of {result.sensitive}"
    control = ("", "")
    if result.control is not None:
        control = (_rate_text(result.control.rate), _interval_text(result.control.interval))
    return (name, f"{result.attack.attempts:,}", *_rate_cells(result), *control, _rate_text(result.risk))


def _rate_cells(result: AttackResult) -> tuple[str, str, str]:
    """The number of successes, their rate, and its interval."""
    attack = result.attack
    return (f"{attack.successes:,.0f}", _rate_text(attack.rate), _interval_text(attack.interval))


def _rate_text(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:.1%}"


def _interval_text(interval: tuple[float, float] | None) -> str:
    return "–" if interval is None else f"{_rate_text(interval[0])} to {_rate_text(interval[1])}"


def _person_text(person: str | None) -> str:
    return "not identified: each record counts as one" if person is None else f"by {person}"


def _dates_text(dates: Sequence[str]) -> str:
    if not dates:
        return ""
    return f" of {dates[0]}" if len(dates) == 1 else f" of {len(dates)} dates, {dates[0]} to {dates[-1]}"


@redact_errors
def attack_output(
    output: LocationLike,
    *,
    quasi_identifiers: Sequence[str] = (),
    sensitive: Sequence[str] = (),
    person: str | None = None,
    dates: Sequence[str] = (),
    pipeline: PathText | None = None,
    keys: Keyring | PathText | None = None,
    ledger: PathText | None = None,
) -> OutputAttacks:
    """Attack the records in force of an output: singling out, linkage, inference with a control.

    Takes the fields that the attacker knows (default: those with the role `quasi`), those that they want to learn (default:
    `records.risk.sensitive` of the pipeline, else the role `sensitive`), and the one of the data subject (default: the policy's
    subject), as far as they are released; batch dates (default: all in force); pipeline, keyring and ledger in place of the ones
    found by default.

    Raises OutputError if no records are published, or if pseudonyms of several key versions would make one person several;
    ConfigurationError for a field that is not released.
    """
    with Workspace(ledger, output, pipeline, keys, shown=(output,)) as workspace:
        workspace.require("run/read")
        published = _open_published(workspace)
        files = _files_in_force(published, dates)
        fields = _fields_of_output(published, files, quasi_identifiers, sensitive, person)
        records = _records_of_files(files, fields)
        return OutputAttacks(
            output=str(output),
            quasi_identifiers=fields.quasi_identifiers,
            sensitive=fields.sensitive,
            person=fields.person,
            dates=tuple(sorted({file.date for file in files if file.date is not None})),
            records=records.table.num_rows,
            attacks=tuple(measure_attacks(records)),
            notes=tuple(_notes(published, files, fields)),
        )


@redact_errors
def compare_releases(
    output: LocationLike,
    *,
    quasi_identifiers: Sequence[str] = (),
    person: str | None = None,
    pipeline: PathText | None = None,
    keys: Keyring | PathText | None = None,
    ledger: PathText | None = None,
) -> OutputDifferences:
    """Compare releases of an output: how many people does the difference of two releases isolate?

    Compares each release with the one of the same date that it replaced, as far as its files are left, and the consecutive
    batch dates in force. Dates are compared without the time of the records, which always differs. Takes the same fields as
    `attack_output`, and raises the same errors.
    """
    with Workspace(ledger, output, pipeline, keys, shown=(output,)) as workspace:
        workspace.require("run/read")
        published = _open_published(workspace)
        files = _files_in_force(published, ())
        fields = _fields_of_output(published, files, quasi_identifiers, (), person)
        fields = AttackFields(fields.quasi_identifiers, (), fields.person)
        replaced, removed = _replaced_releases(published)
        compared = [*_compare_replaced(files, replaced, fields), *_compare_dates(published, files, fields)]
        return OutputDifferences(
            str(output),
            fields.quasi_identifiers,
            fields.person,
            tuple(compared[:MOST_COMPARISONS]),
            tuple(removed),
        )


def _open_published(workspace: Workspace) -> PublishedOutput:
    """The output with its pipeline, if that is found. Without a keyring, encrypted files cannot be read."""
    chain = workspace.load_receipts()
    job: Pipeline | None = None
    with suppress(*(() if workspace.pipeline is not None else (ConfigurationError,))):
        job = find_pipeline(workspace.target, chain[-1], workspace.pipeline) if chain else None
    bound = workspace if job is None else workspace.with_pipeline(job)
    policies = PolicyCache(() if job is None else job.policy.purposes, bound.config)
    return PublishedOutput(workspace.target, chain, bound.keyring_or_none, job, policies)


def _files_in_force(published: PublishedOutput, dates: Sequence[str]) -> list[OutputFile]:
    """The files of these dates (default: all), without those whose keys were destroyed. Raises OutputError without any."""
    files = [file for file in published.files(RECORDS) if (not dates or file.date in dates) and not file.is_shredded]
    if not files:
        raise OutputError("no records of this output are in force", hint="Pass an output with records, or other dates.")
    return files


def _notes(published: PublishedOutput, files: Sequence[OutputFile], fields: AttackFields) -> Iterator[str]:
    """What limits the results: fields that were left out, and data subjects that are counted several times."""
    policy = files[-1].policy if published.job is None else published.job.policy
    nested = {key for file in files for key in file.pointers if key not in single_pointers(file.policy, file.schema)}
    for key in _fields_of_role(policy, "quasi", nested):
        yield f"{key} has several values in a record, and no attack uses it"
    if fields.person is None:
        yield "no data subject is released: each record is attacked as a person of its own"
        return
    units = sorted({unit for file in files for unit in rotation_units(file.policy, fields.person)})
    if units:
        yield f"pseudonyms of {fields.person} change every {' or '.join(units)}: a person counts once for each"


def _fields_of_output(
    published: PublishedOutput,
    files: Sequence[OutputFile],
    quasi_identifiers: Sequence[str],
    sensitive: Sequence[str],
    person: str | None,
) -> AttackFields:
    """The fields of an attack on some files, by today's policy if it is found, else by the policy of the newest file."""
    policy = files[-1].policy if published.job is None else published.job.policy
    released = dict.fromkeys(key for file in files for key in single_pointers(file.policy, file.schema))
    stated = tuple(key for key in _stated_sensitive(published.job) if key in released)
    return attack_fields(
        policy,
        released,
        quasi_identifiers=quasi_identifiers,
        sensitive=tuple(sensitive) or tuple(key for key in stated if key not in quasi_identifiers),
        person=person,
    )


def _stated_sensitive(job: Pipeline | None) -> tuple[str, ...]:
    """The sensitive fields of the bound on disclosure risk of a pipeline; empty without a bound."""
    bound: Any = None if job is None or job.records is None else getattr(job.records, "risk", None)
    return () if bound is None else tuple(bound.sensitive)


def _records_of_files(
    files: Sequence[OutputFile], fields: AttackFields, earlier: Sequence[OutputFile] = ()
) -> AttackedRecords:
    """The records of some files. Raises OutputError if the pseudonyms of a field of the attack do not join."""
    _check_same_keys((*files, *earlier), fields)
    return AttackedRecords(
        _table_of_files(files, fields),
        fields.quasi_identifiers,
        fields.sensitive,
        fields.person,
        earlier=_table_of_files(earlier, fields) if earlier else None,
    )


def _table_of_files(files: Sequence[OutputFile], fields: AttackFields) -> pa.Table:
    def parts() -> Iterator[tuple[pa.RecordBatch, Mapping[str, Pointer]]]:
        for file in files:
            pointers = single_pointers(file.policy, file.schema)
            columns = sorted({pointers[key].top for key in fields.keys if key in pointers})
            yield from ((batch, pointers) for batch in file.batches(columns))

    return table_of_fields(parts(), fields.keys)


def _check_same_keys(files: Sequence[OutputFile], fields: AttackFields) -> None:
    schemas = [pa.schema([column for column in file.schema if column.name in _tops(file, fields)]) for file in files]
    does_join = False
    with suppress(OutputError):
        check_key_versions(schemas)
        does_join = True
    if not does_join:
        message = "the records have pseudonyms of several key versions, so one person would be attacked as several"
        raise OutputError(message, hint="Attack dates of one key version: `--date D`.")


def _tops(file: OutputFile, fields: AttackFields) -> frozenset[str]:
    pointers = single_pointers(file.policy, file.schema)
    return frozenset(pointers[key].top for key in fields.keys if key in pointers)


def _replaced_releases(
    published: PublishedOutput,
) -> tuple[dict[str | None, list[OutputFile]], list[ReplacedRelease]]:
    """By date, the files of the last release that was replaced and is still readable; and the releases that are not."""
    in_force = {file.path for file in published.files(RECORDS)}
    rows_by_date: dict[str | None, int] = {}
    for file in published.files(RECORDS):
        rows_by_date[file.date] = rows_by_date.get(file.date, 0) + file.entry.rows
    readable: dict[str | None, list[OutputFile]] = {}
    removed: list[ReplacedRelease] = []
    for receipt in published.chain:
        output = receipt.outputs.get(RECORDS)
        by_date: dict[str | None, list[ReceiptFile]] = {}
        for entry in () if output is None else output.files:
            by_date.setdefault(batch_date_of(entry.path), []).append(entry)
        for date, entries in by_date.items():
            if all(entry.path in in_force for entry in entries):
                continue
            if all((published.folder / entry.path).exists() for entry in entries):
                readable[date] = [published.file(entry) for entry in entries]
            else:
                rows = sum(entry.rows for entry in entries)
                removed.append(ReplacedRelease(receipt.run_id, date, rows, rows_by_date.get(date, 0)))
    return readable, removed


def _compare_replaced(
    files: Sequence[OutputFile], replaced: Mapping[str | None, Sequence[OutputFile]], fields: AttackFields
) -> Iterator[ComparedReleases]:
    for date, earlier in sorted(replaced.items(), key=lambda item: item[0] or "", reverse=True):
        later = [file for file in files if file.date == date]
        if later:
            runs = [each[0].written_by.receipt.run_id for each in (earlier, later)]
            (result,) = Differences.measure(_records_of_files(later, fields, earlier))
            yield ComparedReleases(runs[0], runs[1], "replaced", result)


def _compare_dates(
    published: PublishedOutput, files: Sequence[OutputFile], fields: AttackFields
) -> Iterator[ComparedReleases]:
    """The comparisons of consecutive batch dates, the newest first."""
    policy = files[-1].policy if published.job is None else published.job.policy
    attributes = tuple(key for key in fields.quasi_identifiers if key != policy.time)
    fields = AttackFields(attributes, (), fields.person)
    dates = sorted({file.date for file in files if file.date is not None})
    for earlier, later in reversed(list(pairwise(dates))):
        files_by_date = {date: [file for file in files if file.date == date] for date in (earlier, later)}
        (result,) = Differences.measure(_records_of_files(files_by_date[later], fields, files_by_date[earlier]))
        yield ComparedReleases(earlier, later, "dates", result)
