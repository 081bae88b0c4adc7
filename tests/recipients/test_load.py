from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from minimize.errors import PolicyError
from minimize.recipients import find_recipients, load_recipients
from tests.project import write_yaml
from tests.world import vendor, vendor_file

DESK = {"name": "Desk", "from": "2026-01-01"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_configuration_names_their_folder(tmp_path: Path) -> None:
    (tmp_path / "minimize.yaml").write_text("recipients: parties\n")
    write_yaml(tmp_path / "parties" / "vendor.yaml", vendor_file())
    assert find_recipients(start=tmp_path) == tmp_path / "parties"


def test_by_default_recipients_are_next_to_the_configuration(tmp_path: Path) -> None:
    write_yaml(tmp_path / "pipelines" / "recipients" / "vendor.yaml", vendor_file())
    (tmp_path / "pipelines" / "minimize.yaml").write_text("")
    assert find_recipients(start=tmp_path / "pipelines" / "telemetry") == tmp_path / "pipelines" / "recipients"


def test_without_a_configuration_recipients_are_in_the_working_directory(tmp_path: Path) -> None:
    write_yaml(tmp_path / "recipients" / "vendor.yaml", vendor_file())
    assert find_recipients().resolve() == tmp_path / "recipients"


def test_an_argument_overrides_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "minimize.yaml").write_text("recipients: parties\n")
    write_yaml(tmp_path / "given" / "vendor.yaml", vendor_file())
    assert find_recipients(tmp_path / "given") == tmp_path / "given"


def test_the_error_for_missing_recipients_lists_the_searched_folders(tmp_path: Path) -> None:
    (tmp_path / "minimize.yaml").write_text("recipients: parties\n")
    with pytest.raises(PolicyError, match=r"Create one of: .*parties"):
        find_recipients(start=tmp_path)


def test_a_recipient_is_a_file_and_the_list_is_none(tmp_path: Path) -> None:
    write_yaml(tmp_path / "vendor.yaml", vendor_file())
    write_yaml(tmp_path / "subprocessors.yaml", {"subprocessors": [DESK]})
    known = load_recipients(tmp_path)
    assert (known.names(), known.load("vendor").recipient) == (("vendor",), "vendor")


def test_a_recipient_that_is_not_there_gets_a_hint(tmp_path: Path) -> None:
    write_yaml(tmp_path / "vendor.yaml", vendor_file())
    with pytest.raises(PolicyError, match="Did you mean `vendor`"):
        load_recipients(tmp_path).load("vendro")


def test_a_name_leads_to_no_other_folder(tmp_path: Path) -> None:
    write_yaml(tmp_path / "vendor.yaml", vendor_file())
    write_yaml(tmp_path / "inner" / "own.yaml", vendor_file(recipient="own"))
    with pytest.raises(PolicyError):
        load_recipients(tmp_path / "inner").load("../vendor")


def test_an_agent_is_listed_while_its_entry_is(tmp_path: Path) -> None:
    write_yaml(tmp_path / "subprocessors.yaml", {"subprocessors": [DESK]})
    known, agent = load_recipients(tmp_path), vendor(standing="agent", subprocessor="Desk")
    assert [known.is_listed(agent, date(year, 6, 1)) for year in (2025, 2026)] == [False, True]
    assert not known.is_listed(vendor(standing="agent", subprocessor="Nobody"), date(2026, 6, 1))


def test_an_independent_needs_no_entry(tmp_path: Path) -> None:
    assert load_recipients(tmp_path).is_listed(vendor(), date(2026, 6, 1))


@pytest.mark.parametrize(
    ("word", "standing"),
    [
        ("agent", "processor"),
        ("processor", "processor"),
        ("independent", "independent_controller"),
        ("independent_controller", "independent_controller"),
    ],
)
def test_a_file_states_the_role_of_a_recipient_in_a_current_or_an_earlier_word(word: str, standing: str) -> None:
    listed = {"subprocessor": "Desk"} if standing == "processor" else {}
    assert vendor(standing=word, **listed).standing == standing


def test_an_unknown_role_of_a_recipient_is_a_fault() -> None:
    with pytest.raises(PolicyError) as refused:
        vendor(standing="controller")
    assert [each.code for each in refused.value.findings] == ["P007"]
