"""Today's settings in the terms of a file: who was on, in every instant that a released time may stand for, and is on now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa

from minimize.governance.retention.clock import Bools, Clock, Moments
from minimize.governance.retention.whose import Named
from minimize.nested import leaf
from minimize.policy.condition import Feature, Level
from minimize.policy.model import Policy
from minimize.settings import SettingsRows
from minimize.settings.base import SCHEMA, Settings
from minimize.settings.columns import moments

TIME: Final = pa.timestamp("us", "UTC")
Ask = Callable[[pa.Array], pa.BooleanArray]


@dataclass(frozen=True, slots=True)
class Collected:
    """The settings that count for one file.

    seen     as they are seen today, tenants and subjects in the forms that the file has of them
    changes  when anything changes, in microseconds, ascending
    """

    policy: Policy
    seen: Settings | None
    changes: Moments
    tenant: Named | None
    subject: Named | None
    clock: Clock | None

    @classmethod
    def of(
        cls,
        rows: SettingsRows | None,
        policy: Policy,
        at: datetime,
        tenant: Named | None,
        subject: Named | None,
        clock: Clock | None,
    ) -> Collected:
        """The settings as a file shows tenants and subjects.

        If the file does not show a subject, its opt-outs count against its tenant, and what it turned on does not count. What
        a subject turned on does not count either if other subjects may have its form.
        """
        if rows is None or tenant is None:
            return cls(policy, None, np.empty(0, np.int64), tenant, subject, clock)
        table = pa.Table.from_pylist(list(_rows(rows, tenant, subject)), SCHEMA)
        found = SettingsRows(table)
        return cls(
            policy, found.at(at), np.unique(moments(table["valid_from"].combine_chunks())), tenant, subject, clock
        )

    def on(self, atom: Feature | Level, batch: pa.RecordBatch) -> Bools:
        """Per record whether it was on in every instant that the event may have happened at, and is on now."""
        if isinstance(atom, Level) and atom.name in self.policy.levels[:1]:
            return np.ones(batch.num_rows, np.bool_)
        if self.seen is None or self.tenant is None or self.clock is None:
            return np.zeros(batch.num_rows, np.bool_)
        ask, first = self._ask(atom, batch), self.clock.oldest(batch)
        last = self.clock.newest(batch)
        found = self._at(ask, first) & self._at(ask, last)
        within = self.changes[(self.changes >= first.min(initial=0)) & (self.changes <= last.max(initial=0))]
        for moment in within.tolist():  # settings change seldom: a few moments a batch
            inside = (first <= moment) & (moment <= last)
            found &= ~inside | self._at(ask, np.where(inside, moment, first))
        return found

    def _ask(self, atom: Feature | Level, batch: pa.RecordBatch) -> Ask:
        assert self.seen is not None
        assert self.tenant is not None
        tenants = leaf(batch, self.tenant.pointer).values
        subjects = None if self.subject is None else leaf(batch, self.subject.pointer).values
        seen, policy = self.seen, self.policy
        if isinstance(atom, Level):
            return lambda times: seen.level_at_least(atom.name, policy.levels, tenants, subjects, times)
        switch = policy.switch(atom.name)
        if switch is None:
            return lambda times: pa.repeat(pa.scalar(False), len(times))
        return lambda times: seen.feature_on(switch, tenants, subjects, times)

    def _at(self, ask: Ask, instants: Moments) -> Bools:
        return np.asarray(ask(pa.array(instants).cast(TIME)).to_numpy(zero_copy_only=False), np.bool_)


def _rows(rows: SettingsRows, tenant: Named, subject: Named | None) -> Iterator[Mapping[str, Any]]:
    known: dict[str, Sequence[str]] = {}
    for row in rows.table.to_pylist():
        name = row["tenant_id"]
        if name not in known:
            known[name] = sorted(tenant.column.forms(name, name) or ())
        for form in known[name]:
            yield from _whose({**row, "tenant_id": form}, name, subject)


def _whose(row: dict[str, Any], tenant: str, subject: Named | None) -> Iterator[Mapping[str, Any]]:
    own = row["subject"]
    forms = None if own is None or subject is None or _is_token(own) else subject.column.forms(own, tenant)
    if own is None:
        yield row
    elif forms is not None and row["value"] == "on" and subject is not None and not subject.column.is_injective:
        return
    elif forms is not None:
        yield from ({**row, "subject": form} for form in sorted(forms))
    elif row["value"] != "on":  # whoever that is: an objection counts for the whole tenant
        yield {**row, "subject": None, "holder": f"{row['holder']} {own}"}


def _is_token(subject: str) -> bool:
    """Whether a subject stands in the settings as the ledger has them: nobody can say how it stands in a file."""
    return subject.startswith("subject/")
