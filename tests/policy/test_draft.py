from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.arrow.pointers import STAR, Pointer
from minimize.drafting import (
    DraftedField,
    DraftedPart,
    accept_proposals,
    draft_policy_text,
    draft_text,
    init,
    open_proposals,
    read_draft,
)
from minimize.errors import ConfigurationError, PolicyError
from minimize.forms.yaml_nodes import FaultList, parse_yaml
from minimize.policy.fields import is_dropped
from minimize.policy.load import load_policy, policy_from_mapping
from tests.hypothesis_profiles import examples

HEAD = """# a remark that stays
policy: p
version: 1
purposes: [operations]
# tenant: tenant_id                     # whose settings count
# subject: FIELD                        # whom a record is about
fields:
"""

FIELDS = """  # proposed: {role: plain, do: keep}
  # because: whose settings count
  tenant_id: {type: string, do: drop}
  # proposed: {role: identifier, do: {pseudonymize: {key: k, per: tenant_id}}}
  # because: all values look like
  #   e-mail addresses
  mail: {type: string, do: drop}
  # proposed: {type: timestamp, role: quasi, do: {truncate_time: {to: hour}}}
  # because: exact times link records
  "od\\"d key": {type: string, do: drop}
  other: {type: string, do: drop}  # identifier?
"""


@pytest.fixture(name="drafted")
def _drafted(tmp_path: Path) -> Path:
    (tmp_path / "policy.yaml").write_text(HEAD + FIELDS)
    return tmp_path


def test_an_accepted_field_is_what_was_proposed_and_the_others_stay_dropped(drafted: Path) -> None:
    assert accept_proposals(drafted, ["mail"]) == ["mail"]
    fields = load_policy(drafted).fields
    assert fields["mail"].role == "identifier"
    assert fields["mail"].do != "drop"
    assert {key for key, field in fields.items() if field.do == "drop"} == {"tenant_id", 'od"d key', "other"}


def test_all_that_is_not_accepted_stays_as_it_is_written(drafted: Path) -> None:
    accept_proposals(drafted, ["mail"])
    changed = (drafted / "policy.yaml").read_text().split("\n")
    before = (HEAD + FIELDS).split("\n")
    assert [new for new, old in zip(changed, before, strict=True) if new != old] == [
        "  # accepted: {role: identifier, do: {pseudonymize: {key: k, per: tenant_id}}}",
        "  mail: {type: string, role: identifier, do: {pseudonymize: {key: k, per: tenant_id}}}",
    ]


def test_a_type_may_be_part_of_a_proposal(drafted: Path) -> None:
    accept_proposals(drafted, ['od"d key'])
    assert load_policy(drafted).fields['od"d key'].type == "timestamp"


def test_the_function_of_a_field_is_accepted_by_its_name(drafted: Path) -> None:
    accept_proposals(drafted, ["tenant"])
    assert load_policy(drafted).tenant == "tenant_id"


def test_a_field_called_as_what_it_is_to_its_record_is_accepted_as_both(tmp_path: Path) -> None:
    field = "  # proposed: {role: quasi, do: {truncate_time: {to: hour}}}\n  time: {type: timestamp, do: drop}\n"
    head = HEAD.replace("# tenant: tenant_id ", "# time: time ")
    (tmp_path / "policy.yaml").write_text(head + field)
    assert accept_proposals(tmp_path, ["time"]) == ["time"]
    policy = load_policy(tmp_path)
    assert (policy.time, policy.fields["time"].role) == ("time", "quasi")


def test_all_is_all_that_is_proposed_and_once_accepted_nothing_is_open(drafted: Path) -> None:
    assert accept_proposals(drafted, ["all"]) == ["tenant", "tenant_id", "mail", 'od"d key']
    assert open_proposals(read_draft((drafted / "policy.yaml").read_text())) == []
    assert accept_proposals(drafted, ["all"]) == []


