"""The entries of the catalogue and of the record of processing: plain, in the order in which they are read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from minimize.recipients import Subprocessor


@dataclass(frozen=True, slots=True)
class FieldEntry:
    """One field of a dataset.

    before, after  its type as it comes in, and its form as it leaves; `absent` where nothing of it does
    leaves         what is left of a value (`everything`, `linkable`, …); empty where nothing leaves
    collected      what must hold for it to be collected at all
    kept           for how long
    outputs        where it, or something made of it, is written
    recipients     who may be sent it from this pipeline, and for what function
    """

    key: str
    meaning: str
    unit: str
    role: str
    category: str
    before: str
    after: str
    leaves: str
    purposes: tuple[str, ...]
    collected: str
    kept: str
    outputs: tuple[str, ...]
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OutputEntry:
    """One output: its category, its columns, how it is closed, and which groups it leaves out."""

    name: str
    category: str
    columns: tuple[str, ...]
    encrypted: str
    suppressed: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """What one pipeline makes of its records."""

    name: str
    policy: str
    version: int
    owner: str
    purpose: str
    source: str
    kept: str
    features: tuple[str, ...]
    never: tuple[str, ...]
    fields: tuple[FieldEntry, ...]
    outputs: tuple[OutputEntry, ...]


@dataclass(frozen=True, slots=True)
class RecipientEntry:
    """One third party: how it stands to us, what it gets and gives, and what is agreed."""

    name: str
    standing: str
    about: str
    functions: tuple[str, ...]
    fields: tuple[str, ...]
    contract: str


@dataclass(frozen=True, slots=True)
class Ran:
    """What the receipts of an output tell: how many changes of which kind, over which dates, under which policy the last."""

    receipts: int
    kinds: tuple[str, ...]
    first: str
    last: str
    dates: str
    policy: str
    as_today: bool


@dataclass(frozen=True, slots=True)
class Activity:
    """One processing activity, by the letters of GDPR Art. 30(1): b purposes, c subjects and data, d recipients, f limits,
    g measures; and what receipts tell of it. `ran` is None where nothing was published yet.
    """

    name: str
    owner: str
    purposes: tuple[str, ...]
    subjects: str
    data: tuple[str, ...]
    recipients: tuple[str, ...]
    limits: tuple[str, ...]
    measures: tuple[str, ...]
    ran: Ran | None


@dataclass(frozen=True, slots=True)
class Record:
    """The record of processing: who answers (a), where data goes (e), each activity, and what is not stated yet.

    house  what `processing:` of `minimize.yaml` says, by its words
    """

    house: tuple[tuple[str, str], ...]
    activities: tuple[Activity, ...]
    recipients: tuple[RecipientEntry, ...]
    subprocessors: tuple[Subprocessor, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """Both documents."""

    catalogue: tuple[Dataset, ...]
    record: Record

    def as_json(self) -> dict[str, Any]:
        """Both as JSON."""
        record = asdict(self.record) | {"house": dict(self.record.house)}
        record["subprocessors"] = [each.as_json() for each in self.record.subprocessors]
        return {"catalogue": [asdict(each) for each in self.catalogue], "processing": record}
