"""A project of which a few figures are published: 40 people a group, a threshold of 10, and what an attacker may read of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import minimize
from tests.commands import command
from tests.project import DAY, FIELDS, PIPELINE, POLICY, Project, write_project

BELOW = 10
DEVICES = {"count_distinct": "device_id"}
SYMPTOMS = {"histogram": "symptom"}
DAILY: dict[str, Any] = {"day": {"event_time": "day"}}
SURVEY_POLICY: dict[str, Any] = {
    **POLICY,
    "policy": "survey",
    "version": 1,
    "never": None,
    "retention": None,
    "features": {"wellbeing": {"about": "how people feel"}},
    "fields": {
        **{name: FIELDS[name] for name in ("event_id", "tenant_id", "device_id", "event_time")},
        "version": {"type": "string", "do": "keep"},
        "symptom": {"type": "string", "do": "keep"},
        "score": {"type": "double", "do": "drop", "in_aggregates": {"clip": {"min": 0, "max": 100}}},
        "stress": {
            "type": "double",
            "feature": "wellbeing",
            "do": "drop",
            "in_aggregates": {"clip": {"min": 0, "max": 100}},
        },
        "age": {"type": "integer", "do": "keep"},
    },
}
SURVEY_PIPELINE: dict[str, Any] = {
    **PIPELINE,
    "pipeline": "survey",
    "source": {"path": "data/{date}/*.ndjson.gz", "format": "ndjson"},
    "records": {},
    "aggregates": {},
}
SURVEY_SETTINGS = """tenant_id,subject,setting,value,holder,valid_from,recorded_at
A,,wellbeing,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z
B,,wellbeing,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z
"""


@dataclass(frozen=True)
class Survey(Project):
    """Answers of people, and tables of them."""

    base_policy: Mapping[str, Any] = field(default_factory=lambda: SURVEY_POLICY)
    base_pipeline: Mapping[str, Any] = field(default_factory=lambda: SURVEY_PIPELINE)
    settings: str = SURVEY_SETTINGS

    @classmethod
    def new(cls, folder: Path) -> Survey:
        """A new project without tables and answers."""
        return write_project(cls(folder))

    def tables(self, **tables: Mapping[str, Any]) -> None:
        """Writes a pipeline with tables by their names: their keys and measures, as `table` makes them."""
        self.pipeline(aggregates=tables)

    def answers(self, people: Iterable[Mapping[str, Any]], name: str = "a", day: str = DAY) -> None:
        """Writes a file of answers for a day, in place of one of the same name."""
        self.records(people, day=day, name=name)

    def publish(self, **options: Any) -> minimize.Receipt:
        """Runs the date, and verifies the output."""
        receipt = self.run(**{"date": DAY, "at": None, **options})
        minimize.verify(self.out, keys=self.keys)
        return receipt

    def switch_off(self, *people: str, feature: str = "wellbeing") -> None:
        """People of tenant A switch a feature off, for the past, too."""
        lines = (f"A,{each},{feature},off,user,2026-01-02T00:00:00Z,2026-01-02T00:00:00Z" for each in people)
        (self.folder / "settings.csv").write_text(SURVEY_SETTINGS + "".join(f"{line}\n" for line in lines))

    def do(self, *words: object) -> Any:
        """Runs a command on the output, and gives its result."""
        done = command(*words, "--keys", self.keys, "--pipeline", self.folder, "--json")
        assert done.code == 0, done.err
        minimize.verify(self.out, keys=self.keys)
        return done.json

    def retract(self) -> Any:
        """Takes out what would not be collected today."""
        return self.do("retract", self.out, "--yes")

    def delete(self, *people: str) -> Any:
        """Deletes people of tenant A."""
        return self.do("subject", "delete", *people, "--tenant", "A", "--output", self.out, "--yes")

    def leave(self, *people: str) -> Any:
        """Records expire of people of tenant A who left. Takes all who left so far, as a file of events has them."""
        events = [f"A,{each},subject_left,{DAY}T23:59:59Z" for each in people]
        path = self.lines("events.csv", ["tenant_id,subject,event,at", *events])
        return self.do("expire", self.out, "--events", path, "--yes")

    def row(self, table: str, **keys: Any) -> dict[str, Any] | None:
        """The figures of one row of a published table; None if it is not there."""
        found = [row for row in self.rows(table) if all(row[key] == value for key, value in keys.items())]
        assert len(found) <= 1
        return {name: value for name, value in found[0].items() if name not in ("day", "date")} if found else None


def table(by: Iterable[str] = (), **measures: Any) -> dict[str, Any]:
    """A table of each day by some fields; without measures, one that counts events."""
    keys = {**DAILY, **{name: name for name in by}}
    return {"group_by": keys, "measures": measures or {"events": "count"}, "suppress": {"below": BELOW}}


def share(*values: str) -> dict[str, Any]:
    return {"share": {"of": "symptom", "is": list(values)}}


def people(first: int, last: int, **values: Any) -> list[dict[str, Any]]:
    """One answer of each person from `p{first}` to before `p{last}`, of tenant A if nothing else is given."""
    return [
        {"event_id": f"e{n}", "tenant_id": "A", "device_id": f"p{n}", "event_time": f"{DAY}T12:00:00Z", **values}
        for n in range(first, last)
    ]
