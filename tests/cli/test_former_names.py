"""Former names of commands and options do what the current ones do, and log the current name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from minimize.cli.former_names import FORMER_COMMANDS, FORMER_OPTIONS
from minimize.cli.main import COMMANDS, group, load_command
from tests.commands import Command, Result

SAMPLES = {
    "file": "file.txt",
    "directory": "folder",
    "date": "2026-11-24",
    "time": "2026-11-24T10:00Z",
    "duration": "8h",
}
OPTIONS = [
    pytest.param(command, row.former, row.current.split(), id=f"{command} {row.former}")
    for row in FORMER_OPTIONS
    for command in row.commands
    if row.current.startswith("--")
]
COMMAND_OPTIONS = [row for row in FORMER_OPTIONS if not row.current.startswith("--")]


def find(words: str) -> click.Command:
    """The command of this name."""
    first, *others = words.split()
    found = load_command(first)
    for word in others:
        assert isinstance(found, click.Group)
        found = found.commands[word]
    return found


def sample(param: click.Parameter) -> str:
    """A value that the parameter accepts."""
    kind: Any = param.type
    if isinstance(kind, click.Choice):
        return str(next(iter(kind.choices)))
    return SAMPLES.get(kind.name, "x=1" if "=" in (param.metavar or "") else "1")


def required(command: click.Command, given: set[str]) -> Iterator[str]:
    """The arguments and options that the command requires, without those that are given."""
    for param in command.params:
        if param.required and isinstance(param, click.Argument):
            yield sample(param)
        elif param.required and not given & {*param.opts}:
            yield from (param.opts[0], sample(param))


def parsed(words: str, arguments: list[str]) -> dict[str, Any]:
    """The parameters that the function of a command receives."""
    with group.make_context("minimize", words.split()) as top:
        return find(words).make_context(words, list(arguments), parent=top).params


def without_notice(result: Result, former: str, current: str) -> tuple[int, str, str]:
    """What a command printed, without the one line that names the current name."""
    lines = result.err.splitlines(keepends=True)
    notices = [line for line in lines if line.startswith("WARNING `") and "is now" in line]
    assert notices == [f"WARNING `{former}` is now `{current}`\n"]
    lines.remove(notices[0])
    return result.code, result.out, "".join(lines)


@pytest.mark.parametrize("former", FORMER_COMMANDS)
def test_a_former_command_is_the_current_one(command: Command, former: str) -> None:
    current = FORMER_COMMANDS[former]
    expected = command(*current.split(), "--help")
    assert expected.code == 0
    found = command(*former.split(), "--help")
    assert without_notice(found, f"minimize {former}", f"minimize {current}") == (0, expected.out, expected.err)


@pytest.mark.parametrize(("words", "former", "current"), OPTIONS)
def test_a_former_option_is_the_current_one(
    words: str, former: str, current: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file.txt").touch()
    Path("folder").mkdir()
    found = find(words)
    option = next(each for each in found.params if current[-1] in each.opts)
    others, value = list(required(found, {current[0], current[-1]})), sample(option)
    expected = parsed(words, [*others, *current, value])
    assert parsed(words, [*others, former, value]) == expected
    assert expected[str(option.name)] in (value, (value,)) or value not in ("1", "x=1")
    if not option.multiple:
        with pytest.raises(click.UsageError, match="and not also"):
            parsed(words, [*others, *current, value, former, value])


@pytest.mark.parametrize(("words", "former", "current"), OPTIONS)
def test_a_former_option_prints_what_the_current_one_prints(
    command: Command, words: str, former: str, current: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = find(words)
    value = sample(next(each for each in found.params if current[-1] in each.opts))
    call = [*words.split(), *required(found, {current[0], current[-1]})]
    expected = command(*call, *current, value)
    printed = command(*call, former, value)
    assert without_notice(printed, former, " ".join(current)) == (expected.code, expected.out, expected.err)


@pytest.mark.parametrize("row", COMMAND_OPTIONS, ids=lambda row: row.former)
def test_an_option_that_became_a_command_is_hidden_and_names_it(command: Command, row: Any) -> None:
    assert "Usage:" in command(*row.current.split(), "--help").out
    for words in row.commands:
        option = next(each for each in find(words).params if row.former in each.opts)
        assert isinstance(option, click.Option)
        value = () if option.is_flag else ("x",)
        said = command(*words.split(), *required(find(words), set()), row.former, *value)
        without_notice(said, f"minimize {words} {row.former}", f"minimize {row.current}")


def helps(command: click.Command, words: str) -> Iterator[str]:
    """The help of a command and of all commands below it, without its epilog."""
    with click.Context(command, info_name=words) as ctx:
        yield command.get_help(ctx)
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from helps(below, f"{words} {name}")


def test_no_help_shows_a_former_command() -> None:
    text = "\n".join(each for name in COMMANDS for each in helps(load_command(name), name))
    assert [former for former in FORMER_COMMANDS if f"minimize {former} " in text or f"`{former}`" in text] == []


@pytest.mark.parametrize("row", FORMER_OPTIONS, ids=lambda row: row.former)
def test_no_help_shows_a_former_option(row: Any) -> None:
    for words in row.commands:
        (text, *_) = helps(find(words), words)
        assert row.former not in text.replace(row.current, "").split()


def test_the_notice_is_a_line_of_the_chosen_log(command: Command) -> None:
    said = command("consent", "expire", "--log-format", "json", "--json")
    line = json.loads(next(each for each in said.err.splitlines() if "is now" in each))
    assert (line["level"], line["code"]) == ("warning", "W070")
    assert line["msg"] == "`minimize consent expire` is now `minimize consent mark-expired`"


def test_completion_logs_no_notice(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_MINIMIZE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "minimize consent expire --q")
    monkeypatch.setenv("COMP_CWORD", "3")
    said = command()
    assert (said.out.strip(), said.err) == ("plain,--quiet", "")
