"""What a run was asked, resolved: pipeline, time, keyring, settings, and the sources of each batch date."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from os import PathLike
from pathlib import Path
from typing import Any

import pyarrow as pa

from minimize.consent import ConsentPeriods
from minimize.errors import ConfigurationError, Finding, KeyringError, PolicyError, SchemaError, SourceError
from minimize.io import FORMATS, declared_schema
from minimize.io.base import Source, Unit
from minimize.io.find import DATE, Found, Shown, find, name_of, split
from minimize.io.history import has_runs
from minimize.io.partitions import nameable
from minimize.io.published import receipts
from minimize.job.collecting import load_job_settings
from minimize.job.dates import Day, Wanted, check_time
from minimize.job.encrypting import check_masters
from minimize.job.erasing import People, load_people
from minimize.job.origin import origin_of
from minimize.job.pending import PENDING, Arrival, Skipped, arrivals, error_of, losses, reads
from minimize.job.sender import NO_CONSENTS, Sender, sender_of
from minimize.job.veil import Veil
from minimize.keys import Keyring, Kms, find_keyring, find_kms
from minimize.ledger import find_ledger
from minimize.plan import Plan, request
from minimize.plan.bind import Examined, examine
from minimize.policy.fields import is_dropped, steps_of
from minimize.policy.load import load_pipeline
from minimize.policy.pipeline import Pipeline
from minimize.receipt import Origin, Receipt
from minimize.settings import SettingsRows
from minimize.spill import find_budget
from minimize.stages.corrected import corrections
from minimize.stages.future import without_future
from minimize.stores import Anywhere, Place, Remote, options_of
from minimize.techniques import plain
from minimize.times import day, moment


@dataclass(frozen=True, slots=True)
class Given:
    """Everything that stands before the first byte is read."""

    pipeline: Pipeline
    at: datetime
    at_given: bool
    now: datetime
    """When it was asked: consents, contract and list must hold then, too, where `at` is earlier."""
    keys: Keyring
    kms: Kms
    """Who keeps the master keys of encrypted outputs."""
    settings: SettingsRows | None
    people: People
    """Who is gone, and what was put right, as the ledger tells."""
    output: Place
    sources: Mapping[Day, Source]
    found: Found
    """The files of every batch date, also of those that are not asked for."""
    shown: Shown
    fence: Place | None
    root: Place
    """The folder that the input lies in."""
    plan: Plan
    sender: Sender | None
    """The third party that sends the records; None for records of our own."""
    origin: Origin | None
    memory: int
    """Bytes that tallies may take."""
    looked_at: str
    """What there would have been to do, in words: the path of the input as it was written."""
    skipped: tuple[Skipped, ...] = ()
    """The batch dates that are left alone, and why."""
    pending: bool = False
    """Whether whatever arrived is to be done, date by date."""
    read: Mapping[str, datetime] = field(default_factory=dict, repr=False)
    """When each file was first read, as the receipts of the output tell."""

    def told(self, when: datetime) -> dict[str, Any]:
        """Settings, who is gone, what was put right and who agreed, as the job of a run at this time has them."""
        settings = None if self.settings is None else self.settings.at(when)
        corrected = corrections(self.people.corrected, self.plan.policy, when, self.keys)
        erased = self.people.erased.at(when, self.plan.policy.future, self.read)
        return {"settings": settings, "erased": erased, "corrected": corrected, "consents": self.consents(when)}

    def consents(self, when: datetime) -> ConsentPeriods | None:
        """When tenants agreed to what a third party sends, as a run at this time knows it; None for records of our own.

        What this run itself reads must be agreed to now, too; what an earlier one read is as it was known then.
        """
        if self.sender is None:
            return None
        now = self.now if when == self.at else None
        return self.sender.periods(self.people.consents or NO_CONSENTS, self.pipeline.policy, when, now)

    def without(self, skipped: Sequence[Skipped]) -> Given:
        """The same without these dates, which are left alone."""
        left = {each.day for each in skipped}
        rest = {when: source for when, source in self.sources.items() if when not in left}
        return replace(self, sources=rest, skipped=(*self.skipped, *skipped))

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to do: no input for any date asked."""
        return not self.sources


