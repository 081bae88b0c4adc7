"""Load recipients from a folder with one file per recipient, and the dated list of subprocessors, with all faults at once.

Contracts of tenants with recipients: the file of `contracts:` in `minimize.yaml`, and the form in the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from minimize.config_search import ConfigStart, load_config
from minimize.errors import Finding, PolicyError
from minimize.forms import Form, Reading, examine_file, examine_mapping
from minimize.forms.values import Day, LastDay, Name, parse_duration
from minimize.forms.yaml_nodes import FaultList, require_sound
from minimize.policy.model import configured_purposes
from minimize.recipients.model import Contract, Recipient
from minimize.results import json_object
from minimize.stores import PathText
from minimize.text import did_you_mean
from minimize.times import duration_text


class Subprocessor(Form):
    """A processor, from its first day on the list to the first day without it."""

    noun = "an entry of the list"

    name: str = Field(description="The name that recipients use in `subprocessor`.")
    from_: Day = Field(validation_alias="from", description="The first day on which it is listed.")
    until: LastDay = Field(default=None, description="The first day on which it is no longer listed.")
    about: str = Field(default="", description="Its task.")
    line: SkipJsonSchema[int | None] = None

    def check(self, reading: Reading) -> None:
        """Records an entry that ends before it begins."""
        if self.until is not None and self.until <= self.from_:
            hint = "Correct `until`, which is the first day without it."
            reading.fault("T005", "the entry ends before it begins", hint=hint)

    def to_json(self) -> dict[str, str | None]:
        """The entry as a JSON object."""
        return json_object({"name": self.name, "from": self.from_, "until": self.until, "about": self.about})

    def overlaps(self, entry: Subprocessor) -> bool:
        """Whether both entries are valid on some day."""
        return (entry.until is None or self.from_ < entry.until) and (self.until is None or entry.from_ < self.until)


class Subprocessors(Form):
    """The processors that process data on our behalf. A name may occur more than once, with different dates."""

    noun = "a list of subprocessors"
    stand_ins = MappingProxyType({"subprocessors": ()})

    entries: tuple[Subprocessor, ...] = Field(
        validation_alias="subprocessors", description="The entries, in any order."
    )
    path: SkipJsonSchema[Path | None] = None

    def is_listed(self, name: str, on: date) -> bool:
        """Whether a name is on the list on a day.

        >>> Subprocessors(entries=(Subprocessor(name="Ann", from_=date(2026, 1, 1)),)).is_listed("Ann", date(2025, 12, 31))
        False
        """
        return any(
            entry.name == name and entry.from_ <= on and (entry.until is None or on < entry.until)
            for entry in self.entries
        )


def load_recipient(path: str | Path, purposes: Sequence[str] = ()) -> Recipient:
    """The recipient in a file.

    Takes the path, and purposes in addition to the closed list and the nearest `minimize.yaml`.
    Raises PolicyError with every fault as a finding, or if the file cannot be read.
    """
    recipient, faults = examine_recipient(path, purposes)
    return require_sound(recipient, faults, "recipient")


def recipient_from(mapping: Mapping[str, Any], purposes: Sequence[str] = ()) -> Recipient:
    """The recipient in a mapping with the keys of a file. Raises PolicyError with every fault as a finding.

    >>> recipient_from({"recipient": "r", "standing": "independent_controller", "functions": {}}).functions
    {}
    """
    return require_sound(*examine_mapping(Recipient, mapping, purposes), "recipient")


def examine_recipient(path: str | Path, purposes: Sequence[str] = ()) -> tuple[Recipient | None, list[Finding]]:
    """The recipient as far as it can be read, with every fault, for lint. Never share with a recipient that has faults."""
    file, faults = Path(path), FaultList()
    recipient, findings = examine_file(
        Recipient, file, (*purposes, *configured_purposes(load_config(file.parent), faults))
    )
    return recipient, sorted([*faults.found, *findings], key=lambda finding: (finding.file or "", finding.line or 0))


def load_subprocessors(path: str | Path) -> Subprocessors:
    """The list of subprocessors in a file; empty if the file does not exist. Raises PolicyError."""
    subprocessors, faults = examine_subprocessors(path)
    return require_sound(subprocessors, faults, "list of subprocessors")


def examine_subprocessors(path: str | Path) -> tuple[Subprocessors, list[Finding]]:
    """The list as far as it can be read, with every fault."""
    file = Path(path)
    if not file.exists():
        return Subprocessors(entries=(), path=file), []
    subprocessors, faults = examine_file(Subprocessors, file)
    return subprocessors or Subprocessors(entries=(), path=file), faults


RECIPIENTS_FOLDER: Final = "recipients"
SUBPROCESSORS_FILE: Final = "subprocessors.yaml"


@dataclass(frozen=True, slots=True)
class Recipients:
    """The recipients in a folder. A file is read when its recipient is requested."""

    folder: Path
    subprocessors: Subprocessors

    @classmethod
    def empty(cls) -> Self:
        """No recipients, and an empty list of subprocessors."""
        return cls(Path(), Subprocessors(entries=()))

    def names(self) -> tuple[str, ...]:
        """The names of the recipients, sorted."""
        return tuple(file.stem for file in recipient_files(self.folder))

    def load(self, name: str) -> Recipient:
        """The recipient of this name. Raises PolicyError if it does not exist, or its file has faults."""
        known = self.names()
        if name not in known:
            hint = did_you_mean(name, known) or "Add a file for it to that folder."
            raise PolicyError(f"there is no recipient `{name}` in {self.folder}", hint=hint)
        return load_recipient(self.folder / f"{name}.yaml")

    def is_listed(self, recipient: Recipient, on: date) -> bool:
        """Whether the list of subprocessors permits a recipient on a day: a processor must be listed."""
        if recipient.standing == "independent_controller":
            return True
        return recipient.subprocessor is not None and self.subprocessors.is_listed(recipient.subprocessor, on)


def load_recipients(folder: PathText) -> Recipients:
    """The recipients in a folder, and its list of subprocessors. Raises PolicyError."""
    place = Path(folder)
    return Recipients(place, load_subprocessors(place / SUBPROCESSORS_FILE))


def load_configured_recipients(recipients: Recipients | PathText | None, start: ConfigStart = None) -> Recipients:
    """The recipients in the configured folder, unless they are loaded already.

    Takes the arguments of `find_recipients`. Raises PolicyError.
    """
    return (
        recipients if isinstance(recipients, Recipients) else load_recipients(find_recipients(recipients, start=start))
    )


def find_recipients(path: PathText | None = None, *, start: ConfigStart = None) -> Path:
    """The configured folder of recipients.

    The order is: the path of an option; `recipients:` of the nearest `minimize.yaml` upwards from a folder; `recipients/` next
    to that file; `recipients/` in the folder or its `pipelines/`. Raises PolicyError, which lists the searched places.
    """
    places = list(_candidate_folders(path, start))
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        hint = f"Create one of: {', '.join(map(str, places))}."
        raise PolicyError("the folder of recipients does not exist", hint=hint)
    return folder


def recipient_files(folder: Path) -> list[Path]:
    """The recipients' files of a folder, sorted."""
    return sorted(file for file in folder.glob("*.yaml") if file.name != SUBPROCESSORS_FILE and file.is_file())


