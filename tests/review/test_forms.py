"""Every key of every form has a rule, and every change of a value is reported."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass, replace
from datetime import date, timedelta
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import BaseModel

from minimize.policy.model import Policy
from minimize.review.changes import GradedChange
from minimize.review.comparison import UNKNOWN, FormSides, Rules, compare_forms, find_differences, model_keys
from minimize.review.party_rules import FORMS, form_changes
from tests.project import PIPELINE, POLICY
from tests.review.factory import BODY, between, policy
from tests.review.test_configuration_changes import BODY as RECIPIENT
from tests.review.test_configuration_changes import CONTRACT, FIELDS, FUNCTION
from tests.review.test_policy_changes import policies
from tests.world import access_file, assignment

ANY_CHANGE_LOOSENS: Mapping[str, set[str]] = {}
"""Keys without a rule, by form. Add a key here if it has no order, and any change of it loosens."""
COMPARED_AS_A_WHOLE = {
    "AccessScope": {"tenants", "datasets", "purposes"},
    "AnyOf": {"parts"},
    "DeduplicateModel": {"by", "per"},
    "EncryptModel": {"by", "per"},
    "FieldCase": {"when", "do"},
    "FieldEquals": {"field", "values"},
    "GroupKeyModel": {"field", "to"},
    "LevelAtLeast": {"name"},
    "MemberScopes": {"role", "scopes", "line"},
    "Permission": {"name", "category"},
    "Pointer": {"parts"},
    "PolicyApproval": {"by", "on", "digest", "pipelines"},
    "RecordsGate": {"collect_if", "feature", "level"},
    "NoiseModel": {"sd", "releases"},
    "ExactModel": {"because"},
    "PerSubjectModel": {"rows", "values"},
    "RoundModel": {"counts_to"},
    "SuppressModel": {"below", "counting"},
    "TenantSet": {"names", "complement"},
}
"""Models that one comparison grades as a whole. Before you add a key here, check that the comparison grades it."""


GATED: dict[str, Any] = {
    "type": "string",
    "role": "quasi",
    "about": "x",
    "unit": "m",
    "purposes": ["operations"],
    "feature": "location",
    "level": "full",
    "collect_if": {"any": [{"owner": "a"}, {"level": "full"}]},
    "in_aggregates": {"mask": {"keep_last": 4}},
    "cases": [{"if": {"owner": ["a", "b"]}, "do": {"mask": {"keep_last": 4}}}],
    "otherwise": {"truncate_version": {"parts": 2}},
}
AGGREGATE: dict[str, Any] = {
    "group_by": {"day": {"event_time": "day"}, "model": "model"},
    "measures": {"events": "count"},
    "suppress": {"below": 3, "counting": "device_id"},
    "round": {"counts_to": 5},
    "exact": {"because": "a contract"},
    "rollups": [["day"], []],
    "late": "2d",
    "retention": "20d",
    "must_be": "aggregated",
    "encrypt": "by_category",
}
VALUES = {
    "type": "string",
    "do": "keep",
    "values": ["x", "y"],
    "optional": True,
    "protocol": 2,
    "row": "r",
    "example": "x",
}
CONTENTS: dict[str, dict[str, Any]] = {
    "policy": {
        **BODY,
        "record": "owner",
        "records": {"collect_if": {"owner": "a"}, "feature": "usage", "level": "basic"},
        "fields": {**BODY["fields"], "f": GATED},
        "approved": {"by": "ann", "on": "2026-11-25", "digest": "sha256:" + "0" * 64},
    },
    "pipeline": {
        **PIPELINE,
        "source": {**PIPELINE["source"], "recipient": "vendor", "function": "hook"},
        "quarantine": {"abort_above": 0.5, "warn_above": 0.1},
        "records": {
            "must_be": "pseudonymized",
            "collect_if": {"model": ["a", "b"]},
            "deduplicate": {"by": ["device_id"]},
            "encrypt": {"by_category": {"per": "tenant_id"}},
            "partition_by": ["tenant_id"],
        },
        "aggregates": {"a": AGGREGATE},
    },
    "recipient": {
        **RECIPIENT,
        "contract": {**CONTRACT, "deletes_within": "30d"},
        "functions": {
            "f": {**FUNCTION, "requires": ["a"], "must_be": "pseudonymized", "fields": {**FIELDS, "v": VALUES}},
        },
    },
    "subprocessors": {"subprocessors": [{"name": "R", "from": "2026-01-01", "until": "2027-01-01", "about": "x"}]},
    "access": access_file(
        assignment("analyst", "ann", tenants=["north"], datasets=["d/x"], purposes=["operations"]),
        assignment("mine", "bob", groups=("support",)),
        roles={
            "mine": {
                "copy": "analyst",
                "allow": ["audit/read"],
                "deny": ["dataset/read:pseudonymized"],
                "views": {"d": {"c": {"truncate_time": {"to": "day"}}}},
            }
        },
        people={"ann": ["ann", "ann2"]},
        conflicts=[["analyst", "operator"]],
    ),
    "configuration": {
        "keys": "k",
        "ledger": "l",
        "administrators": "a",
        "encrypt": "identified",
        "access": {"file": "access.yaml", "encrypt": "by_category"},
        "purposes": ["fleet"],
        "approval": "required",
        "processing": {"controller": "x"},
        "memory": "2GiB",
    },
}
NAMES = {"configuration": "minimize.yaml", "recipient": "r.yaml"}


@pytest.fixture(name="contents", scope="module")
def _contents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The content of one file of each kind, in which every key is set."""
    folder, found = tmp_path_factory.mktemp("forms"), {}
    for kind, body in CONTENTS.items():
        (folder / "policy.yaml").write_text(json.dumps(body if kind == "policy" else POLICY))
        file = folder / NAMES.get(kind, f"{kind}.yaml")
        file.write_text(json.dumps(body))
        found[kind], faults = FORMS[kind].read(file)
        assert faults == []
    return found


