"""Settings from a file into the ledger, and back."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.errors import OutputError, PolicyError, RefusedError
from minimize.governance.settings import export_settings, import_settings
from minimize.keys.keyring import add_key
from minimize.ledger.kinds import SETTING
from minimize.settings import load_settings
from minimize.settings.files import read_file
from minimize.workspace import Workspace
from tests.project import SETTINGS, Project, events

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
OWN = "north,d3,location,off,user,2026-11-01T00:00:00Z,2026-11-02T00:00:00.5Z\n"


@pytest.fixture(name="book")
def _book(home: Project) -> Workspace:
    return Workspace(pipeline=home.folder, keys=home.keys)


def test_rows_are_brought_in_once(book: Workspace, home: Project) -> None:
    file = home.folder / "settings.csv"
    file.write_text(SETTINGS + OWN)
    assert import_settings(file, book, NOW).new == 2
    assert import_settings(file, book, NOW).new == 0


def test_after_the_key_was_rotated_the_same_rows_are_not_brought_in_again(book: Workspace, home: Project) -> None:
    file = home.folder / "settings.csv"
    file.write_text(SETTINGS + OWN)
    import_settings(file, book, NOW)
    add_key(home.keys, "subject", now=NOW)
    assert import_settings(file, book, NOW).new == 0


def test_a_pipeline_runs_under_them_as_under_the_file(book: Workspace, home: Project) -> None:
    file = home.folder / "settings.csv"
    file.write_text(SETTINGS + OWN)
    home.records(events(60))
    by_file = home.run(settings=file, output=home.folder / "by_file")
    import_settings(file, book, NOW)
    by_ledger = home.run(output=home.folder / "by_ledger")
    assert home.rows(output=home.folder / "by_ledger") == home.rows(output=home.folder / "by_file")
    assert by_ledger.fields == by_file.fields
    assert by_ledger.settings is not None
    minimize.verify(home.folder / "by_ledger", keys=home.keys)


def test_exported_settings_can_be_imported_elsewhere(book: Workspace, home: Project, tmp_path: Path) -> None:
    (home.folder / "settings.csv").write_text(SETTINGS + OWN)
    import_settings(home.folder / "settings.csv", book, NOW)
    assert export_settings(tmp_path / "out.csv", book).rows == 2
    other = Workspace(ledger=tmp_path / "other.db", keys=home.keys)
    assert import_settings(tmp_path / "out.csv", other, NOW).new == 2
    assert export_settings(tmp_path / "again.csv", other).rows == 2
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "out.csv").read_text()


def test_exported_settings_name_no_subject_and_are_readable_by_the_owner_only(
    book: Workspace, home: Project, tmp_path: Path
) -> None:
    (home.folder / "settings.csv").write_text(SETTINGS + OWN)
    import_settings(home.folder / "settings.csv", book, NOW)
    export_settings(tmp_path / "out.csv", book)
    assert ",d3," not in (tmp_path / "out.csv").read_text()
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o600


def test_cells_that_a_spreadsheet_would_execute_are_written_exactly_and_counted(
    book: Workspace, home: Project, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = home.folder / "settings.csv"
    file.write_text(SETTINGS + OWN)
    import_settings(file, book, NOW)
    export_settings(tmp_path / "plain.csv", book)
    assert "W060" not in {getattr(record, "code", None) for record in caplog.records}
    file.write_text(SETTINGS + OWN.replace("north", "=1+cmd"))
    import_settings(file, book, NOW)
    export_settings(tmp_path / "out.csv", book)
    (warning,) = (record for record in caplog.records if getattr(record, "code", None) == "W060")
    assert warning.getMessage().startswith("1 cell of ")
    assert "cmd" not in warning.getMessage()
    assert "\n=1+cmd," in (tmp_path / "out.csv").read_text()


def test_no_run_takes_tokens_for_subjects(book: Workspace, home: Project, tmp_path: Path) -> None:
    """An opt-out that no record matches would be one that nobody obeys."""
    (home.folder / "settings.csv").write_text(SETTINGS + OWN)
    import_settings(home.folder / "settings.csv", book, NOW)
    export_settings(tmp_path / "out.csv", book)
    with pytest.raises(PolicyError) as caught:
        load_settings(tmp_path / "out.csv")
    assert [(finding.code, finding.line) for finding in caught.value.findings] == [("C007", 3)]


def test_nothing_is_written_over_another_file(book: Workspace, home: Project, tmp_path: Path) -> None:
    import_settings(home.folder / "settings.csv", book, NOW)
    (tmp_path / "out.csv").write_text("mine")
    with pytest.raises(OutputError, match="never replaces a file"):
        export_settings(tmp_path / "out.csv", book)


def test_nothing_is_recorded_in_the_future(book: Workspace, home: Project) -> None:
    file = home.folder / "settings.csv"
    file.write_text(SETTINGS + OWN.replace("2026-11-02", "2027-01-01"))
    with pytest.raises(PolicyError) as caught:
        import_settings(file, book, NOW)
    assert [(finding.code, finding.line) for finding in caught.value.findings] == [("C009", 3)]


def test_a_file_in_which_users_turn_something_on_cites_the_clients_records(book: Workspace, home: Project) -> None:
    file = home.folder / "settings.csv"
    file.write_text(SETTINGS + OWN.replace(",off,", ",on,"))
    with pytest.raises(RefusedError, match="1 row of the file"):
        import_settings(file, book, NOW)
    assert import_settings(file, book, NOW, reference="app export 7").new == 2
    assert import_settings(file, book, NOW, reference="app export 8").new == 0
    with book.open_ledger() as ledger:
        assert {(row.holder, row.reference) for row in ledger.find(SETTING)} == {
            ("admin", ""),
            ("user", "app export 7"),
        }


def test_a_name_that_no_policy_of_the_configuration_has_is_refused_by_line(book: Workspace, home: Project) -> None:
    (home.folder / "minimize.yaml").write_text("ledger: ledger.db\naccess: off\n")
    file = home.folder / "settings.csv"
    wrong = OWN.replace("location", "loction") + OWN.replace(",location", ", Location ")
    file.write_text(SETTINGS + wrong)
    with pytest.raises(PolicyError) as caught:
        import_settings(file, book, NOW)
    assert [(finding.code, finding.line) for finding in caught.value.findings] == [("C008", 3)]
    assert caught.value.findings[0].hint == "Did you mean `location`?"
    head, row = SETTINGS.splitlines()[:2]
    file.write_text(f"{head},field\n{row},\n{OWN.strip()},no_such_field\n{OWN.strip()},model\n")
    with pytest.raises(PolicyError) as caught:
        import_settings(file, book, NOW)
    assert [(finding.code, finding.line) for finding in caught.value.findings] == [("C008", 3)]


def test_the_field_of_a_subject_is_imported_and_exported(book: Workspace, home: Project, tmp_path: Path) -> None:
    file = home.folder / "settings.csv"
    head, row = SETTINGS.splitlines()[:2]
    file.write_text(f"{head},field\n{row},\n{OWN.strip()},model\n{OWN.strip()},\n")
    assert import_settings(file, book, NOW).new == 3
    assert import_settings(file, book, NOW).new == 0
    export_settings(tmp_path / "out.csv", book)
    rows = load_tokens(tmp_path / "out.csv")
    assert sorted(str(row["field"]) for row in rows) == ["None", "None", "model"]
    assert len({row["subject"] for row in rows}) == 3


def load_tokens(file: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_file(file, tokens=True).table.to_pylist()
    return rows


def test_an_unknown_holder_is_refused_by_line(book: Workspace, home: Project) -> None:
    file = home.folder / "settings.csv"
    file.write_text(SETTINGS + OWN.replace(",user,", ",somebody,") + OWN.replace(",user,", ", User ,"))
    with pytest.raises(PolicyError) as caught:
        import_settings(file, book, NOW)
    assert [(finding.code, finding.line) for finding in caught.value.findings] == [("C008", 3)]
    assert caught.value.findings[0].hint == "Use one of: admin, developer, user."