def _candidate_folders(folder: PathText | None, start: ConfigStart) -> Iterator[Path]:
    config = load_config(start).checked("recipients", PolicyError)
    if folder:
        yield Path(folder)
    elif config.path is not None:
        yield config.folder / (config.recipients or RECIPIENTS_FOLDER)
    else:
        yield from (
            (config.start or Path()) / RECIPIENTS_FOLDER,
            (config.start or Path()) / "pipelines" / RECIPIENTS_FOLDER,
        )


class TenantContract(Contract):
    """The contract of one tenant with one recipient."""

    noun = "a contract"

    tenant: str = Field(description="The tenant.", examples=["contoso"])
    recipient: Name = Field(description="The recipient.")


class TenantContracts(Form):
    """The contracts of tenants. A contract in the ledger replaces those of the file for its tenant and recipient."""

    noun = "a file of contracts"
    stand_ins = MappingProxyType({"contracts": ()})

    contracts: tuple[TenantContract, ...] = Field(description="The contracts, in any order.")
    path: SkipJsonSchema[Path | None] = None


def load_contracts(start: ConfigStart) -> tuple[TenantContract, ...]:
    """The contracts in the file that the nearest `minimize.yaml` names; none if it names no file.

    Raises PolicyError with every fault as a finding, or if the file does not exist.
    """
    config = load_config(start).checked("contracts", PolicyError)
    if config.contracts is None:
        return ()
    contracts, faults = examine_file(TenantContracts, config.folder / config.contracts)
    return require_sound(contracts, faults, "file of contracts").contracts


def contract_terms(contract: Contract) -> dict[str, Any]:
    """A contract as JSON, with the keys of a recipient's file.

    >>> contract_terms(Contract(reference="C-1", from_=date(2026, 1, 1)))["from"]
    '2026-01-01'
    """
    return {
        "reference": contract.reference,
        "from": contract.from_.isoformat(),
        "until": None if contract.until is None else contract.until.isoformat(),
        "permits_transmission": contract.permits_transmission,
        "permitted_fields": list(contract.permitted_fields),
        "retention": None if contract.retention is None else duration_text(contract.retention),
        "deletes_within": None if contract.deletes_within is None else duration_text(contract.deletes_within),
    }


def contract_from_terms(terms: Mapping[str, Any]) -> Contract:
    """The contract of its JSON form. Many tenants have the same terms, so each form is read once."""
    return _read_terms(json.dumps(terms))


@lru_cache(maxsize=1024)
def _read_terms(text: str) -> Contract:
    terms = json.loads(text)
    until = terms["until"]
    return Contract(
        reference=terms["reference"],
        from_=date.fromisoformat(terms["from"]),
        until=None if until is None else date.fromisoformat(until),
        permits_transmission=terms["permits_transmission"],
        permitted_fields=tuple(terms["permitted_fields"]),
        retention=parse_duration(terms["retention"]),
        deletes_within=parse_duration(terms["deletes_within"]),
    )
