"""No exact number of people is in any byte or stream of a run that publishes figures with noise only."""

from __future__ import annotations

import re
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.leak.test_counts import exact_numbers, last_receipt, publish, shown
from tests.observability.test_destinations import Server, _server  # noqa: F401
from tests.project import Project, event

PEOPLE, HIDDEN, OFF, EMPTY = 7_919, 7, 1_063, 2_003
TABLES: dict[str, Any] = {
    "total": {
        "group_by": {},
        "measures": {
            "people": {"count_distinct": "device_id"},
            "events": "count",
            "tenants": {"count_distinct": "tenant_id"},
        },
        "suppress": {"below": 10},
    },
    "per_model": {
        "group_by": {"model": "model"},
        "measures": {"events": "count", "battery": {"mean": "battery"}, "drained": {"sum": "battery"}},
        "suppress": {"below": 10},
    },
}


def fill(project: Project, hidden: int) -> None:
    """A group of 7,919 people, of whom 2,003 have no value of a field; a small one; records of a setting that is off."""
    project.policy({"model": {"type": "string", "do": "keep"}}, records={"collect_if": {"model": ["A", "Rare"]}})
    records = [event(number, model="A", device_id=f"d{number}") for number in range(PEOPLE)]
    for each in records[:EMPTY]:
        del each["battery"]
    records += [event(number, model="Rare", device_id=f"lonely{number}") for number in range(hidden)]
    project.records([*records, *(event(number, model="Off") for number in range(OFF))])


def footers(project: Project) -> str:
    """The statistics of all published tables."""
    found = []
    for path in project.out.rglob("*.parquet"):
        groups = pq.read_metadata(path)
        parts = [groups.row_group(number) for number in range(groups.num_row_groups)]
        found += [str(part.column(place).to_dict()) for part in parts for place in range(part.num_columns)]
    return "\n".join(found)


def texts_of(project: Project, server: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Everything that a run leaves or prints."""
    return {**dict(publish(project, server, monkeypatch)), "footers": footers(project)}


NUMBERS = {PEOPLE, PEOPLE + HIDDEN, PEOPLE + HIDDEN + OFF, PEOPLE - EMPTY, EMPTY, EMPTY + HIDDEN, OFF}


def test_no_exact_number_of_people_is_in_anything_that_a_run_leaves(
    project: Project, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(project, HIDDEN)
    project.pipeline(records=False, aggregates=TABLES)
    texts = texts_of(project, server, monkeypatch)
    (row,) = project.rows("per_model")
    assert 0 < abs(row["events"] - PEOPLE) < 20
    numbers = exact_numbers(last_receipt(project)) | NUMBERS
    assert {name: shown(numbers, text) for name, text in texts.items() if shown(numbers, text)} == {}


def test_the_search_finds_them_if_records_are_published(
    project: Project, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(project, HIDDEN)
    project.pipeline(aggregates=TABLES)
    texts = texts_of(project, server, monkeypatch)
    found = {name for name, text in texts.items() if shown(NUMBERS, text)}
    places = {"run []", "run ['--json']", "run ['--log-format', 'json']", "server", "ledger.db"}
    assert places <= found
    assert any(name.endswith("receipt.json") for name in found)


@pytest.mark.parametrize("hidden", [0, HIDDEN])
def test_a_run_does_not_reveal_whether_a_group_is_suppressed(
    hidden: int, project: Project, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(project, hidden)
    project.pipeline(records=False, aggregates=TABLES)
    texts = texts_of(project, server, monkeypatch)
    assert {name: SAID.findall(text) for name, text in texts.items() if SAID.search(text)} == {}


SAID = re.compile(r"suppressed[^\w#]{1,4}\d|\d[\d,]*\s+(?:groups?\s|rows?\s)?suppressed")
"""A number of what is suppressed, also of none, in texts, JSON and metrics."""


@pytest.mark.parametrize(
    "text", ["1 group suppressed", "0 suppressed", '"suppressed":0', '{"suppressed": 12}', '{fate="suppressed"} 1']
)
def test_such_a_number_would_be_found(text: str) -> None:
    assert SAID.search(text)
