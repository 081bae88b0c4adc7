from __future__ import annotations

import pytest
from pydantic import ValidationError

from minimize.arrow.pointers import Pointer
from minimize.policy.condition import FeatureOn
from minimize.policy.model import Field, Policy


def test_a_field_has_the_pointer_of_its_value() -> None:
    assert Field(key="/a/*/b", type="string").pointer == Pointer.parse("/a/*/b")


@pytest.mark.parametrize("gate", [{"feature": "f"}, {"level": "l"}, {"collect_if": FeatureOn("f")}])
def test_a_field_with_a_feature_a_level_or_a_condition_is_gated(gate: dict[str, object]) -> None:
    assert Field.model_validate({"key": "a", "type": "string", **gate}).is_gated
    assert not Field(key="a", type="string").is_gated


def test_a_policy_cannot_be_changed() -> None:
    policy = Policy(policy="p", version=1, purposes=("operations",), fields={})
    with pytest.raises(ValidationError):
        Policy.__setattr__(policy, "version", 2)
