"""Access rules and ledger are those of the output that a command names, in whichever folder it runs."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from minimize.config_search import load_config
from minimize.output.folder import ensure_identity, new_identity
from minimize.policy.load import load_pipeline
from minimize.workspace import Workspace
from tests.commands import Result, command
from tests.project import DAY, Project, write_yaml
from tests.world import World, assignment


@pytest.fixture(name="from_empty_folder")
def _from_empty_folder(world: World, tmp_path: Path) -> Callable[..., Result]:
    """Runs a command as an account, in a folder that has only a configuration of the caller, if any."""
    folder = tmp_path / "empty"
    folder.mkdir()

    def run(account: str, *words: object) -> Result:
        with world.as_actor(account):
            os.chdir(folder)
            return command(*words)

    return run


def decisions(world: World, permission: str) -> list[tuple[str, str]]:
    """The decisions on a permission in the audit log of the world: account and result."""
    found = world.command("olga", "audit", "log", "--operation", permission, "--json").json["entries"]
    return [(each["event"]["actor"]["user"], each["event"]["result"]) for each in found]


@pytest.mark.parametrize("words", ["subject view d1", "subject export d1 --to exported"])
def test_data_of_a_person_needs_a_permission_from_any_folder(
    world: World, from_empty_folder: Callable[..., Result], words: str
) -> None:
    asked = (*words.split(), "--tenant", "north", "--also", world.checkins.out)
    refused, shown = from_empty_folder("nemo", *asked), from_empty_folder("pia", *asked)
    assert (refused.code, "d1" in refused.out) == (3, False)
    assert shown.code == 0, shown.err
    permission = "/".join(words.split()[:2])
    assert decisions(world, permission) == [("nemo", "refused"), ("pia", "success")]


@pytest.mark.parametrize(
    "words",
    [
        "subject view d1 --tenant north --also {out}",
        "subject coverage --also {out}",
        "report {out}",
        "quarantine {out}",
        "export openlineage {out}",
        "expire {out}",
        "expire {out} --due",
        "retract {out}",
        "replay {out}",
        "runs --output {out}",
        "runs show none --output {out}",
        "keys rotate --rewrite {out} --no-new",
        "keys shred encrypt.identified/1 --output {out}",
    ],
)
@pytest.mark.parametrize("configured", [False, True])
def test_a_configuration_of_the_caller_does_not_replace_that_of_the_output(
    world: World, from_empty_folder: Callable[..., Result], tmp_path: Path, words: str, configured: bool
) -> None:
    if configured:
        (tmp_path / "empty" / "minimize.yaml").write_text("access: off\n")
    refused = from_empty_folder("nemo", *words.format(out=world.checkins.out).split())
    assert (refused.code, "E302" in refused.err) == (3, True), refused.err


def test_without_access_rules_an_output_is_shown_from_any_folder(
    world: World, from_empty_folder: Callable[..., Result]
) -> None:
    config = world.folder / "minimize.yaml"
    config.write_text(config.read_text().replace("access.yaml", "off"))
    assert (
        from_empty_folder("nemo", "subject", "view", "d1", "--tenant", "north", "--also", world.checkins.out).code == 0
    )
    assert from_empty_folder("nemo", "export", "openlineage", world.checkins.out).code == 0


@pytest.mark.parametrize(
    "words",
    ["subject view d1 --tenant north --also {out}", "report {out}", "expire {out} --yes", "export openlineage {out}"],
)
def test_a_pipeline_of_the_caller_does_not_bring_rules_for_the_output(
    world: World, from_empty_folder: Callable[..., Result], tmp_path: Path, words: str
) -> None:
    mine = tmp_path / "empty"
    for name in ("pipeline.yaml", "policy.yaml", "settings.csv"):
        (mine / name).write_bytes((world.checkins.folder / name).read_bytes())
    (mine / "minimize.yaml").write_text(f"access: off\nkeys: {world.keys}\nledger: {world.ledger}\n")
    refused = from_empty_folder("nemo", *words.format(out=world.checkins.out).split(), "--pipeline", mine)
    assert (refused.code, "E302" in refused.err) == (3, True), refused.err


@pytest.mark.parametrize("words", ["subject view d1 --tenant north --also {out}", "report {out}"])
def test_an_edited_access_file_does_not_count_with_another_ledger(
    world: World, from_empty_folder: Callable[..., Result], words: str
) -> None:
    assert world.command("rob", "access", "adopt", "--yes").code == 0
    rules = json.loads((world.folder / "access.yaml").read_text())
    rules["assignments"].append(assignment("privacy_officer", "nemo"))
    write_yaml(world.folder / "access.yaml", rules)
    asked = words.format(out=world.checkins.out).split()
    assert "U100" in from_empty_folder("nemo", *asked).err
    refused = from_empty_folder("nemo", *asked, "--ledger", "new.db")
    assert (refused.code, "E303" in refused.err) == (3, True)
    allowed = from_empty_folder("pia", *asked, "--ledger", world.ledger)
    assert allowed.code == 0, allowed.err


def test_each_of_two_outputs_has_rules_of_its_own(
    world: World, from_empty_folder: Callable[..., Result], tmp_path: Path
) -> None:
    other = world.copy(tmp_path / "other")
    ensure_identity(other.checkins.out, other_than=ensure_identity(world.checkins.out), new=new_identity())
    rules = json.loads((other.folder / "access.yaml").read_text())
    rules["assignments"].append(assignment("privacy_officer", "nemo"))
    write_yaml(other.folder / "access.yaml", rules)
    asked = ("subject", "view", "d1", "--tenant", "north", "--also", other.checkins.out)
    assert from_empty_folder("nemo", *asked).code == 0
    assert from_empty_folder("nemo", *asked, "--also", world.checkins.out).code == 3
    assert from_empty_folder("pia", *asked, "--also", world.checkins.out).code == 0


def test_the_pipeline_in_the_receipts_leads_to_the_configuration(world: World, tmp_path: Path) -> None:
    """An output far from its pipeline, without a configuration above it."""
    far = tmp_path / "far" / "out"
    assert world.command("otto", "run", "checkins", "--date", DAY, "--output", far).code == 0
    with world.as_actor("nemo"):
        os.chdir(tmp_path)
        assert "E302" in command("subject", "view", "d1", "--tenant", "north", "--also", far).err
    with world.as_actor("pia"):
        os.chdir(tmp_path)
        assert command("subject", "view", "d1", "--tenant", "north", "--also", far).code == 0


def test_a_workspace_cannot_be_sent_to_another_process(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="another process"):
        pickle.dumps(Workspace(tmp_path / "ledger.db"))


def test_a_pipeline_is_sent_without_its_configuration(project: Project) -> None:
    (project.folder / "minimize.yaml").write_text("ledger: postgresql://ann:secret@127.0.0.1/ledger\n")
    job = load_pipeline(project.folder)
    assert job.config.ledger is not None
    sent = pickle.dumps(job)
    assert b"secret" not in sent
    assert pickle.loads(sent).config.ledger == job.config.ledger


def test_copies_share_the_keyring_under_the_same_configuration_only(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (project.folder / "minimize.yaml").write_text(f"keys: {project.keys}\n")
    workspace = Workspace(pipeline=project.folder)
    keyring = workspace.keyring()
    assert workspace.showing(project.out).keyring() is keyring
    elsewhere = load_pipeline(project.folder).with_config(load_config(tmp_path_factory.mktemp("elsewhere")))
    assert workspace.with_pipeline(elsewhere).keyring_or_none is None