def test_every_form_is_tested() -> None:
    assert CONTENTS.keys() == FORMS.keys()


@pytest.mark.parametrize("kind", CONTENTS)
def test_every_key_has_a_rule_or_loosens_with_any_change(kind: str, contents: dict[str, Any]) -> None:
    rules, content = FORMS[kind].rules, contents[kind]
    found = {each.pattern: each.rule for each in find_differences(FormSides(content, content), rules)}
    assert {path for path, rule in found.items() if rule is UNKNOWN} == ANY_CHANGE_LOOSENS.get(kind, set())
    outer = {path for path in rules if any(other.startswith(f"{path}.") for other in rules)}
    assert {
        path for path, rule in rules.items() if rule is not None
    } - outer == found.keys() - ANY_CHANGE_LOOSENS.keys()


@pytest.mark.parametrize("kind", CONTENTS)
def test_a_comparison_knows_every_key_of_a_model_that_it_grades_as_a_whole(kind: str, contents: dict[str, Any]) -> None:
    content = contents[kind]
    leaves = [
        each.old if each.rule.read or not each.rule.keys else [getattr(each.old, key) for key in each.rule.keys]
        for each in find_differences(FormSides(content, content), FORMS[kind].rules)
    ]
    found = {type(model).__name__: set(model_keys(type(model))) for model in models_in(leaves)}
    assert found == {name: COMPARED_AS_A_WHOLE.get(name) for name in found}


def models_in(value: Any) -> Iterator[Any]:
    """The models in a value. Techniques and measures have tests of their own."""
    if isinstance(value, BaseModel) or is_dataclass(value):
        if not type(value).__module__.startswith(("minimize.techniques", "minimize.aggregates")):
            yield value
            yield from models_in([getattr(value, key) for key in model_keys(type(value))])
    elif isinstance(value, list | tuple | Mapping):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from models_in(each)


def test_a_key_without_a_rule_loosens() -> None:
    @dataclass(frozen=True)
    class Form:
        name: str = "a"
        added: tuple[str, ...] = ()

    found = list(compare_forms(FormSides(Form(), Form("b", ("x",))), {"name": None}))
    assert found == [GradedChange("J002", "loosens", "added: changed")]


NOT_COMPARED = {
    "line",
    "AccessConfig.encrypt",
    "AccessConfig.unknown_keys",
    "Pointer.parts",
    "Policy.form",
    "ListedValues.values",
}
"""Lines, other readings of a key, a path as a whole, and the permitted values of a shared field, which have their own key."""


