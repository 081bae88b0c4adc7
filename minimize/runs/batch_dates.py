"""Batch dates of a run: their selection, the dates with new input since their last receipt, and the skipped dates."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final, Literal, Self

from minimize.errors import (
    CheckFailed,
    ConfigurationError,
    Finding,
    MinimizeError,
    RefusedError,
    SourceError,
    StoppedError,
)
from minimize.ledger.clock import CLOCK_SKEW
from minimize.output.folder import batch_date_of
from minimize.receipts import Receipt, files_in_force
from minimize.receipts.chain import READING_KINDS
from minimize.results import JsonResult, LogMessage, json_member
from minimize.sources.base import Source
from minimize.sources.file_discovery import NameMask, SourceFiles, displayed_name
from minimize.sources.files import FilePart, batch_parts
from minimize.times import parse_date

BatchDate = dt.date | None
"""A batch date; None is the one batch of a source without dates."""


@dataclass(frozen=True, slots=True)
class DateSelection:
    """The batch dates that a run is asked to process."""

    only: dt.date | None = None
    """Only this date."""
    since: dt.date | None = None
    """No date before this one."""
    until: dt.date | None = None
    """No date after this one."""
    pending: bool = False
    """Of these dates, only those whose inputs changed since their last receipt."""

    @classmethod
    def from_options(
        cls,
        date: dt.date | str | None = None,
        since: dt.date | str | None = None,
        until: dt.date | str | None = None,
        *,
        pending: bool = False,
    ) -> Self:
        """Builds the selection from calendar days. Raises ConfigurationError if the options contradict each other."""
        options = {"date": date, "since": since, "until": until}
        only, first, last = (None if each is None else parse_date(each, name) for name, each in options.items())
        if only is not None and (first is not None or last is not None or pending):
            raise ConfigurationError(
                "--date cannot be combined with --since, --until or --pending",
                hint="Remove --date, or remove the other options.",
            )
        if first is not None and last is not None and first > last:
            raise ConfigurationError("--until is before --since", hint="Pass the earlier date to --since.")
        return cls(only, first, last, pending)

    @property
    def by_date(self) -> bool:
        """Whether a date was passed. The source must then have dates."""
        return (self.only, self.since, self.until) != (None, None, None)

    @property
    def description(self) -> str:
        """The dates in words; empty if all dates are selected.

        >>> DateSelection.from_options("2026-11-24").description, DateSelection.from_options(since="2026-11-20").description
        ('of 2026-11-24', 'from 2026-11-20 on')
        """
        if self.only is not None:
            return f"of {self.only}"
        if self.since is None:
            return "" if self.until is None else f"up to {self.until}"
        return f"from {self.since} " + ("on" if self.until is None else f"to {self.until}")

    def __contains__(self, when: BatchDate) -> bool:
        if when is None:
            return not self.by_date
        if self.only is not None:
            return when == self.only
        return (self.since or dt.date.min) <= when <= (self.until or dt.date.max)


def check_run_time(at: dt.datetime | None, now: dt.datetime, apart: bool) -> None:
    """Raises RefusedError for a run as of another time than now, unless its output was passed explicitly (`apart`)."""
    if at is None or apart or now <= at <= now + CLOCK_SKEW:
        return
    if at < now:
        hint = "Pass --output DIR. A run as of an earlier time cannot replace published output."
        raise RefusedError("--at is in the past", hint=hint)
    hint = "Pass --output DIR. Otherwise these dates could not be run again before that time."
    raise RefusedError("--at is in the future", hint=hint)


ArrivalState = Literal["new", "same", "changed", "shrunk", "gone", "unreadable"]
PENDING_STATES: Final = frozenset({"new", "changed"})
_LOST_FILES_HINT: Final = "Restore the files, or pass --date to run that date and replace its output."
_LOST_DATE_HINT: Final = "Restore the files, or pass --since to exclude earlier dates."
SkipReason = Literal[
    "shrunk",
    "gone",
    "no_source",
    "no_files",
    "unreadable",
    "stopped",
    "later",
    "fewer_rows",
    "implausible_time",
    "risk",
]
_LOG_CODES: Final[Mapping[SkipReason, str]] = {
    "shrunk": "W014",
    "gone": "W014",
    "no_source": "W014",
    "no_files": "W043",
    "unreadable": "W040",
    "stopped": "W024",
    "later": "W042",
    "fewer_rows": "W041",
    "implausible_time": "W041",
    "risk": "W063",
}
"""Log code per reason."""
_ERRORS_BY_EXIT_CODE: Final = {each.exit_code: each for each in (CheckFailed, SourceError, RefusedError, StoppedError)}
_SINGLE_DATE_REASONS: Final = frozenset({"unreadable", "stopped", "risk"})
"""Reasons that concern one date of a pending run. The run then exits with 1."""


@dataclass(frozen=True, slots=True)
class SkippedDate(JsonResult):
    """A batch date that a run skips."""

    day: BatchDate = field(metadata=json_member("date"))
    """The date; None for the single batch of a source without dates, and if the whole source is missing."""
    reason: SkipReason
    """The reason, as in `skipped` of a receipt."""
    code: str
    message: str
    hint: str = ""
    file: str | None = None
    """The file that the reason concerns, with the name that receipts show."""
    exit_code: int = 1
    """The exit code of a run of this date alone."""
    json_names = "day reason code message hint file"

    @classmethod
    def unreadable(cls, when: BatchDate, error: SourceError, names: Iterable[str] = ()) -> SkippedDate:
        """A date with a file that cannot be read. Takes the names of the date's files."""
        file = next((name for name in names if error.message.startswith(f"{name} ")), None)
        return cls(
            day=when,
            reason="unreadable",
            code=error.code,
            message=error.message,
            hint=error.hint,
            file=file,
            exit_code=error.exit_code,
        )

    @property
    def date(self) -> str:
        """The date as in `skipped` of a receipt."""
        return date_text(self.day) or ""

    @property
    def message_with_date(self) -> str:
        """The message with its date."""
        known = not self.date or self.date in self.message.replace(":", "").split()
        return self.message if known else f"{self.date}: {self.message}"

    def log_message(self, level: int) -> LogMessage:
        """The skipped date and the reason, for the log."""
        where = "the batch" if self.day is None else self.date
        hint = f" (hint: {self.hint})" if self.hint else ""
        message = f"skipped {where}: {self.message}{hint}"
        return LogMessage(_LOG_CODES[self.reason], message, level, data=self.to_json())

    def exit_code_of(self, pending: bool) -> int:
        """The exit code of a run that skips the date."""
        return 1 if pending and self.reason in _SINGLE_DATE_REASONS else self.exit_code

    def finding(self) -> Finding:
        """The failure as a finding."""
        return Finding(self.code, self.message_with_date, hint=self.hint, file=self.file)


