"""Where a ledger is, and what may be said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.errors import LedgerError
from minimize.ledger import Address, find_ledger
from minimize.ledger.database import parse_address

SECRET = "postgresql+psycopg://ann:hunter2@db.example:5432/house?sslpassword=hunter2&passfile=/x"


def configuration(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "minimize.yaml").write_text(text)
    return folder


def test_an_argument_overrides_everything(tmp_path: Path) -> None:
    configuration(tmp_path, "ledger: organization.db")
    found = find_ledger(tmp_path / "given.db", start=tmp_path, output=tmp_path, environ={"MINIMIZE_LEDGER": "env.db"})
    assert found.path == tmp_path / "given.db"


def test_the_environment_overrides_the_configuration(tmp_path: Path) -> None:
    configuration(tmp_path, "ledger: organization.db")
    found = find_ledger(start=tmp_path, output=tmp_path, environ={"MINIMIZE_LEDGER": "env.db"})
    assert (found.path, found.named_by) == (Path.cwd() / "env.db", "MINIMIZE_LEDGER")


def test_the_configuration_names_a_path_from_its_own_folder(tmp_path: Path) -> None:
    configuration(tmp_path / "a", "ledger: ../out/ledger.db")
    assert find_ledger(start=tmp_path / "a", output=tmp_path, environ={}).path == tmp_path / "out" / "ledger.db"


def test_without_any_configuration_the_ledger_is_in_the_output_folder(tmp_path: Path) -> None:
    assert find_ledger(start=tmp_path, output=tmp_path / "out", environ={}).path == tmp_path / "out" / "ledger.db"


def test_a_missing_ledger_is_reported_with_the_searched_places(tmp_path: Path) -> None:
    folder = configuration(tmp_path / "a", "purposes: []")
    with pytest.raises(LedgerError, match=r"MINIMIZE_LEDGER is not set.*a/minimize\.yaml has no `ledger:`"):
        find_ledger(start=folder, environ={})


@pytest.mark.parametrize("text", ["ledger: [a]", "ledger: 3", "ledger: {", "- a"])
def test_a_ledger_setting_that_is_no_text_is_a_fault(tmp_path: Path, text: str) -> None:
    with pytest.raises(LedgerError, match="cannot be read from"):
        find_ledger(start=configuration(tmp_path, text), output=tmp_path, environ={})


def test_a_url_shows_neither_password_nor_options() -> None:
    address = parse_address(SECRET, "MINIMIZE_LEDGER")
    assert str(address) == "postgresql://ann@db.example:5432/house"
    assert "hunter2" not in repr(address)
    assert address.url == SECRET.replace("+psycopg", "")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_server_is_named_by_any_of_its_schemes(scheme: str) -> None:
    assert parse_address(f"{scheme}://h/d", "a test").url == "postgresql://h/d"


def test_a_sqlite_url_is_a_path() -> None:
    assert parse_address("sqlite:////srv/ledger.db", "a test").path == Path("/srv/ledger.db")


@pytest.mark.parametrize("text", ["mysql://ann:hunter2@h/d", "sqlite:///a?mode=ro", "sqlite://", "http://x"])
def test_other_urls_are_refused_without_being_shown(text: str) -> None:
    with pytest.raises(LedgerError, match="is not supported") as raised:
        parse_address(text, "MINIMIZE_LEDGER")
    assert "hunter2" not in str(raised.value)


def test_a_url_that_makes_no_sense_is_not_shown() -> None:
    assert str(Address(None, "postgresql+psycopg://ann:hunter2@[::1/x")) == "a PostgreSQL database"


def test_a_path_that_is_none_is_refused() -> None:
    with pytest.raises(LedgerError, match="is empty or invalid"):
        parse_address("a\0b", "a test")
