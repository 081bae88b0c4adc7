"""Settings from the ledger, where subjects stand as tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.canonical import canonical
from minimize.errors import KeyringError
from minimize.keys import Keyring
from minimize.ledger.tokens import secrets_of, version_in
from minimize.settings.base import SCHEMA
from minimize.settings.rows import SettingsRows
from minimize.settings.seen import Explained, SeenSettings
from minimize.settings.veiled import Veiled

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger
    from minimize.ledger.settings import Recorded


def from_ledger(ledger: Ledger, keys: Keyring | None) -> LedgerRows:
    """The rows of an open ledger. Raises LedgerError, and KeyringError where a subject's token is of a key that is not there."""
    from minimize.ledger.settings import recorded

    return as_rows(recorded(ledger), keys, str(ledger.address))


def as_rows(rows: Sequence[Recorded], keys: Keyring | None, place: str) -> LedgerRows:
    """Recorded settings as the rows of a run."""
    columns = [pa.array([getattr(row, name) for row in rows], SCHEMA.field(name).type) for name in SCHEMA.names]
    tenants = canonical(columns[0])
    padded = [] if tenants is columns[0] else np.flatnonzero(pc.not_equal(tenants, columns[0]).fill_null(True)).tolist()
    table = pa.table([tenants, *columns[1:]], schema=SCHEMA)
    found = LedgerRows(table, file=place, noncanonical=padded, keys=keys)
    if found.versions and keys is None:
        hint = "--keys FILE or MINIMIZE_KEYS: subjects stand in the ledger as keyed tokens"
        raise KeyringError("no keyring, and some subjects have settings of their own", hint=hint)
    if keys is not None:
        secrets_of(keys, found.versions)
    return found


@dataclass(frozen=True)
class LedgerRows(SettingsRows):
    """Settings of the ledger."""

    keys: Keyring | None = field(default=None, repr=False)

    def at(self, run_at: datetime) -> Explained:
        """The settings as a run at this time sees them."""
        seen = super().at(run_at)
        if not isinstance(seen, SeenSettings) or self.keys is None or not self.tokens:
            return seen
        return Veiled(seen, self.tokens, secrets_of(self.keys, self.versions), self.folding)

    @cached_property
    def tokens(self) -> dict[str, frozenset[str]]:
        """Per tenant the tokens of the subjects that have settings of their own."""
        own: dict[str, set[str]] = {}
        pairs = self.table.select(["tenant_id", "subject"]).to_pylist()
        for pair in pairs:
            if pair["subject"] is not None:
                own.setdefault(pair["tenant_id"], set()).add(pair["subject"])
        return {tenant: frozenset(tokens) for tenant, tokens in own.items()}

    @property
    def versions(self) -> set[int]:
        """The versions of the key that tokens were made with."""
        found = {version_in(token) for tokens in self.tokens.values() for token in tokens}
        return {version for version in found if version is not None}