def resolve(
    pipeline: Pipeline | str | PathLike[str],
    *,
    wanted: Wanted,
    at: datetime | str | None,
    input: str | PathLike[str] | None,
    settings: Any,
    output: Anywhere | None,
    keys: Keyring | str | PathLike[str] | None,
    ledger: str | PathLike[str] | None = None,
    recipients: str | PathLike[str] | None = None,
    having: Collection[str] = (),
    again: bool = False,
) -> Given:
    """Everything checked and bound, nothing read. Raises what is wrong: configuration first, then refusals.

    With `again` records are read once more that were received before: whether the third party may send them is not asked.
    """
    job = as_pipeline(pipeline)
    now, asked = datetime.now(UTC), moment(at, "at")
    keyring = _keyring(keys, job)
    sender = sender_of(job, asked or now, now=now, recipients=recipients, having=having, again=again)
    if sender is not None and not again:
        sender.check(job)
    memory = find_budget(job.folder)
    target = job.target(output)
    rows = load_job_settings(settings, job, keyring, target, ledger)
    every, shown = found_files(job, input, wanted.only), veil(job, keyring)
    found = dated(every, wanted)
    chain = receipts(target) if (wanted.pending or not any(found.files.values())) and has_runs(target) else ()
    arrived = arrivals(found, chain, shown) if wanted.pending else {}
    people = load_people(job, keyring, target, ledger)
    wants = among(found, arrived) if wanted.pending else found
    sources, unreadable = open_readable(job, wants, shown, people.erased.fields, at=asked or now)
    skipped = [*without_source(job, input, chain), *unreadable]
    looked_at = _looked_at(job, input, wanted)
    if not (skipped and skipped[0].reason == "no_source"):
        skipped += [each for each in losses(arrived, chain) if each.day in wanted]
        skipped += _without_files(wanted, sources, looked_at) if not skipped else []
    if unreadable and not sources and not wanted.pending:
        raise error_of(unreadable)
    examined = examine_all(job, sources)
    plan = examined.sound()
    _check_writes(plan)
    for name in sorted(plan.keys):
        keyring.bytes_of(name)
    examined.allowed()
    if sender is not None and not again:
        sender.check_permitted(find_ledger(ledger, start=job.folder, output=target), keyring, now)
    check_time(asked, now, output is not None)
    kms = find_kms(keyring, job.folder, now=now)
    check_masters(plan, kms)
    return Given(
        pipeline=job,
        at=asked or now,
        at_given=asked is not None,
        now=now,
        keys=keyring,
        kms=kms,
        settings=rows,
        people=people,
        output=target,
        sources=sources,
        found=every,
        shown=shown,
        fence=every.fence(target),
        root=every.root,
        plan=plan,
        sender=sender,
        origin=origin_of(job, input, settings, target),
        memory=memory,
        looked_at=looked_at,
        skipped=tuple(sorted(skipped, key=lambda each: each.date)),
        pending=wanted.pending,
    )


def _looked_at(job: Pipeline, input: str | PathLike[str] | None, wanted: Wanted) -> str:
    path, of = job.source.path if input is None else str(input), wanted.words
    if wanted.pending:
        return f"nothing arrived since the last run in {path}{of and f', {of}'}"
    return f"no file {of and f'{of} '}matches {path}"


def as_pipeline(pipeline: Pipeline | str | PathLike[str]) -> Pipeline:
    """The pipeline, loaded where a path is given."""
    if isinstance(pipeline, Pipeline):
        return pipeline
    if not isinstance(pipeline, str | PathLike):
        raise ConfigurationError(
            f"a {type(pipeline).__name__} is no pipeline", hint="give a pipeline or the path of one"
        )
    return load_pipeline(Path(pipeline))


