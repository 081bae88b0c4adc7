"""The dates that a retraction cannot concern, decided from receipts: none of their files of records is opened.

Such a date was collected under the policy, plan and settings of today, so that a run from its source would give the same. Its
output stays, too: the source is still there, or the policy has no condition.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from os import PathLike
from typing import Any

from minimize.consent import Consents
from minimize.governance.retention.due import RECORDS
from minimize.governance.retention.rules import conditions_of
from minimize.governance.retention.sources import Unchanged, asks_otherwise, by_date, last_reading
from minimize.governance.retention.written import Written, writers
from minimize.io.places import place_of
from minimize.job.dates import Wanted
from minimize.job.given import resolve
from minimize.job.sender import consents_changed
from minimize.keys import Keyring
from minimize.policy.fields import is_dropped
from minimize.policy.load import hierarchy_files
from minimize.policy.pipeline import Pipeline
from minimize.receipt import Receipt, in_force
from minimize.settings import SettingsRows
from minimize.stores import Place


@dataclass(frozen=True)
class Unaffected:
    """What decides it: today's pipeline and settings, the time, and the receipts.

    settings  the rows of today; `given` is what they were loaded from, where the pipeline's own do not count
    consents  what is recorded about consents; None for records of our own
    """

    job: Pipeline
    folder: Place
    chain: Sequence[Receipt]
    at: datetime
    source: str | PathLike[str] | None
    given: Any = field(repr=False)
    settings: SettingsRows | None = field(repr=False)
    consents: Consents | None = field(repr=False)
    keys: Keyring = field(repr=False)
    ledger: str | PathLike[str] | None

    def dates(self) -> frozenset[str | None]:
        """The dates. Raises what `run` raises about policy, settings and keys."""
        unchanged = Unchanged(self.job, self.chain, self.source, self.keys)
        plain = self._plain() if self._is_plain() else frozenset()
        groups: dict[tuple[object, ...], list[str | None]] = {}
        for on, receipts in self._receipts.items():
            last = last_reading(receipts)
            if last is not None and not self._asks_otherwise(last):
                groups.setdefault(self._planned_from(last), []).append(on)
        return frozenset(on for group in groups.values() for on in self._of_group(group, unchanged, plain))

    def _asks_otherwise(self, last: Receipt) -> bool:
        asked = asks_otherwise(self.job.policy, self.settings, last, self.at)
        return asked or consents_changed(self.job, self.consents, last, self.at)

    def _of_group(
        self, group: Sequence[str | None], unchanged: Unchanged, plain: frozenset[str | None]
    ) -> Iterator[str | None]:
        """Those of some dates that were planned from the same policy, pipeline and version of the package, to the same plan."""
        for on in group:
            if unchanged.stands(on):
                if self._plans_otherwise(on):
                    return
                break
        yield from (on for on in group if on in plain or unchanged.stands(on))

    def _plans_otherwise(self, on: str | None) -> bool:
        """Whether today's plan for a date is another than its receipt's."""
        last = last_reading(self._receipts[on])
        given = resolve(
            self.job,
            wanted=Wanted.of(on),
            at=self.at,
            input=self.source,
            settings=self.given,
            output=self.folder,
            keys=self.keys,
            ledger=self.ledger,
            again=True,
        )
        return last is None or given.nothing or given.plan.digest != last.plan.digest

    def _planned_from(self, last: Receipt) -> tuple[object, ...]:
        """All that made the plan of a receipt: equal for two dates, today's plan is that of both or of neither."""
        return (last.plan.digest, tuple(sorted(last.versions.items())), *Written(self.folder, last).same)

    def _is_plain(self) -> bool:
        """Whether under today's policy everything that was collected once stays: it has no condition, and no hierarchy file."""
        policy, records = self.job.policy, self.job.records
        gates = (policy.records.feature, policy.records.level, policy.records.collect_if)
        if any(gates) or (records is not None and records.collect_if is not None) or any(hierarchy_files(policy)):
            return False
        shown = (key for key, each in policy.fields.items() if not is_dropped(each))
        return not any(True for key in shown for _ in conditions_of(key, policy))

    def _plain(self) -> frozenset[str | None]:
        """The dates of whose records all files were written under today's policy."""
        by, today = writers(self.chain), self.job.policy.digest
        under = {
            (place_of(file.path)[1], by[file.path].policy.digest) for file in in_force(self.chain).get(RECORDS, ())
        }
        return frozenset(self._receipts) - {on for on, digest in under if digest != today}

    @cached_property
    def _receipts(self) -> dict[str | None, list[Receipt]]:
        return by_date(self.chain)
