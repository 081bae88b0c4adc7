"""`minimize keys`, and where a keyring is looked for, as an outsider sees them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.commands import Command
from tests.project import LASTING, Project, events

OLD = ("--at", "2026-11-25T00:00:00Z", "--output", "elsewhere")


def run_(command: Command, project: Project, *more: object) -> int:
    return command("run", project.folder, *OLD, *more).code


@pytest.fixture(name="full", autouse=True)
def _full(project: Project) -> None:
    project.records(events(5))


def test_every_form_is_for_machines_too(command: Command) -> None:
    made = command("keys", "new", "my.keys", "--name", "device", "--name", "user", "--json").json
    assert [key["id"] for key in made["keys"]] == ["device/1", "noise/1", "signing/1", "subject/1", "user/1"]
    assert [key["id"] for key in command("keys", "add", "my.keys", "device", "--json").json["keys"]][:2] == [
        "device/1",
        "device/2",
    ]
    assert len(command("keys", "list", "my.keys", "--json").json["keys"]) == 6
    assert "BEGIN PUBLIC KEY" in command("keys", "public", "my.keys", "--json").json["public_key"]


def test_a_keyring_is_readable_by_its_owner_only_under_any_umask(command: Command, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert command("keys", "new", "open.keys").code == 0
        assert command("keys", "add", "open.keys", "device").code == 0
    finally:
        os.umask(before)
    assert (tmp_path / "open.keys").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_keyring_that_others_can_read_is_refused_everywhere(project: Project, command: Command, mode: int) -> None:
    Path(project.keys).chmod(mode)
    assert run_(command, project, "--keys", project.keys) == 2
    assert command("keys", "list", project.keys).code == 2
    assert command("keys", "add", project.keys, "device").code == 2


def test_a_link_to_a_keyring_is_followed_and_kept(project: Project, command: Command, tmp_path: Path) -> None:
    link = tmp_path / "link.keys"
    link.symlink_to(project.keys)
    assert command("keys", "add", link, "device").code == 0
    assert link.is_symlink()
    assert run_(command, project, "--keys", link) == 0
    Path(project.keys).chmod(0o644)
    assert run_(command, project, "--keys", link) == 2


def test_a_new_keyring_does_not_go_through_a_link(command: Command, tmp_path: Path) -> None:
    (tmp_path / "link.keys").symlink_to(tmp_path / "target.keys")
    assert command("keys", "new", "link.keys").code == 2
    assert not (tmp_path / "target.keys").exists()


def test_a_short_key_is_refused(project: Project, command: Command) -> None:
    path = Path(project.keys)
    body = json.loads(path.read_text())
    body["keys"]["device"][0]["bytes"] = "c2hvcnQ="
    path.write_text(json.dumps(body))
    said = command("run", project.folder, *OLD, "--keys", path)
    assert (said.code, "shorter than 32 bytes" in said.err) == (2, True)
    assert "c2hvcnQ" not in said.out + said.err


def test_a_flag_overrides_the_environment_and_that_overrides_the_configuration(
    project: Project, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.folder / "minimize.yaml").write_text(f"keys: {project.keys}\n")
    assert run_(command, project) == 0
    monkeypatch.setenv("MINIMIZE_KEYS", str(project.folder / "nowhere.keys"))
    assert run_(command, project) == 2
    assert run_(command, project, "--keys", project.keys) == 0


def test_the_configuration_may_be_in_the_folder_of_pipelines(
    project: Project, command: Command, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.folder / "minimize.yaml").unlink()
    (project.folder / "pipelines").mkdir()
    (project.folder / "pipelines" / "minimize.yaml").write_text(f"keys: {project.keys}\n")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert run_(command, project) == 0


def test_the_configuration_of_the_current_folder_is_another_ones(
    project: Project, command: Command, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "minimize.yaml").write_text(f"keys: {project.keys}\n")
    monkeypatch.chdir(elsewhere)
    assert run_(command, project) == 2


def test_a_missing_key_is_refused_before_the_source_is_opened(project: Project, command: Command) -> None:
    """The source is a pipe that nobody writes to: whoever opened it would wait for ever."""
    command("keys", "new", "other.keys", "--name", "user")
    (file,) = (project.folder / "data").glob("*/*")
    file.unlink()
    os.mkfifo(file)
    said = command("run", project.folder, *OLD, "--keys", "other.keys", "--ledger", "ledger.db", "--json")
    assert (said.code, said.error["code"]) == (2, "E204")
    assert "device" in said.error["message"]
    assert not Path("elsewhere").exists()


@pytest.fixture(name="shut")
def _shut(project: Project, command: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An output whose records are encrypted."""
    project.policy(**LASTING)
    project.pipeline(records={"encrypt": "by_category"})
    monkeypatch.setenv("MINIMIZE_LEDGER", str(project.folder / "ledger.db"))
    assert command("run", project.folder, "--output", "shut", "--keys", project.keys).code == 0
    return project.folder / "shut"


