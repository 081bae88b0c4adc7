"""Settings whose subjects are keyed tokens: the subjects of records become tokens before anything is asked.

Only records of tenants of which some subject has a setting of its own are looked at, once for each distinct subject.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, reduce
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.canonical import EXACT, Folding
from minimize.keys import Keyring
from minimize.ledger.tokens import TokenIndex, secrets_of, version_in
from minimize.settings.base import FeatureSwitch
from minimize.settings.pairs import Pairs, check_keys
from minimize.settings.seen import SeenSettings, SettingRow

NOBODY: Final = "-"
"""Stands for a subject that has no setting of its own; no token is spelled so."""
_REMEMBERED: Final = 1_000_000


@dataclass
class Veiled:
    """Settings as one run sees them, over tokens. Holds key bytes only in this process: a pickle has none (see `opened`)."""

    seen: SeenSettings
    tokens: Mapping[str, frozenset[str]] = field(repr=False)
    """Per tenant the tokens that have a setting of their own."""
    secrets: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    folding: Folding = EXACT
    _known: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict, repr=False)

    @property
    def digest(self) -> str:
        """`sha256:` over the rows that are seen, in a canonical order."""
        return self.seen.digest

    def as_of(self, at: int) -> Veiled:
        """The same rows as a run at another time sees them."""
        return replace(self, seen=self.seen.as_of(at))

    def feature_on(
        self, switch: FeatureSwitch, tenants: pa.Array, subjects: pa.Array | None, times: pa.Array | None
    ) -> pa.BooleanArray:
        """Per record whether the feature was on at its time and is on now; see `Settings`."""
        each = self._veiled(tenants, subjects)
        return reduce(pc.and_, (self.seen.feature_on(switch, tenants, own, times) for own in each))

    def level_at_least(
        self, level: str, levels: Sequence[str], tenants: pa.Array, subjects: pa.Array | None, times: pa.Array | None
    ) -> pa.BooleanArray:
        """Per record whether the level was reached at its time and is now; see `Settings`."""
        each = self._veiled(tenants, subjects)
        return reduce(pc.and_, (self.seen.level_at_least(level, levels, tenants, own, times) for own in each))

    def why(
        self, tenant: str, setting: str, when: datetime, subject: str | None = None, levels: Sequence[str] = ()
    ) -> tuple[SettingRow, ...]:
        """The rows in force at a time; see `SeenSettings.why`."""
        tokens = [None] if subject is None else self._tokens(tenant, subject)
        found = (row for token in tokens for row in self.seen.why(tenant, setting, when, token, levels))
        return tuple(dict.fromkeys(found))

    def opened(self, keys: Keyring) -> Veiled:
        """The same settings with the keys that subjects are told by, in another process. Raises KeyringError."""
        return replace(self, secrets=secrets_of(keys, self._versions), _known={})

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: no key, and nobody."""
        told = {"seen": self.seen, "tokens": self.tokens, "folding": self.folding}
        return {**told, "secrets": {}, "_known": {}}

    @cached_property
    def _index(self) -> TokenIndex:
        return TokenIndex(self.tokens, self.folding)

    @cached_property
    def _versions(self) -> set[int]:
        found = {version_in(token) for tokens in self.tokens.values() for token in tokens}
        return {version for version in found if version is not None}

    def _veiled(self, tenants: pa.Array, subjects: pa.Array | None) -> list[pa.Array | None]:
        """The subjects as tokens, where they have a setting of their own; null stays null.

        One column, and more where a subject has several tokens: a value is collected if each of them says so.
        """
        if subjects is None or not self.tokens:
            return [subjects]
        check_keys(self._versions, self.secrets)
        pairs = Pairs.of(tenants, subjects, self._index)
        found = [self._tokens(tenant, subject) for tenant, subject in pairs.names]
        codes = np.zeros(len(subjects), np.int64)
        codes[pairs.rows] = pairs.places + 1
        own = pa.array(codes, pa.int32(), mask=subjects.is_null().to_numpy(zero_copy_only=False))
        turns = range(max(map(len, found), default=1))
        layers = ([NOBODY, *(tokens[min(turn, len(tokens) - 1)] for tokens in found)] for turn in turns)
        return [pa.DictionaryArray.from_arrays(own, pa.array(layer, pa.string())) for layer in layers]

    def _tokens(self, tenant: str, subject: str) -> tuple[str, ...]:
        """The tokens under which a subject has settings, by the version of the key that they were made with.

        It is one (a change takes the token that is there), unless rows with tokens were brought in from another ledger, or
        ids that differ in case are one subject.
        """
        known = self._known.get((tenant, subject))
        if known is None:
            known = tuple(token for _, token in self._index.find(self.secrets, tenant, subject)) or (NOBODY,)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[tenant, subject] = known
        return known