def altered(value: Any, rules: Rules, path: str = "", words: tuple[Any, ...] = ()) -> Iterator[tuple[str, Any]]:
    """The same value with one thing changed in it, for each thing. `words`: all values that it may have."""
    if rules.get(path, UNKNOWN) is None:
        return
    if isinstance(value, BaseModel) or is_dataclass(value):
        yield from altered_models(value, rules, path)
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield f"{path}.{key}", {name: each for name, each in value.items() if name != key}
            yield from ((where, {**value, key: each}) for where, each in altered(entry, rules, f"{path}.*", words))
    elif isinstance(value, tuple | frozenset):
        items = list(value)
        for place, entry in enumerate(items):
            yield path, type(value)(items[:place] + items[place + 1 :])
            for where, each in altered(entry, rules, path, words):
                yield where, type(value)([*items[:place], each, *items[place + 1 :]])
    else:
        yield from ((path, word) for word in words or other_values(value) if word != value)


def altered_models(value: Any, rules: Rules, path: str) -> Iterator[tuple[str, Any]]:
    hints = get_type_hints(type(value))
    for key in model_keys(type(value)):
        if not {key, f"{type(value).__name__}.{key}"} & NOT_COMPARED:
            words = tuple(words_of(hints[key]))
            for where, each in altered(getattr(value, key), rules, f"{path}.{key}".lstrip("."), words):
                changed = {key: each}
                yield (
                    where,
                    value.model_copy(update=changed) if isinstance(value, BaseModel) else replace(value, **changed),
                )


def words_of(hint: Any) -> Iterator[Any]:
    """The words of all literals in a type."""
    if get_origin(hint) is Literal:
        yield from get_args(hint)
    else:
        for part in get_args(hint):
            yield from words_of(part)


def other_values(value: Any) -> Iterator[Any]:
    match value:
        case bool():
            yield not value
        case str():
            yield f"{value}x"
        case int() | float():
            yield value + 1
        case date() | timedelta():
            yield value + timedelta(days=1)


@pytest.mark.parametrize("kind", CONTENTS)
def test_every_change_of_a_value_is_reported(kind: str, contents: dict[str, Any]) -> None:
    content = contents[kind]
    assert list(form_changes(kind, content, content, "old", "new")) == []
    found = list(altered(content, FORMS[kind].rules))
    assert len(found) > 3
    assert [path for path, other in found if not list(form_changes(kind, content, other, "old", "new"))] == []


@given(policies, some.data())
def test_every_change_of_a_value_of_any_policy_is_reported(one: Policy, data: some.DataObject) -> None:
    _, other = data.draw(some.sampled_from(list(altered(one, FORMS["policy"].rules))))
    assert between(one, other).changes != ()


LATER: list[dict[str, Any]] = [
    {"retention": "7d"},
    {"retention": "1d"},
    {"future": "1h"},
    {"purposes": ["operations"]},
    {"never": ["/contacts", "/sms", "/calls"]},
    {"never": ["contacts", "sms", "calls"]},
    {"records": {"level": "basic"}},
    {"records": {"level": "full"}},
    {"feature": "location"},
    {"collect_if": {"owner": ["a", "b"]}},
    {"collect_if": {"owner": "a"}},
    {"role": "identifier"},
    {"do": {"mask": {"keep_last": 4}}},
    {"do": {"mask": {"keep_last": 2}}},
    {"do": "presence"},
    {"do": "drop"},
]
"""Changes of a policy, or of a field of it, that tighten, in this order."""


@given(some.sets(some.sampled_from(range(len(LATER))), min_size=1))
def test_changes_that_tighten_are_together_not_neutral(chosen: set[int]) -> None:
    field: dict[str, Any] = {"type": "string", "role": "quasi", "do": "keep"}
    head: dict[str, Any] = {}
    states = [policy(field)]
    for number in sorted(chosen):
        (key,) = LATER[number]
        (field if key in {"feature", "collect_if", "role", "do"} else head).update(LATER[number])
        states.append(policy(field, **head))
        assert between(states[-2], states[-1]).grade == "tightens"
    assert between(states[0], states[-1]).grade == "tightens"
