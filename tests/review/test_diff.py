"""`diff` over files, folders and revisions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from minimize.errors import ConfigurationError, PolicyError
from minimize.review.changes import ChangeReport
from minimize.review.diff import diff
from tests.project import FIELDS, PIPELINE, POLICY
from tests.review.repository import Repository, repository

SHIPPED = Path(__file__).parents[2] / "pipelines"
LONGER = {**POLICY, "retention": "60d"}


@pytest.fixture(name="repo")
def _repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return repository(tmp_path)


def told(changes: ChangeReport) -> list[tuple[str, str, str | None]]:
    return [(change.code, change.grade, change.file) for change in changes.changes]


def test_our_own_pipelines_and_themselves_differ_in_nothing() -> None:
    assert diff(SHIPPED, SHIPPED).changes == ()


def test_a_revision_is_compared_with_a_path(repo: Repository) -> None:
    repo.writes("pipelines/p/policy.yaml", LONGER)
    assert told(diff("one", "pipelines")) == [("J020", "loosens", "pipelines/p/policy.yaml")]


def test_encryption_that_is_turned_off_where_nothing_was_stated_loosens(repo: Repository) -> None:
    repo.writes("pipelines/p/pipeline.yaml", {**PIPELINE, "records": {**PIPELINE["records"], "encrypt": "off"}})
    assert told(diff("one", "pipelines")) == [("J034", "loosens", "pipelines/p/pipeline.yaml")]
    repo.commits("two")
    assert [grade for _, grade, _ in told(diff("two:pipelines", "one:pipelines"))] == ["tightens"]


def test_two_revisions_are_compared_and_files_are_called_by_them(repo: Repository) -> None:
    repo.writes("pipelines/p/policy.yaml", LONGER)
    repo.commits("two")
    assert told(diff("one", "two", "pipelines")) == [("J020", "loosens", "two:pipelines/p/policy.yaml")]
    assert [grade for _, grade, _ in told(diff("two:pipelines", "one:pipelines"))] == ["tightens"]


def test_from_below_the_root_a_dot_begins_a_path_from_here(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repo.root / "pipelines")
    repo.writes("pipelines/p/policy.yaml", LONGER)
    assert [grade for _, grade, _ in told(diff("one:./p/policy.yaml", "p/policy.yaml"))] == ["loosens"]
    assert [grade for _, grade, _ in told(diff("one", "p"))] == ["loosens"]


def test_a_policy_elsewhere_and_its_hierarchy_come_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    repo = repository(tmp_path, "../common/policy.yaml")
    model = {"type": "string", "do": {"generalize": {"hierarchy": "h/models.txt", "level": 1}}}
    repo.writes("pipelines/common/policy.yaml", {**POLICY, "fields": {**FIELDS, "model": model}})
    for name, label in (("two", "Nexus"), ("three", "Other")):
        repo.writes("pipelines/common/h/models.txt", f"Nexus 5X;{label};Google;*\n")
        repo.commits(name)
    found = diff("two", "three", "pipelines/p/pipeline.yaml")
    assert told(found) == [("J011", "loosens", "three:pipelines/common/policy.yaml")]


def test_purposes_of_the_configuration_are_those_of_the_revision(repo: Repository) -> None:
    repo.writes("minimize.yaml", "purposes: [fleet]\n")
    repo.writes("pipelines/p/policy.yaml", {**POLICY, "purposes": [*POLICY["purposes"], "fleet"]})
    repo.commits("two")
    assert {change.code for change in diff("one", "two", ".").changes} == {"J021", "J050"}


def test_nothing_of_a_repository_is_put_anywhere_but_what_people_wrote(
    repo: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    repo.writes("pipelines/p/data/a.ndjson", '{"secret": 1}\n')
    repo.writes("pipelines/p/settings.csv", "tenant_id\nx\n")
    repo.commits("two")
    put: list[str] = []
    write = Path.write_bytes

    def seen(path: Path, content: Any) -> int:
        put.append(path.name)
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", seen)
    diff("two", "pipelines")
    assert sorted(put) == ["pipeline.yaml", "policy.yaml"]


def test_an_added_policy_loosens_and_a_removed_one_tightens(repo: Repository) -> None:
    repo.writes("pipelines/q/policy.yaml", POLICY)
    assert told(diff("one", "pipelines")) == [("J001", "loosens", "pipelines/q/policy.yaml")]
    assert told(diff("pipelines", "one:pipelines")) == [("J001", "tightens", "pipelines/q/policy.yaml")]


def test_the_line_is_that_of_what_changed(repo: Repository) -> None:
    path = repo.writes("pipelines/p/policy.yaml", LONGER)
    (change,) = diff("one", "pipelines").changes
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if '"retention": "60d"' in text)
    assert change.line == line


def test_faults_of_both_sides_name_revision_and_file(repo: Repository) -> None:
    repo.writes("pipelines/p/policy.yaml", {**POLICY, "retention": "soon"})
    repo.commits("two")
    with pytest.raises(PolicyError) as caught:
        diff("two", "one", "pipelines")
    assert {finding.file for finding in caught.value.findings} == {"two:pipelines/p/policy.yaml"}


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("no-revision", "pipelines", None),
        ("one", "nothing", None),
        ("one", "one", "nothing"),
        ("one:nothing", "pipelines", None),
        ("one:../x", "pipelines", None),
        (":pipelines", "pipelines", None),
        ("--output=x", "pipelines", None),
        ("pipelines", "pipelines/p/nothing", None),
    ],
)
def test_a_missing_side_is_a_fault_of_configuration(old: str, new: str, path: str | None, repo: Repository) -> None:
    with pytest.raises(ConfigurationError):
        diff(old, new, path)
    assert not (repo.root / "x").exists()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("one", "one", "`one` and `one` are revisions, and the path to compare is missing"),
        ("one", "HEAD", "(hint: Run `minimize diff one HEAD PATH`.)"),
        ("one", "pipelnes", "`pipelnes` is neither an existing path nor a git revision"),
        ("on", "HEAD", "`on` is neither an existing path nor a git revision"),
        ("pipelines", "one", "`one` is a revision, and its path is missing (hint: Pass one:PATH.)"),
        ("one:pipelines", "one", "`one` is a revision, and its path is missing (hint: Pass one:PATH.)"),
    ],
)
def test_a_missing_side_is_named(old: str, new: str, told: str, repo: Repository) -> None:
    with pytest.raises(ConfigurationError) as caught:
        diff(old, new)
    assert told in str(caught.value)


def test_outside_of_a_repository_a_revision_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "policy.yaml").write_text("policy: p\n")
    with pytest.raises(ConfigurationError, match="not in a git repository"):
        diff("main", "policy.yaml")


def test_without_git_two_paths_are_compared_all_the_same(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert diff("pipelines", "pipelines").changes == ()
    with pytest.raises(ConfigurationError, match="`git` is not installed"):
        diff("one", "pipelines")


def test_a_code_that_is_none_cannot_be_allowed() -> None:
    with pytest.raises(ConfigurationError, match="unknown code of a change: J01"):
        diff(SHIPPED, SHIPPED, allow=["J01"])


PIPELINES: dict[str, tuple[dict[str, Any], str]] = {
    "a promise less": ({"records": {}}, "J033"),
    "another purpose": ({"purpose": "customer_support"}, "J030"),
    "settings at all": ({"settings": "settings.csv"}, "J031"),
    "no limit of quarantine": ({"quarantine": {}}, "J039"),
    "a lower threshold": ({"suppress": {"below": 2, "counting": "device_id"}}, "J038"),
    "an aggregate that is kept for longer": ({"retention": "365d"}, "J040"),
    "less noise": ({"noise": {"sd": 1.5}}, "J038"),
    "more releases": ({"noise": {"releases": 4}}, "J038"),
    "exact figures": ({"exact": {"because": "a contract"}}, "J038"),
    "more rows of a subject": ({"per_subject": {"rows": 3}}, "J038"),
    "more values of a subject": ({"per_subject": {"values": 2}}, "J038"),
    "a measure more": ({"measures": {"events": "count", "drained": {"sum": "battery"}}}, "J037"),
    "smaller groups": ({"group_by": {"day": {"event_time": "day"}, "model": "model", "tenant": "tenant_id"}}, "J036"),
    "finer groups": ({"group_by": {"day": {"event_time": "hour"}, "model": "model"}}, "J036"),
}
CAREFUL = {
    "group_by": {"day": {"event_time": "day"}, "model": "model"},
    "measures": {"events": "count"},
    "suppress": {"below": 3, "counting": "device_id"},
}


@pytest.mark.parametrize("name", PIPELINES)
def test_changes_of_a_pipeline_loosen_one_way_and_not_the_other(name: str, tmp_path: Path) -> None:
    change, code = PIPELINES[name]
    (tmp_path / "policy.yaml").write_text(json.dumps(POLICY))
    base = {**PIPELINE, "quarantine": {"stop_above": 0.5}, "aggregates": {"a": CAREFUL}}
    base.pop("settings")
    within = {
        key: value for key, value in change.items() if key in (*CAREFUL, "retention", "noise", "exact", "per_subject")
    }
    new = {**base, **{key: value for key, value in change.items() if key not in within}}
    new["aggregates"] = {"a": {key: value for key, value in {**CAREFUL, **within}.items() if value is not None}}
    for file, says in (("old.yaml", base), ("new.yaml", new)):
        (tmp_path / file).write_text(json.dumps(says))
    forth, back = (
        diff(tmp_path / one, tmp_path / two) for one, two in (("old.yaml", "new.yaml"), ("new.yaml", "old.yaml"))
    )
    assert [(each.code, each.grade) for each in forth.changes] == [(code, "loosens")]
    expected = "loosens" if name == "another purpose" else "tightens"
    assert [(each.code, each.grade) for each in back.changes] == [(code, expected)]


RECEIVED = {"recipient": "vendor", "function": "hook"}


@pytest.mark.parametrize(
    ("before", "after", "grades"),
    [
        (RECEIVED, {}, ["loosens"]),
        ({}, RECEIVED, ["tightens"]),
        (RECEIVED, {**RECEIVED, "function": "other"}, ["loosens"]),
    ],
)
def test_the_sender_of_the_records_is_compared(
    before: dict[str, Any], after: dict[str, Any], grades: list[str], tmp_path: Path
) -> None:
    (tmp_path / "policy.yaml").write_text(json.dumps(POLICY))
    for name, sent in (("old.yaml", before), ("new.yaml", after)):
        source = {**PIPELINE["source"], **sent}
        (tmp_path / name).write_text(json.dumps({**PIPELINE, "source": source}))
    found = diff(tmp_path / "old.yaml", tmp_path / "new.yaml").changes
    assert [(each.code, each.grade) for each in found] == [("J031", grade) for grade in grades]


def test_policies_stored_with_receipts_are_not_compared(repo: Repository) -> None:
    for name, says in (("policy.yaml", POLICY), ("receipt.json", {}), ("pipeline.yaml", PIPELINE)):
        repo.writes(f"pipelines/p/out/runs/r1/{name}", says)
    repo.writes("pipelines/.cache/policy.yaml", POLICY)
    assert diff("one", "pipelines").changes == ()
    repo.git("rm", "-rqf", "--cached", "--ignore-unmatch", "pipelines/.cache")
    repo.git("add", "pipelines/p")
    repo.git("commit", "-qm", "two")
    assert diff("one", "HEAD", "pipelines").changes == ()
