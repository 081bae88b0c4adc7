"""What arrived since the last receipt of each batch date, by the digests of the files; and the dates that a run leaves alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from minimize.errors import CheckFailed, Finding, MinimizeError, RefusedError, SourceError, StoppedError
from minimize.io.find import Found, Shown, name_of
from minimize.io.part import FilePart
from minimize.io.places import place_of
from minimize.job.dates import Day
from minimize.receipt import Receipt, in_force
from minimize.stores import Place
from minimize.times import day

State = Literal["new", "same", "changed", "shrunk", "gone", "unreadable"]
PENDING: Final = frozenset({"new", "changed"})
_LOST: Final = "bring the files back, or run that date by --date, which replaces what it wrote"
_BRING_BACK: Final = "bring the files back; with --from a run does not look at earlier dates"
READING: Final = frozenset({"run", "replay"})
"""The kinds of receipt that read a batch from its source."""
Reason = Literal[
    "shrunk", "gone", "no_source", "no_files", "unreadable", "stopped", "later", "fewer_rows", "implausible_time"
]
_CODES: Final[Mapping[Reason, str]] = {
    "shrunk": "W014",
    "gone": "W014",
    "no_source": "W014",
    "no_files": "W043",
    "unreadable": "W040",
    "stopped": "W024",
    "later": "W042",
    "fewer_rows": "W041",
    "implausible_time": "W041",
}
"""The code of the log by reason."""
_ERRORS: Final = {each.exit_code: each for each in (CheckFailed, SourceError, RefusedError, StoppedError)}
_ONE_BY_ONE: Final = frozenset({"unreadable", "stopped"})
"""Reasons that concern one date of a pending run, which then exits with 1."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A batch date that a run leaves alone.

    day        the date; None for the one batch of a source without dates, and for a source that is gone as a whole
    reason     as receipts have it under `skipped`
    file       the file that it is about, as receipts show names
    exit_code  of a run of this date alone
    """

    day: Day
    reason: Reason
    code: str
    message: str
    hint: str = ""
    file: str | None = None
    exit_code: int = 1

    @classmethod
    def unreadable(cls, when: Day, error: SourceError, names: Iterable[str] = ()) -> Skipped:
        """A date of which a file cannot be read; takes the names of its files."""
        file = next((name for name in names if error.message.startswith(f"{name} ")), None)
        return cls(when, "unreadable", error.code, error.message, error.hint, file, error.exit_code)

    @property
    def date(self) -> str:
        """The date as `skipped` of a receipt has it."""
        return "" if self.day is None else self.day.isoformat()

    @property
    def dated(self) -> str:
        """The message with its date."""
        known = not self.date or self.date in self.message.replace(":", "").split()
        return self.message if known else f"{self.date}: {self.message}"

    @property
    def log_code(self) -> str:
        """The code of the line of the log."""
        return _CODES[self.reason]

    @property
    def left_alone(self) -> str:
        """The line of the log."""
        where = "the batch" if self.day is None else self.date
        hint = f" (hint: {self.hint})" if self.hint else ""
        return f"{where} is left alone: {self.message}{hint}"

    def exit_code_of(self, pending: bool) -> int:
        """The exit code of a run that leaves the date alone."""
        return 1 if pending and self.reason in _ONE_BY_ONE else self.exit_code

    def finding(self) -> Finding:
        """The failure as a finding."""
        return Finding(self.code, self.dated, hint=self.hint, file=self.file)

    def as_json(self) -> dict[str, Any]:
        """The failure as `run --json` prints it."""
        return {
            "date": self.date or None,
            "reason": self.reason,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "file": self.file,
        }


def error_of(skipped: Iterable[Skipped]) -> MinimizeError:
    """The error of a run that leaves all of its dates alone: of the exit code that comes first."""
    all_ = list(skipped)
    first = next(each for each in all_ if each.exit_code == worst(each.exit_code for each in all_))
    kind = _ERRORS[first.exit_code]
    if len(all_) == 1:
        return kind(first.dated, code=first.code, hint=first.hint)
    message = f"nothing was published: {len(all_)} dates were left alone"
    return kind(message, code=first.code, findings=[each.finding() for each in all_])


def worst(codes: Iterable[int]) -> int:
    """The exit code of several dates: the first of 2, 3, 1, 4 that applies, else 0.

    >>> worst([0, 4, 1])
    1
    """
    found = set(codes)
    return next((code for code in (2, 3, 1, 4) if code in found), 0)


@dataclass(frozen=True, slots=True)
class Arrival:
    """The files of one batch date beside those of its last receipt.

    state  `new`: never run; `same`; `changed`: files came or have other bytes; `shrunk`: some of the files that were read are
           gone; `gone`: all of them
           `unreadable`: a file cannot be read for its digest
    lost   how many of the files that were read are gone
    fault  why a file cannot be read
    """

    state: State
    lost: int = 0
    fault: Skipped | None = None


def arrivals(found: Found, chain: Iterable[Receipt], shown: Shown | None) -> dict[Day, Arrival]:
    """Per batch date of the source and of the receipts what arrived. Reads the files for their digests."""
    before = last_inputs(chain, shown)
    read = {when for receipt in chain if reads(receipt) for when, files in _by_date(receipt) if files}
    days = [when for when in {*found.files, *read} if found.files.get(when) or when in read]
    return {when: _arrival(found, when, before.get(when), shown) for when in days}


def _arrival(found: Found, when: Day, before: Mapping[str, str] | None, shown: Shown | None) -> Arrival:
    files = found.files.get(when, ())
    try:
        now = digests(files, found.root, shown)
    except SourceError as error:
        return Arrival("unreadable", fault=Skipped.unreadable(when, error, _names(found, when, shown)))
    return arrival(now, before)


def _names(found: Found, when: Day, shown: Shown | None) -> list[str]:
    return [name_of(path, found.root, shown) for path in found.files.get(when, ())]


def losses(arrived: Mapping[Day, Arrival], chain: Sequence[Receipt]) -> Iterator[Skipped]:
    """The dates that are left alone, because files that they were made from are gone or cannot be read.

    A date whose files are all gone counts while rows of it are in force.
    """
    with_rows = _dates_with_rows(chain)
    for when, each in arrived.items():
        if each.fault is not None:
            yield each.fault
        elif each.state == "shrunk":
            yield Skipped(when, "shrunk", "E100", f"{each.lost} of its files are gone since it ran", _LOST)
        elif each.state == "gone" and when in with_rows:
            yield Skipped(when, "gone", "E100", "all of its files are gone since it ran", _BRING_BACK)


def _dates_with_rows(chain: Sequence[Receipt]) -> set[Day]:
    """The batch dates of which rows are in force, in the records if there are any."""
    standing = in_force(chain)
    files = standing.get("records") or [each for name in standing for each in standing[name]]
    return {_day(place_of(file.path)[1]) for file in files if file.rows}


def arrival(now: Mapping[str, str], before: Mapping[str, str] | None) -> Arrival:
    """One batch: the files that are there, and those of its last receipt (None where it never ran), by name."""
    if before is None:
        return Arrival("new" if now else "gone")
    lost = len(before.keys() - now.keys())
    if now == before:
        return Arrival("same")
    return Arrival("changed" if not lost else "shrunk" if now else "gone", lost)


def last_inputs(chain: Iterable[Receipt], shown: Shown | None) -> dict[Day, Mapping[str, str]]:
    """Per batch date the files that its last receipt read, by their names as they are shown today, with their digests.

    Dates that a void receipt reopened are left out.
    """
    found: dict[Day, Mapping[str, str]] = {}
    known: dict[str, Receipt] = {}
    last: dict[Day, int] = {}
    for receipt in sorted(chain, key=lambda receipt: receipt.sequence):
        known[receipt.run_id] = receipt
        if reads(receipt):
            found |= dict(_by_date(receipt))
            last |= dict.fromkeys(days_of(receipt), receipt.sequence)
        elif receipt.voids is not None and (gone := known.get(receipt.voids)) is not None:
            for when in days_of(gone):
                if last.get(when, 0) <= gone.sequence:
                    found.pop(when, None)
    if shown is None:
        return found
    return {when: {shown.again(name): digest for name, digest in files.items()} for when, files in found.items()}


def reads(receipt: Receipt) -> bool:
    """Whether a receipt is of a run that read its dates from the source."""
    return receipt.kind in READING or receipt.from_ == "source"


def days_of(receipt: Receipt) -> tuple[Day, ...]:
    """The batch dates of a receipt."""
    return tuple(map(_day, receipt.dates)) or (None,)


def digests(files: Sequence[Place], root: Place, shown: Shown | None) -> dict[str, str]:
    """The files by their shown name, with their digests."""
    parts = (FilePart(path, root, shown) for path in files)
    return {part.name: part.digest for part in parts}


def _by_date(receipt: Receipt) -> Iterator[tuple[Day, Mapping[str, str]]]:
    if len(receipt.dates) < 2:
        yield _day(receipt.dates[0] if receipt.dates else None), {each.path: each.digest for each in receipt.inputs}
        return
    for name in receipt.dates:
        yield _day(name), {each.path: each.digest for each in receipt.inputs if each.date == name}


def _day(name: str | None) -> Day:
    return None if name is None else day(name)
