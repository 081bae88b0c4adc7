"""Lines of NDJSON that nobody wrote by mistake: each is read as it is meant, or stands in quarantine by code and place alone."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
import pytest

import minimize
from tests.hostile.shell import Ended
from tests.hostile.shell import minimize as minimize_command
from tests.project import AT, DAY, Project, event, new_project

CANARY: Final = "CANARY-of-a-hostile-line"


def line(raw: Mapping[str, str] | None = None, more: str = "", **changes: Any) -> str:
    """A check-in as JSON, with values written as they are, and more at its end."""
    text = json.dumps(event(1, **changes | {key: f"<{key}>" for key in raw or {}}))
    for key, value in (raw or {}).items():
        text = text.replace(f'"<{key}>"', value)
    return text[:-1] + more + "}"


def deep(depth: int) -> str:
    return "[" * depth + "]" * depth


READ: Final[Mapping[str, str]] = {
    "spaces around it": f"  {line(model='spaces around it')}\t",
    "a carriage return at its end": line(model="a carriage return at its end") + "\r",
    "a surrogate pair": line({"model": '"\\ud83d\\ude00"'}),
    "an escaped NUL in a value": line(model="NUL\0"),
    "an escaped NUL in a name": line(more=', "a\\u0000b": 1', model="an escaped NUL in a name"),
    "the least int64": line(storage=-(2**63), model="the least int64"),
    "a name that is empty": line(more=', "": 1', model="a name that is empty"),
    "names that look like pointers": line(
        more=', "~0~1": 1, "*": 2, "a/b": 3, "~2": 4', model="names that look like pointers"
    ),
    "a number of 5,000 digits that nobody declared": line(
        more=', "x": ' + "9" * 5_000, model="a number of 5,000 digits that nobody declared"
    ),
    "ten thousand names": line(more="".join(f', "k{n}": {n}' for n in range(10_000)), model="ten thousand names"),
}
SAID: Final = {"a surrogate pair": "\U0001f600", "an escaped NUL in a value": "NUL\0"}
REFUSED: Final[Mapping[str, tuple[str, str]]] = {
    "a NUL as it is": ("malformed", line({"model": f'"{CANARY}\0"'})),
    "a vertical tab before it": ("malformed", "\v" + line(model=CANARY)),
    "a byte order mark amid the file": ("malformed", "\ufeff" + line(model=CANARY)),
    "half a surrogate pair": ("malformed", line({"model": f'"{CANARY}\\ud83d"'})),
    "half a surrogate pair in a name": ("malformed", line(more=f', "\\ud83d{CANARY}": 1')),
    "a name twice": ("malformed", line(more=f', "model": "{CANARY}"')),
    "a name twice, once escaped": ("malformed", line(more=f', "mod\\u0065l": "{CANARY}"')),
    "a name twice in what nobody declared": ("malformed", line(more=f', "x": {{"a": "{CANARY}", "a": 1}}')),
    "lists 10,000 deep": ("malformed", line(more=f', "x": {deep(10_000)}')),
    "objects 10,000 deep": ("malformed", line(more=', "x": ' + '{"a":' * 10_000 + "1" + "}" * 10_000)),
    "lists 100,000 deep that nobody closes": ("malformed", "[" * 100_000),
    "lists 10,000 deep for a text": ("malformed", line({"model": deep(10_000)})),
    "no object": ("malformed", f'"{CANARY}"'),
    "an object that ends early": ("malformed", f'{{"model": "{CANARY}'),
    "not a number": ("malformed", line({"battery": "NaN"})),
    "infinity": ("malformed", line({"battery": "-Infinity"})),
    "one more than int64": ("wrong_type", line(storage=2**63)),
    "one less than int64": ("wrong_type", line(storage=-(2**63) - 1)),
    "an integer of 5,000 digits": ("wrong_type", line({"storage": "9" * 5_000})),
    "a double of 5,000 digits": ("wrong_type", line({"battery": "9" * 5_000})),
    "a double beyond all doubles": ("wrong_type", line({"battery": "1e400"})),
    "the year 0": ("bad_time", line(event_time="0000-01-01T00:00:00Z")),
    "the year 10000": ("bad_time", line(event_time="10000-01-01T00:00:00Z")),
    "before the year 1, by an offset": ("bad_time", line(event_time="0001-01-01T00:00:00+12:00")),
    "the last second of the year 9999": ("future_time", line(event_time="9999-12-31T23:59:59Z", model=CANARY)),
    "after the year 9999, by an offset": ("bad_time", line(event_time="9999-12-31T23:59:59-12:00")),
    "a leap second": ("bad_time", line(event_time="2026-11-24T23:59:60Z")),
    "a time that is a text": ("bad_time", line(event_time=CANARY)),
}


@dataclass(frozen=True)
class Done:
    """A run over all of these lines."""

    project: Project
    ended: Ended
    codes: Mapping[str, str]
    """By line, the code under which it stands in quarantine."""
    models: frozenset[str]
    """What was read of the field that tells lines apart."""


@pytest.fixture(scope="module", name="done")
def _done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    project = new_project(tmp_path_factory.mktemp("project"))
    project.policy({"model": {"type": "string", "do": "keep"}})
    lines = {**READ, **{name: text for name, (_, text) in REFUSED.items()}}
    places = written(project.folder / "data" / DAY / "a.ndjson.gz", lines)
    ended = minimize_command(project.folder, "run", ".", "--at", AT.isoformat(), "--output", "out", "--json")
    rows = quarantined(project.out)
    codes = {name: rows[place] for name, place in places.items() if place in rows}
    return Done(project, ended, codes, frozenset(row["model"] for row in project.rows()))


def written(path: Path, lines: Mapping[str, str]) -> dict[str, int]:
    """Writes the lines and gives the byte where each of them begins."""
    path.parent.mkdir(parents=True)
    places, text = {}, b""
    for name, each in lines.items():
        places[name] = len(text)
        text += each.encode() + b"\n"
    path.write_bytes(gzip.compress(text, 1))
    return places


def quarantined(out: Path) -> dict[int, str]:
    found = [row for path in sorted((out / "quarantine").rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    return {row["position"]: row["code"] for row in found}


def test_a_run_over_them_is_done_and_accounts_for_each(done: Done) -> None:
    rows = done.ended.json["rows"]
    assert (done.ended.code, rows["read"], rows["quarantined"]) == (0, len(READ) + len(REFUSED), len(REFUSED))


@pytest.mark.parametrize("name", READ)
def test_an_unusual_valid_line_is_read(done: Done, name: str) -> None:
    assert SAID.get(name, name) in done.models
    assert name not in done.codes


@pytest.mark.parametrize("name", REFUSED)
def test_an_unsound_line_is_quarantined_with_its_code(done: Done, name: str) -> None:
    assert done.codes[name] == REFUSED[name][0]


def test_refused_lines_are_neither_printed_nor_written(done: Done) -> None:
    said = [done.ended.out, done.ended.err, *(path.read_text() for path in texts(done.project.out))]
    assert [text for text in said if CANARY in text] == []


def texts(out: Path) -> Iterator[Path]:
    return (path for path in out.rglob("*") if path.suffix in (".json", ".yaml", ".md"))


def test_the_output_matches_its_receipt(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIMIZE_LEDGER", str(done.project.out / "ledger.db"))
    minimize.verify(done.project.out, keys=done.project.keys)


@pytest.mark.nightly
@pytest.mark.parametrize("filler", [b"a", b"\n"], ids=["a line of 1 GiB", "1 GiB of empty lines"])
def test_a_gibibyte_out_of_a_megabyte_is_read_in_bounded_memory(tmp_path: Path, filler: bytes) -> None:
    project = new_project(tmp_path)
    path = project.records([])
    with gzip.open(path, "wb", 1) as file:
        for _ in range(1024):
            file.write(filler * (1 << 20))
        file.write(b"\n" + b"".join(json.dumps(event(number)).encode() + b"\n" for number in range(9)))
    ended = minimize_command(project.folder, "run", ".", "--at", AT.isoformat(), "--output", "out", "--json")
    by_code = {"too_large": 1} if filler == b"a" else {}
    assert (ended.code, ended.json["rows"]["written"], ended.json["quarantine"]["by_code"]) == (0, 9, by_code)
    assert ended.memory < 700 << 20
