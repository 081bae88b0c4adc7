"""What a pipeline names is replaced only with a permission: settings, input and output."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
def test_the_places_named_by_the_pipeline_need_no_permission(
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
        ("quarantine checkins/out --check --settings mine.csv", "max"),
        ("quarantine checkins/out --check --input checkins/data/{date}", "max"),
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


@pytest.fixture(name="lenient")
def _lenient(world: World) -> Path:
    """A folder next to the organization's, with a configuration of its own, and a policy that turns on what east turned off."""
    folder = world.folder.parent / "lenient"
    (folder / "checkins").mkdir(parents=True)
    (folder / "minimize.yaml").write_text(f"access: off\nencrypt: off\nkeys: {world.keys}\nledger: {world.ledger}\n")
    policy = json.loads((world.checkins.folder / "policy.yaml").read_text())
    for field in policy["fields"].values():
        field.pop("feature", None)
    write_yaml(folder / "checkins" / "policy.yaml", {**policy, "features": {}})
    return folder


@pytest.mark.parametrize("command_", ["run", "backfill"])
@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to, shutil.copy])
def test_a_link_to_the_pipeline_file_is_another_pipeline(
    world: World, own_settings: Path, lenient: Path, link: Callable[..., object], command_: str
) -> None:
    official, linked = world.checkins.folder / "pipeline.yaml", lenient / "checkins" / "pipeline.yaml"
    if link is shutil.copy:
        write_yaml(linked, {**json.loads(official.read_text()), "output": str(world.checkins.out)})
    else:
        write_yaml(official, _with_absolute_paths(world))
        assert run(world, "otto").code == 0
        link(linked, official)
    body = {"backfill": "again", "pipeline": str(linked.parent), "reason": "text", "dates": [DAY]}
    write_yaml(lenient / "backfill.yaml", body)
    words = ("run", linked.parent, "--date", DAY) if command_ == "run" else ("backfill", lenient / "backfill.yaml")
    assert world.command("nemo", *words).code == 3
    assert shown(world) == 0


def test_without_access_rules_a_link_to_the_pipeline_file_changes_the_output(world: World, lenient: Path) -> None:
    """The control of the link: what it leads to would publish what east turned off."""
    config = world.folder / "minimize.yaml"
    config.write_text(config.read_text().replace("access.yaml", "off"))
    write_yaml(world.checkins.folder / "pipeline.yaml", _with_absolute_paths(world))
    (lenient / "checkins" / "pipeline.yaml").symlink_to(world.checkins.folder / "pipeline.yaml")
    done = world.command("nemo", "run", lenient / "checkins", "--date", DAY)
    assert (done.code, shown(world) > 0) == (0, True), done.err


def _with_absolute_paths(world: World) -> dict[str, Any]:
    """The pipeline of the check-ins, whose paths are the same from every folder."""
    folder = world.checkins.folder
    body: dict[str, Any] = json.loads((folder / "pipeline.yaml").read_text())
    source = {**body["source"], "path": str(folder / body["source"]["path"])}
    return {**body, "source": source, "settings": str(folder / body["settings"]), "output": str(world.checkins.out)}


def test_a_link_to_the_folder_of_the_pipeline_is_the_pipeline(world: World) -> None:
    linked = world.folder.parent / "elsewhere" / "linked"
    linked.parent.mkdir()
    linked.symlink_to(world.checkins.folder)
    assert world.command("nemo", "run", linked, "--date", DAY).code == 0
    assert read_receipts(world.checkins.out)[-1].origin is None
    (linked.parent / "minimize.yaml").write_text(
        f"access: off\nencrypt: off\nkeys: {world.keys}\nledger: {world.ledger}\n"
    )
    assert world.command("nemo", "run", linked, "--date", DAY).code == 3


@pytest.mark.parametrize("words", ["run lenient/checkins --date " + DAY, "expire lenient/checkins/out --yes"])
def test_a_link_to_the_output_does_not_make_a_pipeline_near_the_link_its_own(
    world: World, lenient: Path, words: str
) -> None:
    copied = lenient / "checkins"
    write_yaml(copied / "pipeline.yaml", {**_with_absolute_paths(world), "output": "out"})
    (copied / "out").symlink_to(world.checkins.out)
    receipts = len(read_receipts(world.checkins.out))
    assert world.command("nemo", *words.replace("lenient", str(lenient)).split()).code == 3
    assert (len(read_receipts(world.checkins.out)), shown(world)) == (receipts, 0)


