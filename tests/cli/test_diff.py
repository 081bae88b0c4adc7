"""`minimize diff`: exit codes, and what it prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import Command
from tests.project import POLICY


@pytest.fixture(name="two")
def _two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.chdir(tmp_path)
    paths = tmp_path / "old.yaml", tmp_path / "new.yaml"
    paths[0].write_text(json.dumps(POLICY))
    paths[1].write_text(json.dumps({**POLICY, "retention": "60d", "owner": "a | b <script> @all"}))
    return paths


def test_what_loosens_exits_1_with_a_table(two: tuple[Path, Path], command: Command) -> None:
    said = command("diff", *two)
    assert said.code == 1
    assert "J020  loosens" in said.out
    assert "retention: kept for 30d → kept for 60d" in said.out
    assert said.out.splitlines()[-1] == "1 loosens, 1 neutral"


def test_what_tightens_exits_0(two: tuple[Path, Path], command: Command) -> None:
    assert command("diff", two[1], two[0]).code == 0


@pytest.mark.parametrize("code", ["J020", "all"])
def test_what_is_allowed_exits_0(code: str, two: tuple[Path, Path], command: Command) -> None:
    said = command("diff", *two, "--allow", code)
    assert said.code == 0
    assert "loosens (allowed)" in said.out


def test_for_machines_it_prints_every_change(two: tuple[Path, Path], command: Command) -> None:
    said = command("diff", *two, "--json")
    assert said.code == 1
    assert said.json["grade"] == "loosens"
    assert said.json["ok"] is False
    assert said.json["counts"] == {"loosens": 1, "tightens": 0, "neutral": 1}
    first = said.json["changes"][0]
    assert (first["code"], first["grade"], first["line"], first["allowed"]) == ("J020", "loosens", 1, False)


def test_for_a_pull_request_it_prints_markdown_in_which_texts_are_nothing_but_text(
    two: tuple[Path, Path], command: Command
) -> None:
    said = command("diff", *two, "--markdown")
    assert said.out.startswith("### Policy review: 1 loosens, 1 neutral\n")
    assert "`--allow J020`" in said.out
    assert "a \\| b &lt;script&gt; &#64;all" in said.out
    assert "<script>" not in said.out


def test_the_same_twice_has_nothing_to_say(two: tuple[Path, Path], command: Command) -> None:
    said = command("diff", two[0], two[0])
    assert (said.code, said.out) == (0, "nothing changed\n")


def test_what_is_not_there_exits_2(two: tuple[Path, Path], command: Command) -> None:
    said = command("diff", two[0], "nothing.yaml", "--json")
    assert said.code == 2
    assert said.error["code"] == "E200"
