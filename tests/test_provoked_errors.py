"""Each code that a user can cause, provoked: its text, its hint and the exit code of the command.

`provoked/*.yaml` have the provocations. A provocation changes a project (`base: project`) or the organization (`base: world`),
runs `commands`, and states the exit code of the last one and what it reports, by code. To make the texts again after an intended
change, run `python -m tests.test_provoked_errors [FILE …]` and read the difference.

`provoked/elsewhere.yaml` names the test of a code that is tested elsewhere. `provoked/unreachable.yaml` gives the reason why a
code cannot be provoked from outside. Each code is in one of them, or a provocation expects it.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from minimize.codes import CODES
from tests.commands import Result
from tests.project import AT, BEFORE, DAY, Project, event, events, new_project, without_none, write_yaml
from tests.world import NOW, World, build_world, sync, vendor_file

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
    else:
        place, project = World(folder), new_project(folder, lasting=case.get("lasting", False))
        for day in (BEFORE, DAY):
            project.records(events(60), day)
    change(place, case, case)
    return place


def change(place: World, case: Provocation, changes: Mapping[str, Any]) -> None:
    """Changes policies, pipelines, records and files.

    In the organization, `checkins`, `support` and `usage` are keys, `vendor` changes the recipient and `sync` its function.
    """
    if case.get("base") == "world":
        for project in place.projects:
            change_project(project, changes.get(project.folder.name, {}))
    else:
        change_project(Project(place.folder, case.get("lasting", False)), changes)
    if "vendor" in changes:
        functions = {"functions": sync(**changes["sync"])} if "sync" in changes else {}
        write_yaml(place.folder / "recipients" / "vendor.yaml", vendor_file(**changes["vendor"], **functions))
    for path in changes.get("remove", ()):
        target = place.folder / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    for source, target in changes.get("copy", {}).items():
        shutil.copytree(place.folder / source, place.folder / target)
    for path, text in changes.get("files", {}).items():
        (place.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (place.folder / path).write_text(text if isinstance(text, str) else json.dumps(text))


def change_project(project: Project, changes: Mapping[str, Any]) -> None:
    if "policy" in changes or "fields" in changes:
        whole = {
            **project.base_policy,
            **({"retention": None} if project.lasting else {}),
            **changes.get("policy", {}),
        }
        fields = {**(whole.get("fields") or {}), **changes.get("fields", {})}
        project.write("policy", whole, fields=without_none(fields) if "fields" in changes else whole["fields"])
    if "pipeline" in changes:
        project.pipeline(**changes["pipeline"])
    for path, rows in changes.get("records", {}).items():
        day, _, name = path.partition("/")
        first = [row if isinstance(row, str) else event(number, **row) for number, row in enumerate(rows)]
        project.records(first, day, name or "a")


def provoke(case: Provocation, world: World, folder: Path) -> Result:
    """The result of the last command. The commands before it succeed, or exit with the code before them (`4 otto: run .`)."""
    place = prepare(case, world, folder)
    *before, last = case["commands"]
    for step in before:
        if isinstance(step, str):
            code, _, line = step.partition(" ") if step[0].isdigit() else ("0", "", step)
            result = run_line(place, case, line)
            assert result.code == int(code), (line, result.err)
        else:
            change(place, case, step)
    return run_line(place, case, last, "--log-format", "json", "--json")


def run_line(place: World, case: Provocation, line: str, *more: str) -> Result:
    """Runs a command, such as `otto@2026-11-26T08:00Z: keys list`, as its account and at its time, or those of the provocation.

    `<grant of sam>` is the id of Sam's latest request for access, `<run>` that of the latest run.
    """
    who, separator, words = line.partition(": ")
    if not separator or " " in who:
        who, words = "", line
    actor, _, time = who.partition("@")
    at = datetime.fromisoformat(time) if time else case.get("at", NOW if case.get("base") == "world" else AT)
    for requester in re.findall(r"<grant of (\w+)>", words):
        grants = place.command("pia", "access", "list", "--json", at=at).json["grants"]
        own = [grant for grant in grants if grant["requester"] == requester]
        words = words.replace(f"<grant of {requester}>", max(own, key=lambda grant: grant["requested_at"])["grant"])
    if "<run>" in words:
        words = words.replace("<run>", max(path.parent.name for path in place.folder.glob("**/runs/*/receipt.json")))
    return place.command(actor or case.get("actor", "otto"), *shlex.split(words), *more, at=at)


def reported(result: Result, folder: Path) -> dict[str, dict[str, str]]:
    """The text and the hint of each code that a command reports on stdout or stderr."""
    found: dict[str, dict[str, str]] = {}
    for part in documents(result.out, result.err):
        for each in objects(part):
            message, code = each.get("message", each.get("msg")), each.get("code")
            if isinstance(code, str) and code in CODES and message is not None:
                hint = each.get("hint") or each.get("data", {}).get("hint") or each.get("edit") or ""
                texts = {"message": message, "hint": hint}
                found.setdefault(code, {key: without_ids(text, folder) for key, text in texts.items() if text})
    return found


def without_ids(text: str, folder: Path) -> str:
    """A text without what differs in each run: the path of the folder, and random ids."""
    return re.sub(
        r"\b([0-9a-f]{8}-[0-9a-f-]{27}|[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12})\b", "ID", text.replace(str(folder), "…")
    )


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
    listed = [*here, *elsewhere, *unreachable]
    assert (len(listed), set(listed)) == (len(CODES), set(CODES))


def test_a_test_that_provokes_a_code_elsewhere_names_it() -> None:
    tests = Path(__file__).parent
    places = read_table(FOLDER / "elsewhere.yaml")
    assert [code for code, path in places.items() if f'"{code}"' not in (tests / path).read_text()] == []


def test_no_text_is_that_of_a_library() -> None:
    texts = [text for _, case in provocations() for each in case["expect"].values() for text in each.values()]
    words = (
        "Input should",
        "after validation",
        "pydantic",
        "Errno",
        "pyarrow",
        "cannot start any token",
        "instance of",
    )
    assert [text for text in texts if any(word in text for word in words)] == []


def update(names: Collection[str] = ()) -> None:
    """Writes the exit codes and texts of the provocations in the named files, or in all.

    `expect: new` becomes the codes that no case before reports.
    """
    yaml = YAML()
    yaml.width = 4096
    files = [file for file in TABLES if not names or file.stem in names]
    known = (
        set[str]()
        if not names
        else {code for name, case in provocations() for code in case["expect"] if name.split("-")[0] not in names}
    )
    with tempfile.TemporaryDirectory() as temporary:
        world = build_world(Path(temporary, "world"))
        for file in files:
            cases = yaml.load(file.read_text())
            for number, case in enumerate(cases):
                folder = Path(temporary, f"{file.stem}-{number}")
                result = provoke(json.loads(json.dumps(case)), world, folder)
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
    update(sys.argv[1:])