@pytest.fixture(name="moved")
def _moved(world: World) -> Path:
    """The pipeline in a new folder of the organization. Its output, published next to the organization, names the former one."""
    body = {**_with_absolute_paths(world), "output": str(world.folder.parent / "published")}
    write_yaml(world.checkins.folder / "pipeline.yaml", body)
    assert run(world, "otto").code == 0
    folder = world.folder / "release-2"
    folder.mkdir()
    for name in ("pipeline.yaml", "policy.yaml"):
        (world.checkins.folder / name).rename(folder / name)
    return folder


def _run(world: World, account: str, folder: Path) -> int:
    return world.command(account, "run", folder, "--date", DAY).code


def test_a_pipeline_moved_within_its_configuration_still_runs(world: World, moved: Path) -> None:
    assert _run(world, "nemo", moved) == 0
    assert _run(world, "nemo", moved) == 0


def test_a_copy_does_not_take_over_the_output_of_a_pipeline_that_was_moved(
    world: World, own_settings: Path, lenient: Path, moved: Path
) -> None:
    for name in ("pipeline.yaml", "policy.yaml"):
        shutil.copy(moved / name, lenient / "checkins" / name)
    receipts = len(read_receipts(world.folder.parent / "published"))
    for account, folder in (("nemo", lenient / "checkins"), ("otto", lenient / "checkins")):
        assert _run(world, account, folder) == 3
    assert len(read_receipts(world.folder.parent / "published")) == receipts
    assert _run(world, "max", lenient / "checkins") == 0


def test_rules_next_to_a_copy_do_not_replace_those_of_a_configuration_that_was_moved(
    world: World, lenient: Path, moved: Path
) -> None:
    copied, current = lenient / "checkins", world.folder / "minimize.yaml"
    for name in ("pipeline.yaml", "policy.yaml"):
        shutil.copy(moved / name, copied / name)
    official = current.rename(world.folder / "moved.yaml")
    assert _run(world, "nemo", copied) == 3
    own_rules = access_file(assignment("maintainer", "nemo"), roles={"maintainer": {"allow": ["run/override"]}})
    write_yaml(lenient / "access.yaml", own_rules)
    config = lenient / "minimize.yaml"
    config.write_text(config.read_text().replace("off", "access.yaml", 1))
    assert _run(world, "nemo", copied) == 3
    official.rename(current)
    (world.checkins.folder / "pipeline.yaml").symlink_to(moved / "pipeline.yaml")
    (world.checkins.folder / "policy.yaml").symlink_to(moved / "policy.yaml")
    assert _run(world, "otto", world.checkins.folder) == 0


def test_where_access_is_off_a_pipeline_moves_anywhere(world: World, lenient: Path, moved: Path) -> None:
    config = world.folder / "minimize.yaml"
    config.write_text(config.read_text().replace("access.yaml", "off"))
    for name in ("pipeline.yaml", "policy.yaml"):
        shutil.copy(moved / name, lenient / "checkins" / name)
    assert _run(world, "nemo", lenient / "checkins") == 0


def test_a_link_through_which_a_pipeline_ran_does_not_become_its_place(world: World, lenient: Path) -> None:
    write_yaml(world.checkins.folder / "pipeline.yaml", _with_absolute_paths(world))
    output = world.folder.parent / "published"
    body = {**_with_absolute_paths(world), "output": str(output)}
    write_yaml(world.checkins.folder / "pipeline.yaml", body)
    assert run(world, "otto").code == 0
    linked = world.folder.parent / "elsewhere"
    linked.symlink_to(world.checkins.folder)
    assert world.command("nemo", "run", linked, "--date", DAY).code == 0
    linked.unlink()
    shutil.copytree(lenient / "checkins", linked)
    shutil.copy(world.checkins.folder / "pipeline.yaml", linked)
    (linked / "minimize.yaml").write_text((lenient / "minimize.yaml").read_text())
    assert world.command("nemo", "run", linked, "--date", DAY).code == 3
    assert shown(world, output) == 0


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
