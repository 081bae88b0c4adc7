"""What a pipeline names is replaced only with a permission: settings, input and output."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import minimize
from minimize.output.folder import read_receipts
from tests.commands import Result, command
from tests.project import DAY, write_yaml
from tests.world import ASSIGNMENTS, NOW, World, access_file, assignment

MORE = "east,,location,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n"


@pytest.fixture(name="own_settings")
def _own_settings(world: World) -> Path:
    """Settings of a caller, which turn on what east did not turn on; and a role with the whole permission, of Max."""
    roles = {"maintainer": {"allow": ["run/override"]}}
    write_yaml(world.folder / "access.yaml", access_file(*ASSIGNMENTS, assignment("maintainer", "max"), roles=roles))
    mine = world.folder / "mine.csv"
    mine.write_text((world.checkins.folder / "settings.csv").read_text() + MORE)
    return mine


def run(world: World, account: str, *words: object) -> Result:
    return world.command(account, "run", "checkins", "--date", DAY, *words)


def shown(world: World, output: Path | None = None) -> int:
    """The number of published positions of east, which turned them off."""
    rows = world.checkins.rows(output=output, keys=world.keys)
    return sum(row["latitude"] is not None for row in rows if row["tenant_id"] == "east")


def test_settings_of_the_caller_do_not_reach_the_official_output(world: World, own_settings: Path) -> None:
    assert run(world, "nemo", "--settings", own_settings).code == 3
    assert run(world, "otto", "--settings", own_settings).code == 3
    assert shown(world) == 0


def test_without_access_rules_they_do(world: World, own_settings: Path) -> None:
    config = world.folder / "minimize.yaml"
    config.write_text(config.read_text().replace("access.yaml", "off"))
    assert run(world, "nemo", "--settings", own_settings).code == 0
    assert shown(world) > 0


def test_a_role_with_the_whole_permission_replaces_them(world: World, own_settings: Path) -> None:
    assert run(world, "max", "--settings", own_settings).code == 0
    assert shown(world) > 0


def test_an_operator_replaces_them_for_another_output(world: World, own_settings: Path) -> None:
    trial = ("--settings", own_settings, "--output", "trial")
    assert run(world, "nemo", *trial).code == 3
    assert not (world.folder / "trial").exists()
    assert run(world, "otto", *trial).code == 0
    assert (shown(world, world.folder / "trial") > 0, shown(world)) == (True, 0)


@pytest.mark.parametrize(
    "words",
    [
        ("--settings", "checkins/settings.csv"),
        ("--output", "checkins/out"),
        ("--output", "checkins/../checkins/out"),
        (),
    ],
)
def test_what_the_pipeline_names_itself_needs_no_permission(
    world: World, own_settings: Path, words: tuple[str, ...]
) -> None:
    assert run(world, "nemo", *words).code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("--input", "checkins/data/{date}/*.ndjson.gz"),
        ("--settings", "mine.csv", "--output", "linked"),
        ("--settings", "mine.csv", "--output", "checkins/out/below"),
        ("--settings", "ledger"),
    ],
)
def test_no_other_spelling_makes_the_own_output_another_one(
    world: World, own_settings: Path, words: tuple[str, ...]
) -> None:
    (world.folder / "linked").symlink_to(world.checkins.out, target_is_directory=True)
    assert run(world, "otto", *words).code == 3


@pytest.mark.parametrize(
    "words",
    [
        "backfill backfill.yaml --settings mine.csv",
        "backfill backfill.yaml --input checkins/data/{date}",
        "replay checkins/out --settings mine.csv",
        "replay checkins/out --input checkins/data/{date}",
        "retract checkins/out --settings mine.csv --yes",
    ],
)
def test_other_commands_that_publish_ask_for_the_same(world: World, own_settings: Path, words: str) -> None:
    body = {"backfill": "again", "pipeline": "checkins", "reason": "text", "dates": [DAY]}
    write_yaml(world.folder / "backfill.yaml", body)
    assert world.command("otto", *words.split()).code == 3
    bare = world.command("otto", *words.split(" --")[0].split())
    assert bare.code == 0, bare.err


SHARES = [
    "share send vendor sync --pipeline usage --settings mine.csv --to sent.parquet",
    "share send vendor sync --pipeline usage --settings ledger --to sent.parquet",
    "share send vendor sync --pipeline usage --settings mine.csv --dry-run",
    "share send vendor sync --policy usage/policy.yaml --data usage/out --to sent.parquet",
    "share send vendor sync --policy usage/policy.yaml --data usage/out --settings mine.csv --to sent.parquet",
]


@pytest.mark.parametrize("words", SHARES)
def test_a_share_under_other_settings_needs_the_permission(world: World, own_settings: Path, words: str) -> None:
    usage = world.usage
    body = json.loads((usage.folder / "pipeline.yaml").read_text())
    write_yaml(usage.folder / "pipeline.yaml", {**body, "settings": "settings.csv"})
    assert world.command("otto", "run", "usage", "--date", DAY).code == 0
    refused = world.command("pia", *words.split())
    assert (refused.code, "run/override" in refused.err, (world.folder / "sent.parquet").exists()) == (3, True, False)
    own = "share send vendor sync --pipeline usage --settings usage/settings.csv --to own.parquet"
    done = world.command("pia", *own.split())
    assert done.code == 0, done.err
    config = world.folder / "minimize.yaml"
    config.write_text(config.read_text().replace("access.yaml", "off"))
    done = world.command("pia", *words.split())
    assert "run/override" not in done.err


@pytest.mark.parametrize(
    ("words", "permitted"),
    [
        ("plan checkins --preview 3 --settings mine.csv", "otto"),
        ("plan checkins --preview 3 --input checkins/data/{date}", "otto"),
        ("quarantine show checkins/out --check --settings mine.csv", "max"),
        ("quarantine show checkins/out --check --input checkins/data/{date}", "max"),
    ],
)
def test_commands_that_show_records_under_other_settings_ask_for_the_same(
    world: World, own_settings: Path, words: str, permitted: str
) -> None:
    roles = {"maintainer": {"allow": ["run/override", "run/read"]}, "reader": {"allow": ["run/read"]}}
    named = [assignment("maintainer", "max"), assignment("reader", "nemo")]
    write_yaml(world.folder / "access.yaml", access_file(*ASSIGNMENTS, *named, roles=roles))
    refused = world.command("nemo", *words.split())
    assert (refused.code, "run/override" in refused.err) == (3, True)
    for account, arguments in (
        (permitted, words.split()),
        ("nemo", words.split(" --settings")[0].split(" --input")[0].split()),
    ):
        done = world.command(account, *arguments)
        assert done.code == 0, done.err


def test_a_caller_in_python_is_not_asked(world: World, own_settings: Path) -> None:
    with world.as_actor("nemo"):
        assert minimize.run("checkins", date=DAY, at=NOW, settings=own_settings).sequence


def test_a_refusal_is_in_the_audit_log(world: World, own_settings: Path) -> None:
    run(world, "nemo", "--settings", own_settings)
    found = world.command("olga", "audit", "log", "--operation", "run/override", "--json").json["entries"]
    assert [(each["event"]["actor"]["user"], each["event"]["result"]) for each in found] == [("nemo", "refused")]


def test_another_ledger_does_not_bring_back_an_edited_access_file(world: World, own_settings: Path) -> None:
    assert world.command("rob", "access", "adopt", "--yes").code == 0
    rules = json.loads((world.folder / "access.yaml").read_text())
    rules["assignments"].append(assignment("maintainer", "nemo"))
    write_yaml(world.folder / "access.yaml", rules)
    for words in ((), ("--ledger", "new.db"), ("--output", "trial", "--ledger", "new.db")):
        refused = run(world, "nemo", "--settings", own_settings, *words)
        assert refused.code == 3, words
    assert not (world.folder / "trial").exists()


def test_the_rules_of_an_output_count_for_a_pipeline_from_elsewhere(world: World, own_settings: Path) -> None:
    """A copy of the pipeline in a folder without access control does not bring its own rules."""
    copied = world.folder.parent / "copied"
    shutil.copytree(world.checkins.folder, copied, ignore=shutil.ignore_patterns("out"))
    (copied / "minimize.yaml").write_text(f"access: off\nencrypt: off\nkeys: {world.keys}\nledger: {world.ledger}\n")
    with world.as_actor("nemo"):
        refused = command("run", copied, "--date", DAY, "--settings", own_settings, "--output", "checkins/out")
    assert (refused.code, shown(world)) == (3, 0)


@pytest.fixture(name="other_pipeline")
def _other_pipeline(world: World, own_settings: Path) -> Path:
    """A copy of the pipeline next to it, whose output is that of the original."""
    copied = world.folder / "other"
    shutil.copytree(world.checkins.folder, copied, ignore=shutil.ignore_patterns("out"))
    body = json.loads((copied / "pipeline.yaml").read_text())
    write_yaml(copied / "pipeline.yaml", {**body, "output": "../checkins/out"})
    return copied


@pytest.mark.parametrize(
    "words",
    [
        f"run other --date {DAY}",
        f"run other --date {DAY} --output checkins/out",
        "replay checkins/out --pipeline other",
        "retract checkins/out --pipeline other --yes",
        "expire checkins/out --pipeline other --at 2027-06-01T00:00:00Z --allow-shrink --yes",
    ],
)
def test_another_pipeline_does_not_change_an_output_without_the_whole_permission(
    world: World, other_pipeline: Path, words: str
) -> None:
    policy = json.loads((other_pipeline / "policy.yaml").read_text())
    fields = {**policy["fields"], "latitude": {"type": "double", "role": "quasi", "do": "drop"}}
    write_yaml(other_pipeline / "policy.yaml", {**policy, "retention": "20d", "fields": fields})
    receipts = len(read_receipts(world.checkins.out))
    assert world.command("otto", *words.split()).code == 3
    assert len(read_receipts(world.checkins.out)) == receipts


@pytest.mark.parametrize("words", ["replay checkins/out", "retract checkins/out --yes", "expire checkins/out --yes"])
def test_the_pipeline_of_an_output_can_be_named(world: World, own_settings: Path, words: str) -> None:
    for named in ("checkins", "checkins/pipeline.yaml"):
        done = world.command("otto", *words.split(), "--pipeline", named)
        assert done.code == 0, done.err


def test_the_whole_permission_moves_an_output_to_another_pipeline(world: World, other_pipeline: Path) -> None:
    assert world.command("max", "run", "other", "--date", DAY).code == 0
    assert world.command("otto", "replay", "checkins/out").code == 0


def test_an_output_that_the_ledger_names_keeps_its_rules_for_a_search_from_elsewhere(world: World) -> None:
    assert run(world, "otto").code == 0
    copied = world.folder.parent / "searching"
    shutil.copytree(world.checkins.folder, copied / "p", ignore=shutil.ignore_patterns("out"))
    (copied / "minimize.yaml").write_text(f"access: off\nencrypt: off\nkeys: {world.keys}\nledger: {world.ledger}\n")
    view = ("subject", "view", "d1", "--tenant", "east", "--pipeline", copied / "p")
    with world.as_actor("nemo"):
        assert command(*view).code == 3
        own = world.folder / "minimize.yaml"
        own.write_text(own.read_text().replace("access.yaml", "off"))
        assert command(*view).code == 0
