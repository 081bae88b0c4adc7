"""`minimize keys`, and where a keyring is looked for, as an outsider sees them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.command import Command
from tests.job.house import House, events

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
