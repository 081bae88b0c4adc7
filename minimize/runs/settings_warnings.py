"""Warnings about settings that do not mean what they seem to mean. They have counts and no values."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from minimize.identifiers import canonical_word
from minimize.policy.model import Policy
from minimize.results import LogMessage
from minimize.settings import SettingsRows
from minimize.settings.evaluation import LEVEL_SETTING
from minimize.settings.tokenized import LedgerRows
from minimize.text import count_noun


def warn_of_settings(rows: SettingsRows | None, policy: Policy | None) -> None:
    """Logs a warning for each kind of row that differs from what it means. With a policy, only its settings are looked at."""
    for message in () if rows is None else settings_warnings(rows, policy):
        message.log()


def settings_warnings(rows: SettingsRows, policy: Policy | None) -> Iterator[LogMessage]:
    """The warnings about rows."""
    mask = pa.repeat(pa.scalar(True), rows.table.num_rows) if policy is None else _concerned(rows.table, policy)
    count = int(pc.sum(mask.take(pa.array(rows.noncanonical, pa.int64()))).as_py() or 0)
    if count:
        yield _warning("W049", f"{_rows(count)} not in canonical form, and count as what the canonical form means")
    table = rows.table.filter(mask)
    names = table["setting"].unique().to_pylist() if policy is None else policy.features
    count = len(rows.user_rows_of_tenants(names))
    if count:
        yield _warning("W050", f"{_rows(count)} a user's choice for a whole tenant, and nothing is turned on by it")
    is_level = pc.equal(table["setting"], LEVEL_SETTING)
    known = pc.is_in(table["value"], value_set=pa.array(["on", "off"]))
    count = _true(pc.and_not(pc.invert(known), is_level))
    if count:
        yield _warning("W051", f"{_rows(count)} neither on nor off, and count as off")
    if policy is not None and not isinstance(rows, LedgerRows):
        declared = pc.is_in(table["field"], value_set=pa.array(sorted(policy.fields), pa.string()))
        count = _true(pc.and_not(table["field"].is_valid(), declared))
        if count:
            yield _warning("W052", f"{_rows(count)} of a field that the policy does not have, and match no record")


def warn_of_unmatched_subjects(rows: SettingsRows | None, policy: Policy, at: datetime) -> None:
    """Logs the number of subjects with settings of their own that no record of the runs at this time had."""
    if rows is None:
        return
    names = {canonical_word(name) for name in policy.features} | ({LEVEL_SETTING} if policy.levels else set())
    count = rows.effective_at(at).unmatched_subjects(frozenset(names), frozenset(policy.fields))
    if count:
        subjects = count_noun(count, "subject")
        hint = "check the ids, and whether `field` must name another field than the policy's subject"
        _warning("W052", f"{subjects} with settings of their own in no record of this run: {hint}").log()


def _concerned(table: pa.Table, policy: Policy) -> pa.Array:
    """The rows of the features and levels that a policy declares."""
    names = [canonical_word(name) for name in policy.features] + ([LEVEL_SETTING] if policy.levels else [])
    return pc.is_in(table["setting"].combine_chunks(), value_set=pa.array(names, pa.string()))


def _rows(count: int) -> str:
    return f"{count_noun(count, 'row')} of the settings {'is' if count == 1 else 'are'}"


def _true(mask: pa.ChunkedArray) -> int:
    return int(pc.sum(pc.fill_null(mask, False)).as_py() or 0)


def _warning(code: str, message: str) -> LogMessage:
    return LogMessage(code, message, logging.WARNING)
