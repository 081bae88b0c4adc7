"""The README says what is so."""

from __future__ import annotations

import re
from pathlib import Path

from minimize.cli.main import COMMANDS
from minimize.techniques import TECHNIQUES, markdown_table
from tests.docs.scripts import script

TEXT = (Path(__file__).parents[1] / "README.md").read_text()


def test_its_table_of_techniques_is_the_table_of_techniques() -> None:
    shown = TEXT.partition("<!-- techniques -->\n")[2].partition("\n<!-- /techniques -->")[0]
    assert shown == markdown_table(TECHNIQUES.values())


def test_its_list_of_commands_is_that_of_the_help() -> None:
    block = TEXT.partition("## Commands")[2].partition("```text\n")[2].partition("\n```")[0]
    assert block == script("reference").help_list()
    assert [f"{name} {about}" for name, (_, about) in COMMANDS.items()] == [
        re.sub(r"^minimize (\S+) +", r"\1 ", line) for line in block.splitlines()
    ]


def test_every_file_and_folder_that_it_names_in_the_way_of_a_value_is_there() -> None:
    block = TEXT.partition("## How a value moves through a run")[2].partition("## Commands")[0]
    named = re.findall(r"`([a-z_/]+(?:\.py|/))`", block)
    package = Path(__file__).parents[1] / "minimize"
    assert named
    assert [name for name in named if not list(package.glob(f"**/{name}"))] == []


def test_files_named_in_contributing_exist() -> None:
    root = Path(__file__).parents[1]
    text = (root / "CONTRIBUTING.md").read_text()
    paths = re.findall(r"`((?:minimize|tests)/[A-Za-z_/.]+)`", text)
    named = {path for path in paths if not re.search("[A-Z]{4}", path)}  # capitals stand for a name
    assert len(named) > 10
    assert [name for name in sorted(named) if not (root / name).exists()] == []
