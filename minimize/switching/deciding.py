"""Why a value is collected or not: the rows that decide, for event time and run time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from minimize.job.collecting import LEDGER, load_job_settings
from minimize.job.strangers import Stranger, as_json, stranger
from minimize.keys import find_keyring
from minimize.policy.pipeline import Pipeline
from minimize.receipt import time_text
from minimize.settings import Explained, FeatureSwitch, SettingRow, SettingsRows, load_settings
from minimize.settings.rows import microseconds_of
from minimize.settings.seen import LEVEL
from minimize.switching.house import House
from minimize.switching.words import not_in


@dataclass(frozen=True, slots=True)
class Moment:
    """What settings come to at one time, and the rows that decide it."""

    time: datetime
    holds: bool
    rows: tuple[SettingRow, ...]
    switch: FeatureSwitch

    def as_json(self) -> dict[str, Any]:
        """The moment as JSON; whose a subject's own row is, the question says."""
        rows = [
            {**asdict(row), "subject": None if row.subject is None else "the subject"}
            | ({"ran_out": True} if self.ran_out(row) else {})
            for row in self.rows
        ]
        times = ("valid_from", "recorded_at")
        shown = [{key: time_text(value) if key in times else value for key, value in row.items()} for row in rows]
        return {"time": time_text(self.time), "on": self.holds, "rows": shown}

    def ran_out(self, row: SettingRow) -> bool:
        """Whether the row is a subject's own `on` that no longer counts at this time."""
        return row.ran_out(self.switch, self.time)


@dataclass(frozen=True, slots=True)
class Why:
    """Whether a value is collected: the setting has to hold when the event happened, and when the run happens."""

    tenant: str
    setting: str
    event: Moment
    run: Moment
    file: str | None
    stranger: Stranger | None = None
    """The tenant, where no row names it at all."""
    per_subject: bool = False
    """Whether the tenant's setting and the subject's own must both be on."""

    @property
    def collected(self) -> bool:
        """Whether it is."""
        return self.event.holds and self.run.holds

    def as_json(self) -> dict[str, Any]:
        """The answer as `settings why --json` prints it."""
        head = {"tenant": self.tenant, "setting": self.setting, "collected": self.collected, "settings": self.file}
        head |= as_json(self.stranger) | ({"per_subject": True} if self.per_subject else {})
        return {**head, "event": self.event.as_json(), "run": self.run.as_json()}


def why(
    tenant: str,
    setting: str,
    event: datetime,
    house: House,
    *,
    run: datetime,
    subject: str | None = None,
    settings: Any = None,
) -> Why:
    """Why a value of that time is collected or not.

    Takes a feature or a level; the event's time and the run's; the settings to look at (a path, a table, `ledger`), else the
    pipeline's, else the ledger's. Levels, and who may turn a feature on, are the policy's: they need the pipeline.
    Raises PolicyError for a name that the policy does not know.
    """
    rows = _rows(house, settings)
    job = house.job
    question = _Question.of(setting, job)
    seen = rows.at(run)
    then, now = (
        Moment(
            when,
            question.holds(seen, when, tenant, subject),
            question.why(seen, when, tenant, subject),
            question.switch,
        )
        for when in (event, run)
    )
    whose = stranger(tenant, rows, house.folder)
    return Why(tenant, setting, then, now, rows.file, whose, question.switch.per_subject)


@dataclass(frozen=True, slots=True)
class _Question:
    """A feature and how settings decide it, or a level among the levels."""

    name: str
    switch: FeatureSwitch
    levels: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, job: Pipeline | None) -> _Question:
        if job is None:
            return cls(name, FeatureSwitch(name))
        if name in job.policy.levels:
            return cls(name, FeatureSwitch(name), job.policy.levels)
        switch = job.policy.switch(name)
        if switch is None:
            raise not_in(job, f"the policy has no feature or level `{name}`", job.policy.features, job.policy.levels)
        return cls(name, switch)

    def holds(self, seen: Explained, when: datetime, tenant: str, subject: str | None) -> bool:
        then, tenants = seen.as_of(microseconds_of(when)), pa.array([tenant], pa.string())
        subjects = None if subject is None else pa.array([subject], pa.string())
        if self.levels:
            return bool(then.level_at_least(self.name, self.levels, tenants, subjects, None)[0].as_py())
        return bool(then.feature_on(self.switch, tenants, subjects, None)[0].as_py())

    def why(self, seen: Explained, when: datetime, tenant: str, subject: str | None) -> tuple[SettingRow, ...]:
        return seen.why(tenant, LEVEL if self.levels else self.name, when, subject, self.levels)


def _rows(house: House, settings: Any) -> SettingsRows:
    """The settings that are asked about."""
    from minimize.settings.ledger import from_ledger

    job, folder = house.job, house.folder
    said = settings if settings is not None else None if job is None else job.settings
    if house.ledger is None and said is not None and said != LEDGER:
        found = load_settings(said) if settings is not None else load_job_settings(None, job) if job else None
        rows = load_settings(None) if found is None else found
    else:
        with house.opened() as ledger:
            rows = from_ledger(ledger, find_keyring(house.keys, folder))
    return rows if job is None else rows.compared(job.policy.folding)
