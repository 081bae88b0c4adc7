"""Subjects' own switches, asked again of what a run released: by the subject's pseudonym where that can be made, else widened.

A row that a run released may hold a pseudonym where settings have the subject. Where the keyring makes the same pseudonyms, the
settings' subjects get theirs. Where nobody can tell whose a row is, what one subject has turned off is off for its whole tenant.
A group of an aggregate is no subject's: what whole tenants say counts alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from minimize.errors import KeyringError
from minimize.governance.sharing.released import Entry, Told
from minimize.keys import Keyring
from minimize.policy.model import Policy
from minimize.settings import SettingsRows
from minimize.settings.base import SCHEMA
from minimize.settings.seen import LEVEL
from minimize.techniques.base import Context
from minimize.techniques.pseudonymize import Pseudonymize

_KEYS: Final = ("tenant_id", "subject", "setting", "holder")
_WIDENED: Final = "subject"
"""The holder of a switch that counts for the whole tenant: nobody turns anything on by it."""


def switches(
    rows: SettingsRows | None, policy: Policy, entry: Entry, keys: Keyring, at: datetime
) -> SettingsRows | None:
    """The settings as the rows of some data can be held against them, at a time; for raw data as they are."""
    if rows is None or entry.columns is None or not _own(rows.table).num_rows:
        return rows
    wide = rows.table.filter(pc.is_null(rows.table["subject"]))
    if entry.aggregated:
        return SettingsRows(wide)
    told = entry.columns.get(entry.policy.subject or "")
    if told is not None and told["technique"] == "keep":
        return rows
    plain = type(rows) is SettingsRows
    named = _pseudonyms(rows.table, policy, told, keys, at) if told is not None and plain else None
    own = _own(rows.table)
    if named is not None:
        place = own.schema.get_field_index("subject")
        return SettingsRows(pa.concat_tables([wide, own.set_column(place, SCHEMA.field("subject"), named)]))
    return SettingsRows(pa.concat_tables([wide, _widened(own, policy.levels, at)]))


@dataclass(frozen=True, slots=True)
class _Pinned:
    """A keyring of which one version of a key counts."""

    keys: Keyring
    version: int

    def bytes_of(self, name: str, version: int | None = None) -> bytes:
        """The key's bytes. Raises KeyringError."""
        return self.keys.bytes_of(name, self.version if version is None else version)

    def version_of(self, name: str) -> int:
        """The version that counts."""
        return self.version


def _own(table: pa.Table) -> pa.Table:
    return table.filter(pc.is_valid(table["subject"]))


def _pseudonyms(table: pa.Table, policy: Policy, told: Told, keys: Keyring, at: datetime) -> pa.Array | None:
    """The subjects of settings as the data has them; None where that cannot be worked out."""
    field = policy.fields[policy.subject or ""]
    step = field.do[0] if len(field.do) == 1 and not field.cases else None
    if not isinstance(step, Pseudonymize) or step.rotate is not None or step.per not in (None, policy.tenant):
        return None
    name, _, version = told["key"].partition("/")
    if told["technique"] != step.name or name != step.key or not version.isdigit():
        return None
    own = _own(table)
    columns = {} if step.per is None else {step.per: own["tenant_id"].combine_chunks()}
    context = Context(field.key, at, _Pinned(keys, int(version)), columns)
    try:
        return step.apply(own["subject"].combine_chunks(), context).values
    except KeyringError:
        return None


def _widened(own: pa.Table, levels: Sequence[str], at: datetime) -> pa.Table:
    """For each switch of a subject that is in force and not wide open: off, for the whole tenant."""
    when = pa.scalar(at, SCHEMA.field("valid_from").type)
    seen = own.filter(pc.and_(pc.less_equal(own["valid_from"], when), pc.less_equal(own["recorded_at"], when)))
    order = [("valid_from", "ascending"), ("recorded_at", "ascending")]
    last = seen.sort_by(order).group_by(list(_KEYS), use_threads=False)
    found = last.aggregate([(name, "last") for name in ("value", "valid_from", "recorded_at")])
    is_level, value = pc.equal(found["setting"], LEVEL), found["value_last"]
    open_ = pc.or_(
        pc.and_(is_level, pc.equal(value, levels[-1] if levels else "")),
        pc.and_(pc.invert(is_level), pc.equal(value, "on")),
    )
    shut = found.filter(pc.invert(open_))
    columns = {
        "tenant_id": shut["tenant_id"],
        "subject": pa.nulls(shut.num_rows, pa.string()),
        "setting": shut["setting"],
        "value": pa.repeat("off", shut.num_rows),
        "holder": pa.repeat(_WIDENED, shut.num_rows),
        "valid_from": shut["valid_from_last"],
        "recorded_at": shut["recorded_at_last"],
    }
    return pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)
