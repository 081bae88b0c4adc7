"""Policies and pipelines that somebody wrote to do harm: a fault with its line and never a crash, or a run that is verified."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final

import pytest

from tests.commands import Command, Result
from tests.project import AGGREGATES, AT, Project, event, events

KEEP: Final = {"type": "string", "do": "keep"}
KEYWORDS: Final = (
    *("class", "None", "self", "__class__", "__dict__", "import", "select", "from", "where", "null", "true", "0", "-"),
    *("records", "runs", "index", "quarantine", "feature", "level", "any", "all", "if", "do", "tenant", "subject"),
    *(
        "raw",
        "row",
        "values",
        "minimize:key",
        " ",
        "a b",
        'a"b',
        "a;b",
        "a/b",
        "..",
        "../../etc",
        "\ufeffx",
        "\U0001f600",
    ),
)
YAMLS: Final[Mapping[str, str]] = {
    "a bomb of aliases": "\n".join(
        ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    ),
    "an alias of itself": "a: &a [*a]",
    "a merge of itself": "a: &a\n  <<: *a",
    "lists without end": "a: " + "[" * 600,
    "mappings without end": "\n".join(" " * n + "a:" for n in range(600)),
    "a key twice": "policy: a\npolicy: b",
    "code": 'a: !!python/object/apply:os.system ["touch harmed"]',
    "a number of 10,000 digits": "version: " + "9" * 10_000,
    "half of a character": 'policy: "\\ud800"',
    "a NUL": "policy: \0",
    "another encoding": "policy: ä",
    "two documents": "policy: a\n---\npolicy: b",
}
HUGE: Final = 10**30
FAULTY_FIELDS: Final[Mapping[str, Any]] = {
    "a mask of more characters than there are": {"model": {"type": "string", "do": {"mask": {"keep_last": HUGE}}}},
    "a step of nothing": {"battery": {"type": "double", "do": {"round": {"to": 0}}}},
    "a step that is no number": {"battery": {"type": "double", "do": {"round": {"to": float("nan")}}}},
    "edges that fall": {"battery": {"type": "double", "do": {"bin": {"edges": [3, 1]}}}},
    "a width beyond all": {"battery": {"type": "double", "do": {"bin": {"width": 1e300}}}},
    "a zone that is a path": {
        "event_time": {"type": "timestamp", "do": {"truncate_time": {"to": "hour", "zone": "../../../etc/passwd"}}}
    },
    "a hierarchy that is no hierarchy": {
        "model": {"type": "string", "do": {"generalize": {"hierarchy": "../../../../../etc/passwd", "level": 1}}}
    },
    "a hierarchy that is a folder": {"model": {"type": "string", "do": {"generalize": {"hierarchy": ".", "level": 1}}}},
    "a type of too many digits": {"x": {"type": f"decimal({HUGE},2)", "do": "keep"}},
    "a pointer of 500 parts": {"/a" * 500: KEEP},
    "a pointer with a bad escape": {"/~3": KEEP},
    "the name of the partition": {"date": KEEP},
}
FAULTY_PIPELINES: Final[Mapping[str, Any]] = {
    "counts to nowhere": {"aggregates": {"a": {**AGGREGATES["per_model"], "round": {"counts_to": HUGE}}}},
    "a wait of ages": {"aggregates": {"a": {**AGGREGATES["per_model"], "late": "999999d"}}},
    "more than all in quarantine": {"quarantine": {"stop_above": 1e300}},
}


def run(command: Command) -> Result:
    return command("run", ".", "--at", AT.isoformat(), "--output", "out", "--json")


@pytest.mark.parametrize("name", YAMLS)
def test_hostile_yaml_is_a_fault_with_its_file(project: Project, command: Command, name: str) -> None:
    encoding = "latin-1" if name == "another encoding" else "utf-8"
    (project.folder / "policy.yaml").write_text(YAMLS[name], encoding=encoding)
    before = time.process_time()
    said = run(command)
    assert (said.code, said.error["code"]) == (2, "E201")
    assert "policy.yaml" in {fault["file"].rpartition("/")[2] for fault in said.error["faults"]}
    assert time.process_time() - before < 10
    assert not (project.folder / "harmed").exists()


@pytest.mark.parametrize("name", FAULTY_FIELDS)
def test_a_field_that_cannot_be_meant_is_a_fault_with_its_line(project: Project, command: Command, name: str) -> None:
    project.policy(FAULTY_FIELDS[name])
    project.records(events(9))
    said = run(command)
    assert (said.code, said.error["code"]) == (2, "E201")
    assert all(fault["line"] for fault in said.error["faults"])
    assert not project.out.exists()


@pytest.mark.parametrize("name", FAULTY_PIPELINES)
def test_a_pipeline_that_cannot_be_meant_is_a_fault_with_its_line(
    project: Project, command: Command, name: str
) -> None:
    project.pipeline(**FAULTY_PIPELINES[name])
    project.records(events(9))
    said = run(command)
    assert (said.code, said.error["code"]) == (2, "E201")
    assert all(fault["line"] for fault in said.error["faults"])


def test_a_version_that_no_receipt_can_carry_is_a_fault(project: Project, command: Command) -> None:
    project.policy(version=HUGE)
    assert [fault["code"] for fault in run(command).error["faults"]] == ["P006"]


def test_fields_may_be_named_like_keywords_paths_and_pictures(project: Project, command: Command) -> None:
    project.policy(dict.fromkeys(KEYWORDS, KEEP) | {"/~0~1": KEEP, "/~2": KEEP, "/deep//a": KEEP})
    more = {name: f"<{name}>" for name in KEYWORDS} | {"~/": "<~/>", "*": "<*>", "deep": {"": {"a": "<a>"}}}
    project.records(event(number, **more) for number in range(9))
    assert run(command).code == 0
    rows = project.rows()
    assert {name: rows[0][name] for name in more} == more
    assert command("verify", "out", "--json").json == {"ok": True, "findings": []}


def test_deeply_nested_conditions_are_evaluated(project: Project, command: Command) -> None:
    condition: dict[str, Any] = {"tenant_id": "north"}
    for _ in range(20):
        condition = {"any": [condition]}
    project.policy({"model": {"type": "string", "do": "keep", "collect_if": condition}})
    project.records(events(20))
    assert run(command).code == 0
    assert {row["tenant_id"] for row in project.rows() if row["model"] is not None} == {"north"}


def test_a_pattern_that_could_be_tried_for_ever_is_not(project: Project, command: Command) -> None:
    source = {"path": "data/{date}/" + "*a" * 40 + "*.gz", "format": "ndjson"}
    project.pipeline(source=source)
    project.records(events(9), name="a" * 200)
    before = time.process_time()
    said = run(command)
    assert (said.code, time.process_time() - before < 5) == (0, True)


@pytest.mark.parametrize(
    "text", ["a@" * 5_000, "1-" * 20_000, "a." * 20_000 + "@", "/" * 40_000, "1" * 40_000, ":" * 40_000]
)
def test_a_text_on_which_patterns_could_run_for_ever_is_redacted_in_time(
    project: Project, command: Command, text: str
) -> None:
    project.policy({"note": {"type": "string", "role": "free_text", "do": {"redact": {}}}})
    project.pipeline(records=None, aggregates=None)
    project.records([event(1, note=text)])
    before = time.process_time()
    assert run(command).code == 0
    assert time.process_time() - before < 5


def test_the_content_of_a_policy_is_never_executed(project: Project, command: Command) -> None:
    text = json.dumps("${jndi:ldap://x} {{7*7}} $(touch harmed) `touch harmed`")
    project.policy(owner=json.loads(text))
    project.records(events(9))
    assert run(command).code == 0
    assert not (project.folder / "harmed").exists()
