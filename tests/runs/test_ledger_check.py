"""An output goes on with the ledger that its receipts name: another, a new, a missing or an older one is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.datasets.ledger_check import WRONG_LEDGER
from minimize.datasets.reader import load_receipts
from minimize.errors import RefusedError
from minimize.keys import Keyring, new_keyring
from minimize.ledger import find_ledger
from minimize.ledger.kinds import LEDGER_ADOPTION
from minimize.ledger.ledger import open_ledger
from minimize.ledger.schema import ledger_identity
from minimize.receipts import Receipt
from minimize.removal.expire import expire
from minimize.removal.retract import retract
from minimize.runs.verify import check_output
from minimize.workspace import Workspace
from tests.calls import backfill, replay
from tests.commands import command
from tests.ledger.ledgers import errors, unguarded
from tests.project import AT, DAY, LASTING, Builds, Project, event, events, new_project, write_yaml


def published(project: Project) -> None:
    project.records([*events(40), event(41, contacts=["x"])])
    project.run(ledger=project.folder / "ledger.db")


@pytest.fixture(name="project")
def _project(builds: Builds, project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("MINIMIZE_LEDGER", raising=False)
    shutil.rmtree(project.out)
    return builds.fill(project, published)


def ledger_of(project: Project) -> Path:
    return project.folder / "ledger.db"


def another(project: Project) -> Path:
    """A ledger of another output."""
    path = project.folder / "other.db"
    project.run(output=project.folder / "elsewhere", ledger=path)
    return path


def new(project: Project) -> Path:
    path = project.folder / "new.db"
    open_ledger(find_ledger(path), create=True).close()
    return path


def missing(project: Project) -> Path:
    return Path(ledger_of(project).rename(project.folder / "moved.db")).with_name("ledger.db")


def restored(project: Project) -> Path:
    """A copy that was made before the last run."""
    path = project.folder / "backup.db"
    shutil.copy(ledger_of(project), path)
    project.run(ledger=ledger_of(project))
    return path


def checkpointed(project: Project) -> Path:
    """The same copy, with a checkpoint without signature, which says that all entries so far were removed after their year."""
    path = restored(project)
    time, digest = "2020-01-01T00:00:00.000000Z", f"sha256:{'0' * 64}"
    values = f"1000000, '{digest}', 1000000, '{time}', '{time}', '{time}', 'signing/1', 'eA=='"
    unguarded(find_ledger(path), f"INSERT INTO checkpoints VALUES ({values})")
    return path


LEDGERS: dict[str, Callable[[Project], Path]] = {
    "another": another,
    "new": new,
    "missing": missing,
    "restored": restored,
    "checkpointed": checkpointed,
}


def replays(project: Project, ledger: Path) -> Any:
    project.policy(never=None)
    return replay(project.out, at=AT, keys=project.keys, ledger=ledger)


def backfills(project: Project, ledger: Path) -> Any:
    body = {"backfill": "again", "reason": "a test", "pipeline": ".", "dates": [DAY]}
    file = write_yaml(project.folder / "again.yaml", body)
    project.policy(retention=None, features=LASTING["features"])
    return backfill(file, output=project.out, keys=project.keys, ledger=ledger)


def expires(project: Project, ledger: Path) -> Any:
    return expire(project.out, at=AT.replace(year=2027), keys=project.keys, ledger=ledger, yes=True, allow_shrink=True)


def retracts(project: Project, ledger: Path) -> Any:
    project.policy({"battery": {"type": "double", "do": "drop"}})
    project.pipeline(aggregates=None)
    return retract(project.out, at=AT, keys=project.keys, ledger=ledger, yes=True)


ACTS: dict[str, Callable[[Project, Path], Any]] = {
    "run": lambda project, ledger: project.run(ledger=ledger),
    "replay": replays,
    "backfill": backfills,
    "expire": expires,
    "retract": retracts,
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("which", LEDGERS)
def test_another_ledger_is_refused(project: Project, which: str, act: str) -> None:
    ledger = LEDGERS[which](project)
    before = [receipt.run_id for receipt in load_receipts(project.out)]
    with pytest.raises(RefusedError) as refused:
        ACTS[act](project, ledger)
    assert (refused.value.code, refused.value.exit_code) == (WRONG_LEDGER, 3)
    assert [receipt.run_id for receipt in load_receipts(project.out)] == before


def test_a_missing_ledger_is_not_created_again(project: Project) -> None:
    ledger = missing(project)
    with pytest.raises(RefusedError, match="adopt-ledger"):
        project.run(ledger=ledger)
    assert not ledger.exists()


def test_a_run_that_names_no_ledger_is_refused(project: Project) -> None:
    with pytest.raises(RefusedError):
        project.run()


def test_its_own_ledger_is_accepted_wherever_it_was_moved(project: Project) -> None:
    missing(project)
    receipt = project.run(ledger=project.folder / "moved.db")
    assert receipt.sequence == 2


def test_receipts_name_the_ledger(project: Project) -> None:
    with open_ledger(find_ledger(ledger_of(project))) as ledger:
        name = ledger.read(ledger_identity)
    assert {receipt.audit.ledger for receipt in load_receipts(project.out) if receipt.audit} == {name}


@pytest.mark.parametrize("which", ["another", "new", "missing", "restored"])
def test_a_ledger_is_adopted_with_a_signed_receipt(project: Project, which: str) -> None:
    ledger = LEDGERS[which](project)
    before = load_receipts(project.out)[-1]
    done = command(
        "runs",
        "adopt-ledger",
        project.out,
        "--reason",
        "the disk failed",
        "--ledger",
        ledger,
        "--keys",
        project.keys,
        "--json",
    )
    assert done.code == 0, done.err
    receipt = load_receipts(project.out)[-1]
    assert json.loads(done.out)["receipt"]["run_id"] == receipt.run_id
    assert (receipt.kind, receipt.previous, receipt.outputs) == ("adopt", before.digest, {})
    assert receipt.adopts is not None
    assert before.audit is not None
    assert (receipt.adopts.reason, receipt.adopts.before) == ("the disk failed", before.audit.ledger)
    assert project.run(ledger=ledger).sequence == receipt.sequence + 1
    minimize.verify(project.out, keys=project.keys, ledger=ledger)
    with open_ledger(find_ledger(ledger)) as opened:
        adoptions = opened.find(LEDGER_ADOPTION, verifier=Keyring.load(project.keys))
        assert errors(opened, Keyring.load(project.keys)) == set()
    assert [(each.receipt, each.reason) for each in adoptions] == [(receipt.digest, "the disk failed")]


def test_the_ledger_of_an_output_is_not_adopted_again(project: Project) -> None:
    done = command(
        "runs", "adopt-ledger", project.out, "--reason", "why", "--ledger", ledger_of(project), "--keys", project.keys
    )
    assert (done.code, len(load_receipts(project.out))) == (0, 1)


def without_identity(project: Project, **changes: Any) -> None:
    """The receipts as an older version wrote them: they name an audit head and no ledger."""
    previous = None
    for receipt in load_receipts(project.out):
        path = project.out / "runs" / receipt.run_id / "receipt.json"
        body = {**json.loads(path.read_text()), "previous": previous, "signature": None, **changes}
        del body["audit"]["ledger"]
        body.pop("erasures", None)
        signed = Receipt.from_json(json.dumps(body)).with_signature(Keyring.load(project.keys))
        path.write_text(signed.file_text())
        previous = signed.digest
    shutil.rmtree(project.out / "erasures", ignore_errors=True)


def test_an_output_of_an_older_version_continues_with_its_own_ledger(project: Project) -> None:
    without_identity(project)
    assert project.run(ledger=ledger_of(project)).audit is not None


@pytest.mark.parametrize("which", ["another", "new", "missing"])
def test_an_output_of_an_older_version_is_refused_with_another_ledger(project: Project, which: str) -> None:
    without_identity(project)
    with pytest.raises(RefusedError) as caught:
        project.run(ledger=LEDGERS[which](project))
    assert caught.value.code == WRONG_LEDGER


def deleted(project: Project) -> str:
    """Deletes a subject, and returns its pseudonym."""
    before = {row["device_id"] for row in project.rows()}
    at = ("--ledger", ledger_of(project), "--keys", project.keys, "--pipeline", project.folder)
    assert command("subject", "delete", "d3", "--tenant", "south", "--yes", *at).code == 0
    [device] = before - {row["device_id"] for row in project.rows()}
    return str(device)


def adopt(project: Project, ledger: Path, *options: object) -> int:
    named = ("--reason", "why", "--ledger", ledger, "--keys", project.keys, "--pipeline", project.folder)
    return command("runs", "adopt-ledger", project.out, *named, *options).code


def lasting(project: Project) -> None:
    """Rows are never past their retention, so that runs and deletions by the real clock do not depend on the day."""
    project.policy(**LASTING)
    project.run(at=None, ledger=ledger_of(project))


def test_erased_subjects_of_an_older_version_are_not_adopted_without_a_decision(project: Project) -> None:
    lasting(project)
    deleted(project)
    without_identity(project)
    ledger = new(project)
    assert (adopt(project, ledger), adopt(project, ledger, "--allow-lost-erasures")) == (3, 0)


@pytest.mark.parametrize("again", [False, True])
def test_erasures_that_are_recorded_again_stay_out_after_an_adoption(project: Project, again: bool) -> None:
    lasting(project)
    device = deleted(project)
    without_identity(project)
    ledger = new(project)
    if again:
        at = ("--ledger", ledger, "--keys", project.keys, "--pipeline", project.folder)
        assert command("events", "add", "south", "erasure", "--subject", "d3", *at).code == 0
    assert adopt(project, ledger, "--allow-lost-erasures") == 0
    project.run(at=None, ledger=ledger)
    assert (device in {row["device_id"] for row in project.rows()}) is not again


def elsewhere(project: Project, *options: object) -> Any:
    """A run into a new output folder."""
    return command("run", project.folder, "--output", project.folder / "try", "--keys", project.keys, *options)


@pytest.mark.parametrize("named", [False, True])
def test_a_run_into_a_new_output_does_not_publish_who_was_erased(project: Project, named: bool) -> None:
    lasting(project)
    deleted(project)
    ended = elsewhere(project, *(("--ledger", new(project)) if named else ()))
    assert (ended.code, "E312" in ended.err, (project.folder / "try").exists()) == (3, True, False)


def test_a_run_into_a_new_output_with_the_ledger_of_the_erasures_leaves_them_out(project: Project) -> None:
    lasting(project)
    device = deleted(project)
    assert elsewhere(project, "--ledger", ledger_of(project)).code == 0
    assert device not in {row["device_id"] for row in project.rows(output=project.folder / "try")}


def sibling_of(project: Project, path: str = "../data/{date}/*.ndjson.gz", folder: str = "sibling") -> Project:
    """Another pipeline below the same folder."""
    sibling = replace(project, folder=project.folder / folder)
    sibling.folder.mkdir(parents=True)
    (sibling.folder / "settings.csv").write_text(sibling.settings)
    sibling.policy(**LASTING)
    sibling.source("ndjson", path, aggregates=None)
    return sibling


@pytest.mark.parametrize("named", ["no ledger", "the argument", "the environment", "its own configuration"])
@pytest.mark.parametrize("relative", [False, True])
def test_a_new_pipeline_of_the_same_source_does_not_publish_who_was_erased(
    project: Project, monkeypatch: pytest.MonkeyPatch, named: str, relative: bool
) -> None:
    lasting(project)
    deleted(project)
    sibling = sibling_of(project)
    options = ("--ledger", new(project)) if named == "the argument" else ()
    if named == "the environment":
        monkeypatch.setenv("MINIMIZE_LEDGER", str(new(project)))
    if named == "its own configuration":
        (sibling.folder / "minimize.yaml").write_text(f"ledger: {new(project)}\n")
    monkeypatch.chdir(project.folder)
    folder = "sibling" if relative else sibling.folder
    ended = command("run", folder, "--keys", project.keys, *options)
    assert (ended.code, "E312" in ended.err) == (3, True)
    assert command("run", folder, "--keys", project.keys, "--ledger", ledger_of(project)).code == 0


@pytest.mark.parametrize("path", ["../link/{date}/*.ndjson.gz", "../data/{date}/*.gz", "../data/**"])
def test_another_path_of_the_same_files_is_the_same_source(project: Project, path: str) -> None:
    lasting(project)
    deleted(project)
    (project.folder / "link").symlink_to(project.folder / "data")
    ended = command("run", sibling_of(project, path).folder, "--keys", project.keys)
    assert (ended.code, "E312" in ended.err) == (3, True)


def test_a_pipeline_of_another_source_is_not_refused(project: Project) -> None:
    lasting(project)
    deleted(project)
    shutil.copytree(project.folder / "data", project.folder / "copy")
    assert command("run", sibling_of(project, "../copy/{date}/*.ndjson.gz").folder, "--keys", project.keys).code == 0


def test_the_hint_names_the_ledger_of_the_output_and_never_the_refused_one(project: Project) -> None:
    lasting(project)
    deleted(project)
    sibling, config = sibling_of(project), project.folder / "minimize.yaml"
    before = config.read_text() if config.exists() else ""
    config.write_text(before + f"ledger: {ledger_of(project)}\n")
    told = command("run", sibling.folder, "--keys", project.keys, "--ledger", new(project)).err
    assert f"--ledger {ledger_of(project)}" in told
    config.write_text(before + f"ledger: {new(project)}\n")
    ended = elsewhere(project)
    assert (ended.code, "E312" in ended.err, "such as" in ended.err) == (3, True, False)


def moved(project: Project, output: str, *options: object) -> Any:
    """A run after `output:` of the pipeline was changed."""
    file = project.folder / "pipeline.yaml"
    body = json.loads(file.read_text())
    file.write_text(json.dumps({**body, "output": output}))
    return command("run", project.folder, "--keys", project.keys, *options)


@pytest.mark.parametrize("output", ["out2", "other/below"])
@pytest.mark.parametrize("named", [False, True])
def test_a_changed_output_of_the_pipeline_does_not_publish_who_was_erased(
    project: Project, output: str, named: bool
) -> None:
    lasting(project)
    device = deleted(project)
    place = project.folder / output
    ended = moved(project, output, *(("--ledger", new(project)) if named else ()))
    assert (ended.code, "E312" in ended.err, place.exists()) == (3, True, False), ended.err
    assert moved(project, output, "--ledger", ledger_of(project)).code == 0
    assert device not in {row["device_id"] for row in project.rows(output=place)}


def test_an_erasure_without_a_later_run_is_known_from_the_list_of_the_former_output(project: Project) -> None:
    lasting(project)
    at = ("--ledger", ledger_of(project), "--keys", project.keys, "--pipeline", project.folder)
    assert command("events", "add", "south", "erasure", "--subject", "d3", *at).code == 0
    ended = moved(project, "out2", "--ledger", new(project))
    assert (ended.code, "E312" in ended.err) == (3, True)


def test_a_changed_output_is_not_refused_after_the_former_one_was_moved_away(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lasting(project)
    deleted(project)
    assert moved(project, "out2", "--ledger", new(project)).code == 3
    shutil.move(project.out, tmp_path_factory.mktemp("archive") / "out")
    ended = moved(project, "out2", "--ledger", new(project))
    assert (ended.code, "erasures are unknown" in ended.err) == (0, False)


def test_a_changed_output_without_erasures_warns_that_they_are_unknown(project: Project) -> None:
    lasting(project)
    ended = moved(project, "out2", "--ledger", new(project))
    assert (ended.code, "erasures are unknown" in ended.err) == (0, True)
    ended = moved(project, "out3", "--ledger", ledger_of(project))
    assert (ended.code, "erasures are unknown" in ended.err) == (0, True), "out2 has another ledger"


@pytest.mark.parametrize("named", [False, True])
def test_a_first_run_into_another_output_does_not_warn_where_nothing_can_be_known(
    project: Project, named: bool
) -> None:
    shutil.rmtree(project.out)
    ended = elsewhere(project, *(("--ledger", new(project)) if named else ()))
    assert (ended.code, "erasures are unknown" in ended.err) == (0, False), ended.err


def test_the_warning_of_unknown_erasures_names_the_output_and_its_ledger(project: Project) -> None:
    lasting(project)
    ended = elsewhere(project)
    assert (ended.code, f"no history of the output {project.out} " in ended.err) == (0, True), ended.err
    assert "such as" not in ended.err, "nothing names the ledger"
    shutil.rmtree(project.folder / "try")
    config = project.folder / "minimize.yaml"
    config.write_text((config.read_text() if config.exists() else "") + f"ledger: {ledger_of(project)}\n")
    ended = elsewhere(project, "--ledger", new(project))
    assert (ended.code, f"such as `--ledger {ledger_of(project)}`" in ended.err) == (0, True), ended.err


def test_a_former_output_of_a_lost_keyring_warns(project: Project) -> None:
    lasting(project)
    deleted(project)
    other = new_keyring(project.folder / "other.keys", ["device"], now=AT)
    ended = moved(project, "out2", "--ledger", new(project), "--keys", other.path)
    assert (ended.code, "erasures are unknown" in ended.err) == (0, True), ended.err


@pytest.mark.parametrize("named", [False, True])
def test_a_run_into_a_new_output_warns_that_erasures_are_unknown(project: Project, named: bool) -> None:
    lasting(project)
    ended = elsewhere(project, *(("--ledger", new(project)) if named else ()))
    assert (ended.code, "erasures are unknown" in ended.err) == (0, True)


def test_a_first_run_without_a_ledger_prints_nothing_about_erasures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MINIMIZE_LEDGER", raising=False)
    first = new_project(tmp_path / "first", lasting=True)
    first.records(events(40))
    ended = command("run", first.folder, "--keys", first.keys)
    assert (ended.code, "erasures" in ended.err) == (0, False)


@pytest.mark.parametrize("which", ["another", "new", "restored", "checkpointed"])
def test_verify_finds_another_ledger(project: Project, which: str) -> None:
    ledger = LEDGERS[which](project)
    found = [
        finding.code
        for finding in check_output(project.out, keys=project.keys, ledger=ledger)
        if finding.severity == "error"
    ]
    assert found == ["V009"]


def test_verify_finds_a_change_of_ledgers_that_nothing_adopts(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Workspace, "check_target", lambda *given: None)
    monkeypatch.setattr("minimize.runs.session.check_open_ledger", lambda *given: None)
    ledger = new(project)
    project.run(ledger=ledger)
    found = {
        finding.code
        for finding in check_output(project.out, keys=project.keys, ledger=ledger)
        if finding.severity == "error"
    }
    assert "V063" in found


def test_settings_of_a_ledger_that_is_missing_are_not_asked_for(project: Project) -> None:
    project.pipeline(settings="ledger")
    with pytest.raises(RefusedError):
        project.run(ledger=missing(project))


def test_an_expiry_that_changes_nothing_is_refused_too(project: Project) -> None:
    with pytest.raises(RefusedError):
        expire(project.out, at=AT, keys=project.keys, ledger=new(project))


def test_a_run_from_another_folder_finds_its_ledger(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.folder / "minimize.yaml").write_text("ledger: ledger.db\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "minimize.yaml").write_text("ledger: another.db\n")
    monkeypatch.chdir(elsewhere)
    assert project.run().sequence == 2
    assert not (elsewhere / "another.db").exists()


def test_a_first_run_in_the_folder_of_another_output_warns(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    project.run(ledger=ledger_of(project), output=project.folder / "elsewhere")
    project.run(ledger=ledger_of(project))
    assert not [each for each in caplog.records if getattr(each, "code", "") == "W061"]
    shutil.rmtree(project.out)
    project.out.mkdir()
    project.run(ledger=ledger_of(project))
    assert [each.args for each in caplog.records if getattr(each, "code", "") == "W061"] == [(str(project.out),)]
