"""`minimize sample`: mistakes in its arguments, and folders that cannot be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import Command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("demoo",), "unknown NAME `demoo` (hint: Did you mean `demo`?)"),
        (("device_telemetri",), "unknown NAME `device_telemetri` (hint: Did you mean `device_telemetry`?)"),
        (
            ("usage_events", "--format", "ndjson.gzip"),
            "unknown `--format` `ndjson.gzip` (hint: Did you mean `ndjson.gz`?)",
        ),
        (("demo", "--rows", "10"), "`--rows` must be a whole number from 200 for demo"),
    ],
    ids=lambda part: part if isinstance(part, str) else " ".join(part),
)
def test_a_mistake_is_named_and_nothing_is_written(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    refused = command("sample", *arguments, "--output", tmp_path / "out")
    assert (refused.code, refused.out) == (2, "")
    assert f"error E001: {message}" in refused.err
    assert not (tmp_path / "out").exists()


def test_a_name_that_is_like_no_other_lists_all(command: Command, tmp_path: Path) -> None:
    refused = command("sample", "zzz", "--output", tmp_path / "out")
    assert "Use one of: demo, device_telemetry, usage_events" in refused.err


@pytest.mark.parametrize("name", ["demo", "usage_events"])
def test_a_folder_that_cannot_be_written_is_named(command: Command, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    error = command("sample", name, "--output", tmp_path / "file" / "out", "--json").error
    assert error["code"] == "E209"
    assert error["message"].startswith(f"{tmp_path}/file/out cannot be written: ")
    assert ".py" not in error["message"]
