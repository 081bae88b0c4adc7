"""What a report can look at: an output, its receipts, and whatever else of the house can be had here. What cannot is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from os import PathLike
from typing import Final, TypeVar

from minimize.errors import (
    CheckFailed,
    ConfigurationError,
    KeyringError,
    LedgerError,
    MinimizeError,
    OutputError,
    PolicyError,
    SchemaError,
    SourceError,
)
from minimize.governance.retention.written import Reading, Written
from minimize.io.published import receipts
from minimize.job.origin import pipeline_behind
from minimize.keys import Keyring, Kms, find_keyring, find_kms
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.receipt import Receipt, check_chain, check_history
from minimize.report.facts import Hidden
from minimize.stores import Anywhere, Place, local, output_at
from minimize.switching import House

Path = str | PathLike[str]
T = TypeVar("T")
_WHY: Final = (
    (KeyringError, "no key for it is to be had here"),
    (LedgerError, "no ledger can be read here"),
    (PolicyError, "it is not found here, or has faults"),
    (OutputError, "files of it are missing or damaged"),
    (SourceError, "the source is gone, or is not what the receipts tell"),
    (SchemaError, "the source is gone, or is not what the receipts tell"),
    (ConfigurationError, "where it lies is not known here"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report was asked for, beside the output: what stands in for the places that receipts name, and whether the source
    is read again."""

    at: datetime
    pipeline: Path | None = None
    settings: Path | None = None
    recipients: Path | None = None
    keys: Keyring | Path | None = None
    ledger: Path | None = None
    source: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """An output as it stands.

    job     the pipeline of today; None where it is not known here
    keys    the keyring; None where there is none
    hidden  what cannot be shown, as it is found out
    """

    output: Place
    asked: Asked
    chain: tuple[Receipt, ...] = field(repr=False)
    job: Pipeline | None
    keys: Keyring | None
    hidden: list[Hidden] = field(default_factory=list)
    reading: Reading = field(default_factory=Reading, repr=False)

    @property
    def kms(self) -> Kms | None:
        """Who keeps the master keys of encrypted files."""
        return None if self.keys is None else find_kms(self.keys, local(self.output))

    @property
    def house(self) -> House:
        """Where the ledger and the recipients are looked for."""
        return House(self.asked.ledger, local(self.output), self.job, self.keys)

    @property
    def newest(self) -> Receipt:
        """The last receipt of a run, else the last of all."""
        return next((each for each in reversed(self.chain) if is_run(each)), self.chain[-1])

    def policy_of(self, receipt: Receipt) -> Policy:
        """The policy that stands beside a receipt. Raises PolicyError, OutputError."""
        return Written(self.output, receipt, self.reading).policy

    def try_to(self, what: str, work: Callable[[], T]) -> T | None:
        """What the work gives; None where it is refused, and then it is said that this part is not shown."""
        try:
            return work()
        except MinimizeError as error:
            self.hide(what, why_not(error))
        return None

    def hide(self, what: str, why: str) -> None:
        """Says that a part is not shown."""
        if Hidden(what, why) not in self.hidden:
            self.hidden.append(Hidden(what, why))


def stand(output: Anywhere, asked: Asked) -> Standing:
    """An output, found and checked: its receipts must hold together where a key is there.

    Raises OutputError where there are no receipts or one is damaged, ConfigurationError for a pipeline that was named and is
    not there, KeyringError for such a keyring, CheckFailed where receipts contradict each other or their signatures.
    """
    folder = output_at(output)
    chain = receipts(folder)
    if not chain:
        raise OutputError("nothing was published here yet", hint="`minimize run` does")
    hidden: list[Hidden] = []
    job = _job(folder, chain, asked, hidden)
    keys = find_keyring(asked.keys, local(folder) if job is None else job.folder)
    if keys is None:
        hidden.append(Hidden("whether the receipts are genuine", "no keyring is named here"))
    else:
        _check(chain, keys)
    return Standing(folder, asked, chain, job, keys, hidden, Reading(() if job is None else job.policy.purposes))


def is_run(receipt: Receipt) -> bool:
    """Whether a receipt tells of records that came from their source."""
    return receipt.kind in ("run", "replay") or (receipt.kind == "retract" and receipt.from_ == "source")


def why_not(error: MinimizeError) -> str:
    """Why a part is not shown: the kind of trouble alone, for messages name places of this machine."""
    return next((why for kind, why in _WHY if isinstance(error, kind)), "it was refused here")


def _job(folder: Place, chain: tuple[Receipt, ...], asked: Asked, hidden: list[Hidden]) -> Pipeline | None:
    try:
        return pipeline_behind(folder, chain[-1], asked.pipeline)
    except ConfigurationError as error:
        if asked.pipeline is not None:
            raise
        why = why_not(error)
    hidden.append(Hidden("what today's pipeline and policy say", why))
    return None


def _check(chain: tuple[Receipt, ...], keys: Keyring) -> None:
    faults = [*check_chain(chain, keys), *check_history(chain)]
    if faults:
        message = "the receipts do not hold together, and nothing is told by them"
        raise CheckFailed(message, hint="`minimize verify` says more", findings=faults)