def dated(found: Found, wanted: Wanted) -> Found:
    """The files of the dates that are wanted. Raises ConfigurationError where a date was named and the source has none."""
    if wanted.by_date and not found.dated:
        raise ConfigurationError("a date was given, and the source has no {date}", hint="leave --date out")
    return replace(found, files={when: files for when, files in found.files.items() if when in wanted})


def among(found: Found, arrived: Mapping[Day, Arrival]) -> Found:
    """The files of the dates that are pending."""
    days = {when for when, each in arrived.items() if each.state in PENDING}
    return replace(found, files={when: files for when, files in found.files.items() if when in days})


def open_sources(
    job: Pipeline, found: Found, shown: Shown, also: Collection[str] = (), *, at: datetime
) -> dict[Day, Source]:
    """A bound source per batch date that has files; `also` are fields that are read to know whose records they are.

    Records whose event time lies too far after `at` are rejected.

    Raises SchemaError where a file does not fit the policy.
    """
    asked = replace(request(job.policy, job.purpose, job, also), salt=shown.ranking_salt)
    days = [when for when in sorted_days(found.files) if found.files[when]]
    bound = FORMATS[job.source.format]
    sources = {when: bound(found.files[when], found.root, asked, shown=shown) for when in days}
    unit: Unit = "byte" if job.source.format == "ndjson" else "row"
    named = _named_as_is(job)
    return {when: without_future(nameable(source, named, unit), job.policy, at) for when, source in sources.items()}


def _named_as_is(job: Pipeline) -> list[str]:
    """The fields whose values name folders as they come in."""
    keys = () if job.records is None else job.records.partition_by
    fields = [field for key in keys if (field := job.policy.fields.get(key)) is not None and not field.from_]
    kept = [field for field in fields if all(step.name == "keep" for step in steps_of(field))]
    return [field.pointer.top for field in kept if field.pointer.is_flat and not is_dropped(field)]


def open_readable(
    job: Pipeline, found: Found, shown: Shown, also: Collection[str], *, at: datetime
) -> tuple[dict[Day, Source], list[Skipped]]:
    """A bound source per batch date whose files can be opened, and the other dates.

    Raises SchemaError where a file does not fit the policy.
    """
    sources: dict[Day, Source] = {}
    unreadable: list[Skipped] = []
    for when in sorted_days(found.files):
        try:
            sources |= open_sources(job, replace(found, files={when: found.files[when]}), shown, also, at=at)
        except SourceError as error:
            names = [name_of(path, found.root, shown) for path in found.files[when]]
            unreadable.append(Skipped.unreadable(when, error, names))
    return sources, unreadable


def _without_files(wanted: Wanted, sources: Mapping[Day, Source], looked_at: str) -> list[Skipped]:
    """That a date was asked for and has no files."""
    if wanted.only is None or sources:
        return []
    return [Skipped(wanted.only, "no_files", "E100", looked_at, "did they arrive, and is it the right date?")]


def without_source(job: Pipeline, instead: str | PathLike[str] | None, chain: Sequence[Receipt]) -> list[Skipped]:
    """That the folder of the source is gone, from which this output was made before."""
    path, base = (job.source.path, job.folder) if instead is None else (str(instead), Path.cwd())
    root = split(path, base)[0]
    if isinstance(root, Remote) or root.exists() or not any(map(reads, chain)):
        return []
    hint = "is it mounted? bring it back, and run again"
    return [Skipped(None, "no_source", "E100", f"the folder of the source is gone: {path}", hint)]


def veil(job: Pipeline, keyring: Keyring | None) -> Veil:
    """How the names of the source's files are shown."""
    key = b"" if keyring is None else keyring.subkey("subject", "paths")
    return Veil(key, frozenset(name for name, field in job.policy.fields.items() if field.role == "plain"))


