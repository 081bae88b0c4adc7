"""Settings of the ledger, where subjects are keyed tokens: the subjects of records become tokens before the lookup.

Only records of tenants with subject settings are tokenized, once for each distinct subject.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.errors import KeyringError
from minimize.identifiers import NO_FOLDING, CaseFolding, canonical_column
from minimize.keys import Keyring
from minimize.ledger.settings import SETTING
from minimize.ledger.subject_tokens import TokenIndex, token_secrets, token_version
from minimize.settings.columns import SubjectPairs, check_token_keys
from minimize.settings.evaluation import (
    SETTINGS_SCHEMA,
    EffectiveSettings,
    ExplainableSettings,
    FeatureSwitch,
    SettingRow,
)
from minimize.settings.rows import SettingsRows

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger
    from minimize.ledger.settings import RecordedSetting

UNTOKENIZED: Final = "-"
"""Represents a subject without a setting of its own. No token has this form."""
_REMEMBERED: Final = 1_000_000


@dataclass
class TokenizedSettings:
    """Settings over tokens, as known to one run. Key bytes exist only in this process: a pickle has none (see `with_keys`)."""

    effective: EffectiveSettings
    tokens: Mapping[str, frozenset[str]] = field(repr=False)
    """Per tenant, the tokens that have a setting of their own."""
    secrets: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    folding: CaseFolding = NO_FOLDING
    _token_cache: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict, repr=False)

    @property
    def digest(self) -> str:
        """`sha256:` over the known rows, in a canonical order."""
        return self.effective.digest

    def as_of(self, at: int) -> TokenizedSettings:
        """The same rows as known to a run at another time."""
        return replace(self, effective=self.effective.as_of(at))

    def feature_on(
        self, switch: FeatureSwitch, tenants: pa.Array, subjects: pa.Array | None, times: pa.Array | None
    ) -> pa.BooleanArray:
        """For each record, whether the feature was on at its time and is on now; see `Settings`."""
        each = self._tokenize_subjects(tenants, subjects)
        return reduce(pc.and_, (self.effective.feature_on(switch, tenants, own, times) for own in each))

    def level_at_least(
        self, level: str, levels: Sequence[str], tenants: pa.Array, subjects: pa.Array | None, times: pa.Array | None
    ) -> pa.BooleanArray:
        """For each record, whether the level was reached at its time and is reached now; see `Settings`."""
        each = self._tokenize_subjects(tenants, subjects)
        return reduce(pc.and_, (self.effective.level_at_least(level, levels, tenants, own, times) for own in each))

    def deciding_rows(
        self, tenant: str, setting: str, when: datetime, subject: str | None = None, levels: Sequence[str] = ()
    ) -> tuple[SettingRow, ...]:
        """The rows in force at a time; see `EffectiveSettings.deciding_rows`."""
        tokens = [None] if subject is None else self._tokens(tenant, subject)
        found = (row for token in tokens for row in self.effective.deciding_rows(tenant, setting, when, token, levels))
        return tuple(dict.fromkeys(found))

    def with_keys(self, keys: Keyring) -> TokenizedSettings:
        """The same settings with the keys of the subject tokens, in another process. Raises KeyringError."""
        return replace(self, secrets=token_secrets(keys, self._versions), _token_cache={})

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: without keys and subjects."""
        state = {"effective": self.effective, "tokens": self.tokens, "folding": self.folding}
        return {**state, "secrets": {}, "_token_cache": {}}

    @cached_property
    def _index(self) -> TokenIndex:
        return TokenIndex(self.tokens, self.folding)

    @cached_property
    def _versions(self) -> set[int]:
        found = {token_version(token) for tokens in self.tokens.values() for token in tokens}
        return {version for version in found if version is not None}

    def _tokenize_subjects(self, tenants: pa.Array, subjects: pa.Array | None) -> list[pa.Array | None]:
        """The subjects as tokens, if they have a setting of their own; null stays null.

        One column, or more if a subject has several tokens: a value is collected if all of them permit it.
        """
        if subjects is None or not self.tokens:
            return [subjects]
        check_token_keys(self._versions, self.secrets)
        pairs = SubjectPairs.from_columns(tenants, subjects, self._index)
        found = [self._tokens(tenant, subject) for tenant, subject in pairs.names]
        codes = np.zeros(len(subjects), np.int64)
        codes[pairs.rows] = pairs.places + 1
        own = pa.array(codes, pa.int32(), mask=subjects.is_null().to_numpy(zero_copy_only=False))
        turns = range(max(map(len, found), default=1))
        layers = ([UNTOKENIZED, *(tokens[min(turn, len(tokens) - 1)] for tokens in found)] for turn in turns)
        return [pa.DictionaryArray.from_arrays(own, pa.array(layer, pa.string())) for layer in layers]

    def _tokens(self, tenant: str, subject: str) -> tuple[str, ...]:
        """The tokens under which a subject has settings, by the key version with which they were made.

        There is one (a change uses the existing token), unless rows with tokens were imported from another ledger, or ids that
        differ in case are one subject.
        """
        known = self._token_cache.get((tenant, subject))
        if known is None:
            known = tuple(token for _, token in self._index.find(self.secrets, tenant, subject)) or (UNTOKENIZED,)
            if len(self._token_cache) >= _REMEMBERED:
                self._token_cache.clear()
            self._token_cache[tenant, subject] = known
        return known


