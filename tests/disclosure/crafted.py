"""A crafted world, many times in one run: forty people in each organization, and a policy with what attackers like.

Each organization is a world of its own: its rows have noise of their own under one fixed key, so that an attack is tried many
times by two or three runs, with the same result each time.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import time_machine

import minimize
from minimize.aggregates.definition import NoiseTerms
from minimize.aggregates.noise import RowNoise
from tests.commands import command
from tests.project import AT, DAY, Project, write_project

ORGS: Final = 250
ERASED: Final = 5
"""The number of organizations in which a person is erased by a command. In the others the person later has no record, which gives
the same tables."""
Special = Callable[[int, int], Mapping[str, Any]]
"""What is special about a person, by the numbers of the organization and of the person."""
Rows = Mapping[str, list[dict[str, Any]]]
"""The rows of a table by organization."""

NUMBER: Final[dict[str, Any]] = {"type": "integer", "do": {"bin": {"width": 1}}}
TEXT: Final[dict[str, Any]] = {"type": "string", "do": "keep"}


def clipped(high: int) -> dict[str, Any]:
    """A field of whole numbers that aggregates see between 0 and a bound."""
    return {**NUMBER, "in_aggregates": {"clip": {"min": 0, "max": high}}}


FIELDS: Final[dict[str, Any]] = {
    "org": TEXT,
    "badge": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "bk", "per": "org"}}},
    "at": {"type": "timestamp", "role": "quasi", "do": {"truncate_time": {"to": "day"}}},
    "site": TEXT,
    "region": TEXT,
    "version": TEXT,
    "sick": TEXT,
    "score": clipped(100),
    "ill": clipped(1),
    "years": {"type": "integer", "do": {"bin": {"width": 5}}},
    "born": {
        "type": "date",
        "do": "drop",
        "in_aggregates": [{"age": {"unit": "days"}}, {"clip": {"min": 0, "max": 40000}}],
    },
    "pay": {"type": "integer", "do": "drop", "in_aggregates": {"clip": {"min": 2**53, "max": 2**53 + 1000}}},
    "rate": {"type": "decimal(20,12)", "do": "drop", "in_aggregates": {"clip": {"min": 50, "max": 50.0001}}},
}
POLICY: Final[dict[str, Any]] = {
    "policy": "crafted",
    "version": 1,
    "purposes": ["operations"],
    "tenant": "org",
    "subject": "badge",
    "time": "at",
    "retention": "90d",
    "fields": FIELDS,
}
PIPELINE: Final[dict[str, Any]] = {
    "pipeline": "crafted",
    "policy": "policy.yaml",
    "purpose": "operations",
    "source": {"path": "data/{date}/*.ndjson.gz", "format": "ndjson"},
    "output": "out",
    "records": {"must_be": "pseudonymized"},
}


def crafted(folder: Path) -> Project:
    """A new project with the crafted policy and a ledger of its own."""
    made = write_project(
        Project(folder, base_policy=POLICY, base_pipeline=PIPELINE, settings="tenant_id,setting\n"), ["bk"]
    )
    (folder / "minimize.yaml").write_text(
        "access: off\nencrypt: off\nkeys: test.keys\nledger: ledger.db\nlineage: off\n"
    )
    return made


def table(measures: Mapping[str, Any], *keys: str, **more: Any) -> dict[str, Any]:
    """An aggregate by organization and other fields."""
    groups = {key: key for key in ("org", *keys)}
    return {"group_by": groups, "measures": measures, "suppress": {"below": 10, "counting": "badge"}, **more}


def write(
    project: Project,
    record: Special,
    people: int = 40,
    gone: Callable[[int], int] | None = None,
    orgs: int = ORGS,
) -> None:
    """Writes the records of the day, with what is special about each person.

    Takes the person of each organization who has no record any more. Those who are erased by a command are still there.
    """
    project.records(
        {"org": f"org-{org:03}", "badge": badge(org, person), "at": f"{DAY}T08:00:00Z", **record(org, person)}
        for org in range(orgs)
        for person in range(people)
        if gone is None or org < ERASED or person != gone(org)
    )


def badge(org: int, person: int) -> str:
    """The badge of a person."""
    return f"B-{org:03}-{person:03}"


def read(project: Project, name: str, output: Path | None = None) -> Rows:
    """The published rows of a table by organization."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in minimize.read(output or project.out, name, keys=project.keys).to_pylist():
        found[row["org"]].append(row)
    return found


def run(project: Project, hour: int = 0, **options: Any) -> minimize.Receipt:
    """Runs the pipeline at an hour after the day."""
    at = AT + timedelta(hours=hour)
    with time_machine.travel(at):
        return project.run(at=at, **options)


def erase(project: Project, hour: int, gone: Callable[[int], int]) -> None:
    """Deletes a person of some organizations for good, at an hour after the day."""
    lines = "".join(f"{badge(org, gone(org))},org-{org:03}\n" for org in range(ERASED))
    (project.folder / "who.csv").write_text("subject,tenant_id\n" + lines)
    with time_machine.travel(AT + timedelta(hours=hour)):
        made = command("subject", "delete", "--file", project.folder / "who.csv", "--pipeline", project.folder, "--yes")
    assert made.code == 0, made.err


def figure(rows: Iterable[Mapping[str, Any]], measure: str, **where: Any) -> Any:
    """A figure of the row with these keys; None if it is absent."""
    return next((row[measure] for row in rows if all(row[key] == value for key, value in where.items())), None)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """The control: runs draw no noise, and everything else is as usual. The margin and the grid are those of no noise."""

    def none(noise: RowNoise, figure: object, rows: Any = None) -> Any:
        return np.zeros(len(noise.identities if rows is None else rows), np.int64)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RowNoise, "counts", none)
        patch.setattr(RowNoise, "scaled", lambda noise, figure, scale: none(noise, figure))
        patch.setattr(NoiseTerms, "margin", 0)
        patch.setattr(NoiseTerms, "total_sd", Fraction(1, 10**30))
        yield


def tried(found: Sequence[bool | None]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """The worlds in which the attack's figures were published, and whether it succeeded in each."""
    return np.array([each for each in found if each is not None], np.bool_)
