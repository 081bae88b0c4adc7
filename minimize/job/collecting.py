"""The collection settings of a pipeline: those that were given, else those that it names, in a file or in the ledger."""

from __future__ import annotations

from os import PathLike
from typing import Any, Final

from minimize.keys import Keyring
from minimize.ledger import find_ledger
from minimize.policy.load import straight
from minimize.policy.pipeline import Pipeline
from minimize.settings import SettingsRows, load_settings
from minimize.stores import Anywhere

LEDGER: Final = "ledger"
"""What a pipeline says instead of a path, where its settings stand in the ledger."""


def load_job_settings(
    settings: Any,
    job: Pipeline,
    keys: Keyring | None = None,
    output: Anywhere | None = None,
    ledger: str | PathLike[str] | None = None,
) -> SettingsRows | None:
    """The settings that count; None where nothing names any: every feature is off.

    Takes what was given instead of the pipeline's (a path, a table, `ledger`), the keyring, the output folder that may hold the
    ledger, and the ledger that was given. Raises PolicyError, LedgerError, and KeyringError where a key that subjects are told
    by is not there.
    """
    said = job.settings if settings is None else settings
    if said is None:
        return None
    if isinstance(said, str) and said == LEDGER:
        return _of_ledger(ledger, job, keys, output)
    return load_settings(straight(job.folder / said) if settings is None else said).compared(job.policy.folding)


def _of_ledger(
    ledger: str | PathLike[str] | None, job: Pipeline, keys: Keyring | None, output: Anywhere | None
) -> SettingsRows:
    from minimize.ledger.ledger import open_ledger
    from minimize.settings.ledger import from_ledger

    with open_ledger(find_ledger(ledger, start=job.folder, output=job.target(output))) as book:
        return from_ledger(book, keys).compared(job.policy.folding)