def error_for(skipped: Iterable[SkippedDate], result: str = "nothing was published") -> MinimizeError:
    """The error for skipped dates. Its exit code is the one with the highest precedence.

    `result` is the start of the message if there are several dates.
    """
    dates = list(skipped)
    first = next(each for each in dates if each.exit_code == worst_exit_code(each.exit_code for each in dates))
    kind = _ERRORS_BY_EXIT_CODE[first.exit_code]
    if len(dates) == 1:
        return kind(first.message_with_date, code=first.code, hint=first.hint)
    message = f"{result}: {len(dates)} dates were skipped; each is listed below"
    return kind(message, code=first.code, findings=[each.finding() for each in dates])


def worst_exit_code(codes: Iterable[int]) -> int:
    """The exit code of several dates: the first of 2, 3, 1, 4 that applies, else 0.

    >>> worst_exit_code([0, 4, 1])
    1
    """
    distinct_codes = set(codes)
    return next((code for code in (2, 3, 1, 4) if code in distinct_codes), 0)


@dataclass(frozen=True, slots=True)
class Arrival:
    """The files of one batch date, compared with those of its last receipt."""

    state: ArrivalState
    """`new`: never run; `same`; `changed`: files were added, or have other bytes; `shrunk`: some files that were read are
    missing; `gone`: all of them are missing; `unreadable`: a file cannot be read.
    """
    lost: int = 0
    """Number of files that were read and are missing."""
    fault: SkippedDate | None = None
    """Why a file cannot be read."""


def arrivals(source_files: SourceFiles, chain: Iterable[Receipt], shown: NameMask | None) -> dict[BatchDate, Arrival]:
    """For each batch date of the source and of the receipts: its files, compared. Reads the files that a receipt names."""
    before = last_inputs(chain, shown)
    read = {when for receipt in chain if reads_source(receipt) for when, files in _inputs_by_date(receipt) if files}
    days = [when for when in {*source_files.files, *read} if source_files.files.get(when) or when in read]
    return {when: _arrival_of_date(source_files, when, before.get(when), shown) for when in days}


def _arrival_of_date(
    source_files: SourceFiles, when: BatchDate, before: Mapping[str, str] | None, shown: NameMask | None
) -> Arrival:
    try:
        return compare_files(batch_parts(source_files, when, shown), before)
    except SourceError as error:
        return Arrival("unreadable", fault=SkippedDate.unreadable(when, error, _file_names(source_files, when, shown)))


def _file_names(source_files: SourceFiles, when: BatchDate, shown: NameMask | None) -> list[str]:
    return [displayed_name(path, source_files.root, shown) for path in source_files.files.get(when, ())]


def lost_dates(arrived: Mapping[BatchDate, Arrival], chain: Sequence[Receipt]) -> Iterator[SkippedDate]:
    """The dates that are skipped because files that they were made from are missing or cannot be read.

    A date whose files are all missing is included if rows of it are in force.
    """
    with_rows = _dates_with_rows(chain)
    for when, arrival in arrived.items():
        if arrival.fault is not None:
            yield arrival.fault
        elif arrival.state == "shrunk":
            message = f"{arrival.lost} of its files {'is' if arrival.lost == 1 else 'are'} missing since its last run"
            yield SkippedDate(when, "shrunk", "E100", message, _LOST_FILES_HINT)
        elif arrival.state == "gone" and when in with_rows:
            yield SkippedDate(when, "gone", "E100", "all of its files are missing since its last run", _LOST_DATE_HINT)


