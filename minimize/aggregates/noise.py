"""Noise of published statistics: whole numbers of a known size, drawn by keyed hashes from tables of thresholds.

Each statistic has two draws. One depends on the row alone and stays with it for ever, so that it does not average out over many
dates or tables. The other depends on the release, which is new for all rows of a date as soon as any of its statistics changed,
so that the difference of two releases does not show what changed. Whoever has neither the keyring nor the records cannot
separate them. This reduces what statistics disclose; it is not differential privacy, and no budget is counted.

Two statistics that are the same number in fact have either the same noise or unrelated noise. If both had the same draws and
only their sizes differed, two equations would give the number: so the size of the noise takes part in each draw.

A draw is a whole number around 0 with the distribution of maximum entropy for its variance (exp(-a * e**2)), at most six standard
deviations from 0. The thresholds are shipped as whole numbers, so that no floating-point arithmetic takes part in a draw.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property, lru_cache
from hashlib import blake2b
from importlib.resources import files
from typing import Final, Self

import numpy as np
import pyarrow as pa

from minimize.aggregates.definition import (
    STANDARD_DEVIATIONS,
    AggregateDefinition,
    GroupKey,
    NoiseTerms,
    StandardDeviation,
)
from minimize.arrow.columns import column_microseconds
from minimize.arrow.dictionaries import Codes, stored_type
from minimize.errors import KeyringError
from minimize.keys.cryptography import BlockMac
from minimize.keys.keyring import NOISE_KEY, Subkeys
from minimize.spill import HashWords, ValueHasher
from minimize.spill.spill_file import keyed_mac

TABLES_VERSION: Final = 1
"""Version of the tables of thresholds: equal versions give equal draws."""
STEPS: Final = 64
"""Steps of a draw that is multiplied by the scale of a statistic."""
_MOST_DEVIATIONS: Final = 6
_ROW, _RELEASE = 1, 2
_FIGURE, _KEY, _IDENTITY, _GROUP, _DRAW, _MARK, _RELEASE_WORDS = range(2, 9)
"""Domains of the hashes; 1 is that of subjects."""


@dataclass(frozen=True, slots=True)
class DrawTable:
    """Thresholds of draws with one standard deviation: in whole numbers, and in steps of 1/64. Each ascending.

    A draw is the number of thresholds at or below a word of 64 random bits, less half of them.
    """

    whole: HashWords = field(repr=False)
    fine: HashWords = field(repr=False)

    @classmethod
    def read(cls, sd: StandardDeviation) -> Self:
        """The shipped table. Its file has half of the thresholds; the others mirror them, so that the mean is exactly 0."""
        lines = (files(__package__) / "draws" / f"sd-{sd}.txt").read_text("ascii").split()
        lower = [int(line, 16) for line in lines]
        most = int(_MOST_DEVIATIONS * Decimal(sd))
        return cls(_mirrored(lower[:most]), _mirrored(lower[most:]))


def _mirrored(lower: list[int]) -> HashWords:
    return np.array([*lower, *((1 << 64) - threshold for threshold in reversed(lower))], np.uint64)


draw_table = lru_cache(maxsize=len(STANDARD_DEVIATIONS))(DrawTable.read)


def draw(words: HashWords, thresholds: HashWords) -> Codes:
    """A whole number for each word of 64 random bits."""
    return np.searchsorted(thresholds, words, side="right").astype(np.int64) - len(thresholds) // 2


@dataclass(frozen=True, slots=True)
class NoiseKey:
    """The keys of the noise of one source: one for values that are hashed, one for draws. Its `repr` contains neither."""

    values: bytes = field(repr=False)
    draws: bytes = field(repr=False)

    @classmethod
    def from_keys(cls, keys: Subkeys) -> Self:
        """Raises KeyringError if the keyring has no key `noise`, or more than one version of it."""
        if keys.version_of(NOISE_KEY) != 1:
            raise KeyringError(
                f"the keyring has a second version of the key `{NOISE_KEY}`",
                hint="Restore the keyring from a backup: with new noise next to the former one, statistics could be averaged.",
            )
        return cls(*(keys.subkey(NOISE_KEY, f"figures/{purpose}", 1) for purpose in ("values", "draws")))

    @classmethod
    def random(cls) -> Self:
        """A key for one trial, whose statistics nobody keeps."""
        return cls(secrets.token_bytes(32), secrets.token_bytes(32))

    @property
    def hasher(self) -> ValueHasher:
        """The keyed hash of subjects and values, equal in all runs."""
        return ValueHasher(self.values)

    def figure(self, *names: str) -> HashWords:
        """The hash of the name of a statistic."""
        return self.hasher(pa.array([_joined(names)]), _FIGURE)

    def cells(self, figure: HashWords, values: pa.Array) -> HashWords:
        """The hash of a statistic for each of some values: the cells of a field."""
        return keyed_mac(self.draws, _FIGURE).tags(
            np.column_stack([np.broadcast_to(figure, (len(values), 2)), self.hasher(values, _KEY)])
        )


def _joined(parts: Iterable[str]) -> str:
    """Texts as one, each with its length in front, so that different texts stay different."""
    return "".join(f"{len(part)}:{part}" for part in parts)


def row_identities(definition: AggregateDefinition, columns: Mapping[str, pa.Array], key: NoiseKey) -> HashWords:
    """What identifies each row, in any table of a source: the counted subject, and the values of its keys by their fields.

    Names of tables and of keys do not count. Of a time only the place in the next larger unit counts (the hour of the day, the
    minute of the day), and of a day, a week or a longer unit nothing, so that a row has the same identity on all dates.
    """
    places = {label: _place_in_unit(columns[label], group_key) for label, group_key in definition.keys.items()}
    return _hash_keys(definition, places, key, _IDENTITY)


def group_hashes(definition: AggregateDefinition, columns: Mapping[str, pa.Array], key: NoiseKey) -> HashWords:
    """The hash of each group by all its values, for the digest of a release."""
    return _hash_keys(definition, columns, key, _GROUP)


def _hash_keys(
    definition: AggregateDefinition, columns: Mapping[str, pa.Array], key: NoiseKey, domain: int
) -> HashWords:
    labels = sorted(definition.keys, key=lambda label: _meaning(definition.keys[label]))
    names = [definition.source, str(definition.counting), *(_meaning(definition.keys[label]) for label in labels)]
    rows = max((len(column) for column in columns.values()), default=1)
    words = [np.broadcast_to(key.hasher(pa.array([_joined(names)]), _KEY), (rows, 2))]
    words += [key.hasher(columns[label], _KEY) for label in labels]
    return keyed_mac(key.draws, domain).tags(np.column_stack(words))


def _meaning(group_key: GroupKey) -> str:
    return f"{group_key.pointer} {group_key.unit or ''}"


_UNIT_MICROSECONDS: Final = {"hour": 3_600_000_000, "minute": 60_000_000}
_DAY_MICROSECONDS: Final = 86_400_000_000


def _place_in_unit(values: pa.Array, group_key: GroupKey) -> pa.Array:
    """The values that identify rows: of a time its place in the day, unless it is cut to days or a longer unit."""
    kind = stored_type(values.type)
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return values
    if pa.types.is_date(kind) or group_key.unit not in (None, *_UNIT_MICROSECONDS):
        return pa.repeat(0, len(values))
    within = column_microseconds(values) % _DAY_MICROSECONDS
    return pa.array(within, mask=np.asarray(values.is_null()))


@dataclass(frozen=True, slots=True)
class DateRelease:
    """The statistics of a date that are settled together, as words that change with anything in them. It is never stored."""

    words: HashWords = field(repr=False)
    mark: str
    """What distinguishes releases of a date, and reveals nothing else."""

    @classmethod
    def of(cls, key: NoiseKey, date: str | None, digests: Iterable[tuple[str, bytes]]) -> Self:
        """The release of a date. Takes the definition and the digest of each table."""
        content = blake2b(digest_size=64)
        for definition, digest in sorted(digests):
            content.update(_joined([definition, digest.hex()]).encode())
        text = pa.array([_joined([date or "", content.hexdigest()])])
        mark = key.hasher(text, _MARK).tobytes().hex()
        return cls(key.hasher(text, _RELEASE_WORDS), mark)


@dataclass(frozen=True)
class RowNoise:
    """The noise of the statistics of some rows of a release."""

    key: NoiseKey
    terms: NoiseTerms
    release: DateRelease
    identities: HashWords = field(repr=False)
    """What identifies each row on all dates."""
    groups: HashWords = field(repr=False)
    """The hash of each row by all values of its keys: two days of one table are one row over time, and have different
    noise in a release."""

    def select(self, rows: Codes) -> Self:
        """The noise of some of the rows."""
        return replace(self, identities=self.identities[rows], groups=self.groups[rows])

    def counts(self, figure: HashWords, rows: Codes | None = None) -> Codes:
        """The noise of a count of subjects in each row, or in some rows. Takes the name of the statistic, or one for each row."""
        thresholds = draw_table(self.terms.sd).whole
        lasting, of_release = (draw(words[:, 0], thresholds) for words in self._layers(figure, rows))
        return lasting + of_release

    def scaled(self, figure: HashWords, scale: int) -> Codes:
        """The noise of a statistic that one subject can change by `scale`. Each whole number can occur: without that, its
        remainder by the scale would show the exact statistic's."""
        thresholds, width = draw_table(self.terms.sd).fine, max(scale, STEPS)
        lasting, of_release = (
            (
                draw(words[:, 0], thresholds) * scale
                + (words[:, 1] % np.uint64(width)).astype(np.int64)
                - (width - STEPS) // 2
            )
            // STEPS
            for words in self._layers(figure, None, scale)
        )
        return np.asarray(lasting + of_release, np.int64)

    def _layers(self, figure: HashWords, rows: Codes | None, scale: int = 1) -> Iterable[HashWords]:
        """Two random words for each row, once for the row alone and once for the release."""
        places = slice(None) if rows is None else rows
        identities, groups = self.identities[places], self.groups[places]
        table = TABLES_VERSION * len(STANDARD_DEVIATIONS) + STANDARD_DEVIATIONS.index(self.terms.sd)
        for layer, owners, release in (
            (_ROW, identities, np.zeros((1, 2), np.uint64)),
            (_RELEASE, groups, self.release.words),
        ):
            first = np.array([[layer, scale << 8 | table]], np.uint64)
            blocks = [np.broadcast_to(block, identities.shape) for block in (first, owners, figure, release)]
            yield self._mac.tags(np.column_stack(blocks))

    @cached_property
    def _mac(self) -> BlockMac:
        return keyed_mac(self.key.draws, _DRAW)
