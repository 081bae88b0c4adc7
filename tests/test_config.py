"""`minimize.yaml` is one typed model, and one module reads it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import minimize.config
from minimize.config import AccessConfig, Config, ConfigEntry
from minimize.config_search import load_config
from minimize.errors import LedgerError
from minimize.governance.incidents.contacts import find_contacts
from minimize.keys import find_keyring
from minimize.ledger import find_ledger

_UNREADABLE = ("a: [", "- a\n", "ledger: [a]\n", "\x00", "a: 1\na: 2\n", "a: !!int ''\n", "[" * 10_000)
PACKAGE = Path(minimize.config.__file__).parent


def configured(folder: Path, text: str) -> Config:
    """The configuration of a folder with this file."""
    (folder / "minimize.yaml").write_text(text)
    return load_config(folder)


def test_every_key_has_its_type_and_line(tmp_path: Path) -> None:
    text = "keys: my.keys\npurposes: [planning,\n  capacity]\naccess: {file: a.yaml, encrypt: none}\nprocessing: {dpo: Ann}\n"
    config = configured(tmp_path, text)
    assert (config.path, config.folder, config.keys) == (tmp_path / "minimize.yaml", tmp_path, "my.keys")
    assert config.purposes == (ConfigEntry("planning", 2), ConfigEntry("capacity", 3))
    assert config.access == AccessConfig("a.yaml", ConfigEntry("none", 4))
    assert (dict(config.processing), config.faults) == ({"dpo": "Ann"}, {})


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "ledger:\npurposes: null\nmemory:\n"])
def test_a_key_that_is_missing_or_null_has_its_default(tmp_path: Path, text: str) -> None:
    config = configured(tmp_path, text)
    assert (config.ledger, config.purposes, config.memory, config.access) == (None, (), None, AccessConfig())
    assert (config.is_readable, config.faults, config.unknown_keys) == (True, {}, ())


def test_a_fault_names_file_line_and_hint(tmp_path: Path) -> None:
    fault = configured(tmp_path, "memory: 1GB\nkeys: [a]\n").faults["keys"]
    assert (fault.file, fault.line, fault.hint) == (str(tmp_path / "minimize.yaml"), 2, "Write `keys: FILE`.")


def test_a_faulty_key_stops_only_those_who_ask_for_it(tmp_path: Path) -> None:
    config = configured(tmp_path, "keys: [a]\nledger: one.db\n")
    assert config.checked("ledger", LedgerError).ledger == "one.db"
    with pytest.raises(LedgerError, match="`keys:` cannot be read"):
        config.checked("keys", LedgerError)


def test_unknown_keys_are_listed_with_their_lines(tmp_path: Path) -> None:
    config = configured(tmp_path, "kyes: a\naccess: {encrypt: none, files: b}\n1: c\n")
    assert config.unknown_keys == (ConfigEntry("kyes", 1), ConfigEntry("1", 3))
    assert config.access.unknown_keys == (ConfigEntry("files", 2),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", False),
        ("access: a.yaml", True),
        ("access: {encrypt: none}", False),
        ("access: 3", True),
        ("access: [", True),
    ],
)
def test_an_access_file_that_cannot_be_read_counts_as_configured(tmp_path: Path, text: str, expected: bool) -> None:
    assert configured(tmp_path, text).has_access_file is expected


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("access: access.yaml\napproval: warn\nencrypt: identified\n", ()),
        (
            "access: off\napproval: off\n",
            ("access control", "approval of policies", "encryption of identified columns"),
        ),
        ("access: {encrypt: by_category}\napproval: required\n", ("access control",)),
        ("access: 3\napproval: 3\nencrypt: 3\n", ()),
    ],
)
def test_protections_that_are_turned_off_or_not_configured_are_missing(
    tmp_path: Path, text: str, missing: tuple[str, ...]
) -> None:
    assert configured(tmp_path, text).missing_protections == missing


def test_the_model_follows_a_changed_file(tmp_path: Path) -> None:
    assert configured(tmp_path, "ledger: one.db\n").ledger == "one.db"
    changed = configured(tmp_path, "ledger: two.db\n")
    assert (changed.ledger, changed.keys) == ("two.db", None)


@pytest.mark.parametrize("text", _UNREADABLE)
def test_a_configuration_that_is_no_mapping_of_texts_is_faulty(tmp_path: Path, text: str) -> None:
    assert all(configured(tmp_path, text).is_faulty("ledger") for _ in range(2))


def test_one_module_reads_the_configuration_file() -> None:
    """No other module has the file's name as a path or a part of one; texts for people may name it."""
    named = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if not any(character.isspace() for character in node.value) and node.value.endswith("minimize.yaml")
    }
    assert named == {"config.py"}


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
    assert load_config(tree).path == tree.parents[1] / "minimize.yaml"
    assert find_ledger(start=tree).path == tree.parents[1] / "right.db"
    assert find_ledger(output=tree).path == tree.parents[1] / "right.db"


def test_the_current_folder_does_not_configure_a_pipeline(tree: Path) -> None:
    assert load_config(tree).path is None
    assert find_ledger(start=tree, output=tree / "out").path == tree / "out" / "ledger.db"
    assert find_keyring(None, tree) is None
    assert find_contacts(None, load_config(tree)).entries == ()


def test_it_does_configure_a_command_about_no_folder(tree: Path) -> None:
    assert load_config().path == tree.parents[2] / "elsewhere" / "minimize.yaml"


def test_a_linked_pipeline_has_the_configuration_of_its_target(tmp_path: Path) -> None:
    target, link = tmp_path / "service" / "pipelines" / "checkins", tmp_path / "elsewhere" / "linked"
    target.mkdir(parents=True)
    link.parent.mkdir()
    link.symlink_to(target)
    assert load_config(link).path is None
    configured = tmp_path / "service" / "minimize.yaml"
    configured.write_text("ledger: ledger.db\n")
    assert load_config(link).path == configured
    nearer = link.parent / "minimize.yaml"
    nearer.write_text("ledger: other.db\n")
    assert load_config(link).path == nearer
