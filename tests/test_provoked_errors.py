"""Each code that a user can cause, provoked: its text, its hint and the exit code of the command.

`provoked/*.yaml` have the provocations. A provocation changes a project (`base: project`) or the organization (`base: world`),
runs `commands`, and states the exit code of the last one and what it reports, by code. To make the texts again after an intended
change, run `python -m tests.test_provoked_errors` and read the difference.

`provoked/elsewhere.yaml` names the test that provokes a code which needs more than a command: damaged files, a server, a second
machine. `provoked/unreachable.yaml` gives the reason why a code cannot be provoked from outside. Each code is in one of them.
"""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from minimize.codes import CODES
from tests.commands import Result
from tests.project import AT, BEFORE, DAY, Project, events, new_project
from tests.world import World, build_world

FOLDER: Final = Path(__file__).with_name("provoked")
TABLES: Final = sorted(file for file in FOLDER.glob("*.yaml") if file.stem not in ("elsewhere", "unreachable"))
Provocation = dict[str, Any]


def read_table(file: Path) -> Any:
    return YAML(typ="safe", pure=True).load(file.read_text())


@cache
def provocations() -> list[tuple[str, Provocation]]:
    """All provocations with their names, by file and position."""
    tables = {file.stem: read_table(file) for file in TABLES}
    return [(f"{name}-{case['name']}", case) for name, cases in tables.items() for case in cases or ()]


def prepare(case: Provocation, world: World, folder: Path) -> World:
    """The folder of a provocation: a copy of the organization, or a project with data, with the changes of the provocation."""
    if case.get("base") == "world":
        place = world.copy(folder)
        projects: Mapping[str, Project] = {each.folder.name: each for each in place.projects}
    else:
        place, project = World(folder), new_project(folder, lasting=case.get("lasting", False))
        for day in (BEFORE, DAY):
            project.records(events(60), day)
        projects = {".": project}
    for name, project in projects.items():
        changes = case if name == "." else case.get(name, {})
        if "policy" in changes or "fields" in changes:
            whole = {
                **project.base_policy,
                **({"retention": None} if project.lasting else {}),
                **changes.get("policy", {}),
            }
            fields = {**(whole.get("fields") or {}), **changes.get("fields", {})}
            project.write("policy", whole, fields=fields if "fields" in changes else whole["fields"])
        if "pipeline" in changes:
            project.pipeline(**changes["pipeline"])
    for path, text in case.get("files", {}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text if isinstance(text, str) else json.dumps(text))
    return place


def provoke(case: Provocation, world: World, folder: Path) -> Result:
    """The result of the last command; the commands before it succeed."""
    place = prepare(case, world, folder)
    *before, last = [shlex.split(line) for line in case["commands"]]
    for words in before:
        result = place.command(*actor_and_words(case, words), at=AT)
        assert result.code == 0, (words, result.err)
    return place.command(*actor_and_words(case, last), "--log-format", "json", "--json", at=AT)


def actor_and_words(case: Provocation, words: list[str]) -> tuple[str, ...]:
    """The account of a command (`otto: keys list`, or that of the provocation) and its words."""
    if words[0].endswith(":"):
        return words[0][:-1], *words[1:]
    return case.get("actor", "otto"), *words


def reported(result: Result, folder: Path) -> dict[str, dict[str, str]]:
    """The text and the hint of each code that a command reports on stdout or stderr."""
    found: dict[str, dict[str, str]] = {}
    for part in documents(result.out, result.err):
        for each in objects(part):
            message, code = each.get("message", each.get("msg")), each.get("code")
            if isinstance(code, str) and code in CODES and message is not None:
                hint = each.get("hint") or each.get("data", {}).get("hint") or ""
                texts = {"message": message, "hint": hint}
                found.setdefault(code, {key: text.replace(str(folder), "…") for key, text in texts.items() if text})
    return found


def documents(*streams: str) -> Iterator[Any]:
    """The JSON documents of streams: one, or one a line."""
    for text in streams:
        try:
            yield json.loads(text or "null")
        except ValueError:
            yield from (json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}"))
            start = text.find("{\n")
            if start >= 0:
                yield json.JSONDecoder().raw_decode(text[start:])[0]


def objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """All objects of a JSON document."""
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from objects(each)
    elif isinstance(value, list):
        for each in value:
            yield from objects(each)


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in provocations()])
def test_a_code_has_its_text_its_hint_and_the_exit_code(case: Provocation, shared_world: World, tmp_path: Path) -> None:
    result = provoke(case, shared_world, tmp_path / "p")
    texts = reported(result, tmp_path / "p")
    assert {code: texts.get(code) for code in case["expect"]} == case["expect"]
    assert result.code == case["exit"]


def test_each_code_is_provoked_here_or_elsewhere_or_has_a_reason() -> None:
    here = {code for _, case in provocations() for code in case["expect"]}
    elsewhere, unreachable = set(read_table(FOLDER / "elsewhere.yaml")), set(read_table(FOLDER / "unreachable.yaml"))
    assert (here & elsewhere, here & unreachable, elsewhere & unreachable) == (set(), set(), set())
    assert here | elsewhere | unreachable == set(CODES)


def test_a_test_that_provokes_a_code_elsewhere_names_it() -> None:
    tests = Path(__file__).parent
    places = read_table(FOLDER / "elsewhere.yaml")
    assert [code for code, path in places.items() if f'"{code}"' not in (tests / path).read_text()] == []


def test_no_text_is_that_of_a_library() -> None:
    texts = [text for _, case in provocations() for each in case["expect"].values() for text in each.values()]
    words = ("Input should", "validation", "pydantic", "Errno", "pyarrow", "token", "Traceback", "instance of")
    assert [text for text in texts if any(word in text for word in words[:5])] == []


def update() -> None:
    """Writes the exit codes and texts of all provocations. `expect: new` becomes the codes that no case before reports."""
    yaml, known = YAML(), set[str]()
    yaml.width = 4096
    with tempfile.TemporaryDirectory() as temporary:
        world = build_world(Path(temporary, "world"))
        for file in TABLES:
            cases = yaml.load(file.read_text())
            for number, case in enumerate(cases):
                result = provoke(json.loads(json.dumps(case)), world, folder := Path(temporary, f"{file.stem}-{number}"))
                texts = reported(result, folder)
                codes = sorted(texts.keys() - known if case["expect"] == "new" else case["expect"])
                missing = [code for code in codes if code not in texts]
                if missing:
                    sys.stderr.write(f"{case['name']}: no {missing}, but {sorted(texts)}; exit {result.code}\n")
                case["exit"], case["expect"] = result.code, {code: texts.get(code) for code in codes}
                case.fa.set_block_style()
                known.update(codes)
            with file.open("w") as target:
                yaml.dump(cases, target)


if __name__ == "__main__":
    update()
