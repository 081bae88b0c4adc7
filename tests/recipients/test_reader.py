""""""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from minimize.errors import PolicyError
from minimize.recipients import SharedField
from minimize.techniques import Context, Technique, treat
from tests.world import sync, vendor


def read(**fields: Any) -> dict[str, SharedField]:
    return dict(vendor(contract=None, functions=sync(fields=fields)).functions["sync"].fields)


def codes(**fields: Any) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        read(**fields)
    return [finding.code for finding in caught.value.findings]


def test_a_lone_word_is_a_technique() -> None:
    field = read(a="keep")["a"]
    assert ([step.name for step in field.chain], field.passes) == (["keep"], False)


def test_a_lone_mapping_of_a_technique_is_a_technique() -> None:
    assert [step.name for step in read(a={"mask": {"keep_last": 4}})["a"].chain] == ["mask"]


def test_a_list_is_a_chain() -> None:
    chain = read(a=["redact", {"mask": {"keep_last": 4}}])["a"].chain
    assert [step.name for step in chain] == ["redact", "mask"]


def test_a_field_of_which_nothing_is_said_is_dropped() -> None:
    assert read(a={"about": "nothing"})["a"].chain == ()


def test_a_secret_may_pass_through_and_nothing_of_it_is_kept() -> None:
    field = read(a={"role": "secret", "do": "pass_through"})["a"]
    assert (field.passes, field.do, field.chain) == (True, "pass_through", ())


@pytest.mark.parametrize("do", ["keep", {"mask": {"keep_last": 2}}, {"pseudonymize": {"key": "k"}}])
def test_a_secret_is_kept_in_no_form(do: Any) -> None:
    assert codes(a={"role": "secret", "do": do}) == ["P014"]


def test_only_a_secret_passes_through() -> None:
    assert codes(a={"do": "pass_through"}) == ["T003"]


def test_a_technique_must_take_the_type() -> None:
    assert codes(a={"type": "boolean", "do": {"mask": {"keep_last": 2}}}) == ["P101"]


def test_each_step_must_take_what_the_one_before_gives() -> None:
    assert codes(a={"type": "double", "do": ["presence", {"round": {"to": 1}}]}) == ["P101"]


def test_what_must_see_everything_first_is_refused() -> None:
    assert codes(a={"do": {"top": {"keep": 5, "other": "other"}}}) == ["T004"]


def test_an_unkeyed_hash_is_refused() -> None:
    assert codes(a="sha256") == ["P012"]


def test_a_word_that_is_no_technique_gets_a_hint() -> None:
    with pytest.raises(PolicyError, match="Did you mean `redact`"):
        read(a="redcat")


@pytest.mark.parametrize(("word", "code"), [("strin", "P007"), ("decimal", "P007"), ("decimal(90,2)", "P006")])
def test_a_type_that_is_none_is_a_fault(word: str, code: str) -> None:
    assert codes(a={"type": word, "do": "keep"}) == [code]


@pytest.mark.parametrize("key", ["", "date", "/a/~9"])
def test_a_key_that_cannot_name_a_field_is_a_fault(key: str) -> None:
    assert codes(**{key: "keep"}) == ["P015"]


def test_a_field_may_not_say_by_itself_that_it_passes() -> None:
    assert codes(a={"do": "keep", "passes": True}) == ["P004"]


STATUS = {"do": "keep", "values": ["assigned", "pushed"]}


def treated(field: SharedField, values: list[str | None]) -> tuple[list[str | None], list[bool]]:
    context, found, lost = Context(field.key, datetime(2026, 1, 1, tzinfo=UTC)), pa.array(values), [False] * len(values)
    for step in field.chain:
        assert isinstance(step, Technique)
        done = treat(step, found, context)
        lost = lost if done.untreated is None else done.untreated.to_pylist()
        found = done.values
    return found.to_pylist(), lost


def test_a_value_that_is_not_listed_becomes_null_and_counts_as_untreated() -> None:
    assert treated(read(a=STATUS)["a"], ["assigned", "lost", None, "pushed"]) == (
        ["assigned", None, None, "pushed"],
        [False, True, False, False],
    )


def test_listed_values_are_those_that_leave_after_the_other_techniques() -> None:
    field = read(a={"do": {"map": {"values": {"1": "assigned", "2": "gone"}}}, "values": ["assigned"]})["a"]
    assert treated(field, ["1", "2"])[0] == ["assigned", None]


@pytest.mark.parametrize("values", [[], "assigned", ["a", "a"], ["a", 1]])
def test_listed_values_are_texts_that_differ(values: Any) -> None:
    assert codes(a={"do": "keep", "values": values}) == ["P006"]


def test_only_fields_that_leave_as_text_have_listed_values() -> None:
    assert codes(a={"type": "integer", "do": "keep", "values": ["1"]}) == ["T008"]
    assert codes(a={"role": "secret", "do": "pass_through", "values": ["1"]}) == ["T008"]


@pytest.mark.parametrize("protocol", [0, "2", True])
def test_a_protocol_version_is_a_whole_number(protocol: Any) -> None:
    assert codes(a={"do": "keep", "protocol": protocol}) == ["P006"]


def test_a_field_is_required_and_of_every_protocol_unless_the_file_says_otherwise() -> None:
    plain, flagged = read(a="keep")["a"], read(a={"do": "keep", "optional": True, "protocol": 3})["a"]
    assert ((plain.optional, plain.protocol), (flagged.optional, flagged.protocol)) == ((False, None), (True, 3))