def found_files(job: Pipeline, instead: str | PathLike[str] | None, only: Day) -> Found:
    """The files of the pipeline's source, or of what stands in for it.

    What stands in for it is a pattern, a file, or a folder: laid out as the source's root is, else all that lies in it. Where
    the source has `{date}`, a path that says none is one batch, whose date is given.
    """
    if instead is None:
        return find(job.source.path, job.folder)
    if not isinstance(instead, str | PathLike):
        raise ConfigurationError("the input is not a path", hint="`minimize.apply` takes data in memory")
    path, rest = str(instead), split(job.source.path, job.folder)[1]
    if not path:
        raise ConfigurationError("the input has no path", hint="name a file, a folder or a pattern")
    root, wild = split(path, Path.cwd())
    if not wild and not root.exists():
        raise ConfigurationError("there is no file or folder at the input's path", hint="is it written right?")
    if rest and not wild and root.is_dir():
        below = find(f"{root}/{rest}{options_of(root)}", Path.cwd())
        if any(below.files.values()):
            return below
    found = find(path, Path.cwd())
    return found if DATE in path or DATE not in rest else _one_batch(found, only)


def _one_batch(found: Found, only: Day) -> Found:
    files = found.files.get(None, ())
    if files and only is None:
        raise ConfigurationError(
            "the pipeline works by date, and the input says none", hint="give --date, or a {date} path"
        )
    return Found(found.root, {only: files}, found.beside)


def text_of(day: Day) -> str | None:
    """A batch date as folders name it."""
    return None if day is None else day.isoformat()


def day_of(text: str | None) -> Day:
    """The batch date of a folder's name; None where there is none."""
    return None if text is None else day(text)


def sorted_days(days: Iterable[Day]) -> list[Day]:
    """Batch dates in order; the one of a source without dates stands alone."""
    return sorted(days, key=lambda each: each or date.min)


def examine_all(job: Pipeline, sources: Mapping[Day, Source]) -> Examined:
    """The one plan of all batch dates, with what stands against it; where there are none, of the types that the policy names.

    Raises SchemaError where two dates have different types.
    """
    if not sources:
        declared = declared_schema(request(job.policy, job.purpose, job))
        return examine(job.policy, declared, purpose=job.purpose, pipeline=job)
    first, *others = sources.values()
    for other in others:
        _same(first.schema, other.schema)
    return examine(job.policy, first.schema, purpose=job.purpose, pipeline=job)


def _check_writes(plan: Plan) -> None:
    """A file without columns holds nothing, and few engines can read one. Raises PolicyError."""
    records = plan.outputs.get("records")
    if records is not None and not records.schema.names:
        hint = "give a field a technique other than `drop`" + (", or say `records: false`" if plan.aggregates else "")
        file = None if plan.policy.path is None else str(plan.policy.path)
        message = "every field is dropped, so that no record can be written"
        finding = Finding("P116", message, hint=hint, file=file, line=plan.policy.lines.get(("fields",)))
        raise PolicyError(message, hint=hint, findings=[finding])


def _keyring(keys: Keyring | str | PathLike[str] | None, job: Pipeline) -> Keyring:
    found = find_keyring(keys, job.folder)
    if found is None:
        hint = "make one with `minimize keys new FILE`, then --keys FILE or MINIMIZE_KEYS"
        raise KeyringError("no keyring, and every run signs its receipt", hint=hint)
    return found


def _same(first: pa.Schema, other: pa.Schema) -> None:
    differing = [
        name
        for name in first.names
        if name not in other.names or plain(first.field(name).type) != plain(other.field(name).type)
    ]
    if differing:
        findings = [Finding("S010", "has another type on another batch date", field=name) for name in differing]
        raise SchemaError("the batch dates disagree about their columns", findings=findings, hint="run them one by one")
