"""The other doors: words of the command line, files of settings and recipients, URIs. Each is refused in our words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest

from tests.commands import Command
from tests.project import Project, events

CANARY: Final = "CANARY-at-a-door"
AT: Final = ("--at", "2026-11-25T00:00:00Z")
REFUSED: Final[Mapping[str, tuple[str, ...]]] = {
    "an output whose URI has no bucket": ("run", ".", *AT, "--output", "s3://"),
    "an output of no known scheme": ("run", ".", *AT, "--output", "ftp://b/x"),
    "an output whose URI carries a secret": ("run", ".", *AT, "--output", f"s3://user:{CANARY}@b/x"),
    "an input whose URI carries an option": ("run", ".", *AT, "--output", "out", "--input", f"s3://b?token={CANARY}"),
    "an output in the source": ("run", ".", *AT, "--output", "data/out"),
    "a time without a zone": ("run", ".", "--at", "2026-11-25T00:00:00", "--output", "out"),
    "a time that is a number": ("run", ".", "--at", "1e9", "--output", "out"),
    "a day that no month has": ("run", ".", "--date", "2026-02-30"),
    "a day of the year 0": ("run", ".", "--date", "0000-01-01"),
    "a date that is a path": ("run", ".", "--date", "../.."),
    "a keyring that is a device": ("keys", "public", "/dev/zero"),
    "a keyring that is anybody's": ("keys", "list", "/etc/passwd"),
    "a ledger that is anybody's": ("audit", "verify", "--ledger", "/etc/passwd"),
    "settings that are a folder": ("settings", "import", "."),
    "settings of nobody": ("settings", "set", "", "location", "on", "--output", "out"),
    "a setting that is not known": ("settings", "set", "north", "nothing", "on", "--pipeline", ".", "--output", "out"),
    "the kind of an event is unknown": ("events", "add", "north", CANARY, "--output", "out"),
    "a recipient that is a path": ("recipient", "show", "../../etc/passwd", "--recipients", "recipients"),
    "recipients nested without end": ("recipient", "list", "--recipients", "deep"),
    "recipients that name themselves": ("recipient", "list", "--recipients", "bomb"),
    "subprocessors that name themselves": ("recipient", "list", "--recipients", "listed"),
    "an output that is none, to expire": ("expire", "."),
    "an output that is none, to replay": ("replay", "."),
}  # fmt: skip
FILES: Final = {
    "recipients/none.txt": "",
    "deep/deep.yaml": "a: " + "[" * 600,
    "bomb/bomb.yaml": "a: &a [*a]",
    "listed/subprocessors.yaml": "a: &a [*a]",
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_our_words(project: Project, command: Command, name: str) -> None:
    for path, text in FILES.items():
        (project.folder / path).parent.mkdir(exist_ok=True)
        (project.folder / path).write_text(text)
    project.records(events(9))
    said = command(*REFUSED[name])
    assert said.code == 2
    assert "E900" not in said.err
    assert CANARY not in said.out + said.err or "events" in REFUSED[name]  # a word of one's own may be said back
    assert not list(project.folder.rglob("*.parquet"))


def test_a_keyring_that_others_may_read_is_refused_before_anything_is_read(project: Project, command: Command) -> None:
    project.records(events(9))
    project.keys.chmod(0o640)
    said = command("run", ".", *AT, "--output", "out", "--json")
    assert (said.code, said.error["code"]) == (2, "E204")
    assert not project.out.exists()


def test_a_setting_of_the_far_future_collects_nothing_today(project: Project, command: Command) -> None:
    set_ = ("settings", "set", "south", "location", "on", "--since", "9999-12-31T00:00:00Z", "--output", "out")
    assert command(*set_).code == 0
    project.records(events(20))
    assert command("run", ".", *AT, "--output", "out", "--settings", "ledger", "--ledger", "out/ledger.db").code == 0
    assert {row["latitude"] for row in project.rows()} == {None}


def test_settings_of_one_moment_that_contradict_each_other_collect_nothing(project: Project, command: Command) -> None:
    path = project.folder / "settings.csv"
    path.write_text(path.read_text() + path.read_text().splitlines()[1].replace("on,admin", "off,admin") + "\n")
    project.records(events(20))
    assert command("run", ".", *AT, "--output", "out").code == 0
    assert {row["latitude"] for row in project.rows()} == {None}
