"""Each command shows how it is called, and what it shows is right."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import click
import pytest

from minimize.cli.main import COMMANDS as VERBS
from minimize.cli.main import load_command


def leaves(command: click.Command, words: str) -> Iterator[tuple[str, click.Command]]:
    """The commands that do something, by the words that lead to them."""
    inner = command.commands if isinstance(command, click.Group) else {}
    for name, below in inner.items():
        yield from leaves(below, f"{words} {name}")
    if not inner or (isinstance(command, click.Group) and command.invoke_without_command):
        yield words, command


COMMANDS = {words: leaf for verb in VERBS for words, leaf in leaves(load_command(verb), verb)}


def calls(words: str) -> Iterator[list[str]]:
    """The calls of this very command in the examples, as words; `python -c …` is none."""
    for line in (COMMANDS[words].epilog or "").replace("\\\n", " ").splitlines():
        if line.startswith(f"  minimize {words}"):
            yield shlex.split(line, comments=True)[1 + len(words.split()) :]


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_has_an_example_that_it_understands(words: str) -> None:
    command = COMMANDS.get(words)
    assert command is not None
    ctx = click.Context(command, info_name=words)
    wanted = sum(isinstance(param, click.Argument) and param.required for param in command.params)
    seen = []
    for given in calls(words):
        options, left, _ = command.make_parser(ctx).parse_args([each for each in given if each not in (">",)])
        seen.append(len(left) + len([each for each in command.params if each.name in options]) >= wanted)
    assert seen
    assert all(seen)


def test_the_help_ends_with_examples() -> None:
    command = COMMANDS["verify"]
    with click.Context(command, info_name="verify") as ctx:
        assert "Examples:\n    minimize verify out/device_telemetry --keys demo.keys\n" in command.get_help(ctx)
