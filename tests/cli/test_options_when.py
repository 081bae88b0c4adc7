"""Options that are times and dates."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from minimize.cli.main import COMMANDS, load_command
from minimize.cli.options import TimeParameter
from minimize.errors import ConfigurationError
from tests.commands import Command
from tests.project import Project


def params(command: click.Command) -> Iterator[click.Parameter]:
    """Those of a command, and of all below it."""
    yield from command.params
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from params(each)


EVERY = [param for verb in COMMANDS for param in params(load_command(verb))]


def test_whatever_says_that_it_is_a_time_or_a_date_is_read_as_one() -> None:
    told = [each for each in EVERY if isinstance(each, click.Option)]
    times = [each for each in told if each.metavar == "D" or "ISO 8601" in (each.help or "")]
    assert len(times) > 20
    assert {each.opts[0] for each in times if not isinstance(each.type, TimeParameter)} == set()


def test_what_is_no_time_is_answered_with_the_option_that_it_was_given_to() -> None:
    times = [each for each in EVERY if isinstance(each.type, TimeParameter)]
    assert {each.opts[0] for each in times} >= {"--at", "--date", "--since", "--until", "--known-at", "--run-at"}
    for each in times:
        word = each.opts[0] if isinstance(each, click.Option) else each.human_readable_name
        with pytest.raises(ConfigurationError, match=rf"^{word} is not a (time|date) "):
            each.type.convert("soon", each, None)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", ".", "--date", "2026-11-31"), "--date is not a date"),
        (("run", ".", "--since", "24.11.2026"), "--since is not a date"),
        (("run", ".", "--at", "2026-11-25T00:00:00"), "--at has no time zone"),
        (("settings", "why", "north", "location", "noon"), "AT is not a time"),
        (("settings", "why", "north", "location", "2026-11-24", "--run-at", "noon"), "--run-at is not a time"),
        (("audit", "log", "--until", "noon"), "--until is not a time"),
        (("access", "token", "--for", "long"), "--for is not a duration"),
    ],
)
def test_the_message_names_the_option(project: Project, command: Command, words: tuple[str, ...], told: str) -> None:
    said = command(*words)
    assert (said.code, said.err.startswith(f"error E200: {told} (hint: ")) == (2, True)


def test_the_library_names_the_argument_where_there_are_several(project: Project) -> None:
    import minimize

    with pytest.raises(ConfigurationError, match=r"^until is not a date "):
        minimize.run(project.folder, since="2026-11-24", until="never")
