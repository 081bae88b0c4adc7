"""`drift`: a pipeline's newest date beside its policy and its receipts, as a report of what changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from os import PathLike
from typing import Any

from minimize.drifting.compare import USUAL, Beside, declared_changes, new_paths, type_at
from minimize.drifting.listed import lists
from minimize.drifting.model import Change, Report
from minimize.drifting.observe import observe
from minimize.drifting.renames import paired
from minimize.errors import ConfigurationError, quietly
from minimize.io.find import Found
from minimize.io.history import has_runs
from minimize.io.published import receipts
from minimize.job.dates import Day, Wanted
from minimize.job.given import as_pipeline, dated, found_files, text_of, veil
from minimize.job.pending import READING
from minimize.keys import find_keyring
from minimize.plan.request import needed_fields, request
from minimize.policy.init import field_line
from minimize.policy.pipeline import Pipeline
from minimize.receipt import Receipt
from minimize.stores import Place


def drift(
    pipeline: Pipeline | str | PathLike[str],
    *,
    date: date | str | None = None,
    input: str | PathLike[str] | None = None,
    output: str | PathLike[str] | None = None,
    keys: Any = None,
) -> Report:
    """What arrives that is not as the policy declares it, or not as it was in the last runs.

    Takes the pipeline; a batch date (the newest one found where none is given); what stands in for its source, its output
    folder (whose receipts are looked at) and its keyring (only the names of hive partitions need one).
    Gives names, types and counts: a name only where it cannot be a value, and no value at all. Raises SourceError for files
    that cannot be read, ConfigurationError where there is nothing to look at.
    """
    job = as_pipeline(pipeline)
    wanted = Wanted.of(date)
    found = dated(found_files(job, input, wanted.only), wanted)
    day = _newest(found)
    if not found.files.get(day):
        looked = job.source.path if input is None else str(input)
        raise ConfigurationError(f"no file matches {looked}{_of(wanted.only)}", hint="another --date, or --input PATH?")
    chain = _chain(job.target(output))
    return quietly(lambda: _report(job, day, found, chain, keys))


def _of(day: Day) -> str:
    return "" if day is None else f" for {day}"


def _newest(found: Found) -> Day:
    return max((when for when, files in found.files.items() if when is not None and files), default=None)


def _report(job: Pipeline, day: Day, found: Found, chain: Sequence[Receipt], keys: Any) -> Report:
    policy = job.policy
    shown = veil(job, find_keyring(keys, job.folder))
    asked = replace(request(policy, job.purpose, job), salt=shown.ranking_salt)
    seen = observe(found.files[day], found.root, job.source.format, asked, lists(policy), shown)
    last = next((receipt for receipt in reversed(chain) if receipt.kind in READING), None)
    beside = Beside(
        policy,
        seen,
        {} if last is None else {key: each.values or 0 for key, each in last.fields.items()},
        needed_fields(policy, job.purpose, job),
        frozenset(each.key for each in asked.fields if each.required),
        USUAL if job.quarantine.fail_above is None else job.quarantine.fail_above,
    )
    changes = tuple(_since(change, chain) for change in _changes(beside))
    name = text_of(day)
    dates = () if name is None else (name,)
    return Report(job.pipeline, policy.policy, policy.version, dates, seen.records, changes, over_time(chain))


def _changes(beside: Beside) -> Iterator[Change]:
    """Renames in place of what is gone and what is new; then the rest of what is declared, then the rest of what is new."""
    new = list(_new(beside))
    arriving = (each for each in beside.policy.fields.values() if not each.from_ and not each.pointer.is_keys)
    fields = [(each.key, each.pointer, each.type) for each in arriving]
    named = [change for change in new if change.edit]
    pairs = paired(fields, named, lambda key: beside.is_gone(beside.policy.fields[key]))
    for key, change in pairs.items():
        yield _renamed(beside, key, change)
    yield from (change for change in declared_changes(beside) if not (change.kind == "gone" and change.key in pairs))
    taken = {change.path for change in pairs.values()}
    yield from (change for change in new if change.path not in taken)


def _new(beside: Beside) -> Iterator[Change]:
    for path, (whole, carried) in sorted(new_paths(beside.policy, beside.seen).items(), key=lambda each: str(each[0])):
        word = type_at(beside.seen, path) if whole else None
        message = f"nobody declared it: dropped from {carried.records:,} of {beside.seen.records:,} records"
        if not whole:
            message = (
                f"names that are not shown: dropped {carried.records:,} times from {beside.seen.records:,} records"
            )
        edit = field_line(path, word or "string").rstrip("\n") if whole else ""
        yield Change("new", path, "warning", message, carried.records, is_=word, edit=edit)


def _renamed(beside: Beside, key: str, change: Change) -> Change:
    field = beside.policy.fields[key]
    body = change.edit.partition("  #")[0]
    return replace(
        change,
        kind="renamed",
        severity=beside.matters(key),
        message=f"stands where {key} stood, which no record carries",
        key=key,
        before=key,
        was=field.type,
        line=field.line,
        edit=f"{body}  # was {key}: give it that field's role and technique",
    )


def over_time(chain: Iterable[Receipt]) -> dict[str, list[dict[str, Any]]]:
    """Per undeclared path of the receipts how many records carried it, by run; the oldest first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for receipt in chain:
        for path, records in receipt.undeclared.items() if receipt.kind in READING else ():
            run = {"run_id": receipt.run_id, "dates": list(receipt.dates), "records": records}
            found.setdefault(path, []).append(run)
    return dict(sorted(found.items()))


def _since(change: Change, chain: Sequence[Receipt]) -> Change:
    dates = [day for receipt in chain if str(change.path) in receipt.undeclared for day in receipt.dates]
    return replace(change, since=min(dates)) if dates else change


def _chain(output: Place) -> tuple[Receipt, ...]:
    return receipts(output) if has_runs(output) else ()
