"""`verb`: what every command has in common."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import pytest
import time_machine
from click.testing import CliRunner

from minimize.cli.options import AT_OR_NOW, OPTIONS, WORKSPACE
from minimize.cli.verb import verb
from minimize.errors import Finding
from minimize.pages import Table
from minimize.results import Line, LogMessage
from minimize.workspace import Workspace

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


class Wrapped:
    """A text of two lines that fits its width."""

    def summary(self, width: int = 100) -> str:
        """The width."""
        return f"at most\n{width}"


@dataclass(frozen=True)
class Answer:
    """A result with what the function received."""

    received: dict[str, Any]
    shown: tuple[Line, ...] = ()
    exit_code: int = 0
    log_messages: tuple[LogMessage, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, str]:
        """The names and values."""
        return {name: str(value) for name, value in self.received.items()}

    def lines(self) -> Iterator[Line]:
        """The lines."""
        yield from self.shown


def printed(answer: Answer, *words: str) -> tuple[int, str]:
    """The exit code and the output of a command with this result."""
    done = CliRunner().invoke(verb("try")(lambda: answer), list(words), standalone_mode=False)
    return done.return_value, done.output


def test_a_function_receives_its_parameters_by_name() -> None:
    done = CliRunner().invoke(
        verb("ask", "TENANT", "--yes")(lambda **values: Answer(values)), ["north", "--yes", "--json"]
    )
    assert json.loads(done.output) == {"tenant": "north", "yes": "True"}


def test_a_function_receives_the_workspace_instead_of_its_options() -> None:
    def ask(workspace: Workspace, **rest: Any) -> Answer:
        return Answer({"keys": workspace.keys, **rest})

    done = CliRunner().invoke(verb("ask", *WORKSPACE, "--tenant")(ask), ["--keys", "k", "--tenant", "north", "--json"])
    assert json.loads(done.output) == {"keys": "k", "tenant": "north"}


@pytest.mark.parametrize("words", [(), ("--at", "2026-11-25T12:00:00Z")])
def test_a_function_receives_the_time_and_an_option_may_replace_it(
    words: tuple[str, ...],
) -> None:
    def ask(now: datetime) -> Answer:
        return Answer({"now": now})

    with time_machine.travel(NOON if not words else NOON + timedelta(hours=1), tick=False):
        done = CliRunner().invoke(verb("ask", AT_OR_NOW)(ask), [*words, "--json"])
    assert json.loads(done.output) == {"now": str(NOON)}


def test_lines_are_escaped_findings_keep_their_hint_and_summaries_fit_the_width() -> None:
    finding = Finding("P001", "unknown key", hint="Remove it.", file="policy.yaml", line=3)
    code, out = printed(Answer({}, ("north\n1  forged", finding, Wrapped()), exit_code=4))
    assert (code, out.splitlines()) == (
        4,
        ["north\\n1  forged", "policy.yaml:3: error P001 unknown key", "    hint Remove it.", "at most", "100"],
    )


def test_cells_are_separated_by_tabs_and_tables_are_drawn() -> None:
    table = Table("", ["code", "rows"], [["Q001", "1,200"], ["", "3"]], 1)
    _, out = printed(Answer({}, (("a", "b\tc"), table)))
    assert out.splitlines()[0] == "a\tb\\tc"
    assert [line.split() for line in out.splitlines()[1:] if line and "─" not in line] == [
        ["code", "rows"],
        ["Q001", "1,200"],
        ["3"],
    ]


@pytest.mark.parametrize(("words", "err"), [((), "shown once\n"), (("--json",), "")])
def test_notes_are_printed_on_stderr_unless_the_result_is_json(words: tuple[str, ...], err: str) -> None:
    answer = Answer({}, ("text",), notes=("shown once",))
    assert CliRunner().invoke(verb("try")(lambda: answer), list(words), standalone_mode=False).stderr == err


def test_a_command_can_have_commands_of_its_own() -> None:
    above = verb("try", kind=click.Group, invoke_without_command=True)(lambda: Answer({}, ("above",)))
    verb("below", group=above)(lambda: Answer({}, ("below",)))
    runner = CliRunner()
    assert [runner.invoke(above, words, standalone_mode=False).output for words in ([], ["below"])] == [
        "above\n",
        "below\n",
    ]


def test_json_replaces_the_lines() -> None:
    assert printed(Answer({"a": 1}, ("text",)), "--json") == (0, '{\n  "a": "1"\n}\n')


def test_messages_are_logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("minimize"), "handlers", [])
    monkeypatch.setattr(logging.getLogger("minimize"), "propagate", True)
    printed(Answer({}, log_messages=(LogMessage("W047", "nothing ends", run_id="r"),)))
    (record,) = caplog.records
    assert (vars(record)["code"], record.getMessage(), record.levelname) == ("W047", "nothing ends", "WARNING")


def test_a_command_is_added_to_its_group_with_its_docstring_as_help() -> None:
    @click.group()
    def group() -> None:
        pass

    @verb("ask", group=group)
    def ask() -> Answer:
        """Ask."""
        return Answer({})

    assert group.commands == {"ask": ask}
    assert "Ask." in CliRunner().invoke(group, ["ask", "--help"]).output


@pytest.mark.parametrize("name", OPTIONS)
def test_each_shared_option_is_a_parameter_of_that_name(name: str) -> None:
    made = OPTIONS[name]()
    assert name in (*made.opts, made.human_readable_name)
    assert isinstance(made, click.Argument) or made.help