def _dates_with_rows(chain: Sequence[Receipt]) -> set[BatchDate]:
    """The batch dates that have rows in force: rows of records if the output has records."""
    in_force = files_in_force(chain)
    files = in_force.get("records") or [file for name in in_force for file in in_force[name]]
    return {parse_batch_date(batch_date_of(file.path)) for file in files if file.rows}


def compare_files(now: Sequence[FilePart], before: Mapping[str, str] | None) -> Arrival:
    """Compares the files of one batch with those of its last receipt, by name and digest. `before` is None if it never ran.

    Raises SourceError if a file cannot be read.
    """
    if before is None:
        return Arrival("new" if now else "gone")
    names = {part.name for part in now}
    lost = len(before.keys() - names)
    if names == before.keys() and all(part.has_digest(before[part.name]) for part in now):
        return Arrival("same")
    return Arrival("changed" if not lost else "shrunk" if now else "gone", lost)


def last_inputs(chain: Iterable[Receipt], shown: NameMask | None) -> dict[BatchDate, Mapping[str, str]]:
    """For each batch date the files that its last receipt read: names as they are shown today, with their digests.

    Dates that a void receipt reopened are not included.
    """
    inputs_by_date: dict[BatchDate, Mapping[str, str]] = {}
    known: dict[str, Receipt] = {}
    last: dict[BatchDate, int] = {}
    for receipt in sorted(chain, key=lambda receipt: receipt.sequence):
        known[receipt.run_id] = receipt
        if reads_source(receipt):
            inputs_by_date |= dict(_inputs_by_date(receipt))
            last |= dict.fromkeys(receipt_dates(receipt), receipt.sequence)
        elif receipt.voids is not None and (voided := known.get(receipt.voids)) is not None:
            for when in receipt_dates(voided):
                if last.get(when, 0) <= voided.sequence:
                    inputs_by_date.pop(when, None)
    if shown is None:
        return inputs_by_date
    return {
        when: {shown.mask_recorded(name): digest for name, digest in files.items()}
        for when, files in inputs_by_date.items()
    }


def reads_source(receipt: Receipt) -> bool:
    """Whether the receipt is of a run that read its dates from the source."""
    return receipt.kind in READING_KINDS or receipt.from_ == "source"


def receipt_dates(receipt: Receipt) -> tuple[BatchDate, ...]:
    """The batch dates of a receipt."""
    return tuple(map(parse_batch_date, receipt.dates)) or (None,)


def _inputs_by_date(receipt: Receipt) -> Iterator[tuple[BatchDate, Mapping[str, str]]]:
    if len(receipt.dates) < 2:
        yield (
            parse_batch_date(receipt.dates[0] if receipt.dates else None),
            {each.path: each.digest for each in receipt.inputs},
        )
        return
    for name in receipt.dates:
        yield parse_batch_date(name), {each.path: each.digest for each in receipt.inputs if each.date == name}


def parse_batch_date(text: str | None) -> BatchDate:
    """The batch date in the name of a folder; None if there is no name."""
    return None if text is None else parse_date(text)


def date_text(day: BatchDate) -> str | None:
    """A batch date as it appears in the names of folders."""
    return None if day is None else day.isoformat()


def sort_dates(days: Iterable[BatchDate]) -> list[BatchDate]:
    """Batch dates in order. The single batch of a source without dates is alone in the list."""
    return sorted(days, key=lambda day: day or date.min)


def select_dates(source_files: SourceFiles, selection: DateSelection) -> SourceFiles:
    """The files of the selected dates. Raises ConfigurationError if a date was passed and the source has none."""
    if selection.by_date and not source_files.has_dates:
        raise ConfigurationError(
            "a date was passed, but the source's path has no {date}",
            hint="Remove --date, --since and --until, or put {date} into the source's path.",
        )
    return replace(source_files, files={when: files for when, files in source_files.files.items() if when in selection})


def pending_only(source_files: SourceFiles, arrived: Mapping[BatchDate, Arrival]) -> SourceFiles:
    """The files of the dates that are pending."""
    days = {when for when, each in arrived.items() if each.state in PENDING_STATES}
    return replace(source_files, files={when: files for when, files in source_files.files.items() if when in days})


def date_without_files(
    selection: DateSelection, sources: Mapping[BatchDate, Source], looked_at: str
) -> list[SkippedDate]:
    """A skipped date, if one date was passed and it has no files."""
    if selection.only is None or sources:
        return []
    return [
        SkippedDate(
            selection.only,
            "no_files",
            "E100",
            looked_at,
            "Check that the files have arrived and that the date is right.",
        )
    ]