def load_ledger_settings(ledger: Ledger, keys: Keyring | None) -> LedgerRows:
    """The rows of an open ledger. Raises LedgerError, and KeyringError if the key of a subject's token is missing."""
    return ledger_rows(ledger.find(SETTING), keys, str(ledger.address))


def ledger_rows(rows: Sequence[RecordedSetting], keys: Keyring | None, place: str) -> LedgerRows:
    """Recorded settings as the rows of a run."""
    columns = [
        pa.array([getattr(row, name) for row in rows], SETTINGS_SCHEMA.field(name).type)
        for name in SETTINGS_SCHEMA.names
    ]
    tenants = canonical_column(columns[0])
    padded = [] if tenants is columns[0] else np.flatnonzero(pc.not_equal(tenants, columns[0]).fill_null(True)).tolist()
    table = pa.table([tenants, *columns[1:]], schema=SETTINGS_SCHEMA)
    found = LedgerRows(table, file=place, noncanonical=padded, keys=keys)
    if found.versions and keys is None:
        hint = "Pass --keys FILE or set MINIMIZE_KEYS. The ledger stores subjects as keyed tokens."
        raise KeyringError("no keyring found; one is needed for the settings of single subjects", hint=hint)
    if keys is not None:
        token_secrets(keys, found.versions)
    return found


@dataclass(frozen=True)
class LedgerRows(SettingsRows):
    """Settings of the ledger."""

    keys: Keyring | None = field(default=None, repr=False)

    def effective_at(self, run_at: datetime) -> ExplainableSettings:
        """The settings as known to a run at this time."""
        seen = super().effective_at(run_at)
        if not isinstance(seen, EffectiveSettings) or self.keys is None or not self.tokens:
            return seen
        return TokenizedSettings(seen, self.tokens, token_secrets(self.keys, self.versions), self.folding)

    @cached_property
    def tokens(self) -> dict[str, frozenset[str]]:
        """Per tenant, the tokens of the subjects that have settings of their own."""
        own: dict[str, set[str]] = {}
        pairs = self.table.select(["tenant_id", "subject"]).to_pylist()
        for pair in pairs:
            if pair["subject"] is not None:
                own.setdefault(pair["tenant_id"], set()).add(pair["subject"])
        return {tenant: frozenset(tokens) for tenant, tokens in own.items()}

    @property
    def versions(self) -> set[int]:
        """The key versions with which tokens were made."""
        found = {token_version(token) for tokens in self.tokens.values() for token in tokens}
        return {version for version in found if version is not None}
