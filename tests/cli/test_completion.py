"""What a shell is told, and what somebody is told who mistypes."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from tests.commands import Command
from tests.project import Project


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str, command: Command) -> None:
    assert f"_MINIMIZE_COMPLETE={shell}_complete" in command("completion", shell).out


@pytest.mark.parametrize(
    ("words", "place", "fits"),
    [("minimize ru", 1, {"plain,run", "plain,runs"}), ("minimize run --pe", 2, {"plain,--pending"})],
)
def test_commands_and_options_are_completed(words: str, place: int, fits: set[str]) -> None:
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(place), "_MINIMIZE_COMPLETE": "bash_complete"}
    call = [sys.executable, "-c", "import sys; sys.argv[0] = 'minimize'; from minimize.cli import entry; entry()"]
    done = subprocess.run(call, env=os.environ | asked, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == fits


@pytest.mark.parametrize(
    ("words", "near"), [(("rnu",), "run"), (("keys", "nwe"), "new"), (("share", "recall", "lst"), "list")]
)
def test_a_command_that_is_not_there_is_answered_with_the_nearest(
    words: tuple[str, ...], near: str, command: Command
) -> None:
    said = command(*words)
    assert said.code == 2
    assert f"{words[-1]}` (hint: Did you mean `{near}`?)" in said.err
    assert command(*words, "--json").error["hint"] == f"Did you mean `{near}`?"


def test_an_unrecognizable_command_gets_no_suggestion(command: Command) -> None:
    assert "Did you mean" not in command("xyzzy").err


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_follows_the_terminal_and_the_environment_variables(
    project: Project, variables: dict[str, str], coloured: bool
) -> None:
    ours, theirs = pty.openpty()
    environment = {name: text for name, text in os.environ.items() if name != "NO_COLOR"} | variables
    call = [sys.executable, "-m", "minimize", "lint", str(project.folder)]
    subprocess.run(call, env=environment | {"TERM": "xterm"}, stdout=theirs, stderr=subprocess.DEVNULL, check=True)
    os.close(theirs)
    shown = os.read(ours, 65536)
    os.close(ours)
    assert b"warning" in shown
    assert (b"\x1b[" in shown) is coloured
