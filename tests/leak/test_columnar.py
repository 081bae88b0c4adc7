"""Of a whole run over CSV and Parquet nothing that was planted is found, in columns, metadata, paths, or what was printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import minimize as library
from tests.leak.canary import Canary
from tests.leak.columnar import PLANTED, build
from tests.leak.planted import AT
from tests.leak.printed import printed_by
from tests.leak.sweep import found
from tests.project import DAY, write_keyring

KINDS = ("csv", "parquet")
RUN = ("run", ".", "--at", AT, "--output", "out")


@pytest.fixture(scope="module", params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline that was not run yet."""
    folder = build(tmp_path_factory.mktemp(request.param), request.param)
    write_keyring(folder / "keys", ("device", "ticket"))
    return folder


@pytest.fixture(scope="module")
def printed(folder: Path) -> bytes:
    """What the run printed."""
    return printed_by(folder, ("--verbose", *RUN))


def test_nothing_planted_is_in_the_output_or_printed(folder: Path, printed: bytes) -> None:
    assert library.read(folder / "out").num_rows == 44
    assert found(PLANTED, folder / "out") == set()
    assert found(PLANTED, printed) == set()


def test_nothing_planted_is_printed_afterwards(folder: Path, printed: bytes) -> None:
    assert printed
    lint, preview = ("lint", ".", "--fail-on", "never", "--json"), ("plan", ".", "--preview", "100", "--at", AT)
    assert found(PLANTED, printed_by(folder, ("verify", "out"), preview, lint)) == set()


def test_a_path_of_the_source_shows_no_value(folder: Path, printed: bytes) -> None:
    assert printed
    (receipt,) = (folder / "out").rglob("receipt.json")
    (given,) = json.loads(receipt.read_text())["inputs"]
    assert given["path"].startswith(DAY)
    assert ("office=#" in given["path"]) == given["path"].endswith(".parquet")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_planted_is_printed_when_a_file_is_damaged(tmp_path: Path, kind: str) -> None:
    folder = build(tmp_path, kind)
    write_keyring(folder / "keys", ("device", "ticket"))
    (file,) = (folder / "in").rglob(f"part.{kind}")
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2] + data[-64:] if kind == "parquet" else data.replace(b"event_time", b"e"))
    said = printed_by(folder, RUN, (*RUN, "--json"), code=2)
    assert found(PLANTED, said) == set()
    assert found(PLANTED, folder / "out") == set()


def test_the_control_finds_what_was_planted_in_the_input(folder: Path) -> None:
    places = {canary.place for canary in PLANTED}
    untyped = {"bad time", "bad integer", "bad double", "ragged row", "unclosed quote"}
    typed = {place for place in places if "path" in place or "metadata" in place}
    typed |= {"undeclared inside", "spare entry", "gated element", "truncated time", "undeclared name in an element"}
    missing = typed if (folder / "in" / DAY / "part.csv").exists() else untyped
    assert found(PLANTED, folder / "in") == places - missing - {"mistyped", "malformed line"}


def test_the_control_finds_what_is_kept_in_the_output(folder: Path, printed: bytes) -> None:
    assert printed
    assert found([Canary("kept", "corporate")], folder / "out") == {"kept"}
