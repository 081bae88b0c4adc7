"""Settings of the ledger, where subjects are keyed tokens: the subjects of records become tokens before the lookup.

Only records of tenants with subject settings are tokenized, once for each distinct subject.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.columns import SubjectPairs, check_token_keys
from minimize.errors import KeyringError
from minimize.identifiers import NO_FOLDING, CaseFolding, canonical_column
from minimize.keys import Keyring
from minimize.ledger.kinds import SETTING
from minimize.ledger.subject_tokens import TokenIndex, token_secrets, token_versions
from minimize.settings.evaluation import ROW_SCHEMA, EffectiveSettings, ExplainableSettings, FeatureSwitch, SettingRow
from minimize.settings.files import SettingsRows
from minimize.settings.timeline import NO_FIELDS, FieldIds

if TYPE_CHECKING:
    from minimize.ledger.kinds import RecordedSetting
    from minimize.ledger.ledger import Ledger

UNTOKENIZED: Final = "-"
"""Represents a subject without a setting of its own. No token has this form."""
_REMEMBERED: Final = 1_000_000


TokensByTenant = Mapping[str, frozenset[str]]
_TokenColumns = tuple[pa.Array | None, Mapping[str, FieldIds]]
"""The subjects of records, and the ids of their other fields, as tokens."""


@dataclass
class TokenizedSettings:
    """Settings over tokens, as known to one run. Key bytes exist only in this process: a pickle has none (see `with_keys`)."""

    effective: EffectiveSettings
    tokens: Mapping[str | None, TokensByTenant] = field(repr=False)
    """The tokens that have a setting of their own, by the field of their ids (None for the policy's subject) and by tenant."""
    secrets: Mapping[str | None, Mapping[int, bytes]] = field(default_factory=dict, repr=False)
    folding: CaseFolding = NO_FOLDING
    _token_cache: dict[tuple[str | None, str, str], tuple[str, ...]] = field(default_factory=dict, repr=False)
    _last: tuple[tuple[Any, ...], list[_TokenColumns]] | None = field(default=None, repr=False)

    @property
    def digest(self) -> str:
        """`sha256:` over the known rows, in a canonical order."""
        return self.effective.digest

    def as_of(self, at: int) -> TokenizedSettings:
        """The same rows as known to a run at another time."""
        return replace(self, effective=self.effective.as_of(at))

    def unmatched_subjects(self, settings: frozenset[str], fields: frozenset[str]) -> int:
        """The number of subjects that no record had; see `ExplainableSettings`."""
        return self.effective.unmatched_subjects(settings, fields)

    @property
    def fields(self) -> frozenset[str]:
        """The fields, other than the policy's subject, by which rows name their subjects."""
        return self.effective.fields

    def feature_on(
        self,
        switch: FeatureSwitch,
        tenants: pa.Array,
        subjects: pa.Array | None,
        times: pa.Array | None,
        others: Mapping[str, FieldIds] = NO_FIELDS,
    ) -> pa.BooleanArray:
        """For each record, whether the feature was on at its time and is on now; see `Settings`."""
        columns = self._tokenize(tenants, subjects, others)
        return reduce(
            pc.and_, (self.effective.feature_on(switch, tenants, tokens, times, ids) for tokens, ids in columns)
        )

    def level_at_least(
        self,
        level: str,
        levels: Sequence[str],
        tenants: pa.Array,
        subjects: pa.Array | None,
        times: pa.Array | None,
        others: Mapping[str, FieldIds] = NO_FIELDS,
    ) -> pa.BooleanArray:
        """For each record, whether the level was reached at its time and is reached now; see `Settings`."""
        columns = self._tokenize(tenants, subjects, others)
        answers = (self.effective.level_at_least(level, levels, tenants, tokens, times, ids) for tokens, ids in columns)
        return reduce(pc.and_, answers)

    def deciding_rows(
        self,
        tenant: str,
        setting: str,
        when: datetime,
        subject: str | None = None,
        levels: Sequence[str] = (),
        field: str | None = None,
    ) -> tuple[SettingRow, ...]:
        """The rows in force at a time; see `EffectiveSettings.deciding_rows`."""
        tokens = [None] if subject is None else self._tokens(field, tenant, subject)
        decide = self.effective.deciding_rows
        rows = (row for token in tokens for row in decide(tenant, setting, when, token, levels, field))
        return tuple(dict.fromkeys(rows))

    def with_keys(self, keys: Keyring) -> TokenizedSettings:
        """The same settings with the keys of the subject tokens, in another process. Raises KeyringError."""
        return replace(self, secrets=_secrets_by_field(keys, self.tokens), _token_cache={}, _last=None)

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: without keys and subjects."""
        state = {"effective": self.effective, "tokens": self.tokens, "folding": self.folding}
        return {**state, "secrets": {}, "_token_cache": {}, "_last": None}

    @cached_property
    def _indexes(self) -> dict[str | None, TokenIndex]:
        return {
            name: TokenIndex(tokens, CaseFolding(self.folding.tenant, self.folding.folds(name)))
            for name, tokens in self.tokens.items()
        }

    def _tokenize(
        self, tenants: pa.Array, subjects: pa.Array | None, others: Mapping[str, FieldIds]
    ) -> list[_TokenColumns]:
        """The ids of records as tokens, if they have a setting of their own; null stays null.

        One set of columns, or more if a subject has several tokens: a value is collected if all of them permit it. For several
        questions about one batch, they are computed once.
        """
        columns = (tenants, subjects, others)
        if self._last is None or any(old is not new for old, new in zip(self._last[0], columns, strict=True)):
            self._last = columns, list(self._token_columns(tenants, subjects, others))
        return self._last[1]

    def _token_columns(
        self, tenants: pa.Array, subjects: pa.Array | None, others: Mapping[str, FieldIds]
    ) -> Iterator[_TokenColumns]:
        subject_layers = [None] if subjects is None else self._tokenize_ids(None, tenants, subjects)
        fields = {
            name: self._tokenize_ids(
                name, tenants if ids.rows is None else tenants.take(pa.array(ids.rows)), ids.values
            )
            for name, ids in others.items()
            if name in self.tokens
        }
        turns = max(len(each) for each in (subject_layers, *fields.values()))
        for turn in range(turns):
            ids = {
                name: FieldIds(columns[min(turn, len(columns) - 1)], others[name].rows)
                for name, columns in fields.items()
            }
            yield subject_layers[min(turn, len(subject_layers) - 1)], ids

    def _tokenize_ids(self, name: str | None, tenants: pa.Array, ids: pa.Array) -> list[pa.Array]:
        """The ids of a field as tokens, in one column or more."""
        if name not in self.tokens:
            return [ids]
        secrets = self.secrets.get(name, {})
        check_token_keys(_token_versions(self.tokens[name]), secrets)
        pairs = SubjectPairs.from_columns(tenants, ids, self._indexes[name])
        tokens_by_place = [self._tokens(name, tenant, subject) for tenant, subject in pairs.names]
        codes = np.zeros(len(ids), np.int64)
        codes[pairs.rows] = pairs.places + 1
        indices = pa.array(codes, pa.int32(), mask=ids.is_null().to_numpy(zero_copy_only=False))
        turns = range(max(map(len, tokens_by_place), default=1))
        layers = ([UNTOKENIZED, *(tokens[min(turn, len(tokens) - 1)] for tokens in tokens_by_place)] for turn in turns)
        return [pa.DictionaryArray.from_arrays(indices, pa.array(layer, pa.string())) for layer in layers]

    def _tokens(self, name: str | None, tenant: str, subject: str) -> tuple[str, ...]:
        """The tokens under which a subject has settings, by the key version with which they were made.

        There is one (a change uses the existing token), unless rows with tokens were imported from another ledger, or ids that
        differ in case are one subject.
        """
        known = self._token_cache.get((name, tenant, subject))
        if known is None:
            index = self._indexes.get(name)
            tokens = () if index is None else index.find(self.secrets.get(name, {}), tenant, subject)
            known = tuple(token for _, token in tokens) or (UNTOKENIZED,)
            if len(self._token_cache) >= _REMEMBERED:
                self._token_cache.clear()
            self._token_cache[name, tenant, subject] = known
        return known


def _secrets_by_field(
    keys: Keyring, tokens: Mapping[str | None, TokensByTenant]
) -> dict[str | None, Mapping[int, bytes]]:
    """The secrets of the tokens of each field. Raises KeyringError."""
    return {
        name: token_secrets(keys, _token_versions(tokens_by_tenant), name) for name, tokens_by_tenant in tokens.items()
    }


def _token_versions(tokens: TokensByTenant) -> set[int]:
    return token_versions(token for tokens_by_tenant in tokens.values() for token in tokens_by_tenant)


def load_ledger_settings(ledger: Ledger) -> LedgerRows:
    """The rows of an open ledger. Raises LedgerError, and KeyringError if the key of a subject's token is missing."""
    return replace(ledger_rows(ledger.find(SETTING), ledger.keyring_or_none, str(ledger.address)), read_at=ledger.now)


def ledger_rows(rows: Sequence[RecordedSetting], keys: Keyring | None, place: str) -> LedgerRows:
    """Recorded settings as the rows of a run, with their names in canonical form."""
    columns = {field.name: pa.array([getattr(row, field.name) for row in rows], field.type) for field in ROW_SCHEMA}
    padded: set[int] = set()
    for name in ("tenant_id", "setting", "value", "holder"):
        words = pc.fill_null(canonical_column(columns[name], fold=name != "tenant_id"), "")
        padded |= set(np.flatnonzero(pc.not_equal(words, columns[name])).tolist())
        columns[name] = words
    setting_rows = LedgerRows(pa.table(columns, schema=ROW_SCHEMA), file=place, noncanonical=sorted(padded), keys=keys)
    if setting_rows.tokens and keys is None:
        hint = "Pass --keys FILE or set MINIMIZE_KEYS. The ledger stores subjects as keyed tokens."
        raise KeyringError("no keyring found; one is needed for the settings of single subjects", hint=hint)
    if keys is not None:
        _secrets_by_field(keys, setting_rows.tokens)
    return setting_rows


@dataclass(frozen=True)
class LedgerRows(SettingsRows):
    """Settings of the ledger."""

    keys: Keyring | None = field(default=None, repr=False)

    def effective_at(self, run_at: datetime) -> ExplainableSettings:
        """The settings as known to a run at this time."""
        settings = super().effective_at(run_at)
        if not isinstance(settings, EffectiveSettings) or self.keys is None or not self.tokens:
            return settings
        return TokenizedSettings(settings, self.tokens, _secrets_by_field(self.keys, self.tokens), self.folding)

    @property
    def has_order(self) -> bool:
        """True: the ledger has the rows in the order in which they were recorded."""
        return True

    @cached_property
    def tokens(self) -> dict[str | None, TokensByTenant]:
        """The tokens of the subjects that have settings of their own, by the field of their ids and by tenant."""
        tokens_by_field: dict[str | None, dict[str, set[str]]] = {}
        for row in self.table.select(["tenant_id", "subject", "field"]).to_pylist():
            if row["subject"] is not None:
                tokens_by_field.setdefault(row["field"], {}).setdefault(row["tenant_id"], set()).add(row["subject"])
        return {
            name: {tenant: frozenset(tokens) for tenant, tokens in tokens_by_tenant.items()}
            for name, tokens_by_tenant in tokens_by_field.items()
        }