def test_rotate_makes_versions_and_rewrites_where_it_is_asked_to(
    project: Project, command: Command, shut: Path
) -> None:
    made = command("keys", "rotate", project.keys, "--json").json["made"]
    assert made == ["encrypt.footer/2", "encrypt.pseudonymized/2"]
    done = command("keys", "rotate", "--keys", project.keys, "--no-new", "--rewrite", shut, "--json").json
    assert [(receipt["kind"], receipt["keys"][1:]) for receipt in done["receipts"]] == [("rotate", made)]
    assert command("verify", shut, "--keys", project.keys).code == 0


def test_list_shows_the_state_of_each_version(project: Project, command: Command, shut: Path) -> None:
    command("keys", "rotate", "--keys", project.keys, "--name", "encrypt.pseudonymized")
    command("keys", "shred", project.keys, "encrypt.pseudonymized/1", "--yes")
    listed = {key["id"]: key["state"] for key in command("keys", "list", project.keys, "--json").json["keys"]}
    assert listed["encrypt.pseudonymized/1"] == "destroyed"
    assert listed["encrypt.pseudonymized/2"] == listed["encrypt.footer/1"] == "current"
    assert "encrypt.pseudonymized/1" in command("keys", "list", project.keys).out


def test_shred_lists_the_affected_outputs_first_and_requires_yes(
    project: Project, command: Command, shut: Path
) -> None:
    shown = command("keys", "shred", "--keys", project.keys, "encrypt.pseudonymized/1")
    assert shown.code == 0
    assert str(shut) in shown.out
    assert "--yes" in shown.out
    assert command("verify", shut, "--keys", project.keys).code == 0
    done = command("keys", "shred", project.keys, "encrypt.pseudonymized/1", "--yes", "--json").json
    assert (done["done"], done["unreadable"][0]["files"]) == (True, 1)
    again = command("keys", "shred", project.keys, "encrypt.pseudonymized/1", "--yes")
    assert again.code == 2


def test_shred_without_a_key_or_with_too_much_is_misused(project: Project, command: Command) -> None:
    assert command("keys", "shred", "a", "b", "c").code == 2
    assert command("keys", "shred", "--keys", project.keys, "--ledger", "ledger.db").code == 2


def test_a_keyring_that_is_not_named_is_found_as_everywhere(
    project: Project, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = command("keys", "list", project.keys).out
    assert command("keys", "list", "--keys", project.keys).out == named
    monkeypatch.setenv("MINIMIZE_KEYS", str(project.keys))
    assert command("keys", "list").out == named
    assert command("keys", "public").out == command("keys", "public", project.keys).out


def test_the_error_for_a_missing_keyring_explains_how_to_name_one(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MINIMIZE_KEYS", raising=False)
    monkeypatch.chdir(tmp_path)
    said = command("keys", "public")
    assert (said.code, "no keyring" in said.err and "Pass" in said.err) == (2, True)