@pytest.mark.parametrize(("missing", "subject"), [(0, "device_id"), (1, None)])
def test_all_does_not_accept_a_subject_that_some_records_do_not_have(
    tmp_path: Path, missing: int, subject: str | None
) -> None:
    records = [{"device_id": None if number < missing else f"d{number % 9}", "model": "a"} for number in range(40)]
    (tmp_path / "data.ndjson").write_text("".join(json.dumps(record) + "\n" for record in records))
    init(tmp_path / "data.ndjson", tmp_path / "drafted", accepted=["all"])
    assert load_policy(tmp_path / "drafted").subject == subject
    if subject is None:
        assert "not in all records" in (tmp_path / "drafted" / "policy.yaml").read_text()
        assert accept_proposals(tmp_path / "drafted", ["subject"]) == ["subject"]
        assert load_policy(tmp_path / "drafted").subject == "device_id"


def test_no_value_is_proposed_to_be_kept_of_a_field_with_empty_texts_only(tmp_path: Path) -> None:
    records = [{"empty": "", "color": "red"}, {"empty": "", "color": "blue"}] * 100
    (tmp_path / "data.ndjson").write_text("".join(json.dumps(record) + "\n" for record in records))
    init(tmp_path / "data.ndjson", tmp_path / "drafted", accepted=["all"])
    fields = load_policy(tmp_path / "drafted").fields
    assert fields["empty"].do == "drop"
    assert fields["color"].do != "drop"


@pytest.mark.parametrize("name", ["other", "subject", "nowhere"])
def test_a_name_without_a_proposal_is_a_mistake_and_nothing_is_written(drafted: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"no open proposal for `{name}`; none was accepted"):
        accept_proposals(drafted, ["mail", name])
    assert (drafted / "policy.yaml").read_text() == HEAD + FIELDS


def test_an_accepted_field_is_reported_as_such_and_not_as_a_typing_error(drafted: Path) -> None:
    accept_proposals(drafted, ["mail"])
    with pytest.raises(ConfigurationError) as caught:
        accept_proposals(drafted, ["mail"])
    assert "the proposal was accepted" in caught.value.hint
    with pytest.raises(ConfigurationError) as caught:
        accept_proposals(drafted, ["tenat_id"])
    assert caught.value.hint == "Did you mean `tenant_id`?"


def test_an_edited_field_has_no_open_proposal(drafted: Path) -> None:
    path = drafted / "policy.yaml"
    path.write_text(path.read_text().replace("mail: {type: string, do: drop}", "mail: {type: string, do: presence}"))
    with pytest.raises(ConfigurationError):
        accept_proposals(drafted, ["mail"])


def test_a_policy_that_would_have_faults_is_not_written(drafted: Path) -> None:
    path = drafted / "policy.yaml"
    path.write_text(path.read_text().replace("per: tenant_id", "per: nobody"))
    before = path.read_text()
    with pytest.raises(PolicyError):
        accept_proposals(drafted, ["mail"])
    assert path.read_text() == before


def test_accepting_proposals_requires_a_policy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no policy"):
        accept_proposals(tmp_path, ["all"])


def test_a_rewritten_file_is_yaml_of_the_same_shape(drafted: Path) -> None:
    accept_proposals(drafted, ["all"])
    faults = FaultList()
    root = parse_yaml((drafted / "policy.yaml").read_text(), faults)
    assert root is not None
    assert list(root.entries) == ["policy", "version", "purposes", "tenant", "fields"]


def test_the_model_writes_what_it_read() -> None:
    blocks = list(read_draft(HEAD + FIELDS))
    assert [each.name for each in open_proposals(blocks)] == ["tenant", "tenant_id", "mail", 'od"d key']
    assert draft_text(blocks) == HEAD + FIELDS


@pytest.mark.parametrize(
    "text",
    [
        "  # proposed: {role: plain, do: keep}\n  # proposed: {role: quasi, do: drop}\n",
        "  # proposed: {role: plain, do: keep\n  a: {type: string, do: drop}\n",
        "  # proposed: {role: plain, do: keep}\n  a:\n    type: string\n",
        "  # proposed: {role: plain, do: keep}",
        "# tenant: [a, b\n# tenant\n# tenant:\n",
        "",
    ],
)
def test_text_that_is_no_proposal_for_a_field_stays_as_it_is(text: str) -> None:
    blocks = list(read_draft(text))
    assert (open_proposals(blocks), draft_text(blocks)) == ([], text)


