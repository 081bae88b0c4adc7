"""What became of commands to devices of Apple."""

from __future__ import annotations

from tests.samples.made import records

RECORDS = records("apple_push_commands")


def test_most_commands_succeed() -> None:
    states = [record["Status"] for record in RECORDS]
    assert set(states) == {"Acknowledged", "NotNow", "Error"}
    assert states.count("Acknowledged") > states.count("Error")


def test_some_errors_are_free_text_with_an_address_of_the_documentation_in_it() -> None:
    errors = [record["ErrorChain"] for record in RECORDS if "ErrorChain" in record]
    assert 0 < len(errors) < len(RECORDS) / 4
    assert {text for text in errors if "@" in text} == {
        "MCProfileErrorDomain 1009: the account ann@mail.example is set up already"
    }


def test_each_command_is_another_one() -> None:
    assert len({record["CommandUUID"] for record in RECORDS}) == len(RECORDS)
