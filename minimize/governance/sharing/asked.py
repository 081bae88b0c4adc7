"""What an act of sharing was asked, resolved: the other side, the policy, settings, keys, and where the ledger is."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from minimize.errors import ConfigurationError, KeyringError, OutputError
from minimize.governance.sharing.composing import Composed
from minimize.governance.sharing.connecting import Connector
from minimize.io import FORMATS, published
from minimize.io.base import Request
from minimize.io.history import RUNS
from minimize.io.memory import memory
from minimize.job.collecting import LEDGER, load_job_settings
from minimize.job.given import as_pipeline
from minimize.keys import Keyring, find_keyring, find_kms
from minimize.ledger import Address, find_ledger
from minimize.minimizer import Rereadable
from minimize.policy.load import load_policy
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline, RecordsModel
from minimize.recipients import Function, Recipient, Recipients
from minimize.recipients.party import Party, party
from minimize.settings import SettingsRows, load_settings
from minimize.settings.erased import ErasedRows

PathLike = str | os.PathLike[str]
"""Makes a call with what it is given, and keeps nothing of the secrets in it."""


@dataclass(frozen=True, slots=True)
class Places:
    """What an act is asked with: each as it was given, None where nothing was."""

    policy: Policy | PathLike | None = None
    pipeline: Pipeline | PathLike | None = None
    settings: Any = None
    keys: Keyring | PathLike | None = None
    ledger: PathLike | None = None
    recipients: Recipients | PathLike | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """Everything that stands before data is looked at.

    whens     the moments at which all must hold; settings count as of the last
    wanted    the fields that were asked for; None for all that may leave
    existing  what is there of what functions require
    connector makes the recipient's call, where secrets pass through it
    """

    party: Party
    policy: Policy
    job: Pipeline | None
    purpose: str | None
    keys: Keyring
    rows: SettingsRows | None
    ledger: Address
    folder: Path
    whens: tuple[datetime, ...]
    wanted: tuple[str, ...] | None
    existing: frozenset[str]
    must_be: str | None
    connector: Connector | None = None

    @property
    def at(self) -> datetime:
        """The time of the act."""
        return self.whens[-1]

    @property
    def recipient(self) -> Recipient:
        """Who is to get it."""
        return self.party.recipient

    def deciding(self) -> frozenset[str]:
        """The fields that are read to know whose records must not leave, because somebody is gone who is named by them."""
        from minimize.ledger.ledger import open_ledger

        if not self.ledger.exists:
            return frozenset()
        with open_ledger(self.ledger) as ledger:
            return ErasedRows.of_ledger(ledger).fields

    def pipeline(self, composed: Composed, function: Function, records: RecordsModel) -> Pipeline | None:
        """The pipeline as far as its records go, under the policy of what leaves."""
        if self.job is None:
            return None
        changes = {"policy": composed.policy, "purpose": function.purpose, "records": records, "aggregates": {}}
        return self.job.model_copy(update=changes)


def resolve(
    recipient: str | Recipient,
    function: str,
    places: Places,
    *,
    whens: tuple[datetime, ...],
    purpose: str | None = None,
    fields: Collection[str] | None = None,
    existing: Collection[str] = (),
    must_be: str | None = None,
    connector: Connector | None = None,
) -> Asked:
    """Everything that an act was asked, found. Raises ConfigurationError and its kin."""
    job, policy = _policy(places)
    folder = _folder(job, policy)
    keys = find_keyring(places.keys, folder)
    if keys is None:
        raise KeyringError("no keyring, and every disclosure is signed", hint="--keys FILE or MINIMIZE_KEYS")
    if policy.tenant is None:
        raise ConfigurationError("the policy names no tenant, so that nobody can be asked", hint="say `tenant: FIELD`")
    output = None if job is None else job.folder / job.output
    ledger = find_ledger(places.ledger, start=folder, output=output)
    known = None if job is None or job.records is None else job.records.must_be
    return Asked(
        party=party(recipient, function, "outbound", places.recipients, folder, whens),
        policy=policy,
        job=job,
        purpose=purpose,
        keys=keys,
        rows=_settings(places.settings, job, policy, keys, ledger),
        ledger=ledger,
        folder=folder,
        whens=whens,
        wanted=None if fields is None else tuple(fields),
        existing=frozenset(existing),
        must_be=must_be or known,
        connector=connector,
    )


def source_of(data: Any, wanted: Request) -> Rereadable:
    """The data as a source: a file by its ending, else data in memory. Raises SchemaError with the whole diff.

    Raises OutputError for an output folder in which no run has published.
    """
    if not isinstance(data, str | os.PathLike):
        return memory(data, wanted)
    path = Path(data)
    kinds = {".parquet": "parquet", ".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
    kind = next((kinds[ending] for ending in path.suffixes if ending in kinds), None)
    if path.is_dir() or not path.suffix:
        raise OutputError(
            f"nothing was published in {path} yet", hint="run the pipeline first: `minimize run PIPELINE`"
        )
    if kind is None or not path.is_file():
        raise ConfigurationError("the data's path is no file that can be read", hint="a .parquet, .ndjson or .csv file")
    return FilesAgain(FORMATS[kind]([path], path.parent, wanted))


def opened(data: Any, keys: Keyring) -> Any:
    """The records in force, where data is the folder of an output, opened with its keys; else data as it was given.

    Files whose keys were destroyed are left out, with a warning.
    """
    if isinstance(data, str | os.PathLike) and (Path(data) / RUNS).is_dir():
        return published.read(Path(data), kms=find_kms(keys, data), without_destroyed=True)
    return data


@dataclass(frozen=True, slots=True)
class FilesAgain:
    """Files as a source that can be read again."""

    source: Any
    again: bool = True

    @property
    def schema(self) -> Any:
        """As the files have it."""
        return self.source.schema

    @property
    def parts(self) -> Any:
        """The files."""
        return self.source.parts

    def only(self, keys: Collection[str]) -> FilesAgain:
        """The same with no more than these fields."""
        return replace(self, source=self.source.only(keys))


def _policy(places: Places) -> tuple[Pipeline | None, Policy]:
    if (places.policy is None) == (places.pipeline is None):
        raise ConfigurationError("sharing needs a policy or a pipeline, one of them", hint="policy=… or pipeline=…")
    if places.pipeline is not None:
        job = as_pipeline(places.pipeline)
        return job, job.policy
    policy = places.policy
    return None, policy if isinstance(policy, Policy) else load_policy(os.fspath(policy or ""))


def _folder(job: Pipeline | None, policy: Policy) -> Path:
    if job is not None:
        return job.folder
    return Path.cwd() if policy.path is None else policy.path.parent


def _settings(
    settings: Any, job: Pipeline | None, policy: Policy, keys: Keyring, ledger: Address
) -> SettingsRows | None:
    place = ledger.path if ledger.url is None else ledger.url
    if job is not None:
        return load_job_settings(settings, job, keys, None, place)
    if not (isinstance(settings, str) and settings == LEDGER):
        return None if settings is None else load_settings(settings).compared(policy.folding)
    from minimize.ledger.ledger import open_ledger
    from minimize.settings.ledger import from_ledger

    with open_ledger(ledger) as book:
        return from_ledger(book, keys).compared(policy.folding)
