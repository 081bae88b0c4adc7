"""`minimize keys`, and where a keyring is looked for, as an outsider sees them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.command import Command
from tests.job.house import LASTING, House, events

OLD = ("--at", "2026-11-25T00:00:00Z", "--output", "elsewhere")


def run_(command: Command, house: House, *more: object) -> int:
    return command("run", house.folder, *OLD, *more).code


@pytest.fixture(name="full", autouse=True)
def _full(house: House) -> None:
    house.brings(events(5))


def test_every_form_is_for_machines_too(command: Command) -> None:
    made = command("keys", "new", "my.keys", "--name", "device", "--name", "user", "--json").json
    assert [key["id"] for key in made["keys"]] == ["device/1", "signing/1", "subject/1", "user/1"]
    assert [key["id"] for key in command("keys", "add", "my.keys", "device", "--json").json["keys"]][:2] == [
        "device/1",
        "device/2",
    ]
    assert len(command("keys", "list", "my.keys", "--json").json["keys"]) == 5
    assert "BEGIN PUBLIC KEY" in command("keys", "public", "my.keys", "--json").json["public_key"]


def test_a_keyring_is_for_its_owner_alone_whatever_the_umask(command: Command, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert command("keys", "new", "open.keys").code == 0
        assert command("keys", "add", "open.keys", "device").code == 0
    finally:
        os.umask(before)
    assert (tmp_path / "open.keys").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_keyring_that_others_can_read_is_refused_everywhere(house: House, command: Command, mode: int) -> None:
    Path(house.keys).chmod(mode)
    assert run_(command, house, "--keys", house.keys) == 2
    assert command("keys", "list", house.keys).code == 2
    assert command("keys", "add", house.keys, "device").code == 2


def test_a_link_to_a_keyring_is_followed_and_kept(house: House, command: Command, tmp_path: Path) -> None:
    link = tmp_path / "link.keys"
    link.symlink_to(house.keys)
    assert command("keys", "add", link, "device").code == 0
    assert link.is_symlink()
    assert run_(command, house, "--keys", link) == 0
    Path(house.keys).chmod(0o644)
    assert run_(command, house, "--keys", link) == 2


def test_a_new_keyring_does_not_go_through_a_link(command: Command, tmp_path: Path) -> None:
    (tmp_path / "link.keys").symlink_to(tmp_path / "target.keys")
    assert command("keys", "new", "link.keys").code == 2
    assert not (tmp_path / "target.keys").exists()


def test_a_short_key_is_refused(house: House, command: Command) -> None:
    path = Path(house.keys)
    body = json.loads(path.read_text())
    body["keys"]["device"][0]["bytes"] = "c2hvcnQ="
    path.write_text(json.dumps(body))
    said = command("run", house.folder, *OLD, "--keys", path)
    assert (said.code, "shorter than 32 bytes" in said.err) == (2, True)
    assert "c2hvcnQ" not in said.out + said.err


def test_a_flag_goes_before_the_environment_and_that_before_the_house(
    house: House, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (house.folder / "minimize.yaml").write_text(f"keys: {house.keys}\n")
    assert run_(command, house) == 0
    monkeypatch.setenv("MINIMIZE_KEYS", str(house.folder / "nowhere.keys"))
    assert run_(command, house) == 2
    assert run_(command, house, "--keys", house.keys) == 0


def test_the_house_may_stand_beside_the_pipelines(
    house: House, command: Command, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "pipelines").mkdir()
    (elsewhere / "pipelines" / "minimize.yaml").write_text(f"keys: {house.keys}\n")
    monkeypatch.chdir(elsewhere)
    assert run_(command, house) == 0


def test_a_missing_key_is_refused_before_the_source_is_opened(house: House, command: Command) -> None:
    """The source is a pipe that nobody writes to: whoever opened it would wait for ever."""
    command("keys", "new", "other.keys", "--name", "user")
    (file,) = (house.folder / "data").glob("*/*")
    file.unlink()
    os.mkfifo(file)
    said = command("run", house.folder, *OLD, "--keys", "other.keys", "--json")
    assert (said.code, said.error["code"]) == (2, "E204")
    assert "device" in said.error["message"]
    assert not Path("elsewhere").exists()


@pytest.fixture(name="shut")
def _shut(house: House, command: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An output whose records are encrypted."""
    house.policy(**LASTING)
    house.pipeline(records={"encrypt": "by_category"})
    monkeypatch.setenv("MINIMIZE_LEDGER", str(house.folder / "ledger.db"))
    assert command("run", house.folder, "--output", "shut", "--keys", house.keys).code == 0
    return house.folder / "shut"


def test_rotate_makes_versions_and_rewrites_where_it_is_asked_to(house: House, command: Command, shut: Path) -> None:
    made = command("keys", "rotate", house.keys, "--json").json["made"]
    assert made == ["encrypt.footer/2", "encrypt.pseudonymized/2"]
    done = command("keys", "rotate", "--keys", house.keys, "--no-new", "--rewrite", shut, "--json").json
    assert [(receipt["kind"], receipt["keys"][1:]) for receipt in done["receipts"]] == [("rotate", made)]
    assert command("verify", shut, "--keys", house.keys).code == 0


def test_list_shows_the_state_of_each_version(house: House, command: Command, shut: Path) -> None:
    command("keys", "rotate", "--keys", house.keys, "--name", "encrypt.pseudonymized")
    command("keys", "shred", house.keys, "encrypt.pseudonymized/1", "--yes")
    listed = {key["id"]: key["state"] for key in command("keys", "list", house.keys, "--json").json["keys"]}
    assert listed["encrypt.pseudonymized/1"] == "destroyed"
    assert listed["encrypt.pseudonymized/2"] == listed["encrypt.footer/1"] == "current"
    assert "encrypt.pseudonymized/1" in command("keys", "list", house.keys).out


def test_shred_shows_first_and_wants_yes(house: House, command: Command, shut: Path) -> None:
    shown = command("keys", "shred", "--keys", house.keys, "encrypt.pseudonymized/1")
    assert shown.code == 0
    assert str(shut) in shown.out
    assert "--yes" in shown.out
    assert command("verify", shut, "--keys", house.keys).code == 0
    done = command("keys", "shred", house.keys, "encrypt.pseudonymized/1", "--yes", "--json").json
    assert (done["done"], done["unreadable"][0]["files"]) == (True, 1)
    again = command("keys", "shred", house.keys, "encrypt.pseudonymized/1", "--yes")
    assert again.code == 2


def test_shred_without_a_key_or_with_too_much_is_misused(house: House, command: Command) -> None:
    assert command("keys", "shred", "a", "b", "c").code == 2
    assert command("keys", "shred", "--keys", house.keys, "--ledger", "ledger.db").code == 2


def test_a_keyring_that_is_not_named_is_found_as_everywhere(
    house: House, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = command("keys", "list", house.keys).out
    assert command("keys", "list", "--keys", house.keys).out == named
    monkeypatch.setenv("MINIMIZE_KEYS", str(house.keys))
    assert command("keys", "list").out == named
    assert command("keys", "public").out == command("keys", "public", house.keys).out


def test_where_no_keyring_is_found_it_says_how_to_name_one(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MINIMIZE_KEYS", raising=False)
    monkeypatch.chdir(tmp_path)
    said = command("keys", "public")
    assert (said.code, "say which keyring" in said.err) == (2, True)
