"""A bound on disclosure risk: removed records, and values that became coarser, are in no file and in nothing that is printed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import minimize
from minimize.disclosure_risk.combinations import CombinationTally, combinations_of
from minimize.disclosure_risk.lookup import CombinationIndex
from minimize.errors import RefusedError
from minimize.stages.risk_bound import CoarserColumn, DecidedBound, RiskDecision, RiskFigures
from tests.leak.canary import Canary
from tests.leak.opened import named, unsealed
from tests.leak.printed import printed_by
from tests.leak.sweep import found
from tests.project import Project, event, new_project, write_keyring

SUPPRESSED = (
    Canary("version of suppressed records", "CANARY-version-5b0c9e"),
    Canary("sensitive value of suppressed records", "CANARY-state-71d2aa"),
    Canary("number in suppressed records", 7_405_112_633_911_021),
    Canary("subject of suppressed records", "CANARY-device-0f33b1"),
)
RARE: dict[str, Any] = dict(
    zip(("os", "state", "charge", "device_id"), (each.value for each in SUPPRESSED), strict=True)
)
AT_ROOT = (Canary("version at the root", "740511263.391102"), Canary("coarser version at the root", "740511263"))
FIELDS: dict[str, Any] = {
    "os": {"type": "string", "role": "quasi", "do": "keep"},
    "state": {"type": "string", "do": "keep"},
    "charge": {"type": "integer", "do": "keep"},
}
CHOSEN = {"os": {"type": "string", "role": "quasi", "do": {"truncate_version": {"parts": "auto"}}}}
BOUND: dict[str, Any] = {"quasi_identifiers": ["os"], "sensitive": ["state"], "require": {"k": 3, "l": 2}}
TABLE: dict[str, Any] = {
    "by_os": {
        "group_by": {"os": "os", "state": "state"},
        "measures": {"devices": {"count_distinct": "device_id"}},
        "suppress": {"below": 1},
        "exact": {"because": "tests look for values"},
    }
}


@dataclass(frozen=True)
class Swept:
    """A project whose runs are searched: all of its folders but the input, and what it printed."""

    project: Project
    spill: Path

    def run(self, *words: str, code: int = 0) -> bytes:
        """Runs the pipeline and checks what it left; gives what was printed."""
        folder = self.project.folder
        run = ("--verbose", "run", ".", "--at", "2026-11-25T00:00:00Z", "--output", "out", *words)
        with named(self.spill):
            return printed_by(folder, run, code=code)

    def hits(self, canaries: tuple[Canary, ...], printed: bytes) -> set[str]:
        """The canaries in what it left and printed."""
        left = [self.project.out, self.project.folder / "ledger.db", self.spill]
        return set().union(found(canaries, printed), *(found(canaries, place) for place in left))


@pytest.fixture(name="swept")
def _swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Swept:
    monkeypatch.setenv("MINIMIZE_MEMORY", "1")
    project = new_project(tmp_path / "project")
    rows = [event(number, os="17.1.2", state=("ok", "bad")[number % 2], charge=number) for number in range(40)]
    project.records([*rows, event(90, **RARE), {**event(91, **RARE), "battery": "no number"}, '{"broken'])
    write_keyring(project.folder / "keys", ("device",))
    return Swept(project, tmp_path / "spill")


def bounded(project: Project, fields: dict[str, Any] | None = None, **bound: Any) -> None:
    project.policy({**FIELDS, **(fields or {})})
    records = {"risk": {**BOUND, **bound}} if bound else {}
    aggregates = None if bound.get("otherwise") == "recode" else TABLE
    project.pipeline(settings=None, aggregates=aggregates, records=records)


def test_suppressed_records_are_nowhere(swept: Swept) -> None:
    bounded(swept.project, otherwise="suppress", suppress_at_most=0.1)
    printed = swept.run()
    (receipt,) = (swept.project.out / "runs").glob("*/receipt.json")
    assert json.loads(receipt.read_text())["risk"]["suppressed"] == 1
    assert swept.hits(SUPPRESSED, printed) == set()


def test_what_the_bound_sets_aside_has_codes_and_no_values(swept: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    unsealed(monkeypatch)
    rows = [event(number, device_id=f"CANARY-many-{number}", os=f"{number % 9}", state="ok") for number in range(900)]
    swept.project.records(rows, name="b")
    bound = {**BOUND, "require": {"k": 3}, "sensitive": [], "otherwise": "suppress", "suppress_at_most": 0.1}
    swept.project.policy({**FIELDS, "model": None})
    swept.project.pipeline(settings=None, aggregates=None, records={"risk": bound})
    swept.run()
    assert swept.spill.stat().st_size > 4000
    assert found((*SUPPRESSED, Canary("one of many subjects", "CANARY-many-")), swept.spill) == set()


def test_the_control_finds_the_records_without_a_bound(swept: Swept) -> None:
    bounded(swept.project)
    printed = swept.run()
    pseudonymized = "subject of suppressed records"
    assert swept.hits(SUPPRESSED, printed) == {each.place for each in SUPPRESSED} - {pseudonymized}


def test_values_at_the_root_are_nowhere(swept: Swept) -> None:
    swept.project.records(
        [event(number, os=f"{AT_ROOT[0].value}.{number}", state="ok") for number in range(2)], name="b"
    )
    bounded(swept.project, CHOSEN, sensitive=[], require={"k": 3}, otherwise="generalize")
    printed = swept.run()
    assert {row["os"] for row in swept.project.rows()} == {None}
    assert swept.hits(AT_ROOT, printed) == set()


def test_the_control_finds_values_of_a_finer_level(swept: Swept) -> None:
    swept.project.records([event(number, os=f"{AT_ROOT[0].value}.{number}", state="ok") for number in range(20)])
    bounded(swept.project, CHOSEN, sensitive=[], require={"k": 3}, otherwise="generalize")
    printed = swept.run()
    assert swept.hits(AT_ROOT, printed) == {each.place for each in AT_ROOT}


def test_recoded_values_are_nowhere(swept: Swept) -> None:
    common = [event(number, os=("17.1.2", "17.1.2", "18.4.0")[number % 3], state="ok") for number in range(60)]
    swept.project.records([*common, event(90, os=f"{AT_ROOT[0].value}.1", state="ok", device_id="d90")])
    bounded(swept.project, CHOSEN, sensitive=[], require={"k": 3}, otherwise="recode", suppress_at_most=0.1)
    printed = swept.run()
    assert "17.1.2" in {row["os"] for row in swept.project.rows()}
    assert swept.hits(AT_ROOT, printed) == set()


def test_a_refused_run_leaves_and_prints_nothing(swept: Swept) -> None:
    bounded(swept.project, otherwise="refuse")
    printed = swept.run(code=3)
    assert b"E305" in printed
    assert swept.hits(SUPPRESSED, printed) == set()
    assert not list(swept.project.out.rglob("*.parquet"))


def test_a_refusal_in_the_library_names_no_value(swept: Swept) -> None:
    bounded(swept.project, otherwise="suppress", suppress_at_most=0.01)
    with pytest.raises(RefusedError) as caught:
        swept.project.run()
    error = caught.value
    assert (
        found(SUPPRESSED, repr((error, error.message, error.hint, error.findings, error.__context__)).encode()) == set()
    )


def table() -> pa.Table:
    rows = [{**RARE, "device_id": f"{RARE['device_id']}{number}"} for number in range(4)]
    return pa.Table.from_pylist(rows)


def test_nothing_that_a_program_may_print_shows_a_value() -> None:
    combinations = combinations_of(table(), ["os", "charge"], ["state"], "device_id")
    tally = CombinationTally(["os", "charge"], ["state"], "device_id")
    tally.observe(table())
    index = CombinationIndex(combinations)
    column = CoarserColumn(combinations.codes[:, 0], combinations.dictionaries[0])
    bound = DecidedBound(index, combinations.records > 0, {"os": column})
    decision = RiskDecision(RiskFigures(measures={"k": 4}), ("k",), bound)
    parts = (tally, combinations, *combinations.sensitive, combinations.persons, index, column, bound, decision)
    assert found(SUPPRESSED, "\n".join(map(repr, parts)).encode()) == set()
    assert found(SUPPRESSED, repr(combinations.dictionaries).encode()), "the control: the values are there"


def test_a_record_that_was_not_counted_is_not_named() -> None:
    index = CombinationIndex(combinations_of(table(), ["os"]))
    with pytest.raises(KeyError) as caught:
        index.places(pa.RecordBatch.from_pydict({"os": [f"{RARE['os']}-other"]}))
    assert found(SUPPRESSED, repr(caught.value).encode()) == set()


def test_a_measured_output_shows_no_value(swept: Swept) -> None:
    bounded(swept.project)
    swept.run()
    words = ("--quasi", "os", "--sensitive", "state", "--person", "device_id")
    printed = printed_by(swept.project.folder, ("risk", "out", *words), ("risk", "out", *words, "--json"))
    assert b'"k": 1' in printed
    assert found(SUPPRESSED, printed) == set()
    risk = minimize.risk(minimize.read(swept.project.out), quasi_identifiers=["os"], sensitive=["state"])
    assert found(SUPPRESSED, repr(risk).encode()) == set()