def test_a_comment_behind_a_field_and_the_order_of_its_entries_may_be_changed_by_hand() -> None:
    (block, _) = read_draft(
        "  # proposed: {role: plain, do: keep}\n  a: {do: drop, about: 'x: y', type: string}  # mine\n"
    )
    assert isinstance(block, DraftedField)
    assert block.accept().lines == (
        "  # accepted: {role: plain, do: keep}",
        "  a: {about: 'x: y', type: string, role: plain, do: keep}  # mine",
    )


def test_a_map_whose_keys_are_dropped_is_left_to_a_person() -> None:
    (block, _) = read_draft("  # proposed: {role: plain, do: size}\n  a: {type: map, do: drop, keys: drop}\n")
    assert isinstance(block, DraftedField)
    assert not block.is_open


def test_a_long_name_of_a_part_is_separated_from_its_remark() -> None:
    part = DraftedPart.of("tenant", Pointer(("a" * 60,)))
    assert part.accept().lines == (f"tenant: {'a' * 60} # whose settings apply",)


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)

POINTERS = st.builds(
    lambda top, rest: Pointer((top, *rest)), NAMES, st.lists(st.one_of(NAMES, st.just(STAR)), max_size=3)
)


def test_every_field_found_is_dropped(write: Callable[[str, str], Path]) -> None:
    schema = [("/event_time", "timestamp"), ("/apps/*/name", "string"), ("/price", "decimal(10,2)"), ("/x", "list")]
    policy = load_policy(write("policy.yaml", draft_policy_text(schema, "found")))
    assert {key: field.type for key, field in policy.fields.items()} == {
        "event_time": "timestamp",
        "/apps/*/name": "string",
        "price": "decimal(10,2)",
        "x": "list",
    }
    assert all(is_dropped(field) for field in policy.fields.values())


def test_roles_are_guessed_as_remarks() -> None:
    text = draft_policy_text([("/imei", "string"), ("/battery", "double")], "found")
    assert "imei: {type: string, do: drop}  # identifier?" in text
    assert "battery: {type: double, do: drop}\n" in text


def test_tenant_subject_and_time_are_suggested_as_remarks() -> None:
    schema = [("/tenantId", "string"), ("/apps/*/device_id", "string"), ("/device_id", "string"), ("/time", "string")]
    text = draft_policy_text([*schema, ("/event_time", "timestamp")], "found")
    suggested = [
        line.split("  ")[0] for line in text.splitlines() if line.startswith(("# tenant", "# subject", "# time"))
    ]
    assert suggested == ["# tenant: tenantId", "# subject: device_id", "# time: event_time"]


def test_a_field_named_as_the_partition_becomes_a_remark(write: Callable[[str, str], Path]) -> None:
    text = draft_policy_text([("/date", "date"), ("/a", "string")], "found")
    assert "# date: `date` is reserved for the partition" in text
    assert list(load_policy(write("policy.yaml", text)).fields) == ["a"]


@pytest.mark.parametrize("type_", ["time64[us]", "decimal(39,2)", "duration[ns]"])
def test_a_field_of_an_unsupported_type_is_left_out_with_a_remark(
    type_: str, write: Callable[[str, str], Path]
) -> None:
    text = draft_policy_text([("/a", type_), ("/b", "string")], "found")
    assert "# a: a policy has no type for" in text
    assert list(load_policy(write("policy.yaml", text)).fields) == ["b"]


def test_the_name_becomes_one_that_a_policy_may_have(write: Callable[[str, str], Path]) -> None:
    names = [
        load_policy(write("policy.yaml", draft_policy_text([("/a", "string")], name))).policy
        for name in ("my data!", "2024", "…", "null")
    ]
    assert names == ["my_data", "p_2024", "p", "p_null"]


@settings(max_examples=examples(60))
@given(st.lists(POINTERS.filter(lambda pointer: pointer.top != "date"), min_size=1, max_size=6, unique=True))
def test_a_draft_with_any_names_loads_with_all_of_them(pointers: list[Pointer]) -> None:
    faults = FaultList()
    root = parse_yaml(draft_policy_text([(str(pointer), "string") for pointer in pointers], "found"), faults)
    assert root is not None
    policy = policy_from_mapping(root.to_data())
    assert [field.pointer for field in policy.fields.values()] == pointers
    assert faults.found == []
