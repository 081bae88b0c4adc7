"""The configuration file is read once for all of its words."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.config import config_text, find_config
from minimize.governance.incidents.contacts import find_contacts
from minimize.keys import find_keyring
from minimize.ledger import find_ledger


def test_a_word_is_what_the_file_says_now(tmp_path: Path) -> None:
    configuration = tmp_path / "minimize.yaml"
    configuration.write_text("ledger: one.db\n")
    assert config_text(configuration, "ledger") == "one.db"
    configuration.write_text("ledger: two.db\n")
    assert (config_text(configuration, "ledger"), config_text(configuration, "keys")) == ("two.db", None)


@pytest.mark.parametrize("text", ["a: [", "- a\n", "ledger: [a]\n", "\x00"])
def test_what_is_no_mapping_of_texts_is_no_text(tmp_path: Path, text: str) -> None:
    configuration = tmp_path / "minimize.yaml"
    configuration.write_text(text)
    for _ in range(2):
        with pytest.raises(ValueError, match="is no text"):
            config_text(configuration, "ledger")


@pytest.fixture(name="tree")
def _tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a configuration; the current one, elsewhere, has another."""
    for name in ("organization/pipelines/p", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "elsewhere" / "minimize.yaml").write_text("ledger: wrong.db\nkeys: wrong.keys\ncontacts: wrong.csv\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    for name in ("MINIMIZE_LEDGER", "MINIMIZE_KEYS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "organization" / "pipelines" / "p"


def test_the_configuration_of_a_folder_is_upwards_from_it(tree: Path) -> None:
    (tree.parents[1] / "minimize.yaml").write_text("ledger: right.db\n")
    assert find_config(tree) == tree.parents[1] / "minimize.yaml"
    assert find_ledger(start=tree).path == tree.parents[1] / "right.db"
    assert find_ledger(output=tree).path == tree.parents[1] / "right.db"


def test_the_current_folder_does_not_configure_a_pipeline(tree: Path) -> None:
    assert find_config(tree) is None
    assert find_ledger(start=tree, output=tree / "out").path == tree / "out" / "ledger.db"
    assert find_keyring(None, tree) is None
    assert find_contacts(None, tree).entries == ()


def test_it_does_configure_a_command_about_no_folder(tree: Path) -> None:
    assert find_config() == tree.parents[2] / "elsewhere" / "minimize.yaml"
