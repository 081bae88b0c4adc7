"""A folder of the caller with the ledger of others: the rules of the ledger's outputs decide about acts."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.commands import Result, command
from tests.project import write_yaml
from tests.world import World, access_file, assignment


@pytest.fixture(name="own")
def _own(world: World, tmp_path: Path) -> Path:
    """A pipeline without access rules that has the ledger of the world."""
    folder = tmp_path / "own"
    folder.mkdir()
    for name in ("pipeline.yaml", "policy.yaml", "settings.csv"):
        (folder / name).write_bytes((world.checkins.folder / name).read_bytes())
    (folder / "minimize.yaml").write_text(f"access: off\nkeys: {world.keys}\nledger: {world.ledger}\n")
    return folder


def ask(world: World, account: str, folder: Path, words: str) -> Result:
    with world.as_actor(account):
        os.chdir(folder)
        return command(*words.split(), "--pipeline", folder)


SETTING = "settings set north location off --since 2026-01-01T00:00:00Z"


@pytest.mark.parametrize("words", [SETTING, "events add north erasure --subject d9", "settings show"])
def test_a_configuration_of_the_caller_does_not_decide_about_acts(world: World, own: Path, words: str) -> None:
    refused = ask(world, "nemo", own, words)
    assert (refused.code, "E302" in refused.err) == (3, True), refused.out + refused.err
    assert ask(world, "pia", own, words).code == 0  # control: an account with the role under the rules of the outputs


def test_an_access_file_of_the_caller_is_not_the_first_to_be_adopted(world: World, own: Path) -> None:
    write_yaml(own / "access.yaml", access_file(assignment("role_administrator", "nemo")))
    config = own / "minimize.yaml"
    config.write_text(config.read_text().replace("access: off", "access: access.yaml"))
    refused = ask(world, "nemo", own, "access adopt --yes")
    assert (refused.code, "nothing was adopted" in refused.err) == (3, True), refused.out + refused.err
    assert world.command("rob", "access", "adopt", "--yes").code == 0  # control: the file of the outputs


@pytest.mark.parametrize("is_input", [True, False])
def test_a_file_is_shared_under_the_rules_of_the_outputs_that_were_made_of_it(
    world: World, own: Path, is_input: bool
) -> None:
    pipeline = own / "pipeline.yaml"
    pipeline.write_text(json.dumps({**json.loads(pipeline.read_text()), "output": "mine"}))
    file = next(path for path in sorted((world.checkins.folder / "data").rglob("*")) if path.is_file())
    if not is_input:  # control: a file of the same place that no output was made of
        file.write_bytes(file.read_bytes() * 2)
    shared = ask(
        world, "nemo", own, f"share send vendor sync --data {file} --to mine.parquet --ledger {own / 'mine.db'}"
    )
    assert (shared.code != 0, "E302" in shared.err or "E303" in shared.err) == (True, is_input), shared.out + shared.err
