"""`minimize recipient`, and what `lint` and `schema` make of recipients."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.commands import Command
from tests.pipelines.shipped import RECIPIENTS
from tests.project import write_yaml
from tests.world import sync, vendor_file


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    write_yaml(tmp_path / "recipients" / "vendor.yaml", vendor_file())
    return tmp_path / "recipients"


def test_the_list_shows_the_number_of_fields_per_direction(command: Command) -> None:
    said = command("recipient", "list", "--recipients", RECIPIENTS)
    assert said.code == 0
    assert re.search(r"configmgr +independent controller +0 +19 +site_summary\n", said.out)
    assert re.search(r"apple +independent controller +27 +60 +push, device_enrollment", said.out)
    assert re.search(r"support_desk +processor +8 +0 ", said.out)


def test_the_json_list_states_whether_a_contract_is_current(command: Command) -> None:
    listed = command("recipient", "list", "--recipients", RECIPIENTS, "--json").json["recipients"]
    assert {one["recipient"]: (one["in_force"], one["listed"]) for one in listed}["google"] == (True, True)
    assert {one["recipient"]: one["in_force"] for one in listed}["configmgr"] is False


AGENT = "Example Support Desk"


def test_the_list_ends_with_the_subprocessors_and_what_they_do(command: Command) -> None:
    printed = command("recipient", "list", "--recipients", RECIPIENTS).out
    listed = command("recipient", "list", "--recipients", RECIPIENTS, "--json").json["subprocessors"]
    assert listed == [{"name": AGENT, "from": "2026-01-01", "until": None, "about": listed[0]["about"]}]
    assert printed.endswith(f"\nsubprocessors:\n{AGENT}  from 2026-01-01  {listed[0]['about']}\n")


@pytest.mark.parametrize("kind", ["markdown", "html"])
def test_the_list_is_a_page_with_recipients_and_subprocessors(command: Command, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    words = ["--html", file] if kind == "html" else ["--markdown"]
    page = command("recipient", "list", *words, "--recipients", RECIPIENTS).out
    if kind == "html":
        assert page == f"wrote {file}\n"
        page = file.read_text()
    assert {"Recipients", "Subprocessors", "support_desk", AGENT, "27 sent, 60 received"} <= set(
        re.split(r"<[^>]*>|\s*\|\s*|# |\n", page)
    )


def test_without_agents_the_html_list_states_it_and_the_text_list_omits_it(command: Command, folder: Path) -> None:
    page = folder.parent / "page.html"
    assert command("recipient", "list", "--html", page, "--recipients", folder).out == f"wrote {page}\n"
    assert "There are no subprocessors." in page.read_text()
    assert "subprocessors" not in command("recipient", "list", "--recipients", folder).out


def test_a_recipient_is_shown_as_markdown_or_html(command: Command, folder: Path) -> None:
    plain = command("recipient", "show", "vendor", "--recipients", folder)
    assert plain.out == command("recipient", "show", "vendor", "--markdown", "--recipients", folder).out
    assert plain.out.startswith("# Vendor\n")
    page = folder.parent / "vendor.html"
    assert command("recipient", "show", "vendor", "--html", page, "--recipients", folder).out == f"wrote {page}\n"
    assert page.read_text().startswith("<!doctype html>")


def test_a_recipient_is_shown_to_machines(command: Command, folder: Path) -> None:
    shown = command("recipient", "show", "vendor", "--recipients", folder, "--json").json
    assert shown["functions"][0]["fields"][0] == {
        "field": "app_id",
        "example": "com.example.mail",
        "as it leaves": "com.example.mail",
        "used for": "identifies the app",
        "form": "keep",
        "optional": False,
        "protocol": None,
        "values": [],
    }


def test_optional_fields_protocol_versions_and_listed_values_are_shown_to_machines(command: Command) -> None:
    shown = command("recipient", "show", "apple", "--recipients", RECIPIENTS, "--json").json
    fields = {one["field"]: one for one in shown["functions"][1]["fields"]}
    assert (fields["support_email_address"]["optional"], fields["support_email_address"]["protocol"]) == (True, 2)
    assert fields["profile_status"]["values"] == ["empty", "assigned", "pushed", "removed"]


def test_a_recipient_that_is_not_there_exits_2(command: Command, folder: Path) -> None:
    said = command("recipient", "show", "vendro", "--recipients", folder)
    assert said.code == 2
    assert "Did you mean `vendor`" in said.err


@pytest.mark.parametrize("verb", [("lint",), ("recipient", "lint")])
def test_lint_judges_recipients(command: Command, folder: Path, verb: tuple[str, ...]) -> None:
    write_yaml(folder / "vendor.yaml", vendor_file(functions=sync(fields={"a": "md5"})))
    said = command(*verb, folder, "--json")
    assert said.code == 1
    assert "P012" in [one["code"] for one in said.json["findings"]]
    assert command(*verb, RECIPIENTS / "apple.yaml").code == 0
    assert command(*verb, RECIPIENTS / "apple.yaml", "--fail-on", "warning").code == 1


def test_the_schema_of_recipients_is_printed(command: Command) -> None:
    assert command("schema", "recipient").json["title"] == "minimize recipient"


def test_the_schema_of_the_list_of_subprocessors_is_printed(command: Command) -> None:
    assert command("schema", "subprocessors").json["title"] == "minimize subprocessors"
