"""Where an approval is written in the text of a policy, and that nothing else of it moves."""

from __future__ import annotations

import pytest

from minimize.policy.approval import content_digest
from minimize.policy.faults import FaultList
from minimize.policy.model import PolicyApproval
from minimize.policy.yaml_nodes import YamlNode, parse_yaml
from minimize.review.approval import with_approval

SAID = PolicyApproval(by='Ann O\'Neil: "x" # y', on="2026-11-25", digest="sha256:" + "0" * 64)
TEXTS = {
    "plain": "policy: p\nversion: 1\npurposes: [operations]   # two\n\n# fields\nfields:\n  a: {type: string,    do: keep}\n",
    "no newline at the end": "policy: p\nversion: 1",
    "windows": "policy: p\r\nversion: 1 # one\r\nfields:\r\n  a: {type: string}\r\n",
    "head in blocks": "# first\npolicy: p\npurposes:\n  - operations   # why\n  - sales\n# rest\nfields: {a: {type: string}}\n",
    "fields first": "---\nfields:\n  a: {type: string}\npolicy: p\nversion: 1\n",
    "folded": "policy: p\nowner: >-\n  somebody\n  else\n\nfields: {a: {type: string}}\n",
    "json": '{"policy": "p", "version": 1, "fields": {"a": {"type": "string"}}}\n',
}


def root(text: str) -> YamlNode:
    found = parse_yaml(text, FaultList())
    assert found is not None
    return found


@pytest.mark.parametrize("name", TEXTS)
def test_the_text_says_the_approval_and_otherwise_the_same(name: str) -> None:
    after = root(with_approval(TEXTS[name], SAID))
    assert after.entries["approved"].to_data() == SAID.model_dump()
    assert content_digest(after) == content_digest(root(TEXTS[name]))


@pytest.mark.parametrize("name", [name for name in TEXTS if name not in ("json", "no newline at the end")])
def test_every_line_that_was_there_stays_as_it_was(name: str) -> None:
    before, after = TEXTS[name].splitlines(keepends=True), with_approval(TEXTS[name], SAID).splitlines(keepends=True)
    assert [line for line in after if not line.startswith("approved:")] == before
    assert len(after) == len(before) + 1


def test_it_stands_behind_the_head() -> None:
    assert with_approval(TEXTS["plain"], SAID).splitlines()[3].startswith("approved: {by: ")


@pytest.mark.parametrize(
    "old", ["approved: {by: x, on: '2026-01-01', digest: y}", "approved:\n  by: x\n  # old\n  digest: y"]
)
def test_another_approval_goes(old: str) -> None:
    text = f"policy: p\n{old}   # see ticket\nfields: {{a: {{type: string}}}}\n"
    again = with_approval(text, SAID)
    assert root(again).entries["approved"].to_data() == SAID.model_dump()
    assert again.startswith("policy: p\napproved: {by: ")
    assert again.endswith("   # see ticket\nfields: {a: {type: string}}\n")


def test_approving_twice_gives_what_once_gave() -> None:
    once = with_approval(TEXTS["plain"], SAID)
    assert with_approval(once, SAID) == once
