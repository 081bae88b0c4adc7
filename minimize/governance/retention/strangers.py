"""Whether anybody knows a tenant: the ledger, settings, and what stands in outputs. A word that is wrong closes nobody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc

from minimize.canonical import canonical, canonical_text
from minimize.errors import LedgerError, MinimizeError
from minimize.governance.retention.recording import seen_outputs
from minimize.governance.retention.rules import fields_of
from minimize.governance.retention.written import Reading, Written, writers
from minimize.io.history import has_runs
from minimize.io.hive import value_of
from minimize.io.places import place_of
from minimize.io.published import receipts
from minimize.io.stored import open_stored
from minimize.job.collecting import load_job_settings
from minimize.job.origin import pipeline_behind
from minimize.job.strangers import close_to, tenants_of
from minimize.keys import Keyring, find_kms
from minimize.nested import leaf
from minimize.policy.fields import ways_of
from minimize.receipt import OutputFile, in_force
from minimize.stores import Place, local
from minimize.switching import House
from minimize.techniques.keep import Keep


def stranger(tenant: str, house: House) -> tuple[str, ...] | None:
    """Names that are close to a tenant that nobody knows; None where somebody does, or nobody can tell.

    Asks the ledger, then of each output its folders' names, its pipeline's settings, and the records of its newest date. Where
    an output does not show tenants as they came in, or there is no ledger yet, nobody can tell. Raises KeyringError.
    """
    from minimize.ledger.tenants import tenants_named

    keys = house.keyring()
    known, places = set[str](), list[Place]()
    with suppress(LedgerError), house.opened() as ledger:
        known |= tenants_named(ledger)
        places += [] if tenant in known else seen_outputs(ledger, house)()
    for place in places:
        for names in _Looking(place, keys).names():
            if names is None:
                return None
            known |= names
            if tenant in known:
                return None
    return None if not known or tenant in known else close_to(tenant, known)


@dataclass(frozen=True)
class _Looking:
    """One output, and what tells tenants there; None in place of names: it does not show them."""

    place: Place
    keys: Keyring

    def names(self) -> Iterator[set[str] | None]:
        with suppress(MinimizeError, OSError):
            yield from self._names()

    def _names(self) -> Iterator[set[str] | None]:
        chain = receipts(self.place) if has_runs(self.place) else ()
        if not chain:
            return
        job = pipeline_behind(self.place, chain[-1], None)
        rows = None if job.settings in (None, "ledger") else load_job_settings(None, job, self.keys)
        if rows is not None:
            yield set(tenants_of(rows))
        files = in_force(chain).get("records", ())
        yield {value for file in files for value in _in_folders(file.path, str(job.policy.tenant))}
        newest = max((place_of(file.path)[1] or "" for file in files), default="")
        by, reading = writers(chain), Reading(job.policy.purposes)
        for file in files:
            if (place_of(file.path)[1] or "") == newest:
                yield self._in(file, Written(self.place, by[file.path], reading))

    def _in(self, file: OutputFile, written: Written) -> set[str] | None:
        """The tenants of one file."""
        stored, policy = open_stored(self.place, file.path, find_kms(self.keys, local(self.place))), written.policy
        key = policy.tenant
        pointer = None if key is None else fields_of(policy, stored.whole).get(key)
        ways = [] if key is None or pointer is None else [way for way in ways_of(policy.fields[key]) if way != "drop"]
        if pointer is None or pointer.stars or not all(isinstance(step, Keep) for way in ways for step in way):
            return None
        found: set[str] = set()
        for batch in stored.batches(columns=[pointer.top]):
            found |= set(pc.unique(canonical(leaf(batch, pointer).values.cast(pa.string()))).to_pylist()) - {None}
        return found


def _in_folders(path: str, tenant: str) -> Iterator[str]:
    for part in PurePosixPath(path).parts[:-1]:
        key, value = value_of(part)
        if key == tenant and value is not None:
            yield canonical_text(value)
