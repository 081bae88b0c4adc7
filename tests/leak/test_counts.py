"""No number that would reveal a suppressed group is in any file or stream of a run that publishes no records."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from minimize.receipts import Receipt
from minimize.report import create_report
from tests.commands import command
from tests.observability.test_destinations import Server, _server  # noqa: F401
from tests.project import AGGREGATES, AT, DAY, Project, event

pytestmark = pytest.mark.usefixtures("own_ledger")

DEVICES = 40
"""More than the largest draw, the margin and the threshold together."""
SMALL, SHOWN, OFF, EMPTY = 1_409, 1_201, 1_063, 1_117

NOISY = {
    **{key: value for key, value in AGGREGATES["per_model"].items() if key != "exact"},
    "per_subject": {"rows": 800},
}


@pytest.fixture(name="many")
def _many(project: Project) -> Project:
    """Two groups, one of them of two devices; records of a setting that is off; undeclared fields. All counts differ."""
    project.policy({"model": {"type": "string", "do": "keep"}}, records={"collect_if": {"model": ["A", "Rare"]}})
    shown = [event(number, model="A", device_id=f"d{number % DEVICES}") for number in range(SHOWN)]
    small = [event(number, model="Rare", device_id=f"lonely{number % 2}") for number in range(SMALL)]
    gated = [event(number, model="Off") for number in range(OFF)]
    for each in shown[:EMPTY]:
        each |= {"battery": None, "extra": 1}
    project.records([*shown, *small, *gated])
    return project


def given(project: Project) -> list[Any]:
    return ["--keys", project.keys, "--at", AT.isoformat(), "--output", project.out]


def publish(project: Project, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """Runs the pipeline, and gives the name and the text of everything that the run leaves or prints."""
    monkeypatch.setenv("OPENLINEAGE_URL", server.url)
    monkeypatch.setenv("MINIMIZE_LEDGER", str(project.folder / "ledger.db"))
    places = [*given(project), "--metrics", project.folder / "metrics"]
    for options in ([], ["--json"], ["--log-format", "json"]):
        done = command("run", project.folder, "--date", DAY, *places, *options)
        assert done.code == 0, done.err
        yield f"run {options}", done.out + done.err
    shown = ["--keys", project.keys]
    for words in (["runs"], ["runs", "--json"], ["report", project.out, *shown]):
        done = command(*words)
        assert done.code == 0, done.err
        yield " ".join(map(str, words[:2])), done.out + done.err
    yield "server", json.dumps(server.got)
    yield "page", create_report(project.out, at=AT, keys=project.keys).html()
    for path in sorted(each for each in project.folder.rglob("*") if each.is_file()):
        if "data" not in path.relative_to(project.folder).parts:
            yield path.relative_to(project.folder).as_posix(), content(path)


def content(path: Path) -> str:
    """The file as text, decoded; empty if it is sealed."""
    if path.suffix == ".parquet":
        return f"{pq.read_table(path).to_pylist()} {pq.read_schema(path).metadata}"
    if path.suffix == ".db":
        with closing(sqlite3.connect(path)) as ledger:
            tables = [name for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return "\n".join(str(row) for name in tables for row in ledger.execute(f'SELECT * FROM "{name}"'))
    return "" if path.suffix == ".sealed" else path.read_bytes().decode(errors="replace")


def exact_numbers(receipt: Receipt) -> set[int]:
    """All counts of the receipt of a hundred and more, except those of published rows."""
    document = {name: part for name, part in receipt.to_json().items() if name not in ("outputs", "sequence")}
    outputs = [{**each, "rows": 0, "files": []} for each in receipt.to_json()["outputs"].values()]
    found = re.findall(r"(?<=: )\d+(?=[,}\]])", json.dumps([document, outputs]))
    return {int(number) for number in found if int(number) >= 100}


def shown(numbers: set[int], text: str) -> set[int]:
    digits = re.findall(r"(?<![\w.+-])(?<!\d:)(?:\d{1,3}(?:,\d{3})+|\d+(?:\.0+)?)(?!\w)", text)
    return numbers & {int(float(each.replace(",", ""))) for each in digits}


def last_receipt(project: Project) -> Receipt:
    paths = (project.out / "runs").glob("*/receipt.json")
    found = max((Receipt.from_json(path.read_bytes()) for path in paths), key=lambda receipt: receipt.sequence)
    return project.exact(found)


def test_no_exact_count_is_in_anything_that_a_run_without_records_leaves(
    many: Project, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    many.pipeline(records=False, aggregates={"per_model": NOISY})
    texts = dict(publish(many, server, monkeypatch))
    exact = last_receipt(many)
    assert exact.rows.by_result["suppressed"] == exact.outputs["per_model"].rows_suppressed == SMALL
    numbers = exact_numbers(exact) | {SHOWN}
    assert {SMALL, OFF, SHOWN + SMALL, SHOWN + SMALL + OFF} <= numbers
    assert {name: shown(numbers, text) for name, text in texts.items() if shown(numbers, text)} == {}
    assert not any(re.search(r"suppressed\W+\d+\b", text) for text in texts.values())


def test_the_sweep_finds_the_counts_of_a_run_with_records(
    many: Project, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = dict(publish(many, server, monkeypatch))
    numbers = {SHOWN + SMALL, OFF, SHOWN + SMALL + OFF}
    places = ["run []", "run ['--json']", "run ['--log-format', 'json']", "server", "ledger.db"]
    places += [name for name in texts if name.endswith(("receipt.json", ".lineage.ndjson", ".prom"))]
    assert [name for name in places if not shown(numbers, texts[name])] == []
    assert not any(shown({SMALL}, text) for text in texts.values())


def test_sealed_counts_have_the_same_length_for_any_small_groups(project: Project) -> None:
    project.policy({"model": {"type": "string", "do": "keep"}})
    lengths = set()
    for number, small in enumerate((0, 1, 2, 30)):
        project.pipeline(records=False, output=f"out{number}")
        project.records([*(event(each, model="A") for each in range(40)), *(event(9, model="B") for _ in range(small))])
        output = project.folder / f"out{number}"
        receipt = project.run(output=output, ledger=project.folder / f"ledger{number}.db")
        lengths.add((output / "runs" / receipt.run_id / "counts.sealed").stat().st_size)
        exact = project.exact(receipt, output)
        assert exact.outputs["per_model"].rows_suppressed == small
    assert len(lengths) == 1


def opened(project: Project, *options: Any) -> str:
    return command("report", project.out, *options).out


def test_a_report_shows_sealed_counts_only_with_keyring_and_option(many: Project) -> None:
    many.pipeline(records=False)
    many.run()
    plain = opened(many, "--keys", many.keys)
    assert ("not shown" in plain, "1,410" in plain) == (True, False)
    assert "1,410 suppressed" in opened(many, "--keys", many.keys, "--sealed-counts")


def test_a_report_without_the_keyring_refuses_sealed_counts(many: Project) -> None:
    many.pipeline(records=False)
    many.run()
    done = command("report", many.out, "--sealed-counts")
    assert (done.code, "sealed counts cannot be opened without the keyring" in done.err) == (2, True)


def test_suppressed_groups_are_sealed_although_records_are_published(many: Project) -> None:
    receipt = many.run()
    shown_output, exact = receipt.outputs["per_model"], many.exact(receipt).outputs["per_model"]
    assert (shown_output.groups_suppressed, shown_output.rows_suppressed) == (None, None)
    assert (exact.groups_suppressed, exact.rows_suppressed) == (1, SMALL)


def test_the_quarantine_limit_is_checked_exactly_and_prints_no_exact_number(project: Project) -> None:
    project.pipeline(records=False, quarantine={"fail_above": 0.02})
    project.records([*(event(number) for number in range(138)), *["broken"] * 3])
    done = command("run", project.folder, "--date", DAY, *given(project))
    assert (done.code, "3 of about 150 rows are in quarantine" in done.err, "141" in done.err) == (4, True, False)


def test_the_shrink_guard_compares_exactly_and_prints_no_exact_number(project: Project) -> None:
    project.pipeline(records=False)
    project.records(event(number) for number in range(141))
    project.run()
    project.records(event(number) for number in range(71))
    project.run()
    project.records(event(number) for number in range(35))
    done = command("run", project.folder, "--date", DAY, *given(project))
    assert (done.code, "only about 50 rows were read" in done.err) == (1, True)
